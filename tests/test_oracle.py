"""The renderer against the article's own algorithm, in float64, where rounding cannot send a descent elsewhere."""

import statistics
from dataclasses import replace

import pytest
import torch

import oracle
from atlas.inception import targets
from atlas.inception.layers import REGIONS
from atlas.plan.jobs import Job
from atlas.plan.recipes import METRICS
from atlas.rendering.descent import descend, to_pixels
from atlas.rendering.model import Network
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.objectives import compile_objective, losses
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights
from atlas.studies import load_config
from seeded import closed

SIZE = 75
LARGER = 96  # so that a recipe which resizes by 0.9 sees at least 75 px
PRESETS = tuple(  # of the article and its kin; test_parameterization.py has the others
    name for name, recipe in load_config().recipes.items() if recipe.parameterization == "pixels"
)
SUM = "0.3*Mixed_6a[199] + 0.7*Mixed_6b[201]"
# Mixed_6b has 3×3 neurons at 75 px, Mixed_5b 7×7
CASES = {
    "Conv2d_1a_3x3[3]": [(1, "Conv2d_1a_3x3", (3, "whole"))],
    "Conv2d_4a_3x3[11]": [(1, "Conv2d_4a_3x3", (11, "whole"))],
    "Mixed_5b[200]": [(1, "Mixed_5b", (200, "whole"))],
    "Mixed_6b[654]": [(1, "Mixed_6b", (654, "whole"))],
    "Mixed_7c[2000]": [(1, "Mixed_7c", (2000, "whole"))],
    "Mixed_6b[654, 1, :]": [(1, "Mixed_6b", (654, "row", 1))],
    "Mixed_6b[415, 2, 0]": [(1, "Mixed_6b", (415, "neuron", 2, 0))],
    "Mixed_5b[7, :10]": [(1, "Mixed_5b", (7, "prefix", 10))],
    "Mixed_6b[:]": [(1, "Mixed_6b", (None, "whole"))],
    "Mixed_5d[:, 3, 3]": [(1, "Mixed_5d", (None, "neuron", 3, 3))],
    "Mixed_6d[3] + Mixed_6e[7]": [(1, "Mixed_6d", (3, "whole")), (1, "Mixed_6e", (7, "whole"))],
    SUM: [(0.3, "Mixed_6a", (199, "whole")), (0.7, "Mixed_6b", (201, "whole"))],
    "Mixed_5b[1] + -0.5*Mixed_5b[1, 0, :]": [(1, "Mixed_5b", (1, "whole")), (-0.5, "Mixed_5b", (1, "row", 0))],
}


def ours(network, texts, recipe, seed=999):
    start = torch.stack([start_noise(seed, recipe.first_size)] * len(texts)).double()
    return [d.image for d in descend(network, [targets.parse(text) for text in texts], recipe, start, seed=seed)]


def error(one, other):
    return (one - other).abs().max().item()


def test_cases_cover_every_region_and_kind_of_target():
    parsed = [targets.parse(text) for text in CASES]
    layers = {term.layer for target in parsed for term in target.terms}
    assert all(layers & set(region.layers) for region in REGIONS)
    assert {type(t.position).__name__ for p in parsed for t in p.terms} == {"Whole", "Row", "Neuron", "Prefix"}


@pytest.mark.parametrize("text", CASES)
def test_every_kind_of_target_alone(text, network64, model64, recipes):
    recipe = recipes["octaves"].scaled(SIZE, 2)
    (image,) = ours(network64, [text], recipe)
    expected = oracle.article_render(model64, CASES[text], recipe)
    assert error(image, expected) < 1e-9
    assert torch.equal(to_pixels(image), to_pixels(expected))
    start = start_noise(999, recipe.first_size).double()
    moved = torch.nn.functional.interpolate(start[None], image.shape[-2:], mode="bilinear", antialias=True)[0]
    assert error(image, moved) > 1e-3, "the descent must go somewhere for this test to mean anything"


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("text", ["Mixed_6b[654]", SUM])
def test_every_preset(name, text, weights, network64, model64, recipes):
    """With weights that expect 2x − 1, which is what recipes with trained input give them."""
    recipe = recipes[name].scaled(LARGER, 5) if recipes[name].resize else recipes[name].scaled(SIZE, 3)
    is_trained = recipe.input == "trained"
    network = Network(weights, torch.device("cpu"), torch.float64, "2x-1") if is_trained else network64
    (image,) = ours(network, [text], recipe)
    expected = oracle.article_render(model64, CASES[text], recipe, transform_input=is_trained, normalise=is_trained)
    assert error(image, expected) < 1e-9


@pytest.mark.parametrize(
    "text", ["Mixed_6b[654]", "Mixed_6b[654, 1, :]", "Mixed_6b[415, 2, 0]", "Mixed_5b[7, :10]", SUM]
)
def test_resizing_with_octaves_and_positions(text, network64, model64, recipes):
    recipe = replace(recipes["octaves"].scaled(SIZE, 3), resize=(1.0, 1.4))
    (image,) = ours(network64, [text], recipe)
    assert error(image, oracle.article_render(model64, CASES[text], recipe)) < 1e-9
    assert error(image, oracle.article_render(model64, CASES[text], replace(recipe, resize=None))) > 1e-4


def test_a_batch_sees_one_size_and_each_row_is_what_it_is_alone(network64, model64, recipes):
    recipe = recipes["smooth"].scaled(LARGER, 5)
    texts = [text for text in CASES if not targets.parse(text).has_positions]
    for text, image in zip(texts, ours(network64, texts, recipe), strict=True):
        assert error(image, oracle.article_render(model64, CASES[text], recipe)) < 1e-9


DEAD = {  # a feature, and the convolution that ends its path, one channel of which is closed on the start noise
    "Conv2d_2b_3x3[5]": ("Conv2d_2b_3x3", 5),
    "Mixed_5b[7]": ("Mixed_5b.branch1x1", 7),
    "Mixed_6a[487]": ("Mixed_5d.branch1x1", 7),  # pooled: its ReLU lies in the layer before
    "Mixed_6a[700]": ("Mixed_5d.branch3x3dbl_3", 92),
    "Mixed_7b[1860]": ("Mixed_7b.branch_pool", 4),
}


@pytest.mark.parametrize("text", DEAD)
@pytest.mark.parametrize("gradient", ["sum", "rms"])
def test_dead_features_are_rescued(text, gradient, weights, recipes):
    tensors = closed(weights.tensors, *DEAD[text])
    network = Network(Weights(weights.id, tensors), torch.device("cpu"), torch.float64)
    recipe = replace(recipes["rescued"].scaled(SIZE, 3), gradient=gradient, rescue_steps=2)
    target = targets.parse(text)
    focus = [(1, target.deepest, (target.terms[0].feature, "whole"))]
    live, image = ours(network, ["Conv2d_2b_3x3[6]", text], recipe)
    model = oracle.torchvision_model(tensors, torch.float64)
    grey = ours(network, [text], replace(recipe, rescue_steps=None))[0]
    assert error(image, grey) > 1e-4, "the feature must be dead without the rescue, and move with it"
    assert error(image, oracle.article_render(model, focus, recipe)) < 1e-9
    assert error(live, oracle.article_render(model, [(1, "Conv2d_2b_3x3", (6, "whole"))], recipe)) < 1e-9


@pytest.mark.parametrize("metric", METRICS[1:])
def test_other_metrics(metric, network64, model64, recipes):
    recipe = replace(recipes["raw"].scaled(SIZE, 3), metric=metric)
    for text in ("Mixed_5b[200]", SUM):
        (image,) = ours(network64, [text], recipe)
        assert error(image, oracle.article_render(model64, CASES[text], recipe)) < 1e-9


def test_a_batch_of_all_targets_is_what_each_is_alone(network64, model64, recipes):
    recipe = recipes["raster"].scaled(SIZE, 3)
    together = ours(network64, list(CASES), recipe)
    for text, image in zip(CASES, together, strict=True):
        assert error(image, oracle.article_render(model64, CASES[text], recipe)) < 1e-9


def test_many_steps_stay_together(network64, model64, recipes):
    recipe = recipes["octaves"].scaled(SIZE, 25)
    (image,) = ours(network64, ["Mixed_6b[654]"], recipe)
    expected = oracle.article_render(model64, CASES["Mixed_6b[654]"], recipe)
    assert error(image, expected) < 1e-9
    assert torch.equal(to_pixels(image), to_pixels(expected))


@pytest.mark.parametrize("change", [{"blur_first": True}, {"seed": 998}, {"transform_input": True}])
def test_the_oracle_tells_a_wrong_algorithm(change, network64, model64, recipes):
    recipe = recipes["octaves"].scaled(SIZE, 2)
    (image,) = ours(network64, ["Mixed_6b[654]"], recipe)
    assert error(image, oracle.article_render(model64, CASES["Mixed_6b[654]"], recipe, **change)) > 1e-4


def test_masters_in_fp64_are_the_articles_pictures(weights, model64, recipes):
    recipe = recipes["octaves"].scaled(SIZE, 4)
    device = torch.device("cpu")
    renderer = Renderer(weights, device, resolve_numerics(device, "fp64", 1))
    texts = ["Mixed_6b[654]", "Mixed_6b[415, 2, 0]", "Mixed_6b[:]"]
    for rendering in renderer.render([Job(targets.parse(text), recipe, 999) for text in texts], 4):
        expected = to_pixels(oracle.article_render(model64, CASES[rendering.record.target], recipe))
        assert rendering.pixels == expected.permute(1, 2, 0).contiguous().numpy().tobytes()


@pytest.mark.parametrize("layer", ["Conv2d_2b_3x3", "Mixed_5d", "Mixed_6c", "Mixed_6e", "Mixed_7b"])
def test_float32_gradients_agree_with_the_articles_in_one_step(layer, weights, network32, recipes):
    """On a random picture: on the start noise these weights are so near their kinks that rounding flips a ReLU.

    There, torchvision's own float32 is 1e-3 from its float64 at Mixed_6c, and as far from ours.
    """
    recipe = recipes["raster"].scaled(96, 1)
    picture = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)).requires_grad_()
    activations = network32.activations(picture, {layer})
    feature = int(activations[layer].sum((0, 2, 3)).argmax())
    target = targets.feature_target(layer, feature)
    objective = compile_objective([target], recipe.first_size, recipe.first_size, torch.device("cpu"), torch.float32)
    wanted = network32.activations(picture, {layer}, objective.wanted)
    (gradient,) = torch.autograd.grad(losses(objective, wanted, "l1", 200.0).sum(), picture)
    cut = oracle.Cut(oracle.torchvision_model(dict(weights.tensors), torch.float32), [layer])
    expected = oracle.article_gradient(cut, picture, [(1, layer, (feature, "whole"))], {layer: (1, 1)}, recipe)
    assert expected.norm() > 0
    assert (gradient - expected).norm() / expected.norm() < 1e-5


def test_float32_scores_agree_with_float64(network32, network64, recipes):
    """In the middle of many features: of a single one rounding flips a ReLU within a few steps."""
    recipe = recipes["quick"].scaled(SIZE, 5)
    parsed = [targets.parse(f"Mixed_5b[{feature}]") for feature in range(16)]
    start = torch.stack([start_noise(999, recipe.first_size)] * 16)
    fast = descend(network32, parsed, recipe, start)
    exact = descend(network64, parsed, recipe, start.double())
    starts, ends = (
        sorted(ratio(a, b) for a, b in zip(fast, exact, strict=True)) for ratio in (_start_ratio, _end_ratio)
    )
    assert starts[0] > 1 - 1e-4
    assert starts[-1] < 1 + 1e-4
    assert statistics.median(ends) == pytest.approx(1, abs=0.02)


def _start_ratio(fast, exact):
    return fast.octaves[0].score_start / exact.octaves[0].score_start


def _end_ratio(fast, exact):
    return fast.octaves[-1].score_end / exact.octaves[-1].score_end
