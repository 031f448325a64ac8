"""What a site weighs, known before anything is rendered, and what it leaves out to fit in a budget."""

import re
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
from atlas.site import budget
from atlas.site.budget import BLOCK, LARGEST_SITE, STEPS, plan_site, words_of
from atlas.site.build import SiteReport, build_site
from atlas.site.catalogue import gather_atlas
from atlas.site.check import check_site
from atlas.site.study_page import with_weights
from atlas.store.weights_ids import resolve_weights
from atlas.studies import load_config
from test_cli import run

DATA = Path(__file__).parent / "data"
SAMPLE = str(DATA / "sample-store.toml")


@pytest.fixture(scope="module")
def sample() -> Config:
    config = with_photos(load_config(SAMPLE))
    return with_weights(config, weights_of(config), studies.pages())


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
    usual = plan(article, features="all")
    assert 0.95e9 < usual.expected.bytes < 1.15e9
    assert usual.for_pages.left_out == ("seeds", "jpeg"), "what gains little, and need not be left out, is put back"
    kinds = {one.kind: one for one in usual.expected.weights}
    assert kinds["features"].files == 4 * 10_448
    assert kinds["stages"].files == 10_448

    tables = {kind.__module__.split(".")[2]: kind for kind in article.studies}
    seeds, compare = (article.study(tables[name]) for name in ("seeds", "compare"))
    examples = replace(article.study(tables["examples"]), folder="drawn", show=True)
    everything = article.with_study(replace(seeds, features=2048), replace(compare, recipe_features=2048), examples)
    complete = plan(everything, features="all")
    assert complete.expected.bytes > 3e9
    assert complete.expected.files > 300_000
    assert complete.for_pages.packed <= LARGEST_SITE
    assert plan(everything, LARGEST_SITE, features="all").expected == complete.for_pages


def test_steps_are_taken_in_their_order_until_the_site_fits(sample):
    chain = [plan(sample).expected, *plan(sample).smaller]
    assert [site.left_out for site in chain] == [STEPS[:count] for count in range(len(STEPS) + 1)]
    for before, site in pairwise(chain):
        assert site.packed <= before.packed
        fitted = plan(sample, site.packed).expected
        assert fitted.packed <= site.packed
        assert set(fitted.left_out) <= set(site.left_out)
    assert plan(sample, 1).expected.packed == chain[-1].packed


def test_what_a_plan_does_not_have_is_not_said_to_be_left_out(sample):
    assert set(plan(sample, 1, features_only=True).expected.left_out) == {"stages", "jpeg"}


# The site


def test_a_budget_that_is_kept_anyway_changes_nothing(sample, complete, tmp_path):
    report, site = build(replace(sample, budget=10**9), tmp_path / "site")
    assert report.left_out == ()
    assert (site / "index.html").read_bytes() == (complete[1] / "index.html").read_bytes()
    assert names(site) == names(complete[1])


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
    assert "Made to fit in 1.0 MB" in read(site / "Mixed_6b" / "654")
    assert "Made to fit" not in read(complete[1] / "Mixed_6b" / "654")


def test_renderings_of_other_noises_are_one_strip(sample, tmp_path):
    plan_of_strips = plan(sample, 28_600_000).expected
    assert plan_of_strips.left_out == ("seeds",)
    _, site = build(replace(sample, budget=28_600_000), tmp_path / "site")
    assert names(site)["seeds.avif"] == 2
    page = read(site / "Mixed_6b" / "0")
    strip = page.partition('id="seeds"')[2].partition("</figure>")[0]
    assert '<img src="seeds.avif" width="512" height="128"' in strip
    assert "seeds 999, 1000, 1001, 1002" in strip
    assert "seed 1002</span>" in strip


def test_pictures_of_features_are_made_smaller_last(sample):
    config = replace(sample, recipes=sample.recipes, budget=None)
    atlas = gather_atlas(config, weights_of(config), studies.pages(), left_out=("pictures",))
    assert {one.largest for one in atlas.features} == {budget.SMALL_PICTURE}
    assert {one.picture.width for one in atlas.features if one.record} == {192}, "none is enlarged"


def test_what_weighs_more_than_was_expected_is_made_smaller_still(sample, tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_PAGE", 0)
    monkeypatch.setattr(budget, "_DATA", 0)
    config = replace(sample, budget=25_000_000)
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
    for text, size in (("1GB", 10**9), ("1.5 GB", 15 * 10**8), ("800MB", 8 * 10**8), ("", None)):
        file.write_text(f'[site]\nbudget = "{text}"\n')
        assert load_config(str(file)).budget == size
    for text in ("1", "GB", "-1GB", "1TB", "0.1MB", "9999GB", "1 000 MB"):
        file.write_text(f'[site]\nbudget = "{text}"\n')
        with pytest.raises(ConfigError, match=r"site.budget = .*: must be a size such as"):
            load_config(str(file))
    assert override(load_config(), budget="2GB").budget == 2 * 10**9
    with pytest.raises(ConfigError, match=r"--budget \"much\": must be a size"):
        override(load_config(), budget="much")


def test_it_is_said_whether_github_pages_takes_a_site(sample):
    article = with_photos(load_config())
    assert site_plan_lines(plan(article)) == []
    (line,) = site_plan_lines(plan(article, features="all"))
    assert line.startswith("GitHub Pages takes an archive of 1.00 GB, and this site will have 1.1")
    assert "with --budget 1GB" in line
    (line,) = site_plan_lines(plan(article, LARGEST_SITE, features="all"))
    assert line.startswith("left out, to stay within 1.00 GB: ")
    first, second = site_plan_lines(plan(sample, 10**6))
    assert first.startswith("left out, to stay within 1.0 MB: ")
    assert second.startswith("the site is expected to weigh more than its budget all the same")


def test_the_commands_take_a_budget(tmp_path):
    arguments = ["--config", SAMPLE, "--budget", "19MB"]
    planned = run("plan", *arguments, "--device", "cpu")
    assert planned.exit_code == 0, planned.output
    assert "left out, to stay within 19.0 MB: " in planned.output
    assert re.search(r"pages and data +\d+ +\d+\.\d MB", planned.output)
    made = run("site", *arguments, "--out", tmp_path / "site")
    assert made.exit_code == 0
    assert "left out, to stay within the budget: " in made.output
    assert "warning: the site has more than its budget" not in made.output
    tight = run("site", *arguments[:-1], "1MB", "--out", tmp_path / "site")
    assert "warning: the site has more than its budget of 1.0 MB: select fewer features" in tight.output
