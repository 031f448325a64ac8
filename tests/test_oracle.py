"""The renderer against the article's own algorithm, in float64, where rounding cannot send a descent elsewhere."""

from dataclasses import replace

import pytest
import torch

import oracle
from atlas.plan import targets
from atlas.plan.jobs import Job
from atlas.plan.layers import REGIONS
from atlas.render.descent import descend, start_noise, to_pixels
from atlas.render.numerics import resolve_numerics
from atlas.render.objectives import compile_objective, losses
from atlas.render.renderer import Renderer

SIZE = 75
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
    return [d.image for d in descend(network, [targets.parse(text) for text in texts], recipe, start)]


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


@pytest.mark.parametrize("name", ["octaves", "raw", "raster", "quick", "dream"])
@pytest.mark.parametrize("text", ["Mixed_6b[654]", SUM])
def test_every_preset(name, text, network64, model64, recipes):
    recipe = recipes[name].scaled(SIZE, 3)
    (image,) = ours(network64, [text], recipe)
    assert error(image, oracle.article_render(model64, CASES[text], recipe)) < 1e-9


def test_this_file_covers_all_presets(recipes):
    assert set(recipes) == {"octaves", "raw", "raster", "quick", "dream"}


@pytest.mark.parametrize("metric", ["l2", "linf"])
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
    renderer = Renderer(weights, device, resolve_numerics(device, "fp64", 2))
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
    (gradient,) = torch.autograd.grad(losses(objective, activations, "l1", 200.0).sum(), picture)
    cut = oracle.Cut(oracle.torchvision_model(dict(weights.tensors), torch.float32), [layer])
    expected = oracle.article_gradient(cut, picture, [(1, layer, (feature, "whole"))], {layer: (1, 1)}, recipe)
    assert expected.norm() > 0
    assert (gradient - expected).norm() / expected.norm() < 1e-5


def test_float32_scores_agree_with_float64(network32, network64, recipes):
    recipe = recipes["quick"].scaled(SIZE, 10)
    parsed = [targets.parse(f"Mixed_5b[{feature}]") for feature in range(4)]
    start = torch.stack([start_noise(999, recipe.first_size)] * 4)
    for fast, exact in zip(
        descend(network32, parsed, recipe, start), descend(network64, parsed, recipe, start.double()), strict=True
    ):
        assert fast.octaves[0].score_start == pytest.approx(exact.octaves[0].score_start, rel=1e-4)
        assert fast.octaves[-1].score_end == pytest.approx(exact.octaves[-1].score_end, rel=0.1)
