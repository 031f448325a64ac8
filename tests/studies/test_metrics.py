"""Metrics against each other: what is asked, what is measured, and whether the article's claim is said to hold."""

import re
from dataclasses import replace

import pytest

from atlas import studies
from atlas.common.errors import ConfigError
from atlas.plan import recipes as plan
from atlas.site.build import build_site
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.metrics.jobs import metric_rows
from atlas.studies.metrics.page import SAME, compare_with_l1, count_least_noisy, is_judged
from atlas.studies.metrics.result import METRICS, MetricPicture, Metrics, MetricTarget
from atlas.studies.shared.context import MeasureContext
from atlas.studies.shared.image_metrics import fine_share, likeness, luma
from atlas.studies.shared.likeness import Likeness
from macros import render_macro
from studied import kept

START = 0.02
WORDS = "studies/metrics_words.html"


@pytest.fixture(scope="module")
def site(studied):
    build_site(studied.config, studied.renderer.weights.id, studies.pages())
    return studied.config.site


def same_summary(found):
    return render_macro(WORDS, "same", compare_with_l1(found), SAME)


def noise_summary(found):
    return render_macro(WORDS, "noise", *count_least_noisy(found))


def words_of(path):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text()))


def test_the_article_asks_for_each_metric_of_four_features():
    rows = metric_rows(load_config())
    assert [str(row[0].target) for row in rows] == [f"Mixed_6b[{n}]" for n in range(4)]
    octaves = load_config().recipes["octaves"]
    for row in rows:
        assert {job.target for job in row} == {row[0].target}
        recipes = [job.recipe for job in row]
        assert tuple(recipe.metric for recipe in recipes) == plan.METRICS
        assert recipes[0] == octaves
        assert [recipe.name for recipe in recipes[1:]] == [f"octaves-{metric}" for metric in plan.METRICS[1:]]
        assert all(replace(r, name="", metric="l1") == replace(octaves, name="") for r in recipes)
        assert len({recipe.digest for recipe in recipes}) == len(plan.METRICS)


def test_a_slip_in_the_table_is_told(tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text("[metrics]\nrecipe = 'octave'")
    with pytest.raises(ConfigError, match=r'metrics\.recipe.*did you mean "octaves"\?'):
        load_config(str(file))


def test_what_is_measured_is_measured_of_the_masters(studied):
    results = Results(studied.config, studied.renderer.weights.id)
    context = MeasureContext(results, studied.renderer)
    rows = metric_rows(studied.config)
    pictures = [[context.picture(job) for job in row] for row in rows]
    found = results.read(METRICS)
    assert found.targets[0].start_contrast == pytest.approx(luma(context.start(rows[0][0])).std(), rel=1e-5)
    measured = {one.metric: one for one in found.targets[1].pictures}
    l1, l2, linf = (measured[metric] for metric in ("l1", "l2", "linf"))
    assert (l1.to_l1, l1.others) == (None, ())
    assert l1.fine == pytest.approx(fine_share(luma(pictures[1][0])), rel=1e-5)
    assert linf.contrast == pytest.approx(luma(pictures[1][2]).std(), rel=1e-5)
    assert (linf.raised, linf.to_l1, linf.others) == (False, None, ())
    assert l2.to_l1 == kept(likeness(pictures[1][1], pictures[1][0]))
    assert l2.others == (kept(likeness(pictures[1][1], pictures[0][0])),)


def test_the_page_shows_pictures_numbers_and_summary(studied, site):
    found = Results(studied.config, studied.renderer.weights.id).read(METRICS)
    page = words_of(site / "metrics/index.html")
    for sentence in (same_summary(found), noise_summary(found)):
        assert sentence in page
    html = (site / "metrics/index.html").read_text()
    for what in ("<figure", "record\\.json"):
        assert len(re.findall(what, html)) == 2 * len(plan.METRICS)
    assert 'href="../Conv2d_2a_3x3/7/record.json"' in html  # L1's is the feature's own picture
    left_out = sum(not is_judged(picture, target) for target in found.targets for picture in target.pictures)
    assert len(re.findall(r": (stays grey|no gradient|not raised)", page)) == left_out


def picture(metric, *, raised=True, fine=0.1, contrast=0.2, to_l1=None, others=()):
    same = None if to_l1 is None else Likeness(0.5, to_l1)
    return MetricPicture(metric, raised, fine, contrast, same, tuple(Likeness(0.1, other) for other in others))


def target(*pictures):
    return MetricTarget("Mixed_6b[0]", START, pictures)


PAIRED = picture("l1"), picture("l2", fine=0.3, to_l1=0.3)


def made(*rows):
    """Metrics of L1 and L2: fine detail of both, and L2's correlation with L1."""
    return Metrics(tuple(target(picture("l1", fine=a), picture("l2", fine=b, to_l1=c)) for a, b, c in rows))


@pytest.mark.parametrize(
    ("correlations", "words"),
    [
        ((0.9, 0.85), "L2 makes the same picture as L1, pixel by pixel, for 2 of 2 features"),
        ((0.9, 0.3), "L2 makes the same picture as L1, pixel by pixel, for 1 of 2 features"),
        ((0.2, 0.3), "L2 makes the same picture as L1, pixel by pixel, for 0 of 2 features"),
    ],
)
def test_sameness_holds_or_does_not(correlations, words):
    assert words in same_summary(made(*((0.1, 0.2, value) for value in correlations)))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (((0.1, 0.2, 0.9), (0.1, 0.3, 0.9)) * 2, "“L1 is the least noisy” holds by these numbers"),
        (((0.1, 0.2, 0.9), (0.3, 0.1, 0.9)) * 2, "holds for some features and not for others"),
        (((0.2, 0.1, 0.9), (0.3, 0.3, 0.9)) * 2, "does not hold by these numbers"),
        (
            ((0.2, 0.1, 0.9), (0.1, 0.3, 0.9)),
            "at least 4 are needed. L1’s picture has the smallest share of fine detail for 1.",
        ),
    ],
)
def test_least_noise_holds_or_does_not(rows, words):
    assert words in noise_summary(made(*rows))


def test_grey_pictures_are_left_out_and_counted():
    grey = picture("l2", fine=0.0, contrast=1.9 * START, to_l1=0.0)
    clear = picture("l2", fine=0.3, contrast=2.1 * START, to_l1=0.9)
    both = Metrics((target(picture("l1"), grey), target(picture("l1"), clear)))
    assert "for 1 of 1 feature: a correlation" in same_summary(both)
    assert "1 feature is left out: one of the two pictures had no gradient, was not raised or stayed" in same_summary(
        both
    )
    assert "1 feature can be judged" in noise_summary(both)
    alone = Metrics((target(picture("l1"), grey),))
    assert "L2 cannot be compared with L1: for each feature, one of the two pictures" in same_summary(alone)
    assert "cannot be told: 0 features can be judged, and at least 4 are needed." in noise_summary(alone)


def test_pictures_that_were_not_raised_are_left_out_whatever_their_contrast():
    """Two pictures of noise correlate by 1 whatever their metrics, and those of a lost feature are no picture of it."""
    lost = picture("l2", raised=False, fine=0.3, contrast=0.2, to_l1=1.0)
    clear = picture("l2", fine=0.3, to_l1=0.3)
    found = Metrics((target(picture("l1"), lost), target(picture("l1", raised=False), clear), target(*PAIRED)))
    assert "for 0 of 1 feature: a correlation" in same_summary(found)
    assert "2 features are left out" in same_summary(found)
    assert "1 feature can be judged" in noise_summary(found)


def test_other_features_are_a_yardstick():
    near = picture("l2", to_l1=0.4, others=(0.1, 0.2))
    far = picture("l2", to_l1=0.1, others=(0.3, 0.0))
    words = same_summary(Metrics((target(picture("l1"), near), target(picture("l1"), far))))
    assert "for 1 of 2, the feature’s own L1 picture has the highest correlation of all L1 pictures" in words
