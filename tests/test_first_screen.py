"""What a visitor of the sample sees first: pictures, on a desktop and on a phone; a mosaic and its pictures, large."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from atlas import studies
from atlas.cli.settings import with_photos
from atlas.plan.config import Config, override
from atlas.site.build import build_site
from atlas.site.check import check_store
from atlas.store.masters import master_path
from atlas.store.weights_ids import resolve_weights
from atlas.studies import all_jobs, load_config
from atlas.studies.examples.settings import Settings as ExamplesSettings
from browser import chromium, served
from stores import WEIGHTS, fill

DATA = Path(__file__).parent / "data"
MOST_TUNING = 12_000  # bytes that the tuning adds to a feature's page
LARGEST_SAMPLE = 24_000_000  # bytes of its store and its photographs
DESKTOP, PHONE = (1440, 900), (390, 844)
SHARE = """() => {
  const shown = new Uint8Array(innerWidth * innerHeight);
  const within = (value, most) => Math.max(0, Math.min(most, Math.round(value)));
  for (const image of document.images) {
    if (!image.checkVisibility()) continue;
    const { left, right, top, bottom } = image.getBoundingClientRect();
    for (let y = within(top, innerHeight); y < within(bottom, innerHeight); y++)
      shown.fill(1, y * innerWidth + within(left, innerWidth), y * innerWidth + within(right, innerWidth));
  }
  return shown.reduce((sum, one) => sum + one) / shown.length;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = with_photos(load_config(str(DATA / "sample-store.toml")))
    config = replace(config, site=tmp_path_factory.mktemp("sample") / "site")
    build_site(config, resolve_weights(config.store, config.weights), studies.pages())
    return config


def test_the_sample_is_whole_and_small(config: Config) -> None:
    files = (path for name in ("sample-store", "photographs") for path in (DATA / name).rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) <= LARGEST_SAMPLE
    weights = resolve_weights(config.store, config.weights)
    assert [str(job.target) for job in all_jobs(config) if not master_path(config.store, weights, job).exists()] == []
    assert check_store(config.store, studies.pages()) == []


@contextmanager
def opened(browser: Any, page: Path, size: tuple[int, int] = DESKTOP, **options: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    tab = context.new_page()
    tab.goto(page.as_uri())
    yield tab
    context.close()


@pytest.mark.parametrize(
    ("page", "desktop", "phone"),
    [("index.html", 0.5, 0.45), ("Mixed_6b/index.html", 0.65, 0.6), ("Mixed_6b/5/index.html", 0.35, 0.35)],
)
def test_pictures_cover_most_of_the_first_screen(
    browser: Any, config: Config, page: str, desktop: float, phone: float
) -> None:
    for size, least in ((DESKTOP, desktop), (PHONE, phone)):
        with opened(browser, config.site / page, size) as tab:
            assert tab.evaluate(SHARE) >= least, size
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), size


@pytest.mark.parametrize(
    ("page", "most"), [("index.html", 900_000), ("Mixed_6b/index.html", 600_000), ("Mixed_6b/5/index.html", 200_000)]
)
def test_few_bytes_are_needed_for_the_first_screen(browser: Any, config: Config, page: str, most: int) -> None:
    context = browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    tab = context.new_page()
    sizes: list[int] = []
    tab.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    tab.goto(served(config.site) + page, wait_until="networkidle")
    context.close()
    assert 50_000 < sum(sizes) <= most, sizes


def test_a_features_picture_is_large(browser: Any, config: Config) -> None:
    for size, least in ((DESKTOP, 560), (PHONE, 350)):
        with opened(browser, config.site / "Mixed_6b/5/index.html", size) as tab:
            assert tab.locator(".version img").first.bounding_box()["width"] >= least


@pytest.mark.parametrize(
    ("page", "picture"),
    [
        ("compare/index.html", ".shots img"),
        ("dreams/temple-Mixed_6b_all/index.html", ".dream img"),
        ("videos/index.html", ".shots img"),
    ],
)
def test_the_pictures_of_studies_are_large(browser: Any, config: Config, page: str, picture: str) -> None:
    for size, least in ((DESKTOP, 640), (PHONE, 350)):
        with opened(browser, config.site / page, size) as tab:
            assert tab.locator(picture).first.bounding_box()["width"] >= least
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), size


def test_a_row_of_the_home_page_leads_to_its_layer(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "index.html", java_script_enabled=False) as tab:
        rows = tab.locator(".rows a")
        assert rows.count() == 14
        heights = {round(row.bounding_box()["height"]) for row in rows.all()}
        assert max(heights) - min(heights) <= 4  # the gap around a sheet
        with tab.expect_navigation():
            rows.filter(has_text="Mixed_6b").click()
        assert tab.url.endswith("/Mixed_6b/index.html")


def test_the_size_of_the_pictures_is_chosen_and_remembered(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "Mixed_6b/index.html") as tab:

        def width() -> float:
            return float(tab.locator(".mosaic img").first.bounding_box()["width"])

        assert tab.get_by_role("button", name="Large").get_attribute("aria-pressed") == "true"
        large = width()
        tab.get_by_role("button", name="Small").click()
        assert width() < large / 2
        tab.goto((config.site / "Mixed_6a/index.html").as_uri())
        assert tab.get_by_role("button", name="Small").get_attribute("aria-pressed") == "true"
        assert width() < large / 2


def test_arrows_walk_the_pictures_and_space_shows_one_large(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "Mixed_6b/index.html") as tab:

        def focused() -> str:
            return str(tab.evaluate("document.activeElement.textContent.trim()"))

        tab.locator(".mosaic .tile").first.focus()
        tab.keyboard.press("ArrowRight")
        assert focused().startswith("Mixed_6b feature 1 ")
        tab.keyboard.press("ArrowDown")
        assert focused() == "Mixed_6b feature 6"  # five in a row
        tab.keyboard.press("Space")
        box = tab.get_by_role("dialog", name="A picture, large")
        assert box.get_by_role("img").get_attribute("alt") == "Mixed_6b feature 6"
        tab.keyboard.press("ArrowRight")
        assert box.get_by_role("link").inner_text() == "Mixed_6b feature 7"
        box.get_by_role("button", name="Previous").click()
        box.get_by_role("button", name="Previous").click()
        assert box.get_by_role("img").get_attribute("alt") == "Mixed_6b feature 5"
        tab.keyboard.press("Escape")
        assert not box.is_visible()
        tab.locator(".mosaic .tile:focus").wait_for()
        assert focused() == "Mixed_6b feature 5"
        with tab.expect_navigation():
            tab.keyboard.press("Enter")
        assert tab.url.endswith("/Mixed_6b/5/index.html")


def test_a_picture_is_exchanged_for_that_by_another_recipe_without_scripts(browser: Any, tmp_path: Path) -> None:
    config = override(load_config("demo"), layers="Mixed_5b", features="1", store=tmp_path / "a", site=tmp_path / "b")
    fill(config)
    fill(override(config, recipe="quick"))
    build_site(config, WEIGHTS, studies.pages())
    with opened(browser, config.site / "Mixed_5b/0/index.html", java_script_enabled=False) as tab:

        def shown() -> list[str]:
            alts = (one.get_attribute("alt") for one in tab.locator(".version img:visible").all())
            return [alt.split("recipe ")[1].split(",")[0] for alt in alts]

        assert shown() == ["small"]
        tab.get_by_role("radio", name="quick").check(force=True)
        assert shown() == ["quick"]


def test_keys_on_the_recipes_exchange_the_picture_and_stay_on_the_page(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "Mixed_6b/0/index.html") as tab:
        tab.get_by_role("radio", name="crisp").focus()
        tab.keyboard.press("ArrowRight")
        assert tab.get_by_role("radio").nth(1).is_checked()
        assert tab.url.endswith("/Mixed_6b/0/index.html")
        tab.keyboard.press("/")
        assert tab.get_by_role("dialog", name="Search").is_visible()


def test_who_made_the_photographs_is_said(config: Config) -> None:
    page = unescape((config.site / "examples/index.html").read_text())
    lines = config.study(ExamplesSettings).credits
    assert len(lines) > 30
    assert [line for line in lines if f"<li>{line}</li>" not in page] == []


def test_what_a_feature_responds_to_is_said_wherever_it_stands(config: Config) -> None:
    rows = json.loads((config.site / "features.json").read_text())["features"]
    described = [row for row in rows if row["responds_to"]]
    assert len(described) > 30
    index = (config.site / "static/index.js").read_text()
    for row in described[::9]:
        page = (config.site / row["page"]).read_text().replace("\N{NO-BREAK SPACE}", " ")
        layer = (config.site / row["layer"] / "index.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
        said = row["responds_to"]
        assert f"<title>{row['layer']} {row['number']}: {said[:30]}" in page
        assert f"The feature responds to {said}." in page  # for those who cannot see the picture
        assert f'<span class="said">{said}</span>' in layer
        assert said in index
        section = page[page.index('<h2 id="tuning">') : page.index('<h2 id="connections">')]
        assert len(section.encode()) < MOST_TUNING
        for path in re.findall(r'src="([^"]*tuning/\d+\.webp)"', section):
            assert (config.site / row["page"]).parent.joinpath(path).is_file()


def test_the_search_and_a_sorted_layer_know_what_features_respond_to(browser: Any, config: Config) -> None:
    rows = json.loads((config.site / "features.json").read_text())["features"]
    one = next(row for row in rows if row["layer"] == "Mixed_6b" and row["responds_to"])
    with opened(browser, config.site / "Mixed_6b/index.html") as tab:
        tab.keyboard.press("/")
        tab.keyboard.type(one["responds_to"].partition("(")[0].strip())
        tab.get_by_role("link", name=f"Mixed_6b {one['number']}").wait_for()
        tab.keyboard.press("Escape")
        tab.get_by_label("Sort").select_option("score")
        tab.locator("[data-order=score] .said").first.wait_for()
        said = tab.locator(f"[data-order] [href$='Mixed_6b/{one['number']}/index.html'] .said")
        assert said.text_content() == one["responds_to"]
