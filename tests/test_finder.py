"""Finding: the index, colours by name, sheets of layers; and the search, the filter and the map in a browser."""

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from atlas import studies
from atlas.plan.config import Config, override
from atlas.plan.features import parse_features
from atlas.site import pictures
from atlas.site.build import build_site
from atlas.site.catalogue import gather_atlas
from atlas.site.check import check_site
from atlas.site.colour import COLOUR_NAMES, HUES, oklch, strong_colours
from atlas.site.finder import index_script, ranges
from atlas.site.pages import make_pages
from atlas.site.pictures import layer_sheet
from atlas.site.templates import NO_BREAK
from atlas.studies import load_config
from browser import chromium
from stores import WEIGHTS, fill

LAYERS = "Conv2d_1a_3x3,Mixed_6b"


def config_at(folder: Path, **changes: str) -> Config:
    flags = {"layers": LAYERS, "features": "0-2,70-74,200-201,400", **changes}
    return override(
        load_config("demo"), store=folder / "store", site=folder / "site", **{"features_only": True, **flags}
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    made = config_at(tmp_path_factory.mktemp("finder"))
    fill(made, statuses=("ok", "ok", None, *("ok", "ok", "no_gradient", None, "ok") * 2, "ok"))
    build_site(made, WEIGHTS, studies.pages())
    return made


def index_of(config: Config) -> dict[str, Any]:
    return parse((config.site / "static/index.js").read_text(encoding="utf-8"))


def parse(script: str) -> dict[str, Any]:
    return json.loads(script.removeprefix("window.atlasIndex = ").removesuffix(";\n"))


# The index


def test_the_index_has_each_feature_with_its_status_and_colours(config: Config) -> None:
    index = index_of(config)
    (one,) = (layer for layer in index["layers"] if layer["name"] == "Mixed_6b")
    atlas = gather_atlas(config, WEIGHTS, studies.pages())
    features = next(entry.features for entry in atlas.layers if entry.layer.name == "Mixed_6b")
    assert one["numbers"] == "0-2,70-74,200-201,400"
    assert one["branches"] == [["branch1x1", 0], ["branch7x7", 192], ["branch7x7dbl", 384], ["branch_pool", 576]]
    assert [index["states"][int(letter)] for letter in one["state"]] == [feature.status for feature in features]
    for feature, letter in zip(features, one["colour"], strict=True):
        measured = pictures.picture_colours(config.site / feature.folder / "thumb.jpg")[0] if feature.record else ()
        assert index["colours"][ord(letter) - ord("0")].split() == list(measured)


def test_the_index_lists_pages_but_not_those_of_features(config: Config) -> None:
    pages = {page: title for title, page, _ in index_of(config)["pages"]}
    assert pages["Mixed_6b/index.html"] == "Mixed_6b"
    assert {"method/index.html", "region/middle-mixed/index.html"} <= pages.keys()
    assert not any("Mixed_6b/0" in page or page == "index.html" for page in pages)
    assert all((config.site / page).is_file() for page in pages)


def test_the_index_of_all_features_is_small(tmp_path: Path) -> None:
    atlas = gather_atlas(config_at(tmp_path, layers="all", features="all"), None, studies.pages())
    draw = random.Random(7)
    names = [name for name, _ in HUES]
    atlas = replace(atlas, colours={f.folder: tuple(draw.sample(names, draw.choice((1, 2)))) for f in atlas.features})
    script = index_script(atlas, make_pages(atlas))
    assert len(atlas.features) == 10_448
    assert len(script.encode()) < 40_000
    assert sum(len(layer["state"]) for layer in parse(script)["layers"]) == 10_448


def test_hostile_words_stay_words_in_the_index(tmp_path: Path) -> None:
    atlas = gather_atlas(config_at(tmp_path), None, studies.pages())
    (page, *_) = (page for page in make_pages(atlas) if page.title)
    hostile = '"</script><b>\\ \u2028'
    assert parse(index_script(atlas, [replace(page, title=hostile)]))["pages"][0][0] == hostile


def test_ranges_are_what_the_command_line_takes() -> None:
    numbers = [0, 1, 2, 5, 7, 8]
    assert ranges(numbers) == "0-2,5,7-8"
    assert list(parse_features(ranges(numbers)).of("Mixed_6b")) == numbers
    assert ranges([]) == ""


# Colours


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((1, 0, 0), "red"), ((1, 0.5, 0), "orange"), ((1, 1, 0), "yellow"), ((0, 1, 0), "green"), ((0, 1, 1), "cyan"),
        ((0, 0, 1), "blue"), ((0.5, 0, 0.8), "purple"), ((1, 0.4, 0.7), "pink"), ((0.5, 0.5, 0.5), "grey"),
        ((0, 0, 0), "black"), ((1, 1, 1), "white"), ((0.4, 0.2, 0), "orange"), ((0, 0.3, 0), "green"),
    ],
)  # fmt: skip
def test_plain_colours_have_the_names_that_people_give_them(colour, name) -> None:
    assert strong_colours([(colour, 9)]) == (name,)
    assert name in COLOUR_NAMES


def test_colours_count_by_their_chroma_and_grey_does_not() -> None:
    red, green, grey = (0.9, 0.1, 0.1), (0.1, 0.7, 0.1), (0.5, 0.5, 0.5)
    assert strong_colours([(red, 30), (grey, 70)]) == ("red",)
    assert strong_colours([(red, 55), (green, 45)]) == ("red", "green")
    assert strong_colours([(red, 80), (green, 20)]) == ("red",)
    assert strong_colours([(red, 5), (grey, 95)]) == ("grey",)


def test_a_picture_of_all_hues_has_no_strong_one() -> None:
    wheel = [(1, 0, 0), (1, 0.6, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (0.5, 0, 0.9), (1, 0, 0.7)]
    counts = [(colour, round(1000 / oklch(colour).chroma)) for colour in wheel]
    assert strong_colours(counts) == ()


def test_a_stored_picture_is_measured(tmp_path: Path) -> None:
    picture = Image.new("RGB", (160, 160), (128, 128, 128))
    picture.paste((20, 60, 230), (0, 0, 160, 60))
    picture.save(tmp_path / "thumb.jpg", quality=90)
    names, hue = pictures.picture_colours(tmp_path / "thumb.jpg")
    assert names == ("blue",)
    assert hue == pytest.approx(oklch((20 / 255, 60 / 255, 230 / 255)).hue, abs=2)


def test_an_unchanged_picture_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_at(tmp_path, features="2")
    fill(config)
    measured: list[Path] = []
    honest = pictures.picture_colours
    monkeypatch.setattr(pictures, "picture_colours", lambda file: measured.append(file) or honest(file))
    build_site(config, WEIGHTS, studies.pages())
    before = (config.site / "static/index.js").read_bytes()
    assert len(measured) == 4
    build_site(config, WEIGHTS, studies.pages())
    assert len(measured) == 4
    assert (config.site / "static/index.js").read_bytes() == before
    fill(override(config, layers="Mixed_6b", features="1"), statuses=("failed",))
    build_site(config, WEIGHTS, studies.pages())
    assert len(measured) == 4, "the same pixels with another status"
    monkeypatch.setattr(pictures, "COLOUR_METHOD", "another")
    build_site(config, WEIGHTS, studies.pages())
    assert len(measured) == 8


# Sheets


def test_a_layers_sheet_has_all_its_features(config: Config) -> None:
    with Image.open(config.site / "Mixed_6b/sheet.avif") as sheet:
        assert sheet.size == (11 * 98 + 2, 98 + 2)
        pending = sheet.convert("RGB").getpixel((3 * 98 + 50, 50))
    assert max(pending) - min(pending) < 8, "the fourth is pending, and grey"
    assert 'href="sheet.avif"' in (config.site / "Mixed_6b/index.html").read_text()


@pytest.mark.parametrize(
    ("layer", "columns", "rows", "tile"), [("Mixed_7c", 32, 64, 32), ("Mixed_6b", 32, 24, 48), ("Mixed_5b", 16, 16, 64)]
)
def test_the_more_features_the_smaller_their_pictures(tmp_path: Path, layer, columns, rows, tile) -> None:
    atlas = gather_atlas(config_at(tmp_path, layers=layer, features="all"), None, studies.pages())
    sheet = layer_sheet(next(entry for entry in atlas.layers if entry.features))
    assert sheet.tile == tile
    assert (len(sheet.rows), len(sheet.rows[0])) == (rows, columns)
    assert [feature.number for row in sheet.rows for feature in row] == list(range(rows * columns))
    assert max(sheet.size) <= 2300


# Cards and robots


def test_each_page_has_a_card_and_robots_name_the_sitemap(config: Config, tmp_path: Path) -> None:
    assert (config.site / "robots.txt").read_text() == "User-agent: *\nAllow: /\n"
    public = replace(config, site=tmp_path / "site", base_url="https://example.org/atlas/")
    build_site(public, WEIGHTS, studies.pages())
    assert (public.site / "robots.txt").read_text().endswith("\nSitemap: https://example.org/atlas/sitemap.xml\n")
    for page in public.site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if page.name == "404.html":
            assert 'data-root="https://example.org/atlas/"' in text
            continue
        card = text.split('<meta property="og:image" content="https://example.org/atlas/')[1].split('"')[0]
        assert (public.site / card).is_file(), page
    assert check_site(public.site).faults == ()


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@contextmanager
def opened(browser: Any, file: Path, **settings: Any) -> Iterator[Any]:
    """A page from a disk; whatever its Content-Security-Policy refuses fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1000, "height": 800}, **settings})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def home(browser: Any, config: Config) -> Iterator[Any]:
    with opened(browser, config.site / "index.html") as page:
        yield page


def results(page: Any, query: str) -> list[str]:
    """What a search lists."""
    page.get_by_role("textbox").fill(query)
    page.get_by_role("status").filter(has_text="found").wait_for()
    return page.locator(".finder b").all_inner_texts()


def test_nothing_of_the_search_is_loaded_before_it_is_wanted(browser: Any, config: Config) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((config.site / "index.html").as_uri())
    assert not any("static/index.js" in url for url in asked)
    page.keyboard.press("/")
    page.get_by_role("textbox").wait_for()
    results(page, "6b")
    assert sum("static/index.js" in url for url in asked) == 1
    assert all(url.startswith("file:") for url in asked)
    context.close()


def test_a_slash_opens_the_search_and_escape_gives_the_focus_back(home: Any) -> None:
    link = home.get_by_role("link", name="How the pictures are made")
    link.focus()
    home.keyboard.press("/")
    field = home.get_by_role("textbox")
    assert field.evaluate("field => field === document.activeElement")
    home.keyboard.type("a/b")
    assert field.input_value() == "a/b", "in a field it is a character"
    home.keyboard.press("Escape")
    assert not home.locator(".finder").is_visible()
    assert link.evaluate("link => link === document.activeElement")
    home.get_by_role("button", name="Search").click()
    assert field.is_visible()
    assert field.input_value() == ""
    home.get_by_role("button", name="Close").click()
    assert not field.is_visible()


def test_words_find_layers_features_branches_statuses_and_colours(home: Any, config: Config) -> None:
    home.keyboard.press("/")
    assert results(home, "mixed_6B")[:2] == ["Mixed_6b", "Mixed_6b 0"]
    assert results(home, "middle mixed")[0] == "Middle mixed"
    assert results(home, "7x7") == ["Mixed_6b 200", "Mixed_6b 201", "Mixed_6b 400"]
    assert results(home, "branch7×7dbl") == results(home, "dbl") == ["Mixed_6b 400"]
    assert results(home, "6b no_gradient") == ["Mixed_6b 2", "Mixed_6b 74"]
    assert results(home, "6b pending") == ["Mixed_6b 70", "Mixed_6b 200"]
    features = [f for f in gather_atlas(config, WEIGHTS, studies.pages()).features if f.record]
    colours = {f.folder: pictures.picture_colours(config.site / f.folder / "thumb.jpg")[0] for f in features}
    for name in {name for names in colours.values() for name in names}:
        expected = [folder.replace("/", " ") for folder, names in colours.items() if name in names]
        assert results(home, name) == expected
    assert results(home, "Mixed_7c") == []
    assert results(home, "eas") == [], "words are found by how they begin"


@pytest.mark.parametrize("target", ["Mixed_6b[201]", "6b 201", "mixed_6b[201, 9, 9]"])
def test_a_target_leads_to_its_feature(home: Any, target: str) -> None:
    home.keyboard.press("/")
    assert results(home, target)[0] == "Mixed_6b 201"
    with home.expect_navigation():
        home.keyboard.press("Enter")
    assert home.url.endswith("/Mixed_6b/201/index.html")


def test_arrows_walk_through_the_results_from_a_deep_page(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "Mixed_6b/201/index.html") as page:
        page.keyboard.press("/")
        assert results(page, "conv2d_1a ok")[:2] == ["Conv2d_1a_3x3 0", "Conv2d_1a_3x3 1"]
        focused = "() => document.activeElement.querySelector('b')?.textContent"
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.evaluate(focused) == "Conv2d_1a_3x3 1"
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        assert page.get_by_role("textbox").evaluate("field => field === document.activeElement")
        page.keyboard.press("ArrowDown")
        thumb = page.locator(".finder img").first
        assert thumb.get_attribute("loading") == "lazy"
        thumb.evaluate("image => image.decode()")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.url.endswith("/Conv2d_1a_3x3/0/index.html")


def test_a_random_feature_is_one_that_is_shown(home: Any, config: Config) -> None:
    shown = {feature.page for feature in gather_atlas(config, WEIGHTS, studies.pages()).features if feature.record}
    seen = set()
    for _ in range(4):
        with home.expect_navigation():
            home.get_by_role("button", name="Random").click()
        seen.add(home.url.split("/site/")[1])
    assert seen <= shown


def test_a_comma_parts_words_and_ends_a_slice(home: Any) -> None:
    home.keyboard.press("/")
    assert results(home, "6b, pending") == results(home, "6b pending") == ["Mixed_6b 70", "Mixed_6b 200"]
    for slice_of_one in ("Mixed_6b[400, 3, :]", "Mixed_6b[400, 3", "[400, :7] 6b"):
        assert results(home, slice_of_one)[0] == "Mixed_6b 400", slice_of_one
    assert results(home, "pending, 400") == []


def missing_index(config: Config, folder: Path) -> Path:
    """A copy of the site without the index of its search; returns where the index lay."""
    shutil.copytree(config.site, folder)
    index = folder / "static/index.js"
    index.rename(index.with_suffix(".away"))
    return index


def test_an_index_that_cannot_be_loaded_is_said_and_tried_again(browser: Any, config: Config, tmp_path: Path) -> None:
    index = missing_index(config, tmp_path / "site")
    page = browser.new_page()  # its console has an error
    page.goto((tmp_path / "site/index.html").as_uri())
    page.get_by_role("button", name="Random").click()
    page.get_by_role("status").filter(has_text="The index cannot be loaded.").wait_for()
    index.with_suffix(".away").rename(index)
    assert results(page, "6b 400")[0] == "Mixed_6b 400"
    page.close()


def test_random_says_that_nothing_is_rendered(browser: Any, tmp_path: Path) -> None:
    config = config_at(tmp_path)
    build_site(config, None, studies.pages())
    with opened(browser, config.site / "index.html") as page:
        page.get_by_role("button", name="Random").click()
        page.get_by_role("status").filter(has_text="No feature is rendered yet.").wait_for()
        assert page.get_by_role("textbox").is_visible()


def test_arrows_go_to_the_feature_before_and_after(browser: Any, config: Config) -> None:
    def press(key: str, at: str = "body") -> str:
        """Press a key and wait for what it may load; returns the page that is open then."""
        page.evaluate("document.activeElement.blur()")
        page.locator(at).first.press(key)
        page.wait_for_timeout(300)
        return page.url.split("/Mixed_6b/")[1]

    with opened(browser, config.site / "Mixed_6b/70/index.html") as page:
        link = page.get_by_role("link", name="Next")
        assert link.get_attribute("aria-keyshortcuts") == "ArrowRight"
        assert press("ArrowRight") == "71/index.html"
        page.locator(".fold summary").click()
        assert press("ArrowRight", ".scroll[tabindex]") == "71/index.html"
        for key in ("Alt", "Control", "Meta", "Shift"):
            assert press(f"{key}+ArrowRight") == "71/index.html", key
        assert press("ArrowLeft") == "70/index.html"
        assert press("ArrowLeft", "a[rel=next]") == "2/index.html"
        page.locator("body").press("Control+/")
        assert not page.locator(".finder").is_visible()
        page.locator("body").press("/")
        assert press("ArrowLeft", ".finder input") == press("ArrowRight", ".finder button") == "2/index.html"
        page.keyboard.press("Escape")
        page.goto((config.site / "Mixed_6b/0/index.html").as_uri())
        assert press("ArrowLeft") == "0/index.html", "nothing comes before it"
    with opened(browser, config.site / "Mixed_6b/index.html") as page:
        assert press("ArrowLeft", ".filter select") == "index.html"


def test_a_layers_page_is_filtered_by_status_and_colour(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "Mixed_6b/index.html") as page:
        everything = page.locator(".mosaic li:visible").count()
        assert everything == 11
        page.get_by_role("combobox", name="Status").select_option("no_gradient")
        assert page.locator(".mosaic li:visible").count() == 2
        assert page.get_by_text("2 of 11 on this page").is_visible()
        page.get_by_role("combobox", name="Status").select_option("")
        for option in page.get_by_role("combobox", name="Colour").locator("option").all()[1:]:
            name, count = option.inner_text().removesuffix(")").split(" (")
            page.get_by_role("combobox", name="Colour").select_option(name)
            assert page.locator(".mosaic li:visible").count() == int(count)


def test_a_layer_of_many_pages_is_searched_as_a_whole(browser: Any, tmp_path: Path) -> None:
    config = config_at(tmp_path, layers="Mixed_7c", features="100")
    fill(config, statuses=("ok", *[None] * 65))  # 0 and 66
    build_site(config, WEIGHTS, studies.pages())
    with opened(browser, config.site / "Mixed_7c/index.html") as page:
        page.get_by_role("combobox", name="Status").select_option("ok")
        assert page.locator(".mosaic li:visible").count() == 1
        page.get_by_role("button", name="In all of Mixed_7c").click()
        page.get_by_role("status").filter(has_text="2 found").wait_for()
        assert page.locator(".finder b").all_inner_texts() == ["Mixed_7c 0", "Mixed_7c 66"]
        results(page, "mixed_7c")
        assert (
            page.locator(".finder [role=status]").inner_text() == "102 found, 24 listed"
        )  # and the pages of layer and region


def test_without_scripts_everything_is_shown_and_nothing_is_offered(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "Mixed_6b/index.html", java_script_enabled=False) as page:
        assert page.locator(".mosaic li:visible").count() == 11
        assert page.locator("button:visible, select:visible, input:visible").count() == 0
        page.goto((config.site / "index.html").as_uri())
        with page.expect_navigation():
            page.get_by_role("link", name="Mixed_6b:").click()
        assert page.url.endswith("/Mixed_6b/index.html")


def test_the_site_is_found_under_any_path(browser: Any, config: Config, tmp_path: Path) -> None:
    moved = tmp_path / "a b" / "deep"
    shutil.copytree(config.site, moved)
    with opened(browser, moved / "region/middle-mixed/index.html") as page:
        page.keyboard.press("/")
        results(page, "6b 400")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.url == (moved / "Mixed_6b/400/index.html").as_uri()


# The region map in a browser


def test_the_map_is_walked_by_keyboard_in_the_networks_order(home: Any) -> None:
    home.locator("#entry-convolutions h3 a").focus()
    walked = []
    for _ in range(5):
        walked.append(home.evaluate("document.activeElement.getAttribute('aria-label')"))
        home.keyboard.press("Tab")
    region = "document.activeElement.closest('section, .region')?.id"
    assert walked[1] == f"Conv2d_1a_3x3: 32 features · 149 × 149, field 3 × 3{NO_BREAK}px, 2 of 3 rendered"
    assert walked[3].startswith(f"Mixed_6b: 768 features · 17 × 17, field 351 × 351{NO_BREAK}px, 9 of 11 rendered")
    assert walked[0] is walked[2] is walked[4] is None  # titles of regions, and what follows the map
    assert home.evaluate(region) != "middle-mixed"


def test_the_map_has_names_for_regions_layers_and_branches(home: Any) -> None:
    group = home.get_by_role("group", name="Middle mixed: layers and their branches")
    assert group.get_by_role("img", name="branch7x7: 1×1, 1×7, 7×1; features 192 to 383").count() == 4
    assert group.get_by_role("link").count() == 1
    assert group.get_by_text("not in this atlas").count() == 4
    assert home.locator(".map svg").count() == 4


@pytest.mark.parametrize(("width", "columns"), [(360, 1), (768, 2), (1440, 4)])
def test_the_map_fits_and_its_words_are_readable(browser: Any, config: Config, width: int, columns: int) -> None:
    with opened(browser, config.site / "index.html", viewport={"width": width, "height": 900}) as page:
        boxes = [region.bounding_box() for region in page.locator(".region").all()]
        assert len({round(box["x"]) for box in boxes}) == columns
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        scale = page.locator(".map svg").first.bounding_box()["width"] / 320
        assert 0.9 <= scale <= 1.2
        thumb = page.locator(".map img").first.bounding_box()
        assert thumb["width"] <= 96
        assert page.locator(".map img").first.evaluate("image => image.complete && image.naturalWidth") == 160


def test_no_word_is_too_long_for_a_phone(browser: Any, config: Config, tmp_path: Path) -> None:
    named = replace(config, site=tmp_path / "site", title="Pictures_of_everything_that_one_network_ever_responded_to")
    weights = replace(WEIGHTS, name="weights-" * 9)
    fill(named, weights=weights)
    build_site(named, weights, studies.pages())
    paths = ("index.html", "method/index.html", "region/middle-mixed/index.html", "Mixed_6b/index.html")
    with opened(browser, named.site / "index.html", viewport={"width": 360, "height": 740}) as page:
        for path in (*paths, "Mixed_6b/400/index.html"):
            page.goto((named.site / path).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
