"""What a site weighs, known before anything is rendered, and what it leaves out to fit in a budget."""

import re
import shutil
import tarfile
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from atlas import studies
from atlas.cli.console import site_plan_lines
from atlas.cli.settings import with_photos
from atlas.common.errors import ConfigError
from atlas.plan.config import Config, override
from atlas.plan.jobs import layer_jobs
from atlas.site import budget
from atlas.site.budget import BLOCK, LARGEST_SITE, STEPS, plan_site, words_of
from atlas.site.build import SiteReport, build_site
from atlas.site.catalogue import gather_atlas
from atlas.site.check import check_site
from atlas.site.study_page import with_weights
from atlas.store.weights_ids import resolve_weights, write_weights_id
from atlas.studies import all_jobs, load_config
from stores import WEIGHTS, put
from test_cli import run
from torture import files_of

DATA = Path(__file__).parent / "data"
SAMPLE, DEMO = (str(DATA / f"{name}-store.toml") for name in ("sample", "demo"))


@pytest.fixture(scope="module")
def sample() -> Config:
    """Pictures of the ImageNet weights."""
    return load(SAMPLE)


@pytest.fixture(scope="module")
def demo() -> Config:
    """Small pictures, whose site is written in seconds."""
    return load(DEMO)


def load(file):
    config = with_photos(load_config(file))
    return with_weights(config, weights_of(config), studies.pages())


@pytest.fixture(scope="module")
def complete_demo(demo, tmp_path_factory) -> Path:
    return build(demo, tmp_path_factory.mktemp("demo") / "site")[1]


@pytest.fixture(scope="module")
def complete(sample, tmp_path_factory) -> tuple[SiteReport, Path]:
    return build(sample, tmp_path_factory.mktemp("complete") / "site")


@pytest.fixture(scope="module")
def smallest(sample, tmp_path_factory) -> tuple[SiteReport, Path]:
    return build(replace(sample, budget=10**6), tmp_path_factory.mktemp("small") / "site")


def weights_of(config):
    return resolve_weights(config.store, config.weights)


def build(config, site):
    return build_site(replace(config, site=site), weights_of(config), studies.pages()), site


def plan(config, size=None, **given):
    return plan_site(replace(override(config, **given), budget=size), studies.pages())


LARGE_ONES = """
extends = "demo"
[features]
layers = ["Mixed_5b"]
count = 2
recipe = "other"
face = "rescuing"
large = "larger"
large_features = 1
[recipes.rescuing]
rescue_steps = 1
octaves = [{ size = 80, steps = 1, lr = [1, 1] }]
[recipes.larger]
rescue_steps = 1
octaves = [{ size = 96, steps = 1, lr = [1, 1] }]
[recipes.other]
octaves = [{ size = 75, steps = 1, lr = [1, 1] }]
[raster]
targets = []
[neurons]
targets = []
beside = []
[fields]
layers = []
[influence]
targets = []
[palette]
recipes = []
[interactions]
pairs = []
layers = []
[dream]
photos = []
[metrics]
targets = []
[examples]
folder = ""
[tuning]
size = 0
[seeds]
count = 2
features = 2
[compare]
targets = []
raw_features = 0
recipe_features = 2
[dead]
recipe = "rescuing"
"""


def read(folder):
    return (folder / "index.html").read_text().replace("\N{NO-BREAK SPACE}", " ")


def names(site):
    return Counter(re.sub(r".*/", "", path.as_posix()) for path in site.rglob("*.*"))


# The forecast


def test_the_forecast_is_what_the_site_weighs(sample, complete):
    report, site = complete
    expected = plan(sample).expected
    assert 0.9 < expected.bytes / report.bytes < 1.15
    assert 0.8 < expected.files / len([path for path in site.rglob("*") if path.is_file()]) < 1.2


def test_the_forecast_of_what_is_left_out_is_what_the_site_weighs(sample, smallest):
    report, _ = smallest
    assert 0.9 < plan(sample, 10**6).expected.bytes / report.bytes < 1.15


def test_all_features_with_everything_weigh_gigabytes_and_can_be_made_to_fit():
    article = with_photos(load_config())
    usual = plan(article.with_classes(1000), features="all")
    assert 1.1e9 < usual.expected.bytes < 1.2e9
    assert usual.for_pages.left_out == ("seeds", "recipes", "stages", "jpeg"), "an atlas without crops leaves out none"
    assert usual.for_pages.packed <= LARGEST_SITE
    kinds = {one.kind: one for one in usual.expected.weights}
    assert kinds["features"].files == 4 * 11_448
    assert kinds["stages"].files == 11_448
    assert plan(article, features="all").for_pages.left_out == ("seeds", "jpeg"), "what need not be left out is not"

    tables = {kind.__module__.split(".")[2]: kind for kind in article.studies}
    seeds, compare = (article.study(tables[name]) for name in ("seeds", "compare"))
    examples = replace(article.study(tables["examples"]), folder="drawn", show=True)
    everything = article.with_study(replace(seeds, features=2048), replace(compare, recipe_features=2048), examples)
    everything = everything.with_classes(1000)
    complete = plan(everything, features="all")
    assert complete.expected.bytes > 3e9
    assert complete.expected.files > 300_000
    assert complete.for_pages.packed <= LARGEST_SITE
    assert plan(everything, LARGEST_SITE, features="all").expected == complete.for_pages


def test_steps_are_taken_in_their_order_until_the_site_fits(sample):
    chain = [plan(sample).expect(STEPS[:count]) for count in range(len(STEPS) + 1)]
    for before, site in pairwise(chain):
        assert site.packed <= before.packed
        fitted = plan(sample, site.packed).expected
        assert fitted.packed <= site.packed
        assert set(fitted.left_out) <= set(site.left_out)
    assert plan(sample, 1).expected.packed == chain[-1].packed


def test_after_a_site_that_weighs_more_than_was_expected_a_smaller_one_is_tried(sample):
    complete = plan(sample).expected
    of_half = plan(sample, complete.packed)
    following = of_half.smaller(complete, 2 * complete.packed)
    assert following == plan(sample, complete.packed // 2).expected
    tries = [complete]
    while (site := plan(sample, 10**6).smaller(tries[-1], tries[-1].packed)) is not None:
        tries.append(site)
    assert tries[-1] == plan(sample, 1).expected
    assert all(site.packed < before.packed for before, site in pairwise(tries))


def test_what_a_plan_does_not_have_is_not_said_to_be_left_out(sample):
    assert set(plan(sample, 1, features_only=True).expected.left_out) == {"stages", "jpeg"}


# The site


def test_a_budget_that_is_kept_anyway_changes_nothing(demo, complete_demo, tmp_path):
    report, site = build(replace(demo, budget=10**9), tmp_path / "site")
    assert report.left_out == ()
    assert files_of(site) == files_of(complete_demo)


def test_a_site_does_not_depend_on_the_budgets_before(demo, complete_demo, tmp_path):
    tight = replace(demo, budget=10**6)
    expected = files_of(build(tight, tmp_path / "small")[1])
    shutil.copytree(complete_demo, tmp_path / "site")
    for config, files in ((tight, expected), (demo, files_of(complete_demo))):
        build(config, tmp_path / "site")
        assert files_of(tmp_path / "site") == files


@pytest.mark.parametrize("step", STEPS)
def test_a_site_without_any_one_thing_is_whole(step, tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "SMALL_PICTURE", 64)
    config = replace(with_photos(load_config(DEMO)), site=tmp_path / "site", budget=10**12)
    left_out = (step.removeprefix("no-"), step) if step.startswith("no-") else (step,)
    monkeypatch.setattr(budget.SitePlan, "fit", lambda plan, size: plan.expect(left_out))
    report = build_site(config, weights_of(config), studies.pages())
    assert report.left_out == left_out
    assert check_site(config.site).faults == ()


def test_the_picture_of_a_rescued_feature_is_kept_whatever_else_shows_it(tmp_path):
    """It may be by the recipe of most features, and so one of those from several noises."""
    file = tmp_path / "a.toml"
    file.write_text(LARGE_ONES)
    config = replace(load_config(str(file)), store=tmp_path / "store")
    own = layer_jobs(config, "Mixed_5b")[0]
    write_weights_id(config.store, WEIGHTS)
    put(config.store, own, status="not_raised")
    for job in {*all_jobs(config), replace(own, recipe=config.recipes["rescuing"])} - {own}:
        put(config.store, job)
    for left_out in (("seeds",), ("recipes",), STEPS):
        atlas = gather_atlas(config, WEIGHTS, studies.pages(), left_out=left_out)
        face = atlas.layer("Mixed_5b").by_number[0].face
        assert face.recipe == "rescuing"
        assert face.picture
        assert face.picture.avif.endswith("picture.avif")
    site = build(replace(config, budget=10**6), tmp_path / "site")[1]
    assert check_site(site).faults == ()


def test_a_site_within_its_budget_is_whole_and_says_what_it_leaves_out(sample, complete, smallest):
    report, site = smallest
    assert report.left_out == plan(sample, 1).expected.left_out
    assert check_site(site).faults == ()
    before, after = names(complete[1]), names(site)
    assert (before["seeds.avif"], after["seeds.avif"]) == (0, 0)
    assert (before["stages.avif"], after["stages.avif"]) == (172, 0)
    assert before["importance.avif"] > after["importance.avif"] == 0
    assert after["picture.avif"] < before["picture.avif"]
    assert not list((site / "examples").glob("*.avif"))
    assert sum(path.stat().st_size for path in site.rglob("thumb.jpg")) < 0.6 * sum(
        path.stat().st_size for path in complete[1].rglob("thumb.jpg")
    )
    method = read(site / "method")
    for words in words_of(report.left_out):
        assert f"{words[0].upper()}{words[1:]}." in method
    assert "To keep this site small" in read(site / "Mixed_6b" / "654")
    assert "To keep this site small" not in read(complete[1] / "Mixed_6b" / "654")


def test_renderings_of_other_noises_are_one_strip(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(budget.SitePlan, "fit", lambda plan, size: plan.expect(("seeds",)))
    _, site = build(replace(demo, budget=10**9), tmp_path / "site")
    page = read(site / "Mixed_6b" / "0")
    strip = page.partition('id="seeds"')[2].partition("</figure>")[0]
    assert '<img src="seeds.avif" width="268" height="136"' in strip
    assert "of seeds 999, 1000." in strip
    assert "seed 1000</span>" in strip


def test_pictures_of_features_are_made_smaller(sample, monkeypatch):
    monkeypatch.setattr(budget, "SMALL_PICTURE", 170)
    atlas = gather_atlas(sample, weights_of(sample), studies.pages(), left_out=("pictures",))
    assert {one.picture.width for one in atlas.features if one.record} == {170}
    assert {one.picture.width for one in atlas.shown_or_pending if one.record and one.recipe == "octaves"} == {176}


def test_what_weighs_more_than_was_expected_is_made_smaller_still(demo, complete_demo, tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_PAGE", 0)
    monkeypatch.setattr(budget, "_DATA", 0)
    config = replace(demo, budget=check_site(complete_demo).packed - 100_000)
    assert plan_site(config, studies.pages()).expected.left_out == ()
    report, site = build(config, tmp_path / "site")
    assert report.left_out
    assert report.packed <= config.budget
    assert report.bytes == sum(path.stat().st_size for path in site.rglob("*") if path.is_file())


def test_an_archive_has_the_bytes_that_are_said(smallest, tmp_path):
    report, site = smallest
    with tarfile.open(tmp_path / "site.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(site, ".")
    end = 2 * BLOCK  # of the archive, and it is padded to 20 blocks
    assert report.packed == check_site(site).packed
    assert 0 <= (tmp_path / "site.tar").stat().st_size - report.packed - end < tarfile.RECORDSIZE


# What is said


def test_the_size_of_a_budget(tmp_path):
    file = tmp_path / "a.toml"
    for text, size in (("1GB", 10**9), ("1.5 gb", 15 * 10**8), ("800MB", 8 * 10**8), ("", None)):
        file.write_text(f'[site]\nbudget = "{text}"\n')
        assert load_config(str(file)).budget == size
    for text in ("1", "GB", "-1GB", "1TB", "0.1MB", "9999GB", "1 000 MB"):
        file.write_text(f'[site]\nbudget = "{text}"\n')
        with pytest.raises(ConfigError, match=r"site.budget = .*: must be a size with its unit"):
            load_config(str(file))
    assert override(load_config(), budget="2GB").budget == 2 * 10**9
    with pytest.raises(ConfigError, match=r"--budget \"much\": must be a size with its unit"):
        override(load_config(), budget="much")


def test_it_is_said_whether_github_pages_takes_a_site(sample):
    article = with_photos(load_config())
    (line,) = site_plan_lines(plan(article))
    assert re.fullmatch(r"GitHub Pages: fits, 10\d\.\d MB of the 1.00 GB that it takes as one archive", line)
    large, way_on = site_plan_lines(plan(article, features="all"))
    assert large.startswith("GitHub Pages: too large, 1.1")
    assert way_on.startswith("with --budget 1GB: 9")
    left_out, close = site_plan_lines(plan(article, LARGEST_SITE, features="all"))
    assert left_out.startswith("left out: renderings of a feature from several noises are one small strip; JPEG")
    assert re.fullmatch(r"GitHub Pages: fits, 9\d\d\.\d MB of the 1.00 GB .*; that is close: the build says .*", close)
    _, warning, fits = site_plan_lines(plan(sample, 10**6))
    assert warning.startswith("the site is expected to have more than its budget of 1.0 MB: select fewer")
    assert fits.startswith("GitHub Pages: fits, ")


def test_the_commands_take_a_budget(tmp_path):
    arguments = ["--config", DEMO, "--budget", "5MB"]
    planned = run("plan", *arguments, "--device", "cpu")
    assert planned.exit_code == 0, planned.output
    assert "left out: " in planned.output
    assert re.search(r"pages and data +\d+ +\d+\.\d MB", planned.output)
    made = run("site", *arguments, "--out", tmp_path / "site")
    assert made.exit_code == 0
    assert "left out: " in made.output
    assert "warning: the site has" not in made.output
    tight = run("site", *arguments[:-1], "1MB", "--out", tmp_path / "site")
    assert "as one archive, and its budget is 1.0 MB: select fewer features" in tight.output
