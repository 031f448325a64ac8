"""Renderings from several noises: which are asked for, how their agreement is measured, and planted truths."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from atlas import studies
from atlas.plan.jobs import feature_jobs, rounds
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.renderer import Renderer
from atlas.site.build import build_site
from atlas.store.masters import master_path, open_master, pixels_sha256, write_master
from atlas.store.results import Results
from atlas.store.weights_ids import write_weights_id
from atlas.studies import all_jobs, load_config
from atlas.studies.run import run_studies
from atlas.studies.seeds.jobs import jobs
from atlas.studies.seeds.measure import agreement, cosines, measure_seeds
from atlas.studies.seeds.result import SEEDS, Agreement, LayerSeeds
from atlas.studies.shared.context import MeasureContext
from atlas.studies.trust.marks import seeds_mark
from studied import run_batches

CPU = torch.device("cpu")
FEATURES, SEED_FEATURES, COUNT = 8, 3, 3
TEXT = f"""
[atlas]
weights = "demo"
store = "store"
site = "site"
[features]
layers = ["Conv2d_1a_3x3", "Conv2d_4a_3x3"]
count = {FEATURES}
recipe = "small"
[recipes.small]
octaves = [{{ size = 76, steps = 8, lr = [0.4, 0.2], sigma = [1.0, 0.5] }}]
[seeds]
count = {COUNT}
features = {SEED_FEATURES}
layers = ["Conv2d_4a_3x3"]
[tuning]
size = 0
"""


def read(folder, more=""):
    (folder / "atlas.toml").write_text(TEXT + more)
    config = load_config(str(folder / "atlas.toml"))
    kept = [settings for kind, settings in config.studies.items() if kind.__module__.endswith("seeds.settings")]
    return config.only_features().with_study(*kept)


@pytest.fixture(scope="module")
def made(weights, tmp_path_factory):
    """A store with all renderings, and what was measured."""
    config = read(tmp_path_factory.mktemp("seeds"))
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    write_weights_id(config.store, weights.id)
    for batches in rounds(all_jobs(config), "cpu"):
        run_batches(batches, renderer, config.store, Report())
    context = MeasureContext(Results(config, weights.id), renderer)
    return context, measure_seeds(context)


# what is asked for


def test_the_first_features_of_the_layers_are_rendered_from_more_noises(tmp_path):
    config = read(tmp_path)
    asked = [(str(job.target), job.seed) for job in jobs(config)]
    assert asked == [
        (f"Conv2d_4a_3x3[{number}]", 999 + step) for number in range(SEED_FEATURES) for step in range(COUNT)
    ]
    extra = set(all_jobs(config)) - set(feature_jobs(config))
    assert len(extra) == SEED_FEATURES * (COUNT - 1), "the first noise is that of the feature's own picture"


@pytest.mark.parametrize("more", ["count = 1", "features = 0"])
def test_it_can_be_switched_off(tmp_path, more):
    key = more.split()[0]
    text = "\n".join(line for line in TEXT.splitlines() if not line.startswith(f"{key} =") or "]" in line)
    text = text.replace("[features]", f"[features]\ncount = {FEATURES}") if key == "count" else text
    (tmp_path / "atlas.toml").write_text(text.replace("[seeds]", f"[seeds]\n{more}"))
    config = load_config(str(tmp_path / "atlas.toml"))
    assert jobs(config) == ()
    assert Results(config, None).jobs(SEEDS) == ()


def test_large_pictures_have_seeds_of_the_usual_size(tmp_path):
    config = read(tmp_path)
    large = replace(config.get_recipe("small"), name="large", octaves=config.get_recipe("raw").octaves)
    config = replace(config, recipes={**config.recipes, "large": large}, large="large", large_features=2)
    assert {job.recipe.name for job in jobs(config)} == {"small"}


# the measure


def naive_cosine(means, own, is_face, one, other):
    """The mean over layers of the cosine of two renderings, channel by channel."""
    found = []
    for at, some in enumerate(means):
        common = [sum(column) / len(column) for column in zip(*some[is_face], strict=True)]
        left_out = {own[at][one], own[at][other]}
        pairs = [
            (some[one][c] - common[c], some[other][c] - common[c]) for c in range(some.shape[1]) if c not in left_out
        ]
        dot = sum(x * y for x, y in pairs)
        length = sum(x * x for x, _ in pairs) ** 0.5 * sum(y * y for _, y in pairs) ** 0.5
        found.append(dot / length if length else 0.0)
    return sum(found) / len(found)


@pytest.mark.parametrize("seed", range(10))
def test_cosines_are_those_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 5, 7)
    is_face = np.array([at == list(features).index(feature) for at, feature in enumerate(features)])
    means = [rng.random((7, channels)) * (rng.random((7, channels)) > 0.4) for channels in (4, 6, 9)]
    own = [np.full(7, -1), np.where(features % 2, features, -1), features]
    found = cosines(means, own, is_face)
    for one in range(7):
        for other in range(7):
            assert found[one, other] == pytest.approx(naive_cosine(means, own, is_face, one, other), abs=1e-12)


def test_agreement_counts_pairs_and_others():
    likeness = np.array([[1, 0.9, 0.7, 0.2], [0.9, 1, 0.9, 0.1], [0.7, 0.9, 1, 0.95], [0.2, 0.1, 0.95, 1]])
    found = agreement([0, 1], likeness, np.array([False, False, True, True]), np.array([0.95, 0.5, 0.2, 0.1]))
    assert (found.seeds, found.mean, found.others) == (2, pytest.approx(0.9), 2)
    assert found.above == 0.75  # three of four pairs of features are less alike
    assert found.alike == 0  # the third is like them by (0.7 + 0.9) / 2, the fourth by 0.15


@pytest.mark.parametrize(
    ("above", "alike", "pairs", "expected"),
    [(0.96, 0, 30, True), (0.94, 0, 30, False), (1.0, 2, 30, False), (1.0, 1, 30, True), (1.0, 0, 19, None)],
)
def test_agreement_takes_more_than_pairs_of_features_reach(above, alike, pairs, expected):
    assert Agreement(4, 0.9, above, 20, alike).agrees(pairs) is expected


def test_words_say_what_it_takes():
    layer = LayerSeeds("Mixed_5b", 28, {})
    said = seeds_mark(Agreement(4, 0.9, 0.9469, 19, 2), layer, "crisp").words.replace("\xa0", " ")
    assert said == (
        "Renderings by crisp from 4 noises agree by 0.90, more than 94.6 % of 28 pairs of different features do; "
        "it takes 95 %. 2 of 19 other features of the layer look as much like them; it takes at most 5 %."
    )
    few = seeds_mark(Agreement(2, 0.9, 1.0, 3, 0), replace(layer, pairs=3), "crisp")
    assert few.passed is None
    assert "there are 3 pairs of different features to hold that against, and it takes 20" in few.words


# planted truths


def test_two_features_with_one_rendering_do_not_agree(made, tmp_path):
    """Whatever their seeds do: another feature looks as much like them."""
    context, before = made
    config = replace(context.config, store=tmp_path)
    write_weights_id(config.store, context.results.weights)
    for job in all_jobs(config):
        image, record = open_master(master_path(context.config.store, context.results.weights, job))
        if str(job.target) in ("Conv2d_4a_3x3[0]", "Conv2d_4a_3x3[1]"):
            twin = next(j for j in all_jobs(config) if str(j.target) == "Conv2d_4a_3x3[0]" and j.seed == 999)
            image, _ = open_master(master_path(context.config.store, context.results.weights, twin))
            record = replace(record, pixels_sha256=pixels_sha256(image.tobytes()))
        path = master_path(tmp_path, context.results.weights, job)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_master(path, image.tobytes(), record)
    after = measure_seeds(MeasureContext(Results(config, context.results.weights), context.renderer))
    (layer,) = after.layers
    for number in (0, 1):
        twin = layer.features[number]
        assert twin.mean == pytest.approx(1)
        assert twin.alike == 1
        assert twin.agrees(layer.pairs) is False
    assert before.layers[0].features[0].alike == 0


def test_noise_is_like_noise(made, tmp_path):
    """Why one check is not enough: it takes photographs to tell that nothing is shown."""
    context, _ = made
    config = replace(context.config, store=tmp_path)
    write_weights_id(config.store, context.results.weights)
    rng = random.Random(0)
    for job in all_jobs(config):
        image, record = open_master(master_path(context.config.store, context.results.weights, job))
        pixels = rng.randbytes(len(image.tobytes())) if str(job.target) == "Conv2d_4a_3x3[2]" else image.tobytes()
        path = master_path(tmp_path, context.results.weights, job)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_master(path, pixels, replace(record, pixels_sha256=pixels_sha256(pixels)))
    (layer,) = measure_seeds(MeasureContext(Results(config, context.results.weights), context.renderer)).layers
    noise = layer.features[2]
    assert noise.mean > 0.9


# the store and the site


def test_it_is_measured_once_and_again_when_a_picture_changes(made, tmp_path):
    context, found = made
    assert [layer.layer for layer in found.layers] == ["Conv2d_4a_3x3"]
    assert found.layers[0].pairs <= FEATURES * (FEATURES - 1) // 2
    names = []
    run_studies(context.config, context.renderer, names.append)
    assert "seeds" in names
    again = []
    run_studies(context.config, context.renderer, again.append)
    assert "seeds" not in again


def test_a_page_shows_the_renderings_and_what_they_say(made):
    context, _ = made
    run_studies(context.config, context.renderer, lambda name: None)
    build_site(context.config, context.results.weights, studies.pages())
    found = Results(context.config, context.results.weights).read(SEEDS)
    number, one = next(iter(found.layers[0].features.items()))
    page = (context.config.site / f"Conv2d_4a_3x3/{number}/index.html").read_text()
    section = page[page.index('id="seeds"') :].split("</section>")[0]
    assert section.count("<figure") == one.seeds
    assert seeds_mark(one, found.layers[0], "small").words.replace("\xa0", " ") in section.replace("\xa0", " ")
    assert 'id="seeds"' not in (context.config.site / f"Conv2d_4a_3x3/{SEED_FEATURES}/index.html").read_text()
    assert (context.config.site / "trust/index.html").is_file()
