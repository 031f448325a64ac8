"""How far pictures can be trusted: where they lie among photographs, their path, planted truths, marks and pages."""

import csv
import json
import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binom, spearmanr

from atlas import studies
from atlas.inception.layers import get_layer, grid, layers_up_to, own_channels, receptive_field
from atlas.inception.targets import feature_target
from atlas.plan.jobs import Job, feature_jobs, rounds
from atlas.rendering.model import Network
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.parameterization import start_image
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights, load_weights
from atlas.site.build import build_site
from atlas.site.catalogue import PlannedRendering, gather_atlas
from atlas.site.check import check_site
from atlas.site.models import MARKS
from atlas.site.pages.orders import make_orders
from atlas.store.masters import master_path, open_master, pixels_sha256, write_master
from atlas.store.results import Results
from atlas.store.weights_ids import write_weights_id
from atlas.studies import all_jobs, load_config
from atlas.studies.examples.distribution import histogram, level_ranks, quantiles, share_limits
from atlas.studies.examples.find import find_examples
from atlas.studies.examples.page import KnownExamples, known_examples
from atlas.studies.examples.path import RandomCrops, WindowMeans, window
from atlas.studies.examples.pictures import draw_pictures
from atlas.studies.examples.result import BINS, KEPT, QUANTILES, FeatureExamples, Placed
from atlas.studies.examples.settings import Settings as ExamplesSettings
from atlas.studies.run import run_studies
from atlas.studies.seeds.result import SEEDS
from atlas.studies.seeds.settings import Settings as SeedsSettings
from atlas.studies.shared.context import MeasureContext
from atlas.studies.trust import page as page_module
from atlas.studies.trust.marks import path_mark, photographs_mark
from atlas.studies.trust.shares import Share, share_of, wilson
from stores import record
from studied import run_batches

CPU = torch.device("cpu")
SIZE = 96
TEXT = """
[atlas]
weights = "demo"
store = "store"
site = "site"
[features]
layers = ["{layer}"]
count = {features}
recipe = "small"
[recipes.small]
gradient = "rms"
octaves = [{{ size = 96, steps = 80, lr = [0.004, 0.004] }}]
[seeds]
count = {seeds}
features = 1
[examples]
folder = "drawn"
size = 96
show = true
title = "the project's own drawn pictures"
[tuning]
size = 0
"""


class Quiet:
    """A watcher that says nothing."""

    def progress(self, task, done, total):
        pass

    def skips(self, why):
        raise AssertionError(why)


def rendered(folder, weights, layer, features, seeds=1):
    """A store with the renderings of some features of a layer, by a network."""
    folder.mkdir(exist_ok=True)
    (folder / "atlas.toml").write_text(TEXT.format(layer=layer, features=features, seeds=seeds))
    config = load_config(str(folder / "atlas.toml"))
    config = config.only_features().with_study(config.study(ExamplesSettings), config.study(SeedsSettings))
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    write_weights_id(config.store, weights.id)
    for batches in rounds(all_jobs(config), "cpu"):
        run_batches(batches, renderer, config.store, Report())
    return MeasureContext(Results(config, weights.id), renderer)


def compared(context):
    """Its features among the drawn pictures, by number."""
    found = find_examples(context, draw_pictures(SIZE), Quiet(), rows=8).found
    return {int(one.target.split("[")[1][:-1]): one for one in found.features}


# distributions


@pytest.mark.parametrize("count", [1, 2, 40, 333])
def test_quantiles_and_histograms_are_of_the_pictures(count):
    scores = np.random.default_rng(count).gamma(1.0, 2.0, count).astype(np.float32)
    found = quantiles(scores)
    ordered = sorted(scores.tolist())
    for level, value in zip(QUANTILES, found, strict=True):
        assert value == pytest.approx(ordered[max(0, math.ceil(level * count) - 1)])
    counts = histogram(scores)
    assert (len(counts), sum(counts)) == (BINS, count)
    assert histogram(np.zeros(5, np.float32))[0] == 5, "pictures that do not activate the feature at all"


@pytest.mark.parametrize("count", [22, 26, 43, 47, 100, 600, 5000])
def test_a_crop_at_a_level_is_of_the_picture_at_that_quantile(count):
    scores = np.random.default_rng(count).random(count).astype(np.float32)
    ordered, found = sorted(scores.tolist(), reverse=True), dict(zip(QUANTILES, quantiles(scores), strict=True))
    for level, rank in level_ranks(count).items():
        assert ordered[rank] == pytest.approx(found[level])


@pytest.mark.parametrize(("count", "levels"), [(9, []), (10, [0.0]), (20, [0.5, 0.0]), (101, [0.9, 0.5, 0.0])])
def test_levels_that_lie_among_the_top_crops_have_no_crop(count, levels):
    ranks = level_ranks(count)
    assert list(ranks) == levels
    assert all(KEPT <= rank < count for rank in ranks.values())
    assert list(level_ranks(5000)) == [0.99, 0.9, 0.5, 0.0]


@pytest.mark.parametrize(("reached", "count"), [(0, 36), (1, 60), (5, 20), (20, 20)])
def test_limits_are_those_of_shares_that_such_a_count_does_not_refute(reached, count):
    """By the binomial distribution itself: at either limit the count lies in a tail of 2.5 %."""
    low, high = share_limits(reached, count)
    assert low <= reached / count <= high
    if reached:
        assert binom.sf(reached - 1, count, low) == pytest.approx(0.025)
    if reached < count:
        assert binom.cdf(reached, count, high) == pytest.approx(0.025)
    assert (low == 0) == (reached == 0)


def placed(reached, count, score=1.0, **more):
    return Placed("small", "", (0, 0), score, reached, share_limits(reached, count), **more)


def test_it_takes_36_pictures_to_beat_nine_in_ten():
    assert placed(0, 35).beats_pictures is None
    assert placed(0, 36).beats_pictures is True
    assert placed(30, 36).beats_pictures is False
    assert placed(500, 5000).beats_pictures is None
    assert placed(400, 5000).beats_pictures is True


# paths


@pytest.mark.parametrize("layer", ["Conv2d_1a_3x3", "Conv2d_4a_3x3", "Mixed_5b", "Mixed_6a"])
def test_a_window_is_what_lies_below_a_box(layer):
    field, cells = receptive_field(layer), grid(layer, (SIZE, SIZE))
    for box in ((0, 0, SIZE, SIZE), (20, 30, 61, 75), (50, 50, 50.5, 50.5), (-40, -40, -20, 200)):
        rows, cols = window(layer, box, cells)
        for part, low, high, count in ((rows, box[0], box[2], cells[0]), (cols, box[1], box[3], cells[1])):
            middles = [field.centre + 0.5 + at * field.jump for at in range(count)]
            inside = [at for at, middle in enumerate(middles) if low <= middle <= high]
            assert 0 <= part.start < part.stop <= count
            if inside:
                assert [part.start, part.stop - 1] == [inside[0], inside[-1]]


def test_window_means_are_means_of_the_maps(network64):
    image = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    taps = [layer.name for layer in layers_up_to("Conv2d_4a_3x3")]
    maps = {name: some[0] for name, some in network64.activations(image, taps).items()}
    box = receptive_field("Conv2d_4a_3x3", 7).box(8, 9)
    found = WindowMeans(maps).over("Conv2d_4a_3x3", box)
    expected = []
    for name in taps:
        rows, cols = window(name, box, grid(name, (SIZE, SIZE)))
        expected += [float(maps[name][channel, rows, cols].mean()) for channel in range(get_layer(name).features)]
    assert found.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_activations_without_bound_leave_finite_means():
    """As of a network whose path was altered: they are held at what half precision can hold."""
    maps = {"Conv2d_1a_3x3": torch.full((32, 5, 5), 1.0)}
    maps["Conv2d_1a_3x3"][0] = 1e9
    maps["Conv2d_1a_3x3"][1] = torch.inf
    maps["Conv2d_1a_3x3"][2] = torch.nan
    found = WindowMeans(maps).over("Conv2d_1a_3x3", (0, 0, 9, 9))
    assert found[:4].tolist() == [65504, 65504, 0, 1]


def test_paths_are_rank_correlations_of_standardised_means():
    """Against scipy's Spearman, without the feature's own channel, which hardly moves the others' ranks."""
    rng, layer = np.random.default_rng(3), "Conv2d_2b_3x3"
    sizes = [one.features for one in layers_up_to(layer)]
    ends = np.cumsum([0, *sizes])
    random, crops, own = (rng.gamma(1.0, 1.0, (n, ends[-1])).astype(np.float16) for n in (30, 3, 2))
    use = np.ones(30, bool)
    use[:4] = False
    found = RandomCrops(layer, random).paths(5, own, crops, use)
    mean, deviation = random.astype(float).mean(0), random.astype(float).std(0)
    for at, (start, stop) in enumerate(pairwise(ends)):
        kept = [c for c in range(start, stop) if at < len(sizes) - 1 or c != start + 5]

        def standard(rows, kept=kept):
            return (rows.astype(float)[:, kept] - mean[kept]) / deviation[kept]

        for some, got in ((own, found.own), (random[use], found.random), (crops, found.crops)):
            for row, values in enumerate(standard(some)):
                for crop, other in enumerate(standard(crops)):
                    expected = spearmanr(values, other).statistic
                    assert got[row, crop, at] == pytest.approx(expected, abs=1e-9 if at < len(sizes) - 1 else 0.01)
    assert found.of_renderings().shape == (2, len(sizes))
    assert found.shares().shape == (2,)


def test_a_pooled_feature_has_two_channels_of_its_own():
    """Mixed_6a passes on the features of Mixed_5d by a pool, as Mixed_7a those of Mixed_6e."""
    assert own_channels("Mixed_5b", 70) == {"Mixed_5b": 70}
    assert own_channels("Mixed_6a", 500) == {"Mixed_6a": 500, "Mixed_5d": 20}
    assert own_channels("Mixed_7a", 512) == {"Mixed_7a": 512, "Mixed_6e": 0}
    rng, layer = np.random.default_rng(0), "Mixed_6a"
    size = sum(one.features for one in layers_up_to(layer))
    random, crops, own = (rng.random((n, size)).astype(np.float16) for n in (25, 3, 1))
    at = size - get_layer(layer).features - get_layer("Mixed_5d").features + 20
    moved = own.copy()
    moved[0, at] = 50
    use = np.ones(25, bool)
    shared = RandomCrops(layer, random)
    before, after = (shared.paths(500, some, crops, use).own[0, :, -2] for some in (own, moved))
    assert after == pytest.approx(before, abs=0.01)
    assert abs(shared.paths(501, moved, crops, use).own[0, :, -2] - before).max() > 0.0


# planted truths


@pytest.fixture(scope="module")
def trained():
    """The demo weights, which were trained on the drawn pictures."""
    return load_weights("demo")


@pytest.fixture(scope="module")
def honest(trained, tmp_path_factory):
    """A feature of Mixed_5b whose path is natural, by the network as it is."""
    context = rendered(tmp_path_factory.mktemp("honest"), trained, "Mixed_5b", "[120]")
    return context, compared(context)[120]


def fooled(weights, job):
    """Weights with a silent channel below feature 120 of Mixed_5b, as Geirhos et al. 2024 made them.

    The channel, of the convolution before, sees a direction of its input that noise has and no drawn picture: so
    nothing changes for pictures, and a descent from noise follows it.
    """
    network = Network(weights, CPU, torch.float32, weights.id.trained_input)
    source = draw_pictures(SIZE)
    pictures = torch.stack([torch.from_numpy(np.array(source.open(sha))) for sha in sorted(source.pictures)])
    noise = torch.stack([start_image(job.recipe, seed, job.recipe.first_size) for seed in range(4)])

    def inputs(images):
        with torch.no_grad():
            maps = F.max_pool2d(network.activations(images, ["Conv2d_4a_3x3"])["Conv2d_4a_3x3"], 3, 2)
        return maps.permute(0, 2, 3, 1).flatten(0, 2)  # [n, 192]

    natural, other = inputs(pictures.permute(0, 3, 1, 2).float() / 255), inputs(noise)
    direction = torch.zeros(natural.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([direction, bias], 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        above = F.softplus(natural @ direction - bias)
        (F.softplus(bias - other @ direction).mean() + above.mean() + 0.5 * above.amax()).backward()
        optimizer.step()
    direction = (direction / direction.norm()).detach()
    least = float((natural @ direction).max()) + 0.01
    assert float((other @ direction).mean()) > least
    tensors = {name: tensor.clone() for name, tensor in weights.tensors.items()}
    before, after = "Mixed_5b.branch5x5_1", "Mixed_5b.branch5x5_2"
    tensors[f"{before}.conv.weight"][0] = direction[:, None, None]
    for name, value in (("running_mean", 0), ("running_var", 1 - 0.001), ("weight", 1), ("bias", -least)):
        tensors[f"{before}.bn.{name}"][0] = value
    tensors[f"{after}.conv.weight"][:, 0] = 0
    at = 120 - get_layer("Mixed_5b").branch_of(120).first
    scale = tensors[f"{after}.bn.weight"][at] / (tensors[f"{after}.bn.running_var"][at] + 0.001).sqrt()
    tensors[f"{after}.conv.weight"][at, 0, 2, 2] = 200 / scale
    return Weights(replace(weights.id, sha256="f" * 64), tensors)


def test_a_natural_feature_takes_the_path_of_pictures(honest):
    _, one = honest
    assert one.own.beats_pictures is True
    assert one.is_natural(one.own) is True


def test_a_feature_whose_path_was_altered_is_caught(honest, trained, tmp_path):
    context, before = honest
    altered = rendered(tmp_path, fooled(trained, feature_jobs(context.config)[0]), "Mixed_5b", "[120]")
    after = compared(altered)[120]
    assert [crop.picture for crop in after.crops[:3]] == [crop.picture for crop in before.crops[:3]]
    assert after.quantiles == pytest.approx(before.quantiles, abs=0.3), "pictures do not tell"
    assert after.own.beats_pictures is True
    assert after.own.score > 5 * before.own.score, "the rendering found the silent channel"
    assert after.is_natural(after.own) is False


def test_noise_beats_nothing_and_takes_another_path(honest, tmp_path):
    context, _ = honest
    (job,) = feature_jobs(context.config)
    config = replace(context.config, store=tmp_path)
    write_weights_id(config.store, context.results.weights)
    image, record = open_master(master_path(context.config.store, context.results.weights, job))
    pixels = np.random.default_rng(0).integers(0, 256, (image.height, image.width, 3), np.uint8).tobytes()
    path = master_path(config.store, context.results.weights, job)
    path.parent.mkdir(parents=True)
    write_master(path, pixels, replace(record, pixels_sha256=pixels_sha256(pixels)))
    noise = compared(MeasureContext(Results(config, context.results.weights), context.renderer))[120]
    assert noise.own.beats_pictures is False
    assert noise.is_natural(noise.own) is False


@pytest.fixture(scope="module")
def linear(trained, tmp_path_factory):
    """Conv2d_1a with a feature that is linear in the picture: red minus blue, and never rectified."""
    tensors = {name: tensor.clone() for name, tensor in trained.tensors.items()}
    name = "Conv2d_1a_3x3"
    tensors[f"{name}.conv.weight"][0] = torch.tensor([1.0, 0.0, -1.0])[:, None, None] / 9
    for part, value in (("running_mean", 0), ("running_var", 1 - 0.001), ("weight", 1), ("bias", 2)):
        tensors[f"{name}.bn.{part}"][0] = value
    made = Weights(replace(trained.id, sha256="e" * 64), tensors)
    context = rendered(tmp_path_factory.mktemp("linear"), made, name, 10, seeds=3)
    run_studies(context.config, context.renderer, lambda name: None)
    compared(context)
    return context


def test_a_linear_feature_passes_every_check(linear):
    atlas = gather_atlas(linear.config, linear.results.weights, studies.pages())
    marks = atlas.marks_of(atlas.layer("Conv2d_1a_3x3").by_number[0])
    assert [(mark.label, mark.passed) for mark in marks] == [
        ("seeds agree", True),
        ("beats drawn pictures", True),
        ("natural path", True),
    ]


# words and shares


def example(own, best=1.0, crop_natural=1.0):
    return FeatureExamples("Mixed_5b[0]", (own,), (), quantiles=(0.0,) * 8 + (best,), crop_natural=crop_natural)


def words_of(own, count, best=1.0, **more):
    return photographs_mark(example(own, best), own, count, **more).words.replace("\xa0", " ")


def test_words_say_the_value_and_what_it_takes():
    assert words_of(placed(0, 5000, 3.2), 5000) == (
        "3.2 times the strongest of 5,000 photographs: less than 0.1 % of all such reach it (95 % confidence); "
        "it takes less than 10 %."
    )
    assert "at most 6 % of all such reach it" in words_of(placed(0, 60, 3.2), 60)
    below = words_of(placed(30, 60, 0.4), 60)
    assert below.startswith("30 of 60 photographs activate the feature as much: ")
    assert words_of(placed(0, 60, 1.0), 60, best=0.0).startswith("None of 60 photographs activates the feature")
    assert "drawn pictures" in words_of(placed(0, 60, 3.0), 60, kind="drawn picture")


def test_a_path_is_undecided_where_the_top_crops_have_nothing_in_common():
    other = placed(0, 60, natural=0.5)
    assert path_mark(example(other), other).label == "other path"
    assert path_mark(example(other, crop_natural=0.6), other).label == "path undecided"
    natural = placed(0, 60, natural=0.97)
    assert path_mark(example(natural), natural).label == "natural path"
    assert path_mark(example(natural, crop_natural=0.6), natural).label == "path undecided"
    assert "94.9" in path_mark(example(other), replace(other, natural=0.9499)).words


@pytest.mark.parametrize(("passed", "told"), [(0, 10), (3, 10), (10, 10), (50, 64)])
def test_wilson_limits_solve_its_equation(passed, told):
    """Each limit is a share from which the one that was seen is 1.96 standard errors away."""
    for limit in wilson(passed, told):
        if 0 < limit < 1:
            error = math.sqrt(limit * (1 - limit) / told)
            assert abs(passed / told - limit) == pytest.approx(1.96 * error)
    assert wilson(0, 0) == (0.0, 1.0)


def test_shares_leave_out_what_cannot_be_told():
    assert share_of([True, None, False, True]) == Share(2, 3, 1)


# the site


@pytest.fixture(scope="module")
def site(linear):
    build_site(linear.config, linear.results.weights, studies.pages())
    return linear.config.site


def test_the_site_is_sound_and_says_what_was_measured(linear, site):
    assert check_site(site).faults == ()
    page = " ".join((site / "Conv2d_1a_3x3/0/index.html").read_text().split()).replace("\xa0", " ")
    for anchor in ("seeds", "photographs", "path"):
        assert f'id="{anchor}"' in page
        assert f'href="#{anchor}"' in page
    atlas = gather_atlas(linear.config, linear.results.weights, studies.pages())
    for mark in atlas.marks_of(atlas.layer("Conv2d_1a_3x3").by_number[0]):
        assert page.count(mark.words.replace("\xa0", " ")) == 2, "on hover, and in words"
    one = atlas.once(known_examples).by_target["Conv2d_1a_3x3[0]"]
    for name, level in (("median", 0.5), ("90th percentile", 0.9)):
        value = one.quantiles[QUANTILES.index(level)]
        assert f"{name} {value:.4g}" in page
    layer = (site / "Conv2d_1a_3x3/index.html").read_text()
    assert 'aria-label="seeds agree, beats drawn pictures, natural path"' in layer
    assert '<option value="natural-path">' in layer


def test_the_page_sums_up(linear, site):
    page = " ".join((site / "trust/index.html").read_text().split()).replace("\xa0", " ")
    atlas = gather_atlas(linear.config, linear.results.weights, studies.pages())
    marked = [marks for feature in atlas.features if (marks := atlas.marks_of(feature))]
    best = sum(all(mark.passed for mark in marks) for marks in marked)
    failing = sum(any(mark.passed is False for mark in marks) for marks in marked)
    assert f"{best} of {len(marked)} features pass" in page
    assert f"{failing} fail" in page
    for kind in MARKS:
        share = share_of(mark.passed for marks in marked for mark in marks if mark.kind == kind)
        assert f"{share.passed} of {share.told}" in page
    assert "Beats drawn pictures" in page
    assert "Beats photographs" not in page
    assert page.count('class="tile"') == min(18, best) + min(18, failing)


def test_recipes_are_compared_on_the_features_that_all_of_them_raised():
    """Features whose own recipe is another, such as the large ones, do not empty the table."""
    config = load_config("article")
    recipes, target = map(config.get_recipe, ("crisp", "octaves", "raw")), feature_target("Mixed_5b", 0)
    jobs = {recipe.name: Job(target, recipe, 999) for recipe in recipes}
    shown = [PlannedRendering(job, name, record(job, name.encode())) for name, job in jobs.items()]
    pixels = {one.recipe: one.record.pixels_sha256 for one in shown}

    def feature(number, *recipes, lost=""):
        placed_ones = tuple(
            replace(
                placed(0 if name != "raw" else 50, 60, natural=0.99),
                recipe=name,
                pixels="" if name == lost else pixels[name],
            )
            for name in recipes
        )
        return FeatureExamples(f"Mixed_5b[{number}]", placed_ones, (), crop_natural=1.0)

    known = {
        "a": feature(0, "crisp", "octaves", "raw"),
        "b": feature(1, "crisp", "octaves"),
        "c": feature(2, "crisp", "octaves"),
        "d": feature(3, "crisp", "octaves", "raw", lost="raw"),  # which was not raised, or is another one by now
    }
    atlas = SimpleNamespace(shown_or_pending=shown, once=lambda make: KnownExamples(None, known))
    assert [(name, beats, path.passed) for name, beats, path in page_module._recipes(atlas)] == [
        ("crisp", Share(1, 1), 1),
        ("octaves", Share(1, 1), 1),
        ("raw", Share(0, 1), 1),
    ]


def test_trust_is_in_the_data_and_sorts_the_layer(linear, site):
    rows = list(csv.DictReader((site / "features.csv").read_text().splitlines()))
    assert (rows[0]["seeds"], rows[0]["photographs"], rows[0]["path"]) == ("yes", "yes", "yes")
    assert (rows[1]["seeds"], rows[1]["seeds_value"]) == ("", "")
    assert float(rows[0]["photographs_value"]) > 0.9
    data = json.loads((site / "features.json").read_text())["features"]
    assert {row["path"] for row in data} <= {"yes", "no", "undecided", None}
    atlas = gather_atlas(linear.config, linear.results.weights, studies.pages())
    order = make_orders(atlas)["Conv2d_1a_3x3"]["photographs"]
    ratios = [float(rows[number]["photographs_value"] or 0) for number in order]
    assert ratios == sorted(ratios, reverse=True)


def test_numbers_enter_a_site_that_shows_no_crops(linear, tmp_path):
    config = replace(linear.config, site=tmp_path / "site")
    config = config.with_study(replace(config.study(ExamplesSettings), show=False))
    build_site(config, linear.results.weights, studies.pages())
    assert not (config.site / "examples").exists()
    page = (config.site / "Conv2d_1a_3x3/0/index.html").read_text()
    assert 'id="photographs"' in page
    assert 'id="crops"' not in page
    assert "own drawn pictures" not in page, "nor the title of a collection that is not shown"
    assert check_site(config.site).faults == ()


def test_seeds_are_measured_too(linear):
    assert Results(linear.config, linear.results.weights).read(SEEDS).layers[0].features.keys() == {0}
