"""Sorting a layer: its orders, the script that has them, and the mosaic that a browser makes of it."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atlas import studies
from atlas.plan.config import Config, override
from atlas.plan.jobs import Job, feature_jobs
from atlas.site.build import build_site
from atlas.site.catalogue import Atlas, Feature, PlannedRendering, gather_atlas
from atlas.site.colour import HUES, main_hue, oklch
from atlas.site.pages.orders import make_orders, orders_script
from atlas.site.pictures import picture_colours
from atlas.site.study_page import StudyPage
from atlas.store.masters import master_path, write_master
from atlas.store.results import Results
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from atlas.studies.dead.rescues import rescues
from atlas.studies.nearest.measure import measure_described, measure_nearest
from atlas.studies.nearest.result import NEAREST, described_spec
from atlas.studies.shared.context import MeasureContext
from browser import chromium
from stores import WEIGHTS, picture, put, record

LAYER, COUNT = "Mixed_6b", 70  # two pages
PENDING, DEAD, GREY = 3, 5, 7  # numbers of features
HIGHEST, LOWEST = 66, 20


def score_of(number: int) -> float:
    return {HIGHEST: 9.0, LOWEST: 0.5}.get(number, 1 + number * 37 % 64 / 64)


def fill_layer(config: Config) -> None:
    """One feature is pending, one has no gradient and is rescued, and one is grey."""
    write_weights_id(config.store, WEIGHTS)
    for number, job in enumerate(feature_jobs(config)):
        height, width = job.sizes[-1]
        pixels = bytes([128]) * (3 * height * width) if number == GREY else picture(str(job.target), width, height)
        own = record(job, pixels, status="no_gradient" if number == DEAD else "ok")
        if number == DEAD:
            ((_, rescue),) = rescues(config, [job])
            put(config.store, rescue)
        else:
            own = replace(own, score_shown=score_of(number))
        if number != PENDING:
            write_master(master_path(config.store, WEIGHTS, job), pixels, own)


def describe_layer(config: Config) -> Results:
    results = Results(config, WEIGHTS)
    context = MeasureContext(results, None)
    results.write(described_spec(LAYER), measure_described(context, LAYER))
    results.write(NEAREST, measure_nearest(context))
    return results


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("orders")
    flags = {"layers": LAYER, "features": str(COUNT), "recipe": "quick", "features_only": True}
    made = override(load_config("demo"), store=folder / "store", site=folder / "site", **flags)
    fill_layer(made)
    describe_layer(made)
    build_site(made, WEIGHTS, studies.pages())
    return made


def read(script: bytes) -> dict[str, Any]:
    return json.loads(script.decode().removeprefix("window.atlasOrders = ").removesuffix(";\n"))


@pytest.fixture(scope="module")
def script(config: Config) -> dict[str, Any]:
    return read((config.site / LAYER / "orders.js").read_bytes())


# The orders


def test_each_order_has_every_feature_once(script: dict[str, Any]) -> None:
    assert list(script["orders"]) == ["score", "colour", "likeness"]
    for order in (script["numbers"], *script["orders"].values()):
        assert sorted(order) == list(range(COUNT))


def test_scores_descend_and_what_is_pending_comes_last(script: dict[str, Any]) -> None:
    order = script["orders"]["score"]
    assert (order[0], order[-3:]) == (HIGHEST, [LOWEST, DEAD, PENDING])
    scores = [score_of(number) for number in order[:-2]]
    assert scores == sorted(scores, reverse=True)


def test_hues_go_round_the_wheel_once_and_grey_comes_last(config: Config, script: dict[str, Any]) -> None:
    order = script["orders"]["colour"]
    assert order[-2:] == [GREY, PENDING]
    hues = [
        picture_colours(config.site / LAYER / str(number) / "thumb.jpg")[1] for number in order[:-2] if number != DEAD
    ]
    turned = [(hue - HUES[0][1]) % 360 for hue in hues]
    assert turned == sorted(turned)


@pytest.mark.parametrize("colour", [(1, 0, 0), (1, 0.4, 0.7), (0, 0.3, 0), (0.2, 0.3, 0.9)])
def test_a_plain_colour_has_its_own_hue(colour: tuple[float, float, float]) -> None:
    assert main_hue([(colour, 9), ((0.5, 0.5, 0.5), 20)]) == pytest.approx(oklch(colour).hue, abs=1)


def test_the_main_hue_is_that_of_most_chroma_also_across_zero_and_grey_has_none() -> None:
    assert main_hue([((0.5, 0.5, 0.5), 99), ((1, 0, 0), 1)]) is None
    green, blue = (0.1, 0.7, 0.1), (0.1, 0.2, 0.9)
    assert main_hue([(green, 60), (blue, 20)]) == pytest.approx(oklch(green).hue, abs=1)
    below, above = (0.9, 0.4, 0.62), (0.9, 0.4, 0.5)
    assert oklch(below).hue > 340
    assert oklch(above).hue < 20
    hue = main_hue([(below, 1), (above, 1)])
    assert hue is not None
    assert (hue + 12) % 360 < 24


def test_orders_without_data_are_not_offered(config: Config, tmp_path: Path) -> None:
    atlas = gather_atlas(config, WEIGHTS)  # without studies, and before colours are measured
    assert list(make_orders(atlas)[LAYER]) == ["score"]
    empty = replace(config, site=tmp_path / "site")
    build_site(empty, None, studies.pages())
    assert not (empty.site / LAYER / "orders.js").exists()
    page = (empty.site / LAYER / "index.html").read_text(encoding="utf-8")
    assert "data-orders" not in page
    assert "sort.js" not in page


def test_the_script_of_the_largest_layer_is_small(tmp_path: Path) -> None:
    config = override(load_config("demo"), layers="Mixed_7c", features="all", features_only=True, store=tmp_path)
    draw = random.Random(7)

    def rendered(feature: Feature) -> Feature:
        rescue = Job(feature.job.target, config.get_recipe("rescued"), config.seed)
        folder = f"renderings/{rescue.path.with_suffix('')}"
        made = replace(record(feature.job, b""), score_shown=draw.random())
        return replace(
            feature,
            record=replace(made, status=draw.choice(("ok", "no_gradient"))),
            rescue=PlannedRendering(rescue, folder, record(rescue, b"")),
        )

    def shuffled(_: Atlas, entry: Any) -> list[int]:
        return draw.sample(list(entry.by_number), len(entry.features))

    atlas = gather_atlas(config, None)
    regions = [
        replace(
            region, layers=tuple(replace(one, features=tuple(map(rendered, one.features))) for one in region.layers)
        )
        for region in atlas.regions
    ]
    names = [name for name, _ in HUES]
    atlas = replace(atlas, regions=tuple(regions), studies=(StudyPage(order=("likeness", shuffled)),))
    folders = [feature.face.folder for feature in atlas.features]
    colours = {folder: tuple(draw.sample(names, draw.choice((1, 2)))) for folder in folders}
    atlas = replace(atlas, colours=colours, hues={folder: draw.randrange(360) for folder in folders})
    made = orders_script(atlas, "Mixed_7c")
    assert len(made) <= 60_000
    found = read(made)
    assert [len(order) for order in found["orders"].values()] == [2048] * 3
    for feature, letter in zip(atlas.features, found["kind"], strict=True):
        kind = found["kinds"][ord(letter) - ord("0")]
        face = kind.get("face", f"Mixed_7c/{feature.number}").replace("####", f"{feature.number:04}")
        assert face == feature.face.folder
        assert kind["facts"].split() == [feature.status, *colours[face]]


def test_a_site_built_again_has_the_same_orders(config: Config, tmp_path: Path) -> None:
    again = replace(config, site=tmp_path / "site")
    build_site(again, WEIGHTS, studies.pages())
    assert (again.site / LAYER / "orders.js").read_bytes() == (config.site / LAYER / "orders.js").read_bytes()


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@contextmanager
def opened(browser: Any, config: Config, page: str = "index.html", **settings: Any) -> Iterator[Any]:
    """A page of the layer; an error of its scripts fails the test."""
    context = browser.new_context(viewport={"width": 1000, "height": 800}, **settings)
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.goto((config.site / LAYER / page).as_uri())
    yield tab
    context.close()
    assert errors == []


def sort(tab: Any, order: str) -> None:
    tab.get_by_role("combobox", name="Sort").select_option(order)
    tab.wait_for_function("order => (document.querySelector('.mosaic').dataset.order || 'number') === order", arg=order)


def shown(tab: Any) -> list[int]:
    return [int(label.split()[2]) for label in tab.locator(".mosaic li:visible .label").all_inner_texts()]


@pytest.mark.parametrize("page", ["index.html", "page/2/index.html"])
def test_a_whole_layer_is_sorted_on_each_of_its_pages_and_comes_back(browser: Any, config: Config, page: str) -> None:
    script = read((config.site / LAYER / "orders.js").read_bytes())
    with opened(browser, config, page) as tab:
        before, options = tab.locator(".mosaic").inner_html(), tab.locator(".filter select").all_inner_texts()
        count = tab.locator("output").inner_text()
        for order, numbers in script["orders"].items():
            sort(tab, order)
            assert shown(tab) == numbers
            assert tab.locator("output").inner_text() == "70 of 70"
            assert tab.locator(".pages:visible").count() == 0
            assert not tab.get_by_text("of 2", exact=False).first.is_visible()
        first = tab.locator(".mosaic img").first
        first.evaluate("image => image.decode()")
        assert first.get_attribute("loading") == "lazy"
        sort(tab, "number")
        assert tab.locator(".mosaic").inner_html() == before
        assert tab.locator(".filter select").all_inner_texts() == options
        assert tab.locator("output").inner_text() == count
        assert tab.locator(".pages").is_visible()


def test_a_sorted_tile_is_what_the_template_makes(browser: Any, config: Config) -> None:
    """Of pictures, of what is pending, and of what was rescued."""
    tiles = """() => [...document.querySelectorAll(".mosaic li")].map((item) => {
      const inside = item.cloneNode(true); // its links are those of another folder, and it may not be lazy
      inside.querySelector("img")?.removeAttribute("loading");
      inside.querySelector("source")?.removeAttribute("sizes"); // which differs by page
      return inside.outerHTML.replaceAll(/(?<=[" ])(\\.\\.\\/)+|Mixed_6b\\/(?=\\d)/g, "");
    }).sort()"""
    found: list[str] = []
    for page in ("index.html", "page/2/index.html"):
        with opened(browser, config, page) as tab:
            found += tab.evaluate(tiles)
            sort(tab, "score")
            made = tab.evaluate(tiles)
    assert made == sorted(found)
    assert sum("renderings/" in tile for tile in made) == 1


def test_arrows_and_the_large_picture_follow_the_order(browser: Any, config: Config) -> None:
    with opened(browser, config) as tab:
        sort(tab, "score")
        numbers = shown(tab)
        tab.locator(".mosaic .tile").first.focus()
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("Space")
        box = tab.get_by_role("dialog", name="A picture, large")
        assert box.get_by_role("img").get_attribute("alt") == f"{LAYER} feature {numbers[1]}"
        tab.keyboard.press("ArrowRight")
        assert box.get_by_role("link").inner_text() == f"{LAYER} feature {numbers[2]}"
        tab.keyboard.press("Escape")
        tab.locator(".mosaic .tile:focus", has_text=f"feature {numbers[2]}").wait_for()  # the event of closing moves it
        tab.keyboard.press("End")
        assert tab.evaluate("document.activeElement.textContent") == f"{LAYER} feature {PENDING} pending"


def test_what_is_sorted_is_filtered_and_has_the_chosen_size(browser: Any, config: Config) -> None:
    with opened(browser, config, "page/2/index.html") as tab:
        status = tab.get_by_role("combobox", name="Status")
        assert "no_gradient (0)" in status.inner_text()  # it is on the other page
        sort(tab, "colour")
        assert "no_gradient (1)" in status.inner_text()
        status.select_option("no_gradient")
        assert shown(tab) == [DEAD]
        assert tab.locator("output").inner_text() == "1 of 70"
        sort(tab, "likeness")
        assert shown(tab) == [DEAD], "the filter stays"
        status.select_option("")
        tab.get_by_role("button", name="Small").click()
        sort(tab, "score")
        assert {one.get_attribute("sizes") for one in tab.locator(".mosaic source").all()} == {"72px"}
        sort(tab, "number")
        assert {one.get_attribute("sizes") for one in tab.locator(".mosaic source").all()} == {"72px"}


def test_a_small_tile_has_a_dot_for_its_status_and_the_word_for_screen_readers(browser: Any, config: Config) -> None:
    with opened(browser, config) as tab:
        tab.get_by_role("button", name="Small").click()
        label = tab.get_by_role("link", name=f"{LAYER} feature {PENDING} pending").locator(".label")
        dot, box = label.locator(".status").bounding_box(), label.bounding_box()
        assert (dot["width"], dot["height"]) == (8, 8)
        assert box["width"] < 36, "half of the picture"


def test_orders_that_cannot_be_loaded_are_said_and_tried_again(browser: Any, config: Config) -> None:
    script = config.site / LAYER / "orders.js"
    away = script.with_suffix(".away")
    script.rename(away)
    tab = browser.new_page()  # its console has an error
    try:
        tab.goto((config.site / LAYER / "index.html").as_uri())
        tab.get_by_role("combobox", name="Sort").select_option("score")
        tab.get_by_text("The order cannot be loaded.").wait_for()
        assert tab.get_by_role("combobox", name="Sort").input_value() == ""
    finally:
        away.rename(script)
    sort(tab, "score")
    assert shown(tab)[0] == HIGHEST
    tab.close()


def test_nothing_is_loaded_before_a_layer_is_sorted(browser: Any, config: Config) -> None:
    with opened(browser, config) as tab:
        scripts = (
            "performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.endsWith('.js'))"
        )
        assert not any(name.endswith("orders.js") for name in tab.evaluate(scripts))
        assert tab.locator("script[src='orders.js']").count() == 0
        sort(tab, "score")
        assert tab.locator("script[src='orders.js']").count() == 1
