"""The method page: its numbers are the plan's, and its figure of a recipe reads as the recipe computes."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atlas import studies
from atlas.inception.layers import LAYERS
from atlas.plan.config import Config, override
from atlas.plan.jobs import feature_jobs
from atlas.plan.recipes import Octave, Recipe
from atlas.site.build import build_site
from atlas.site.charts import LEFT, RIGHT, WIDTH
from atlas.site.pages.method import recipe_figure
from atlas.store.masters import master_path, open_master
from atlas.store.stages import write_stages
from atlas.studies import load_config
from atlas.studies.compare.settings import Settings as CompareSettings
from browser import chromium
from stores import WEIGHTS, fill, put

PAGE = "method/index.html"
NUMBER = r"[0-9.e-]+"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Features by a recipe of two octaves, the first of them raw as well: a recipe that does not blur."""
    folder = tmp_path_factory.mktemp("method")
    config = override(
        load_config("demo"),
        layers="Mixed_5b,Mixed_6b",
        features="2",
        recipe="quick",
        store=folder / "a",
        site=folder / "b",
    )
    config = config.only_features().with_study(config.study(CompareSettings))
    config = config.with_study(replace(config.study(CompareSettings), targets=()))
    fill(config)
    first = feature_jobs(config)[2]
    assert str(first.target) == "Mixed_6b[0]"
    put(config.store, replace(first, recipe=config.recipes["raw-demo"]))
    picture, record = open_master(master_path(config.store, WEIGHTS, first))
    write_stages(master_path(config.store, WEIGHTS, first), [picture] * 3, record)
    build_site(config, WEIGHTS, studies.pages())
    return config


@pytest.fixture(scope="module")
def page_text(built: Config) -> str:
    return (built.site / PAGE).read_text(encoding="utf-8")


def test_numbers_are_those_of_the_layer_table(page_text: str) -> None:
    assert f"The network’s {len(LAYERS)} layers have" in page_text
    assert f"{sum(layer.features for layer in LAYERS):,} features together" in page_text


def test_the_example_is_the_feature_of_which_there_is_most_to_show(page_text: str) -> None:
    assert 'src="../Mixed_6b/0/stages.avif"' in page_text
    assert "Mixed_6b_0000/picture.avif" in page_text  # the raw one
    assert page_text.count('<a href="../Mixed_6b/0/index.html">Mixed_6b[0]</a>') == 3


def test_without_pictures_the_page_is_whole(tmp_path: Path) -> None:
    config = override(load_config("demo"), store=tmp_path / "a", site=tmp_path / "b", features="1", features_only=True)
    build_site(config, None, studies.pages())
    page = (config.site / PAGE).read_text(encoding="utf-8")
    assert "stages.avif" not in page
    assert 'class="recipe"' in page


def test_every_term_of_the_contents_and_the_glossary_is_there(page_text: str) -> None:
    places = re.findall('<li><a href="#([a-z]+)">', page_text)
    assert places == re.findall('<h2 id="([a-z]+)">', page_text)
    glossary = page_text[page_text.index('id="glossary"') :].split("</dl>")[0]
    terms = re.findall("<dt>(.*?)</dt>", glossary)
    assert terms == sorted(terms)
    assert {"Feature", "Layer", "Neuron", "Octave", "Recipe", "Score", "Start", "Status", "Step", "Target"} <= set(
        terms
    )


def test_a_figure_draws_the_values_of_the_steps() -> None:
    recipe = Recipe("own", (Octave(80, 4, (0.8, 0.4), (2.0, 1.0)), Octave(96, 2, (0.2, 0.1))))
    figure = recipe_figure(recipe)
    rate, blur = figure["curves"]
    assert figure["facts"]["steps"] == 6
    (one,) = rate.series
    ends = [[float(n) for n in re.findall(NUMBER, path)] for path in one.paths]

    def across(step: float) -> float:
        return LEFT + (WIDTH - RIGHT - LEFT) * step / 6

    top = max(at for at, _ in rate.y_ticks), min(at for at, _ in rate.y_ticks)
    highest = max(float(words) for _, words in rate.y_ticks)

    def up(value: float) -> float:
        return top[0] + (top[1] - top[0]) * value / highest

    expected = [
        [across(0), up(recipe.octaves[0].lr_at(0)), across(3), up(recipe.octaves[0].lr_at(3))],
        [across(4), up(recipe.octaves[1].lr_at(0)), across(5), up(recipe.octaves[1].lr_at(1))],
    ]
    assert ends == [pytest.approx(line, abs=0.15) for line in expected]
    assert len(blur.series[0].paths) == 1  # only the first octave blurs
    assert len(recipe_figure(recipe.without_blur())["curves"]) == 1


def test_facts_for_the_script_are_the_recipe(page_text: str, built: Config) -> None:
    figures = [json.loads(html.unescape(found)) for found in re.findall('data-recipe="([^"]+)"', page_text)]
    own, raw = built.get_recipe(built.recipe), built.recipes["raw-demo"]
    assert [one["steps"] for one in figures] == [90, 24]
    assert figures[0]["octaves"] == [[o.size, o.steps, list(o.lr), list(o.sigma or ())] for o in own.octaves]
    assert figures[1]["octaves"] == [[o.size, o.steps, list(o.lr), None] for o in raw.octaves]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Any, built: Config) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    found.goto((built.site / PAGE).as_uri())
    yield found
    context.close()
    assert errors == []


def said(recipe: Recipe, step: int) -> str:
    """What the figure is to say of a step, by the recipe itself."""
    at, inside = 0, step
    while inside >= recipe.octaves[at].steps:
        inside -= recipe.octaves[at].steps
        at += 1
    octave = recipe.octaves[at]
    sigma = octave.sigma_at(inside)
    blur = "no blur" if sigma is None else f"blur {sigma:.3g} px"
    steps = sum(one.steps for one in recipe.octaves)
    return f"step {step} of {steps}: octave {at + 1}, {octave.size} px, rate {octave.lr_at(inside):.3g}, {blur}"


def marked(page: Any) -> float:
    return float(re.match(f"M({NUMBER}) ", page.locator(".recipe:visible .marker").first.get_attribute("d"))[1])


def test_every_step_reads_as_the_recipe_computes_it(page: Any, built: Config) -> None:
    recipe = built.get_recipe(built.recipe)
    slider = page.get_by_role("slider", name="Step")
    read = """(slider) => Array.from({ length: +slider.max + 1 }, (_, step) => {
      slider.value = step;
      slider.dispatchEvent(new Event("input"));
      return document.querySelector(".readout").textContent;
    })"""
    assert slider.evaluate(read) == [said(recipe, step) for step in range(90)]


def test_the_keys_move_the_step_and_its_mark(page: Any, built: Config) -> None:
    recipe = built.get_recipe(built.recipe)
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    assert marked(page) == LEFT
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator(".readout").inner_text() == said(recipe, 3)
    assert slider.get_attribute("aria-valuetext") == said(recipe, 3)
    assert marked(page) == pytest.approx(LEFT + (WIDTH - RIGHT - LEFT) * 3 / 90)
    page.keyboard.press("End")
    assert page.locator(".readout").inner_text() == said(recipe, 89)


def test_pointing_at_a_curve_reads_its_step(page: Any, built: Config) -> None:
    chart = page.locator(".recipe:visible svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    x = LEFT + (WIDTH - RIGHT - LEFT) * 70 / 90
    page.mouse.move(box["x"] + box["width"] * x / WIDTH, box["y"] + box["height"] / 2)
    assert page.locator(".readout").inner_text() == said(built.get_recipe(built.recipe), 70)


def test_another_recipe_is_chosen_by_name_and_its_steps_are_its_own(page: Any, built: Config) -> None:
    page.get_by_role("slider", name="Step").press("End")
    page.get_by_role("combobox", name="Recipe").select_option("raw-demo")
    assert page.locator(".recipe:visible h3").all_inner_texts() == ["raw-demo"]
    assert page.locator(".readout").inner_text() == said(built.recipes["raw-demo"], 23)
    assert page.locator(".recipe:visible svg").count() == 1


def test_without_scripts_every_curve_can_be_seen(browser: Any, built: Config) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built.site / PAGE).as_uri())
    assert page.locator(".recipes input").is_hidden()
    assert page.locator(".recipe:visible").count() == 1
    page.locator("summary").click()
    assert page.locator(".recipe:visible").count() == 2
    context.close()
