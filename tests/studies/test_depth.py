"""Complexity over depth: which pictures count, trends against the textbook, and what the page says of them."""

import re
from dataclasses import replace
from itertools import permutations
from statistics import correlation, quantiles
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import t as student_t

from atlas import studies
from atlas.inception.layers import LAYERS
from atlas.plan.config import override
from atlas.plan.jobs import feature_jobs
from atlas.site.build import build_site
from atlas.store.masters import master_path
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.depth import measure as depth_measure
from atlas.studies.depth.measure import measure_depth, measure_layer_depth, quartiles, trend
from atlas.studies.depth.result import DEPTH, RULES, LayerDepth, Quartiles, Trend, layer_depth_spec
from atlas.studies.run import run_studies
from atlas.studies.shared.context import MeasureContext
from atlas.studies.shared.image_metrics import colour_entropy, edge_density, luma, shrink, spectral_centroid
from macros import render_macro
from stores import WEIGHTS, fill

WORDS = "studies/depth_words.html"


def depth_summary(trends):
    return render_macro(WORDS, "summary", trends)


def trend_sentence(found):
    return render_macro(WORDS, "trend", found, RULES.fewest)


@pytest.fixture
def config(tmp_path):
    """Six features of three layers, of which two have no gradient and one is pending in each."""
    names = "Conv2d_2a_3x3,Mixed_5b,Mixed_7c"
    made = override(load_config("demo"), layers=names, features="6", store=tmp_path / "a", site=tmp_path / "b")
    made = made.only_features()
    fill(made, statuses=("ok", "no_gradient", None, "not_raised", "no_gradient", "failed"))
    return made


def measured(config):
    """Run the studies on depth; returns a results that sees what they found."""
    results = Results(config, WEIGHTS)
    context = MeasureContext(results, None)
    for layer in config.layers:
        results.write(layer_depth_spec(layer), measure_layer_depth(context, layer))
    results.write(DEPTH, measure_depth(context))
    return Results(config, WEIGHTS)


def test_pictures_that_were_not_raised_are_left_out_and_counted(config):
    found = measured(config).read(DEPTH)
    assert [layer.layer for layer in found.layers] == list(config.layers)
    assert [(layer.measured, layer.left_out) for layer in found.layers] == [(1, 4)] * 3
    context = MeasureContext(Results(config, WEIGHTS), None)
    jobs = [job for job in feature_jobs(config)[6:12] if context.results.status(job) == "ok"]
    pictures = [shrink(context.picture(job), 160) for job in jobs]
    for measure, values in (
        ("centroid", [spectral_centroid(luma(one)) for one in pictures]),
        ("entropy", [colour_entropy(one, 8) for one in pictures]),
        ("edges", [edge_density(luma(one), 0.1) for one in pictures]),
    ):
        found_here = getattr(found.layers[1], measure)
        expected = np.percentile(values, (25, 50, 75))
        assert (found_here.low, found_here.middle, found_here.high) == pytest.approx(expected, rel=1e-5)


def test_a_new_picture_in_one_layer_leaves_the_others_measured(config):
    measured(config)
    pending = feature_jobs(config)[2]
    assert Results(config, WEIGHTS).status(pending) is None
    (master_path(config.store, WEIGHTS, feature_jobs(config)[0])).unlink()
    results = Results(config, WEIGHTS)
    assert results.read(layer_depth_spec("Conv2d_2a_3x3")) is None
    assert results.read(DEPTH) is None
    assert results.read(layer_depth_spec("Mixed_7c")) is not None


def test_an_empty_store_is_not_measured(config, tmp_path):
    empty = replace(config, store=tmp_path / "none")
    assert Results(empty, WEIGHTS).digest(DEPTH) is None
    assert Results(empty, WEIGHTS).digest(layer_depth_spec("Mixed_5b")) is None


def layers(values, measure="entropy"):
    """Layers with these medians; None: nothing measured."""
    found = []
    for layer, value in zip(LAYERS, values, strict=False):
        empty = LayerDepth(layer.name, 4, 0, None, None, None)
        found.append(empty if value is None else replace(empty, **{measure: Quartiles(value, value, value)}))
    return found


def test_a_trend_is_spearmans_rank_correlation():
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5]
    ranks = [sorted(values).index(value) for value in values]
    n = len(values)
    expected = 1 - 6 * sum((at - rank) ** 2 for at, rank in enumerate(ranks)) / (n * (n * n - 1))
    found = trend("entropy", layers(values))
    assert found.layers == n
    assert found.rho == pytest.approx(expected, rel=1e-5)
    assert 0 < found.p < 1


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ([1, 2, 3], 1 / 3),
        ([3, 2, 1], 1 / 3),
        ([1, 2, 3, 4], 1 / 12),
        ([1, 2, 3, 4, 5], 1 / 60),
        ([1, 1, 2], 2 / 3),
        ([2, 1, 3], 1),
    ],
)
def test_the_p_of_a_few_layers_counts_their_orders(values, p):
    assert trend("edges", layers([float(value) for value in values], "edges")).p == pytest.approx(p, rel=1e-5)


def test_p_agrees_with_pearsons_correlation_of_all_orders():
    values = [2.0, 7.0, 1.0, 9.0, 8.0, 30.0]
    ranks = [sorted(values).index(value) for value in values]
    rho = correlation(range(6), ranks)
    all_rhos = [correlation(range(6), order) for order in permutations(ranks)]
    expected = sum(abs(one) >= abs(rho) - 1e-9 for one in all_rhos) / len(all_rhos)
    assert trend("entropy", layers(values)).p == pytest.approx(expected, rel=1e-5)


def test_more_layers_have_the_p_of_students_t():
    values = [float(value) for value in (2, 1, 4, 3, 9, 5, 8, 7, 6)]
    found = trend("entropy", layers(values))
    t = found.rho * (7 / (1 - found.rho**2)) ** 0.5
    assert found.p == pytest.approx(2 * student_t.sf(t, 7), rel=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("way", [1.0, -1.0])
def test_nothing_is_claimed_of_few_layers_in_order(count, way):
    found = layers([way * at for at in range(count)], "edges")
    edges = trend("edges", found)
    assert edges.direction is None
    assert trend_sentence(edges) == f"Edges: too few layers to speak of a trend, {count} of the 5 needed."
    assert depth_summary((edges,)).startswith("There are too few layers here")


def test_five_layers_in_order_are_a_trend():
    assert trend("edges", layers([1.0, 2.0, 3.0, 4.0, 5.0], "edges")).direction == "grows"


def test_layers_without_a_value_have_no_part_in_a_trend():
    assert trend("entropy", layers([1.0, None, 2.0, 3.0])).rho == pytest.approx(1)
    assert trend("entropy", layers([1.0, None, 2.0])) == Trend("entropy", 2, None, None)
    assert trend("entropy", layers([1.0, 1.0, 1.0])) == Trend("entropy", 3, None, None)


@pytest.mark.parametrize(
    ("rho", "p", "expected"),
    [
        (0.9, 0.001, "grows"),
        (-0.9, 0.001, "falls"),
        (0.49, 0.001, "shows no trend"),
        (0.9, 0.06, "shows no trend"),
        (None, None, "shows no trend"),
    ],
)
def test_directions_by_the_stated_thresholds(rho, p, expected):
    assert Trend("edges", 16, rho, p).direction == expected


def test_a_trend_in_words():
    assert trend_sentence(Trend("edges", 16, -0.6, 0.014)) == (
        "Edges: the median falls with depth. Spearman’s rank correlation over 16 layers is −0.60 (p = 0.014)."
    )
    assert "(p below 0.001)" in trend_sentence(Trend("edges", 16, 0.9, 0.0))
    assert trend_sentence(Trend("edges", 6, None, None)) == "Edges: the medians of all 6 layers are equal."


def summary(*rhos):
    names = ("centroid", "entropy", "edges")
    return depth_summary([Trend(n, 16, rho, 0.01) for n, rho in zip(names, rhos, strict=True)])


def test_the_summary_counts_the_measures():
    assert summary(0.9, 0.8, 0.7) == (
        "Of the three measures of complexity, 3 grow with depth (fineness, colours, edges)."
    )
    assert summary(-0.9, 0.8, 0.1) == (
        "Of the three measures of complexity, 1 grows with depth (colours), 1 falls (fineness), "
        "1 shows no trend (edges)."
    )
    assert summary(0.1, 0.2, -0.1) == (
        "Of the three measures of complexity, none grows with depth, 3 show no trend (fineness, colours, edges). "
        "This does not show that complexity does not grow. What a reader sees grow, from colours to textures to "
        "parts of objects, is not what these measures capture."
    )
    few = tuple(Trend(name, count, 0.9, 0.01) for name, count in (("centroid", 4), ("entropy", 6), ("edges", 6)))
    assert "too few layers" in depth_summary(few)


def test_a_rise_and_a_fall_are_no_trend_and_are_told():
    """As colours do on ImageNet weights, from 0.3 bits in the first layer to 7.3 in the fifth, and down to 5.1."""
    values = [0.3, 3.1, 5.3, 6.9, 7.3, 7.0, 6.7, 6.1, 5.8, 5.8, 5.7, 5.6, 5.4, 5.1]
    found = layers(values)
    assert trend("entropy", found).direction == "shows no trend"
    assert render_macro(WORDS, "extremes", found, "entropy") == (
        "The median is lowest in Conv2d_1a_3x3 (0.3) and highest in Conv2d_4a_3x3 (7.3)."
    )
    assert render_macro(WORDS, "extremes", layers([1.0, 1.0]), "entropy") == ""


def test_the_page(config):
    found = measured(config).read(DEPTH)
    build_site(config, WEIGHTS, studies.pages())
    html = (config.site / "depth/index.html").read_text()
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "3 pictures of features by recipe small" in page
    assert "12 more are left out, since they had no gradient or were not raised." in page
    assert "Fineness: too few layers to speak of a trend, 3 of the 5 needed." in page
    assert "rank correlation over" not in page
    assert "a slope of more than 0.071 pixel ranges a pixel" in page
    assert depth_summary(found.trends) in page
    assert html.count("<circle") == 3 * 3
    assert html.count('class="band"') == 3 * 3  # layers in between are not in this atlas
    assert f"{found.layers[0].entropy.middle:.4g}" in page
    assert html.count('<th scope="row">') == 3
    assert 'href="../Mixed_7c/index.html"' in html


def test_layers_are_gathered_only_when_all_are_measured(config, monkeypatch):
    """Memory that runs out for one of them must not leave a summary of the others that looks complete."""
    measure, lost = measure_layer_depth, ["Mixed_5b"]

    def cramped(context, layer):
        if layer in lost:
            raise MemoryError
        return measure(context, layer)

    monkeypatch.setattr(depth_measure, "measure_layer_depth", cramped)
    renderer = SimpleNamespace(weights=SimpleNamespace(id=WEIGHTS))
    assert run_studies(config, renderer, lambda _: None) == ["depth-Mixed_5b"]
    assert Results(config, WEIGHTS).read(DEPTH) is None
    lost.clear()
    assert run_studies(config, renderer, lambda _: None) == []
    assert len(Results(config, WEIGHTS).read(DEPTH).layers) == 3


def test_quartiles_are_those_of_the_known_values():
    values = [9.0, None, 1.0, 4.0, 7.0, 3.0]
    low, middle, high = quantiles([1.0, 3.0, 4.0, 7.0, 9.0], method="inclusive")
    assert quartiles(values) == Quartiles(low, middle, high)
    assert quartiles([None]) is None
