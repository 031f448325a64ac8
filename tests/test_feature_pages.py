"""A feature's page: how its picture came about, its place in the block, what is near, where else, and how to copy."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from atlas import studies
from atlas.inception.architecture import Conv
from atlas.inception.layers import LAYERS
from atlas.plan.config import Config
from atlas.plan.jobs import feature_jobs
from atlas.site.blocks import STACK, TOP, draw_block, op_words
from atlas.site.build import build_site
from atlas.site.catalogue import PlannedRendering
from atlas.site.charts import HEIGHT as CHART_HEIGHT
from atlas.site.charts import LEFT, RIGHT, WIDTH
from atlas.site.check import check_site
from atlas.site.pages.progress import HEIGHT, score_chart
from atlas.site.templates import NO_BREAK
from atlas.store.masters import master_path, open_master, read_record
from atlas.store.records import OctaveScores
from atlas.store.results import Results
from atlas.store.stages import find_stages, stages_path, write_stages
from atlas.studies import load_config
from atlas.studies.connections.result import Wiring, wiring_spec
from atlas.studies.dreams.starts import identify_photos
from atlas.studies.nearest.result import NEAREST, Near, Nearest
from atlas.studies.neurons.jobs import neuron_jobs
from browser import chromium, served
from stores import WEIGHTS, fill, put

TEXT = """
extends = "demo"
[atlas]
store = "store"
site = "site"
base_url = ""
[features]
layers = ["Mixed_5b", "Mixed_6b"]
recipe = "quick"
count = 3
only = false
[raster]
targets = []
[neurons]
targets = ["Mixed_6b[1, 2, 3]"]
[influence]
targets = ["Mixed_6b[1]"]
[dream]
photos = ["drawn"]
targets = ["Mixed_5b[:]", "Mixed_5b[2] + Mixed_6b[2]"]
[interactions]
pairs = [["Mixed_5b[0]", "Mixed_6b[0]"]]
"""


def make(folder: Path) -> Config:
    """Six features and more; the first has its stages, the second another's, the third is pending."""
    (folder / "atlas.toml").write_text(TEXT)
    config = identify_photos(load_config(str(folder / "atlas.toml")), lambda line: None)
    fill(config, statuses=("ok", "ok", None, "no_gradient"))
    first, second = (master_path(config.store, WEIGHTS, job) for job in feature_jobs(config)[:2])
    stages = [Image.new("RGB", (160, 160), colour) for colour in ("grey", "red", "green")]
    write_stages(first, stages, read_record(first))
    stages_path(second).write_bytes(stages_path(first).read_bytes())
    source = Results(config, WEIGHTS)
    near = (Near("Mixed_6b", 1, 0.987), Near("Mixed_5b", 1, 0.5))
    source.write(NEAREST, Nearest({"Mixed_5b": {0: near}}, {}))
    source.write(wiring_spec("Mixed_5b"), Wiring("Mixed_5b", {0: ((1, 0.25), (2, 0.125))}))
    return config


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = make(tmp_path_factory.mktemp("features"))
    build_site(config, WEIGHTS, studies.pages())
    assert check_site(config.site).faults == ()
    return config


def text(config: Config, path: str) -> str:
    return (config.site / path / "index.html").read_text(encoding="utf-8")


def section(page: str, place: str) -> str:
    """What stands under a heading, up to the next of its kind."""
    return re.split("<h2 ", page[page.index(f'id="{place}"') :])[0]


def test_the_strip_is_the_stores_and_says_what_it_shows(built: Config) -> None:
    page = text(built, "Mixed_5b/0")
    strip = section(page, "stages")
    assert '<img src="stages.avif" width="480" height="160" alt="Mixed_5b[0] from noise to picture' in strip
    assert re.findall("<span>(.*?)</span>", strip)[:3] == [
        "start",
        f"128{NO_BREAK}px, step 60",
        f"160{NO_BREAK}px, step 90",
    ]
    stored = stages_path(master_path(built.store, WEIGHTS, feature_jobs(built)[0]))
    assert (built.site / "Mixed_5b/0/stages.avif").read_bytes() == stored.read_bytes()


def test_a_strip_of_another_picture_and_one_of_nothing_are_left_out(built: Config) -> None:
    for path in ("Mixed_5b/1", "Mixed_6b/0"):
        assert "stages.avif" not in text(built, path)
        assert not (built.site / path / "stages.avif").exists()
        assert 'id="stages"' in text(built, path)  # the scores are there
    assert 'id="stages"' not in text(built, "Mixed_5b/2")  # pending


def test_a_strip_follows_its_master(tmp_path: Path) -> None:
    config = make(tmp_path)
    build_site(config, WEIGHTS, studies.pages())
    assert (config.site / "Mixed_5b/0/stages.avif").exists()
    put(config.store, feature_jobs(config)[0], seed="another")  # rendered again, and stopped before the strip
    build_site(config, WEIGHTS, studies.pages())
    assert not (config.site / "Mixed_5b/0/stages.avif").exists()
    master = master_path(config.store, WEIGHTS, feature_jobs(config)[0])
    picture, record = open_master(master)
    write_stages(master, [picture, picture, picture], record)
    build_site(config, WEIGHTS, studies.pages())
    assert find_stages(master, feature_jobs(config)[0], record)
    assert (config.site / "Mixed_5b/0/stages.avif").read_bytes() == stages_path(master).read_bytes()


def test_scores_are_drawn_where_they_were_measured(built: Config) -> None:
    job = feature_jobs(built)[0]
    record = read_record(master_path(built.store, WEIGHTS, job))
    octaves = (OctaveScores(128, 1.0, 2.0), OctaveScores(160, 1.5, 4.0))
    chart = score_chart(PlannedRendering(job, "x", replace(record, octaves=octaves, score_shown=3.0)))
    assert chart is not None
    assert chart.height == HEIGHT != CHART_HEIGHT
    (descent, shown) = chart.series
    across = [LEFT + (WIDTH - RIGHT - LEFT) * step / 90 for step in (0, 60, 60, 90)]
    assert [x for x, _ in descent.dots] == pytest.approx(across, abs=0.06)
    bottom, top = chart.bottom, 12
    assert [y for _, y in descent.dots] == pytest.approx(
        [bottom - (bottom - top) * score / 4 for score in (1, 2, 1.5, 4)], abs=0.06
    )
    assert len(descent.paths) == 2  # nothing joins two octaves
    assert [dot[0] for dot in shown.dots] == pytest.approx([WIDTH - RIGHT])
    assert "128 px from 1 to 2; 160 px from 1.5 to 4; 3 for the picture as stored" in chart.alt


def test_scores_that_are_not_finite_are_gaps_and_none_at_all_is_no_chart(built: Config) -> None:
    job = feature_jobs(built)[0]
    record = read_record(master_path(built.store, WEIGHTS, job))
    broken = (OctaveScores(128, 1.0, None), OctaveScores(160, None, None))
    chart = score_chart(PlannedRendering(job, "x", replace(record, octaves=broken, score_shown=None)))
    assert chart is not None
    assert [len(series.dots) for series in chart.series] == [1]
    none = tuple(replace(octave, score_start=None) for octave in broken)
    assert score_chart(PlannedRendering(job, "x", replace(record, octaves=none))) is None
    assert score_chart(PlannedRendering(job, "x")) is None


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_drawing_shows_every_branch_and_marks_the_features_own(layer) -> None:
    for branch in layer.branches:
        for feature in (branch.first, branch.range[-1]):
            drawn = draw_block(layer.name, feature)
            assert [share.words for share in drawn["shares"]] == [f"{b.first}–{b.range[-1]}" for b in layer.branches]
            (own,) = [share for share in drawn["shares"] if share.is_own]
            assert own.words == f"{branch.first}–{branch.range[-1]}"
            assert own.y - 0.2 <= drawn["channel"] <= own.y + own.height + 0.2
            before = (layer.before,) if layer.before else ()
            assert [words for _, words in drawn["steps"]] == [op_words(op) for op in (*before, *branch.ops)]
            assert all(x + drawn["box"][0] < STACK[0] - 20 for x, _ in drawn["steps"])
            assert drawn["shares"][-1].y + drawn["shares"][-1].height == pytest.approx(drawn["height"] - TOP, abs=0.5)
            assert drawn["others"].count("z") == sum(
                len(before) + len(b.ops) for b in layer.branches if b is not branch
            )


def test_the_steps_to_a_feature_are_told_in_words() -> None:
    def steps(layer: str, feature: int) -> list[str]:
        return [words for _, words in draw_block(layer, feature)["steps"]]

    assert steps("Mixed_6b", 400) == ["1×1", "7×1", "1×7", "7×1", "1×7"]
    assert steps("Mixed_6a", 0) == ["3×3 ÷2"]
    assert steps("Mixed_6a", 767) == ["max 3×3"]
    assert steps("Mixed_5b", 255) == ["max 3×3", "avg 3×3", "1×1"]
    assert op_words(Conv("", 1, (1, 7))) == "1×7"


def test_the_block_is_on_the_page(built: Config) -> None:
    page = text(built, "Mixed_6b/1")
    assert "<dt>Path</dt><dd>1×1</dd>" in page
    assert 'aria-label="Mixed_6b as a drawing: feature 1 comes from one of 4 branches, by way of 1×1."' in page


def test_nearest_features_are_linked_with_their_measure(built: Config) -> None:
    near = section(text(built, "Mixed_5b/0"), "nearest")
    tiles = re.findall(r'class="tile" href="([^"]+)".*?<span class="label">([^<]+)</span>', near, re.S)
    assert tiles == [
        ("../../Mixed_6b/1/index.html", "Mixed_6b 1: 0.987"),
        ("../1/index.html", "Mixed_5b 1: 0.500"),
        ("../1/index.html", "Mixed_5b 1: 0.25"),
        ("../2/index.html", "Mixed_5b 2: 0.12"),
    ]
    assert near.index("By picture") < near.index("mean overlap of two histograms") < near.index("By wiring")
    assert "cosine" in near
    assert 'id="nearest"' not in text(built, "Mixed_6b/0")


def test_a_neurons_status_is_told_of_the_neuron(tmp_path: Path) -> None:
    config = make(tmp_path)
    (job,) = neuron_jobs(config)
    told = {}
    for status in ("no_gradient", "failed", None):
        master_path(config.store, WEIGHTS, job).unlink(missing_ok=True)
        if status:
            put(config.store, job, status=status)
        build_site(config, WEIGHTS, studies.pages())
        page = (config.site / "Mixed_6b/1/2-3/index.html").read_text(encoding="utf-8")
        told[status] = page.split('class="summary"')[1].split("</p>")[0]
    assert "no step could activate the neuron" in told["no_gradient"]
    assert "a neuron of this feature" not in told["no_gradient"]
    assert "in octave 2, at step 13" in told["failed"]
    assert "Planned" in told[None]


def test_a_pending_page_says_with_what_the_picture_lands_in_the_atlas(built: Config) -> None:
    shown, pending = ((built.site / f"Mixed_5b/{n}/index.html").read_text(encoding="utf-8") for n in (0, 2))
    sentence = "To add it to this atlas, give the <code>--config</code> or <code>--store</code>"
    assert sentence in pending
    assert sentence not in shown


def test_findings_of_other_pictures_are_not_shown(tmp_path: Path) -> None:
    config = make(tmp_path)
    put(config.store, feature_jobs(config)[1], seed="another")
    build_site(config, WEIGHTS, studies.pages())
    page = text(config, "Mixed_5b/0")
    assert "By picture" not in page
    assert "By wiring" in page  # is of the weights alone


def test_other_pages_of_a_feature_are_linked(built: Config) -> None:
    def links(path: str) -> list[tuple[str, str]]:
        page = text(built, path)
        return re.findall('<a href="([^"]+)">([^<]+)</a>', section(page, "elsewhere")) if "elsewhere" in page else []

    target = "Mixed_5b[2] + Mixed_6b[2]"
    dream = next(path.parent.name for path in built.site.glob("dreams/*/index.html") if "+" in path.parent.name)
    assert (f"../../dreams/{dream}/index.html", f"Deep dream drawn → {target}") in links("Mixed_6b/2")
    of_layer = [words for _, words in links("Mixed_5b/0")]
    assert "Deep dream drawn → Mixed_5b[:]" in of_layer
    assert f"Deep dream drawn → {target}" not in of_layer
    assert ("2-3/index.html", "Neuron Mixed_6b[1, 2, 3]") in links("Mixed_6b/1")
    assert [path for path, _ in links("Mixed_6b/1")].count("../../neurons/index.html") == 1
    assert not (built.site / "interactions").exists()  # nothing is found of the pair, so there is nothing to link to
    assert not [path for path, _ in links("Mixed_6b/0") if "interactions" in path]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("kind", ["file", "http"])
def test_a_button_copies_the_command(built: Config, browser: Any, kind: str) -> None:
    home = served(built.site) if kind == "http" else built.site.as_uri() + "/"
    context = browser.new_context()
    page = context.new_page()
    if kind == "http":
        context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(home + "Mixed_5b/0/index.html")
    page.locator(".fold > summary").click()
    command = page.locator("#again + pre code").inner_text()
    assert command.startswith('atlas render "Mixed_5b[0]"')
    button = page.locator("#again + pre").get_by_role("button", name="Copy")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.locator("#again + pre button").inner_text() == "Copied"
    if kind == "http":
        assert page.evaluate("navigator.clipboard.readText()") == command
    context.close()


def test_where_there_is_no_clipboard_the_command_is_selected(built: Config, browser: Any) -> None:
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page = context.new_page()
    page.goto(built.site.as_uri() + "/Mixed_5b/0/index.html")
    page.locator(".fold > summary").click()
    page.locator("#again + pre").get_by_role("button", name="Copy").click()
    assert page.locator("#again + pre button").inner_text() == "Selected"
    assert page.evaluate("getSelection().toString()") == page.locator("#again + pre code").inner_text()
    context.close()


def test_without_scripts_there_is_no_button(built: Config, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(built.site.as_uri() + "/Mixed_5b/0/index.html")
    assert page.locator("main button").count() == 0
    context.close()


def test_the_record_beside_a_page_is_json(built: Config) -> None:
    assert json.loads((built.site / "Mixed_5b/0/record.json").read_text())["target"] == "Mixed_5b[0]"
