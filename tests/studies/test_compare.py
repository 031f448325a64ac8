"""Recipes held against each other: what is asked, what comes out by construction, and what the pages say of it."""

import re
from dataclasses import replace

import pytest
from PIL import Image

from atlas import studies
from atlas.common.errors import ConfigError
from atlas.plan.config import override
from atlas.plan.jobs import feature_jobs
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.store.importance import importance_path, write_importance
from atlas.store.masters import read_record
from atlas.store.results import Results
from atlas.studies import all_jobs, load_config
from atlas.studies.compare.jobs import article_jobs, comparisons, other_jobs, raw_pairs
from atlas.studies.compare.measure import measure_compare, measure_raw
from atlas.studies.compare.page import compare_summaries, middle_of
from atlas.studies.compare.result import COMPARE, Compare, Compared, ComparedTarget, raw_spec
from atlas.studies.compare.settings import Settings as CompareSettings
from atlas.studies.shared.context import MeasureContext
from atlas.studies.shared.image_metrics import likeness
from atlas.studies.shared.likeness import Likeness
from macros import render_macro
from stores import WEIGHTS, fill, put
from studied import kept

SAID = "studies/compare_words.html"


def summaries(found, base):
    return tuple(render_macro(SAID, "summary", one, base) for one in compare_summaries(found))


def raw_summary(members, unraised):
    return render_macro(SAID, "raw", len(members), middle_of(members), unraised)


def describe(recipe):
    return render_macro(SAID, "recipe", recipe)


@pytest.fixture
def load(tmp_path):
    def make(text):
        file = tmp_path / "atlas.toml"
        file.write_text(text)
        return load_config(str(file))

    return make


@pytest.fixture(scope="module")
def site(studied):
    build_site(studied.config, studied.renderer.weights.id, studies.pages())
    return studied.config.site


def words_of(path):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text()))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("recipes = ['raw']", "at least two"),
        ("recipes = ['raw', 'raw']", "at least two"),
        ("recipes = ['raw', 'octave']", 'did you mean "octaves"?'),
        ("raw_features = -1", "from 0 to 2048"),
        ("targets = ['Mixed_6b[1, 2, 3]']", "is no whole feature"),
    ],
)
def test_slips_in_the_table_are_told(text, why, load):
    with pytest.raises(ConfigError, match=re.escape(why)) as error:
        load(f"[compare]\n{text}")
    assert "compare." in str(error.value)


def test_the_article_compares_four_features_and_shows_four_of_each_layer_raw():
    config = load_config()
    listed = comparisons(config)
    assert [str(row[0].target) for row in listed] == ["Mixed_6b[654]", "Mixed_6b[415]", "Mixed_6b[354]", "Mixed_6b[0]"]
    assert [job.recipe.name for job in listed[0]] == ["raw", "smooth", "crisp", "octaves"]
    pairs = {layer: [pair.feature for pair in raw_pairs(config, layer)] for layer in config.map_layers}
    assert pairs.pop("Mixed_6b") == [0, 1, 2, 3, 354, 415, 654]
    assert len(pairs) == 15
    assert all(features == [0, 1, 2, 3] for features in pairs.values())
    assert {pair.raw for layer in config.layers for pair in raw_pairs(config, layer)} <= set(all_jobs(config))


def test_the_first_features_that_have_a_page_are_shown_raw():
    config = override(load_config(), features="5,9-11,30")
    assert [pair.feature for pair in raw_pairs(config, "Mixed_5c")] == [5, 9, 10, 11]
    assert raw_pairs(override(config, layers="Mixed_5c"), "Mixed_6b") == ()


def test_features_alone_ask_for_nothing_raw():
    config = override(load_config(), features_only=True)
    assert comparisons(config) == ()
    assert all(raw_pairs(config, layer) == () for layer in config.layers)


def test_a_raw_atlas_has_nothing_to_hold_its_features_against():
    assert raw_pairs(override(load_config(), recipe="raw"), "Mixed_6b") == ()


def test_what_is_measured_is_the_likeness_of_the_masters(studied):
    results = Results(studied.config, studied.renderer.weights.id)
    context = MeasureContext(results, studied.renderer)
    first, second = comparisons(studied.config)
    found = results.read(COMPARE)
    assert [one.recipe for one in found.targets[1].recipes] == ["plain"]
    measured = found.targets[1].recipes[0]
    assert measured.own == kept(likeness(context.picture(second[0]), context.picture(second[1])))
    assert measured.others == (kept(likeness(context.picture(second[0]), context.picture(first[1]))),)
    assert 0 < measured.own.ssim < 1


def test_a_feature_that_two_lists_name_is_kept_once(studied, site):
    """A rendering that is a feature's own is shown from the feature's folder."""
    found = [study.find("jobs", "jobs") for study in studies.STUDIES if not study.is_frames]
    shown = {job for jobs_of in found if jobs_of for job in jobs_of(studied.config)}
    own = set(feature_jobs(studied.config)) & shown
    assert own
    folders = {path.parent.relative_to(site).as_posix() for path in site.rglob("record.json")}
    others = shown - own
    assert folders == {
        *(f"{job.target.terms[0].layer}/{job.target.terms[0].feature}" for job in feature_jobs(studied.config)),
        *(f"renderings/{job.path.with_suffix('')}" for job in others),
        *(path for path in folders if path == "Mixed_5b/3/video"),
    }


def test_raw_pictures_are_measured_where_both_are_there(tmp_path):
    config = override(load_config("demo"), layers="Mixed_5b", features="3", recipe="quick", store=tmp_path)
    config = config.with_study(replace(config.study(CompareSettings), raw_features=3))
    fill(config, statuses=("ok", None, "ok"))
    pairs = raw_pairs(config, "Mixed_5b")
    for pair in pairs[:2]:
        put(config.store, pair.raw, seed="raw")
    results = Results(config, WEIGHTS)
    assert [one.feature for one in measure_raw(MeasureContext(results, None), "Mixed_5b").features] == [0]
    before = results.digest(raw_spec("Mixed_5b"))
    put(config.store, pairs[2].raw, seed="raw")
    later = Results(config, WEIGHTS)
    assert later.digest(raw_spec("Mixed_5b")) not in (None, before)
    assert [one.feature for one in measure_raw(MeasureContext(later, None), "Mixed_5b").features] == [0, 2]
    put(config.store, pairs[0].raw, status="no_gradient", seed="raw")
    assert [
        one.feature for one in measure_raw(MeasureContext(Results(config, WEIGHTS), None), "Mixed_5b").features
    ] == [2]


def test_the_page_shows_what_was_found(studied, site):
    found = Results(studied.config, studied.renderer.weights.id).read(COMPARE)
    page = words_of(site / "compare/index.html")
    for sentence in summaries(found, "small"):
        assert sentence in page
    assert "Mixed_5b[3]" in page
    assert page.count("what the others are compared with") == 2
    assert "80 px, 3 steps, no blur" in page
    html = (site / "compare/index.html").read_text()
    assert len(re.findall(r"<figure", html)) == 4
    assert 'href="../Mixed_5b/0/index.html#recipes"' in html


def test_feature_pages_show_raw_beside_their_own_picture(site):
    for feature in ("Conv2d_2a_3x3/0", "Conv2d_2a_3x3/7", "Mixed_5b/0", "Mixed_5b/3", "Mixed_6b/0"):
        page = words_of(site / feature / "index.html")
        assert "Raw and small compared" in page
        compared = re.search(
            r"at 76 px, the pictures by plain and small correlate by −?[01]\.\d\d and have a structural", page
        )
        assert bool(compared) == ("so they are not compared" not in page)
        assert compared or feature == "Mixed_6b/0"  # whose picture was not raised
    assert "Raw and small compared" not in words_of(site / "Mixed_5b/7/index.html")


def test_a_face_stands_beside_the_articles_recipe_on_its_page_and_its_regions(tmp_path):
    config = override(load_config("demo"), layers="Mixed_5b", features="3", store=tmp_path / "a", site=tmp_path / "b")
    config = replace(config, face="smooth-demo").with_study(replace(config.study(CompareSettings), recipe_features=2))
    fill(config)
    for job in article_jobs(config, "Mixed_5b"):
        put(config.store, job, seed="article")
    build_site(config, WEIGHTS, studies.pages())
    beside = [
        re.findall(r"<figcaption>.*?<code>([\w-]+)</code>", (config.site / f"Mixed_5b/{number}/index.html").read_text())
        for number in range(3)
    ]
    assert [[name for name in names if name in ("quick", "smooth-demo")] for names in beside] == [
        ["smooth-demo", "quick"], ["smooth-demo", "quick"], ["smooth-demo"],
    ]  # fmt: skip
    region = (config.site / "region/early-mixed/index.html").read_text()
    assert len(re.findall(r'class="mosaic"', region)) == 2
    assert "By recipe <code>quick</code>" in region


def test_the_first_features_stand_beside_other_recipes_with_a_map_of_what_counted(tmp_path):
    config = override(load_config("demo"), layers="Mixed_5b", features="3", store=tmp_path / "a", site=tmp_path / "b")
    config = config.with_study(replace(config.study(CompareSettings), beside=("natural", "quick"), raw_features=2))
    fill(config)
    others = other_jobs(config, "Mixed_5b")
    assert [(one.recipe.name, str(one.target)) for one in others] == [
        ("natural", "Mixed_5b[0]"), ("natural", "Mixed_5b[1]"),
    ]  # fmt: skip
    masters = [put(config.store, job, seed="natural") for job in others]
    record = read_record(masters[0])
    write_importance(masters[0], Image.new("L", (record.width, record.height), 200), record)
    build_site(config, WEIGHTS, studies.pages())
    pages = [(config.site / f"Mixed_5b/{number}/index.html").read_text() for number in range(3)]
    shown = re.search(r'<img src="([^"]*/importance.avif)"', pages[0])
    assert shown
    assert (config.site / "Mixed_5b/0" / shown[1]).read_bytes() == importance_path(masters[0]).read_bytes()
    assert ["<code>natural</code>" in page for page in pages] == [True, True, False]
    assert "importance" not in pages[1]
    assert check_site(config.site).faults == ()


def test_a_page_without_a_measurement_says_so(tmp_path):
    config = override(load_config("demo"), layers="Mixed_5b", features="1", recipe="quick", store=tmp_path / "a")
    config = replace(config, site=tmp_path / "b")
    fill(config)
    put(config.store, raw_pairs(config, "Mixed_5b")[0].raw, seed="raw")
    build_site(config, WEIGHTS, studies.pages())
    page = (config.site / "Mixed_5b/0/index.html").read_text()
    assert "has not been measured yet" in page
    assert "compare/index.html" not in page
    assert not (config.site / "compare").exists()


def like(correlation, ssim=0.1):
    return Likeness(ssim, correlation)


def made(*own, others=((0.0, 0.1),)):
    targets = (
        ComparedTarget(f"Mixed_6b[{n}]", (Compared("raw", like(value), tuple(map(like, other))),))
        for n, (value, other) in enumerate(zip(own, others * len(own), strict=False))
    )
    return Compare(tuple(targets))


def test_the_summary_counts_pictures_that_are_nearest_to_their_own():
    (words,) = summaries(made(0.3, 0.05, 0.2), "octaves")
    assert "median of 3 features" in words
    assert "correlation of 0.20" in words
    assert "For 2 of 3, the feature’s own picture" in words


def test_pictures_that_were_not_raised_are_not_compared():
    """On ImageNet weights Mixed_6b 0 had no gradient by two recipes: noise held against noise was "nearest"."""
    found = made(0.3, 0.2)
    lost = ComparedTarget("Mixed_6b[0]", (Compared("raw", None, ()),))
    (words,) = summaries(Compare((*found.targets, lost)), "octaves")
    (without,) = summaries(found, "octaves")
    assert words == f"{without} 1 feature is left out: one of the two pictures had no gradient or was not raised."
    (words,) = summaries(Compare((lost,)), "octaves")
    assert words == "No picture by raw could be correlated with one by octaves."


def test_the_study_leaves_out_what_was_not_raised(tmp_path):
    config = override(load_config("demo"), layers="Mixed_6b", features="1", store=tmp_path)
    listed = comparisons(config)
    for at, row in enumerate(listed):
        for recipe, job in enumerate(row):  # the first as listed has no picture by the base, the second by
            status = "no_gradient" if (at, recipe) in ((0, 2), (1, 0)) else "ok"  # the first recipe
            put(config.store, job, status=status, seed=job.recipe.name)
    found = measure_compare(MeasureContext(Results(config, WEIGHTS), None)).targets
    assert [one.own is None for one in found[0].recipes] == [True, True]
    assert [one.own is None for one in found[1].recipes] == [True, False]
    assert [len(one.others) for one in found[1].recipes] == [0, len(listed) - 2]
    assert [len(one.others) for one in found[2].recipes] == [len(listed) - 2] * 2


def test_one_feature_alone_is_held_against_no_other():
    (words,) = summaries(made(-0.3, others=((),)), "octaves")
    assert "correlation of −0.30" in words
    assert "other" not in words


def test_pictures_of_one_colour_cannot_be_correlated():
    (words,) = summaries(made(None), "octaves")
    assert words == "No picture by raw could be correlated with one by octaves."


def test_medians_leave_out_what_is_not_known():
    assert middle_of([like(0.1, 0.2), like(None, 0.4), like(0.3, None)]) == Likeness(pytest.approx(0.3), 0.2)
    assert raw_summary([], 3) == ""
    assert "Over 2 features" in raw_summary([like(0.1), like(0.2)], 0)
    assert raw_summary([like(0.1)], 3).endswith(
        "3 features are left out: one of the two pictures had no gradient or was not raised."
    )


def test_recipes_in_words():
    recipes = load_config().recipes
    assert describe(recipes["raw"]) == "299 px, 300 steps, no blur"
    assert describe(recipes["octaves"]) == "299 → 340 → 380 px, 300 steps, blur"
    assert "random size" in describe(recipes["smooth"])
