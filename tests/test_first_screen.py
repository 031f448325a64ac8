"""What a visitor sees first: pictures, on a desktop and on a phone; a layer's mosaic and its pictures, large."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atlas import studies
from atlas.inception.layers import LAYERS
from atlas.plan.config import Config, override
from atlas.site.build import build_site
from atlas.studies import load_config
from browser import chromium
from stores import WEIGHTS, fill

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
    folder = tmp_path_factory.mktemp("pictures")
    config = override(
        load_config("demo"),
        recipe="quick",
        layers=",".join(layer.name for layer in LAYERS[4:12]),
        features="12",
        features_only=True,
        store=folder / "store",
        site=folder / "site",
    )
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    return config


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


def test_a_features_picture_is_large(browser: Any, config: Config) -> None:
    for size, least in ((DESKTOP, 560), (PHONE, 350)):
        with opened(browser, config.site / "Mixed_6b/5/index.html", size) as tab:
            assert tab.locator(".version img").first.bounding_box()["width"] >= least


def test_a_row_of_the_home_page_leads_to_its_layer(browser: Any, config: Config) -> None:
    with opened(browser, config.site / "index.html", java_script_enabled=False) as tab:
        rows = tab.locator(".rows a")
        assert rows.count() == 8
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
        assert focused() == "Mixed_6b feature 1"
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
        tab.wait_for_function("document.activeElement.textContent.trim() === 'Mixed_6b feature 5'")
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
