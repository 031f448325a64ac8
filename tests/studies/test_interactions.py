"""Pairs of features alone, together and in between, and the matrix of a layer: plan, numbers, words and pages."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import oracle
from atlas import studies
from atlas.common.errors import ConfigError
from atlas.plan.config import override
from atlas.plan.jobs import rounds
from atlas.rendering.descent import descend, to_pixels
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.rendering.transforms import resize
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.site.templates import NO_BREAK
from atlas.store.masters import master_path, open_master
from atlas.store.results import Results
from atlas.store.weights_ids import write_weights_id
from atlas.studies import all_jobs, load_config
from atlas.studies.interactions import measure as study
from atlas.studies.interactions.jobs import interactions, matrix_jobs
from atlas.studies.interactions.measure import outside
from atlas.studies.interactions.page import compare_across, judged, ratios
from atlas.studies.interactions.result import INTERACTIONS, Matrix, Mixed, PairInteraction, matrix_spec
from atlas.studies.interactions.settings import Settings as InteractionsSettings
from atlas.studies.run import run_studies
from macros import render_macro
from studied import run_batches

CPU = torch.device("cpu")
WORDS = "studies/interactions_words.html"
TEXT = """
[features]
layers = ["Conv2d_2a_3x3", "Mixed_5b"]
count = 4
recipe = "small"
[recipes.small]
gradient = "rms"
octaves = [
  {{ size = 76, steps = 3, lr = [0.1, 0.05], sigma = [1, 0.5] }},
  {{ size = 80, steps = 2, lr = [0.05, 0.02] }},
]
[interactions]
recipe = "small"
{more}
[tuning]
size = 0
"""
PAIRS = """
pairs = [
  ["Conv2d_2a_3x3[20]", "Mixed_5b[3]"], ["Mixed_6a[1]", "Mixed_5b[3]"], ["Mixed_5b[2, 1, :]", "Conv2d_2a_3x3[:]"]
]
walk = 4
layers = ["Mixed_5b", "Mixed_6b"]
features = 3
"""


def read(folder, more):
    (folder / "atlas.toml").write_text(TEXT.format(more=more))
    config = load_config(str(folder / "atlas.toml"))
    config = config.only_features().with_study(config.study(InteractionsSettings))
    return replace(config, store=folder / "store", site=folder / "site")


@pytest.fixture(scope="module")
def rendered(weights, tmp_path_factory):
    config = read(tmp_path_factory.mktemp("interactions"), PAIRS)
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    write_weights_id(config.store, weights.id)
    for batches in rounds(all_jobs(config), "cpu", 8):
        run_batches(batches, renderer, config.store, Report(), lambda outcome: None)
    asked = []
    run_studies(config, renderer, asked.append)
    assert [name for name in asked if name.startswith("interactions")] == ["interactions", "interactions-Mixed_5b"]
    return config, renderer


@pytest.fixture
def results(rendered):
    config, renderer = rendered
    return Results(config, renderer.weights.id)


def score_of(rendered, job):
    config, renderer = rendered
    return open_master(master_path(config.store, renderer.weights.id, job))[1].score_shown


# what is asked


def test_a_pair_is_two_features_their_sum_and_a_walk(rendered):
    config, _ = rendered
    pair, other = interactions(config)  # Mixed_6a is not in this atlas
    assert str(other.joint.target) == "Mixed_5b[2, 1, :] + Conv2d_2a_3x3[:]"
    assert [str(job.target) for job in pair.jobs] == [
        "Conv2d_2a_3x3[20]",
        "Mixed_5b[3]",
        "Conv2d_2a_3x3[20] + Mixed_5b[3]",
        "Conv2d_2a_3x3[20] + Mixed_5b[3]",
        "0.6667*Conv2d_2a_3x3[20] + 0.3333*Mixed_5b[3]",
        "0.3333*Conv2d_2a_3x3[20] + 0.6667*Mixed_5b[3]",
    ]
    assert (pair.walk[0].job, pair.walk[-1].job) == (pair.first, pair.second)
    assert [job.seed for job in pair.jobs] == [999, 999, 999, 1000, 999, 999]
    assert {20, 3} <= {f for layer in config.layers for f in config.features_of(layer)}


def test_the_articles_walk_is_in_quarters():
    first, *_ = interactions(load_config())
    assert [str(step.job.target) for step in first.walk] == [
        "Mixed_6a[199]",
        "0.75*Mixed_6a[199] + 0.25*Mixed_6b[201]",
        "0.5*Mixed_6a[199] + 0.5*Mixed_6b[201]",
        "0.25*Mixed_6a[199] + 0.75*Mixed_6b[201]",
        "Mixed_6b[201]",
    ]
    pairs = load_config().study(InteractionsSettings).pairs
    assert len({target.deepest for pair in pairs for target in pair}) > 4


def test_a_matrix_is_of_the_first_features_that_have_a_page(rendered):
    config, _ = rendered
    assert [str(job.target) for job in matrix_jobs(config, "Mixed_5b")] == [f"Mixed_5b[{f}]" for f in (0, 1, 2)]
    assert matrix_jobs(config, "Mixed_6b") == ()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('pairs = ["Mixed_5b[3]"]', "must be a list of pairs"),
        ('pairs = [["Mixed_5b[3]"]]', "must be a list of pairs"),
        ('pairs = [["Mixed_5b[3]", 4]]', "must be a list of pairs"),
        ('pairs = [["Mixed_5b[3]", "Mixed_5b[3]"]]', "paired with itself"),
        ('pairs = [["Mixed_5b[3]", "Mixed_5b[3, 7, 1]"]]', "row 7"),
        ('pairs = [["Mixed_5b[3]", "2*Mixed_5b[4]"]]', "is a sum or weighted"),
        ('pairs = [["Mixed_5b[3]", "Mixed_5b[4] + Mixed_5b[5]"]]', "is a sum or weighted"),
        ('pairs = [["Mixed_5b[3]", "Mixed_5b[256]"]]', "its 256 features are 0 to 255"),
        ("walk = 1", "from 2 to 11"),
        ("features = 1", "from 2 to 32"),
        ('layers = ["Mixed_5z"]', "no layer is called"),
    ],
)
def test_mistakes_are_named(tmp_path, more, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        read(tmp_path, more)


def test_features_only_asks_for_none():
    config = override(load_config(), features_only=True)
    assert interactions(config) == ()
    assert config.study(InteractionsSettings).layers == ()


# measures


def test_a_mixture_of_two_changes_has_nothing_outside_and_what_is_at_right_angles_has_all():
    first, second, other = np.linalg.qr(np.random.default_rng(1).random((60, 3)))[0].T.reshape(3, 4, 5, 3)
    assert outside(first, first, second) == pytest.approx(0, abs=1e-12)
    assert outside(0.3 * first - 2 * second, first, second) == pytest.approx(0, abs=1e-12)
    assert outside(other, first, second) == pytest.approx(1)
    assert outside(3 * first + 4 * other, first, second) == pytest.approx(0.8)
    assert outside(3 * first + 4 * other, first, first) == pytest.approx(0.8)  # one line instead of a plane
    assert outside(other, 0 * first, 0 * second) == pytest.approx(1)
    assert outside(0 * other, first, second) is None


@pytest.mark.parametrize("scaling", ["sum", "rms"])
def test_a_linear_network_is_found_to_be_linear(scaling):
    """Descent by hand, with blur, on scores that are weighted sums of pixels; from the same noise and from other."""
    random = np.random.default_rng(3)
    first, second = random.standard_normal((2, 12, 12, 3)) * [[[[1]]], [[[3]]]]

    def change(gradient, noise):
        moved = left = noise
        step = 0.02 * gradient / (np.sqrt((gradient**2).mean()) if scaling == "rms" else 1)
        for _ in range(5):
            moved, left = (gaussian_filter(image, (1, 1, 0)) for image in (moved + step, left))
        return moved - left

    noise, others = random.random((2, 12, 12, 3))
    one, two = (change(gradient, noise) for gradient in (first, second))
    for start in (noise, others):
        assert outside(change(first + second, start), one, two) == pytest.approx(0, abs=1e-9)


# what is found


def test_scores_of_mixtures_add_up_to_those_of_their_records(rendered, results):
    """A record's score is the weighted sum over the terms, by the renderer and not by the study."""
    pair, _ = interactions(rendered[0])
    found, _ = results.read(INTERACTIONS).pairs
    assert found.joint.first + found.joint.second == pytest.approx(score_of(rendered, pair.joint), rel=1e-4)
    assert [one.weight for one in found.walk] == [0, 0.3333, 0.6667, 1]
    for step, one in zip(pair.walk, found.walk, strict=True):
        assert one.target == str(step.job.target)
        mixed = (1 - one.weight) * one.first + one.weight * one.second
        assert mixed == pytest.approx(score_of(rendered, step.job), rel=1e-3)


def test_distances_are_those_of_the_stored_pictures(rendered, results):
    config, renderer = rendered
    pair, _ = interactions(config)
    found, _ = results.read(INTERACTIONS).pairs
    folder = config.store

    def changed(job):
        """By torch, and with the rates at 0, so that no gradient changes anything."""
        picture, _ = open_master(master_path(folder, renderer.weights.id, job))
        still = replace(job.recipe, octaves=tuple(replace(o, lr=(1e-30, 1e-30)) for o in job.recipe.octaves))
        start = start_noise(job.seed, (76, 76))[None]
        (left,) = descend(renderer.network("fp32"), [job.target], still, start)
        return np.asarray(picture).astype(float) - to_pixels(left.image).permute(1, 2, 0).numpy()

    first, second, joint, again = (changed(job).ravel() for job in (pair.first, pair.second, pair.joint, pair.again))
    plane, _ = np.linalg.qr(np.stack([first, second], 1))
    for change, share in ((joint, found.joint.outside), (again, found.again)):
        inside = np.linalg.norm(plane.T @ change) / np.linalg.norm(change)
        assert share == pytest.approx(np.sqrt(1 - inside**2), abs=1e-4)
    assert found.walk[0].outside == found.walk[-1].outside == 0
    assert found.walk[1].outside > 0


def test_a_matrix_is_what_torchvisions_model_says(rendered, results, model64):
    config, renderer = rendered
    jobs = matrix_jobs(config, "Mixed_5b")
    found = results.read(matrix_spec("Mixed_5b"))
    pictures = [np.asarray(open_master(master_path(config.store, renderer.weights.id, job))[0]) for job in jobs]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).double() / 255
    noise = resize(start_noise(999, (76, 76))[None], (80, 80)).double()
    with torch.no_grad():
        maps = oracle.Cut(model64, ["Mixed_5b"])(torch.cat([images, noise]))["Mixed_5b"]
    expected = maps[:, :3].mean((2, 3)).numpy()
    assert found.features == (0, 1, 2)
    assert np.allclose([*found.scores, found.noise], expected, rtol=1e-3, atol=1e-5)
    for at, job in enumerate(jobs):
        assert found.scores[at][at] == pytest.approx(score_of(rendered, job), rel=1e-4)


def test_another_picture_is_measured_again(rendered):
    config, renderer = rendered
    pair, _ = interactions(config)
    path = master_path(config.store, renderer.weights.id, pair.again)
    kept = path.read_bytes()
    try:
        path.unlink()
        assert Results(config, renderer.weights.id).read(INTERACTIONS) is None
        assert Results(config, renderer.weights.id).read(matrix_spec("Mixed_5b")) is not None
    finally:
        path.write_bytes(kept)


# words


def pair_found(first=(4.0, 1.0), second=(0.5, 2.0), joint=(2.0, 0.5), outside=0.9, again=0.95, unraised=()):
    walk = (Mixed("A", 0, first[0], second[0], 0), Mixed("B", 1, first[1], second[1], 0))
    return PairInteraction("A", "B", Mixed("A + B", 0.5, *joint, outside), again, walk, unraised)


def pair_summary(found):
    return render_macro(WORDS, "pair", found)


def matrix_sentences(found):
    kept = judged(found)
    left_out = [feature for feature in found.features if feature not in kept.features]
    said = render_macro(WORDS, "matrix", compare_across(kept), left_out)
    return tuple(re.split(r"(?<=\.) (?=[A-Z])", said))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (pair_found(), "has 50 % of the score of A on its own picture and 25 % of the score of B on its own picture."),
        (pair_found(outside=0.3), "nearly linear."),
        (pair_found(outside=0.3, again=0.2), "nearly linear."),
        (pair_found(outside=0.7), "it is not linear, though a part of it is; the same sum from other noise lies 0.95"),
        (pair_found(outside=0.9), "it is far from linear; the same sum"),
        (pair_found(outside=0.9, again=0.9), "the interaction cannot be told from chance"),
        (
            pair_found(outside=0.9, again=None),
            "It cannot be judged, since the same sum from other noise changed nothing",
        ),
        (pair_found(first=(0.0, 0.0)), "The picture for A alone was not raised, so there is no share of its score."),
        (pair_found(unraised=("A",)), "Whether the two add up cannot be judged. Not raised: A."),
        (pair_found(unraised=("A",)), "The picture for both has 25 % of the score of B on its own picture."),
        (pair_found(outside=0.1, unraised=("A + B from other noise",)), "Not raised: A + B from other noise."),
        (pair_found(outside=None), "does not differ from the blurred noise"),
        (pair_found(joint=(0.001, 0.0)), "less than 1 % of the score of A on its own picture and 0 %"),
    ],
)
def test_sentences_of_a_pair(found, words):
    assert words in pair_summary(found)


@pytest.mark.parametrize("outside", [0.2, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("again", [0.1, 0.7, 0.95])
def test_sentences_do_not_contradict_each_other(outside, again):
    said = pair_summary(pair_found(outside=outside, again=again))
    summaries = ("nearly linear", "far from linear", "it is not linear", "cannot be told")
    assert sum(words in said for words in summaries) == 1
    lost = pair_summary(pair_found(outside=outside, again=again, unraised=("B",)))
    assert not any(words in lost for words in summaries)


def test_ratios_are_beside_the_features_own_score():
    found = Matrix("Mixed_5b", (0, 5), ((2.0, 3.0), (1.0, 4.0)), (0.5, 0.4))
    assert ratios(found) == ((1, 0.75), (0.5, 1))
    assert "62 % of its score on its own picture" in matrix_sentences(found)[0]
    assert "started from, 18 %" in matrix_sentences(found)[0]
    assert matrix_sentences(found)[1].startswith("In none of 2 cases")


def test_a_matrix_says_where_another_picture_is_stronger():
    found = Matrix("Mixed_5b", (0, 5), ((2.0, 8.0), (1.0, 4.0)), (0.5, 0.4))
    assert "In 1 case of 2 a feature scores higher" in matrix_sentences(found)[1]
    assert "feature 5 on the picture for 0, with 200 %" in matrix_sentences(found)[1]


def test_pictures_that_were_not_raised_have_neither_row_nor_column():
    """On ImageNet weights 2 of 8 pictures of Mixed_6b never moved: noise that all began as, counted as pictures."""
    scores = ((2.0, 3.0, 1.0, 9.0), (1.0, 4.0, 1.0, 9.0), (0.2, 0.1, 0.0, 9.0), (0.1, 0.2, 1.0, 0.3))
    found = Matrix("Mixed_5b", (0, 5, 7, 8), scores, (0.5, 0.4, 0.0, 0.3))
    kept = judged(found)
    assert kept == Matrix("Mixed_5b", (0, 5), ((2.0, 3.0), (1.0, 4.0)), (0.5, 0.4))
    assert matrix_sentences(found)[:2] == matrix_sentences(kept)
    assert matrix_sentences(found)[2] == "Left out, since their own pictures were not raised: 7, 8."
    dead = Matrix("Mixed_5b", (0, 5), ((0.0, 0.0), (0.0, 0.0)), (0.0, 0.0))
    assert matrix_sentences(dead) == ("Left out, since their own pictures were not raised: 0, 5.",)


# pages


@pytest.fixture(scope="module")
def site(rendered):
    config, renderer = rendered
    build_site(config, renderer.weights.id, studies.pages())
    return config.site


def test_pages_are_whole_and_two_clicks_away(site):
    assert check_site(site).faults == ()
    assert 'href="interactions/index.html"' in (site / "index.html").read_text()
    page = (site / "interactions/index.html").read_text()
    assert 'href="Mixed_5b/index.html"' in page
    assert 'href="../Mixed_5b/3/index.html"' in page
    assert page.count('<figure class="shot">') == 2 * (3 + 4)
    assert len(set(re.findall(r"record\.json", page))) == 1


def test_a_row_for_each_mixture(site):
    page = (site / "interactions/index.html").read_text().replace(NO_BREAK, " ")
    rows = re.findall(r'<th scope="row">.*?<code>(.*?)</code>', page)
    assert rows == [
        "Conv2d_2a_3x3[20]",
        "0.6667*Conv2d_2a_3x3[20] + 0.3333*Mixed_5b[3]",
        "0.3333*Conv2d_2a_3x3[20] + 0.6667*Mixed_5b[3]",
        "Mixed_5b[3]",
        "Conv2d_2a_3x3[20] + Mixed_5b[3]",
        "Mixed_5b[2, 1, :]",
        "0.6667*Mixed_5b[2, 1, :] + 0.3333*Conv2d_2a_3x3[:]",
        "0.3333*Mixed_5b[2, 1, :] + 0.6667*Conv2d_2a_3x3[:]",
        "Conv2d_2a_3x3[:]",
        "Mixed_5b[2, 1, :] + Conv2d_2a_3x3[:]",
    ]
    assert "(100 %)" in page


def test_the_matrix_page_has_a_cell_for_each_picture_and_feature(site, results):
    page = (site / "interactions/Mixed_5b/index.html").read_text()
    cells = re.findall(r'<td class="shade(\d+)" title="(.*?)">(.*?)</td>', page)
    found = judged(results.read(matrix_spec("Mixed_5b")))
    assert found.features == (0, 2)  # the picture of feature 1 was not raised
    assert len(cells) == 3 * 2
    assert {(shade, words) for shade, _, words in (cells[0], cells[3])} == {("8", "1.00")}
    assert "feature 2 on the picture for 0: score" in cells[1][1]
    assert cells[1][2] == f"{found.scores[0][1] / found.scores[1][1]:.2f}"
    assert page.count("<picture>") == 4
    assert "Left out, since their own pictures were not raised: 1." in page
    assert "on the noise" in cells[-1][1]


def test_without_findings_there_is_no_page(rendered, tmp_path):
    config, renderer = rendered
    bare = replace(config.only_features(), site=tmp_path / "site")
    build_site(bare, renderer.weights.id, studies.pages())
    assert not (tmp_path / "site/interactions").exists()


def test_scores_that_overflow_count_as_none():
    assert study._finite(torch.tensor([torch.inf, -torch.inf, torch.nan, 2.0])).tolist() == [0, 0, 0, 2]
