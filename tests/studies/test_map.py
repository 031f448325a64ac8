"""The map of features: where pictures come to lie, when that is out of date, its page, and its use in a browser."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas import studies
from atlas.plan.config import Config, override
from atlas.plan.jobs import feature_jobs
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.dead.rescues import rescues
from atlas.studies.dead.settings import Settings as DeadSettings
from atlas.studies.map.measure import arrange, measure_map, snap
from atlas.studies.map.result import FEATURE_MAP, FeatureMap
from atlas.studies.nearest.measure import describe, measure_described
from atlas.studies.nearest.result import described_spec
from atlas.studies.shared.context import MeasureContext
from browser import chromium
from stores import WEIGHTS, fill, picture, put

LAYERS = "Mixed_5b,Mixed_6b"
SIZE = (1000, 900)  # of the window


def described(count: int) -> list[bytes]:
    """Descriptions of pictures, all different."""
    return [describe(Image.frombytes("RGB", (64, 64), picture(str(at), 64))) for at in range(count)]


def tinted(hue: int, at: int) -> bytes:
    """A description of one of many pictures of a hue."""
    noise = np.random.default_rng(at).integers(0, 40, (64, 64))
    values = np.stack([np.full((64, 64), hue), 200 + 0 * noise, 180 + noise], axis=2).astype(np.uint8)
    return describe(Image.fromarray(values, "HSV").convert("RGB"))


# Where pictures come to lie


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 60])
def test_each_picture_has_a_cell_of_its_own_and_the_same_one_again(count: int) -> None:
    pictures = described(count)
    columns, rows, cells = arrange(pictures)
    assert cells.shape == (count, 2)
    assert len({tuple(cell) for cell in cells.tolist()}) == count
    assert all(0 <= column < columns and 0 <= row < rows for column, row in cells.tolist())
    assert count <= columns * rows <= 2 * count + 4
    assert (arrange(pictures)[2] == cells).all()


def test_few_pictures_and_equal_ones_lie_in_their_order() -> None:
    assert arrange(described(3))[2].tolist() == [[0, 0], [1, 0], [2, 0]]
    columns, _, cells = arrange(described(1) * 9)
    assert [row * columns + column for column, row in cells.tolist()] == list(range(9))


def test_alike_pictures_lie_nearer_than_others() -> None:
    hues = [0, 90, 170] * 8
    _, _, cells = arrange([tinted(hue, at) for at, hue in enumerate(hues)])
    far = [
        (hues[one] == hues[other], np.hypot(*(cells[one] - cells[other]))) for one, other in combinations(range(24), 2)
    ]
    alike, unlike = ([length for is_alike, length in far if is_alike is which] for which in (True, False))
    assert np.mean(alike) < 0.6 * np.mean(unlike)


def test_a_point_takes_the_nearest_cell_that_is_free_the_middle_ones_first() -> None:
    points = np.array([[0.0, 0.0], [4.0, 2.0], [2.0, 1.0], [2.0, 1.0], [2.0, 1.0]])
    assert snap(points, 5, 3).tolist() == [[0, 0], [4, 2], [2, 1], [2, 0], [1, 1]]


# The result


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Six features of two layers; in each one has no gradient and one is pending."""
    made = override(load_config("demo"), layers=LAYERS, features="6", store=tmp_path / "a", site=tmp_path / "b")
    made = made.only_features()
    made = made.with_study(replace(made.study(DeadSettings), recipe="rescued"))
    fill(made, statuses=("ok", "no_gradient", "ok", None, "ok", "ok"))
    return made


def measured(config: Config) -> FeatureMap:
    results = Results(config, WEIGHTS)
    context = MeasureContext(results, None)
    for layer in config.layers:
        results.write(described_spec(layer), measure_described(context, layer))
    results.write(FEATURE_MAP, measure_map(context))
    found = Results(config, WEIGHTS).read(FEATURE_MAP)
    assert found is not None
    return found


def rescue_of(config: Config, number: int) -> Any:
    (_, job), *_ = rescues(config, [feature_jobs(config)[number]])
    return job


def test_the_features_that_show_something_are_on_the_map(config: Config) -> None:
    found = measured(config)
    assert {layer: sorted(cells) for layer, cells in found.layers.items()} == {
        "Mixed_5b": [0, 2, 4, 5],
        "Mixed_6b": [0, 2, 4, 5],
    }
    put(config.store, rescue_of(config, 1))
    assert sorted(measured(config).layers["Mixed_5b"]) == [0, 1, 2, 4, 5], "by its rescued picture"


def test_what_is_rendered_later_makes_the_map_out_of_date(config: Config) -> None:
    measured(config)
    rescued = put(config.store, rescue_of(config, 1))
    assert Results(config, WEIGHTS).read(FEATURE_MAP) is None
    rescued.unlink()
    assert Results(config, WEIGHTS).read(FEATURE_MAP) is not None
    put(config.store, feature_jobs(config)[3])
    assert Results(config, WEIGHTS).read(FEATURE_MAP) is None


# The page


def data_of(config: Config) -> dict[str, Any]:
    text = (config.site / "map/data.js").read_text()
    return json.loads(text.removeprefix("window.atlasMap = ").removesuffix(";\n"))


def test_the_page_is_there_once_it_is_measured_and_linked_from_home_and_features(config: Config) -> None:
    build_site(config, WEIGHTS, studies.pages())
    assert not (config.site / "map").exists()
    assert "map/index.html" not in (config.site / "index.html").read_text()
    measured(config)
    build_site(config, WEIGHTS, studies.pages())
    home = (config.site / "index.html").read_text()
    assert '<a href="map/index.html">Map of features</a>' in home.split("<main")[0]
    assert (
        'href="../../map/index.html#Mixed_6b-4">On the map</a>' in (config.site / "Mixed_6b/4/index.html").read_text()
    )
    assert "On the map" not in (config.site / "Mixed_6b/1/index.html").read_text()
    assert "2 features whose score was not raised are left out" in (config.site / "map/index.html").read_text()
    assert check_site(config.site).faults == ()


def test_the_script_lists_each_feature_with_its_cell_and_its_place_on_the_sheet(config: Config) -> None:
    put(config.store, rescue_of(config, 1))
    found = measured(config)
    build_site(config, WEIGHTS, studies.pages())
    data = data_of(config)
    assert (data["columns"], data["rows"]) == (found.columns, found.rows)
    for layer in data["layers"]:
        cells = found.layers[layer["name"]]
        assert layer["numbers"] == "0-5"
        assert layer["sheet"] == [f"{layer['name']}/sheet.avif", 96, 2, 6]
        listed = {
            at: [cell % found.columns, cell // found.columns] for at, cell in enumerate(layer["cells"]) if cell >= 0
        }
        assert listed == {number: list(cell) for number, cell in cells.items()}
    (face,) = data["layers"][0]["faces"].items()
    assert face[0] == "1"
    assert (config.site / face[1] / "thumb.avif").is_file()


def test_a_link_to_a_feature_that_is_not_on_the_map_is_a_fault(config: Config) -> None:
    measured(config)
    build_site(config, WEIGHTS, studies.pages())
    page = config.site / "Mixed_6b/4/index.html"
    page.write_text(page.read_text().replace("#Mixed_6b-4", "#Mixed_6b-3"))
    assert any(
        "leads to a place that map/index.html does not have" in fault for fault in check_site(config.site).faults
    )
    (config.site / "map/data.js").write_text("window.atlasMap = {")
    assert sum("leads to a place" in fault for fault in check_site(config.site).faults) == 8


def test_a_rescue_that_is_not_shown_is_not_on_the_page(config: Config) -> None:
    put(config.store, rescue_of(config, 1))
    measured(config)
    without = config.with_study(replace(config.study(DeadSettings), features=0))
    build_site(without, WEIGHTS, studies.pages())
    assert data_of(without)["layers"][0]["cells"][1] == -1
    assert check_site(without.site).faults == ()


def test_the_picture_of_the_map_has_each_thumbnail_in_its_cell(config: Config) -> None:
    found = measured(config)
    build_site(config, WEIGHTS, studies.pages())
    for name in ("map.avif", "map.jpg"):
        with Image.open(config.site / "map" / name) as whole:
            tile = whole.width // found.columns
            assert whole.size == (found.columns * tile, found.rows * tile)
            for layer, cells in found.layers.items():
                for number, (column, row) in cells.items():
                    part = whole.convert("RGB").crop(
                        (column * tile, row * tile, (column + 1) * tile - 10, (row + 1) * tile - 10)
                    )
                    with Image.open(config.site / layer / str(number) / "thumb.jpg") as thumb:
                        error = np.asarray(part, float) - np.asarray(thumb.convert("RGB").resize(part.size), float)
                    assert np.abs(error).mean() < 12, (name, layer, number)


def test_a_changed_picture_is_drawn_anew_also_on_the_map(config: Config) -> None:
    found = measured(config)
    build_site(config, WEIGHTS, studies.pages())
    before = Image.open(config.site / "map/map.jpg").convert("RGB")
    put(config.store, feature_jobs(config)[0], seed="another")
    again = measured(config)
    build_site(config, WEIGHTS, studies.pages())
    after = Image.open(config.site / "map/map.jpg").convert("RGB")
    tile = after.width // again.columns
    column, row = again.layers["Mixed_5b"][0]
    with Image.open(config.site / "Mixed_5b/0/thumb.jpg") as thumb:
        expected = np.asarray(thumb.convert("RGB").resize((tile - 10, tile - 10)), float)
    part = after.crop((column * tile, row * tile, (column + 1) * tile - 10, (row + 1) * tile - 10))
    assert np.abs(np.asarray(part, float) - expected).mean() < 12
    assert before.tobytes() != after.tobytes() or found != again


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, FeatureMap]:
    """A site with 60 features on the map."""
    folder = tmp_path_factory.mktemp("map")
    made = override(load_config("demo"), layers=LAYERS, features="30", store=folder / "a", site=folder / "b")
    made = made.only_features()
    fill(made)
    found = measured(made)
    build_site(made, WEIGHTS, studies.pages())
    return made, found


@contextmanager
def opened(browser: Any, config: Config, place: str = "", **settings: Any) -> Iterator[Any]:
    """The page from a disk; whatever its Content-Security-Policy refuses fails the test, as does another host."""
    context = browser.new_context(**{"viewport": {"width": SIZE[0], "height": SIZE[1]}, **settings})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "blob:")) else errors.append(request.url)
    )
    page.goto((config.site / "map/index.html").as_uri() + place)
    if settings.get("java_script_enabled", True):
        page.locator(".plane.on canvas").wait_for()
        page.wait_for_timeout(200)
    yield page
    context.close()
    assert errors == []


def spot(page: Any, found: FeatureMap, column: float, row: float) -> tuple[float, float]:
    """Where a cell's middle is on the page while all of the map is shown."""
    box = page.locator("canvas").bounding_box()
    cell = min((box["width"] - 24) / found.columns, (box["height"] - 24) / found.rows)
    left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return left + (column + 0.5 - found.columns / 2) * cell, top + (row + 0.5 - found.rows / 2) * cell


def caption(page: Any) -> str:
    return str(page.locator(".plane output").text_content()) if page.locator(".plane output").is_visible() else ""


def neighbours(found: FeatureMap) -> tuple[tuple[str, tuple[int, int]], tuple[str, tuple[int, int]]]:
    """Two features side by side near the middle: title and cell of each."""
    by_cell = {cell: f"{layer} {number}" for layer, cells in found.layers.items() for number, cell in cells.items()}
    pairs = [(one, (one[0] + 1, one[1])) for one in by_cell if (one[0] + 1, one[1]) in by_cell]
    one, other = min(pairs, key=lambda pair: abs(pair[0][0] - found.columns / 2) + abs(pair[0][1] - found.rows / 2))
    return (by_cell[one], one), (by_cell[other], other)


def test_a_pointer_names_features_and_a_click_opens_one(browser: Any, shown: tuple[Config, FeatureMap]) -> None:
    config, found = shown
    with opened(browser, config) as page:
        for layer, number in (("Mixed_5b", 0), ("Mixed_6b", 29)):
            page.mouse.move(*spot(page, found, *found.layers[layer][number]))
            assert caption(page) == f"{layer} {number}"
            href = page.locator(".plane output a").get_attribute("href")
            assert href == f"../{layer}/{number}/index.html"
        page.mouse.click(*spot(page, found, *found.layers["Mixed_5b"][7]))
        page.wait_for_url("**/Mixed_5b/7/index.html")
        page.go_back()
        assert page.url.endswith("/map/index.html#Mixed_5b-7"), "the way back leads to it"


def test_a_drag_moves_the_map_and_opens_nothing(browser: Any, shown: tuple[Config, FeatureMap]) -> None:
    config, found = shown
    (first, cell), (second, beside) = neighbours(found)
    with opened(browser, config) as page:
        start, end = spot(page, found, *cell), spot(page, found, *beside)
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(*end, steps=5)
        page.mouse.up()
        page.mouse.move(end[0] + 1, end[1])
        assert caption(page) == first
        page.get_by_role("button", name="Fit").click()
        page.mouse.move(*end)
        assert caption(page) == second
        assert page.url.endswith("/map/index.html")


@pytest.mark.parametrize("how", ["wheel", "button"])
def test_zooming_enlarges_and_loads_the_pictures_that_are_seen(
    browser: Any, shown: tuple[Config, FeatureMap], how: str
) -> None:
    config, found = shown
    (first, cell), (second, beside) = neighbours(found)
    with opened(browser, config) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        place, other = spot(page, found, *cell), spot(page, found, *beside)
        page.mouse.move(*place)
        for _ in range(4):
            if how == "wheel":
                page.mouse.wheel(0, -200)
            else:
                page.get_by_role("button", name="Zoom in").click()
        page.wait_for_timeout(400)
        assert any("thumb.avif" in url for url in asked)
        if how == "wheel":
            page.mouse.move(place[0] + 1, place[1])
            assert caption(page) == first, "what is under the pointer stays there"
            page.mouse.move(*other)
            assert caption(page) != second
        for _ in range(9):
            page.get_by_role("button", name="Zoom out").click()
        page.mouse.move(*other)
        assert caption(page) == second, "no smaller than all of the map"


def test_two_fingers_zoom_and_a_second_tap_opens(browser: Any, shown: tuple[Config, FeatureMap]) -> None:
    config, found = shown
    (first, cell), (second, beside) = neighbours(found)
    with opened(browser, config, has_touch=True) as page:
        place, other = spot(page, found, *cell), spot(page, found, *beside)
        session = page.context.new_cdp_session(page)

        def touch(kind: str, *xs: float) -> None:
            points = [{"x": x, "y": place[1], "id": at} for at, x in enumerate(xs)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", place[0], place[0] + 60)
        touch("touchMove", place[0], place[0] + 120)
        touch("touchMove", place[0], place[0] + 240)
        touch("touchEnd")
        page.touchscreen.tap(*other)
        assert caption(page) == first, "four times as large around the finger that stayed"
        page.get_by_role("button", name="Fit").tap()
        page.touchscreen.tap(*other)
        assert caption(page) == second
        assert page.url.endswith("/map/index.html")
        page.touchscreen.tap(*other)
        page.wait_for_url(f"**/{second.replace(' ', '/')}/index.html")


def test_keys_move_the_map_under_a_cross_and_enter_opens(browser: Any, shown: tuple[Config, FeatureMap]) -> None:
    config, _ = shown
    with opened(browser, config) as page:
        page.locator(".crumbs a").focus()
        page.keyboard.press("Tab")
        canvas = page.get_by_role("application", name="Map of features")
        assert canvas.evaluate("canvas => canvas === document.activeElement")
        assert "arrows move the map" in page.locator(f"#{canvas.get_attribute('aria-describedby')}").inner_text()
        seen = [caption(page)]
        for key in ("ArrowRight", "ArrowRight", "+", "+", "+", "ArrowUp", "ArrowDown", "ArrowLeft"):
            page.keyboard.press(key)
            seen.append(caption(page))
        assert "" not in seen
        assert len(set(seen)) >= 3
        page.keyboard.press("0")
        assert caption(page) == seen[0]
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{seen[0].replace(' ', '/')}/index.html")


def test_an_address_names_a_feature_and_another_is_ignored(browser: Any, shown: tuple[Config, FeatureMap]) -> None:
    config, _ = shown
    with opened(browser, config, "#Mixed_6b-17") as page:
        assert caption(page) == "Mixed_6b 17"
        box = page.locator("canvas").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(middle[0] + 300, middle[1])
        page.mouse.move(*middle)
        assert caption(page) == "Mixed_6b 17", "it is in the middle"
        page.evaluate("location.hash = '#Mixed_5b-3'")
        page.wait_for_timeout(100)
        assert caption(page) == "Mixed_5b 3"
    for unknown in ("#Mixed_6b-99", "#keys", "#%"):
        with opened(browser, config, unknown) as page:
            assert caption(page) == ""


def test_a_chosen_layer_stands_out(browser: Any, shown: tuple[Config, FeatureMap], tmp_path: Path) -> None:
    config, found = shown

    def brightness(page: Any, layer: str) -> float:
        page.screenshot(path=tmp_path / "shot.png")
        with Image.open(tmp_path / "shot.png") as shot:
            grey = shot.convert("L")
            places = [spot(page, found, *cell) for cell in found.layers[layer].values()]
            return float(
                np.mean(
                    [grey.crop((int(x) - 9, int(y) - 9, int(x) + 9, int(y) + 9)).getextrema()[1] for x, y in places]
                )
            )

    with opened(browser, config) as page:
        before = [brightness(page, layer) for layer in config.layers]
        page.get_by_role("combobox", name="Layer").select_option("Mixed_6b")
        page.wait_for_timeout(300)
        dimmed, chosen = [brightness(page, layer) for layer in config.layers]
        assert dimmed < 0.5 * before[0]
        assert abs(chosen - before[1]) < 25


def test_without_scripts_there_is_the_picture(browser: Any, shown: tuple[Config, FeatureMap]) -> None:
    config, _ = shown
    with opened(browser, config, java_script_enabled=False) as page:
        image = page.get_by_role("img", name="Map of 60 features")
        assert image.is_visible()
        assert image.bounding_box()["width"] == SIZE[0]
        assert page.locator("canvas:visible, button:visible, select:visible").count() == 0
    with opened(browser, config) as page:
        assert not page.locator(".plane img").is_visible()


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_the_map_fills_the_width_and_most_of_the_window(
    browser: Any, shown: tuple[Config, FeatureMap], size: tuple[int, int]
) -> None:
    with opened(browser, shown[0], viewport={"width": size[0], "height": size[1]}) as page:
        box = page.locator("canvas").bounding_box()
        assert box["width"] == size[0]
        assert box["height"] >= 0.6 * size[1]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
