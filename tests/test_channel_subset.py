"""The last block cut down to the wanted features: equal to the whole block, and no more than is needed."""

import pytest
import torch

from atlas.inception import layers, targets
from atlas.inception.architecture import Conv
from atlas.inception.layers import LAYERS
from atlas.rendering.descent import descend
from atlas.rendering.model import subset_of
from atlas.rendering.objectives import compile_objective
from atlas.rendering.parameterization import start_noise

CPU = torch.device("cpu")
IMAGES = torch.rand(3, 3, 80, 93, generator=torch.Generator().manual_seed(5)).double()


def some_features(layer):
    """Two features of each branch, out of order, and one of them twice."""
    features = [feature for branch in layer.branches for feature in (branch.range[-1], branch.first)]
    return [*features[1:], features[0], features[1]]


@pytest.fixture(scope="module")
def whole(network64):
    with torch.inference_mode():
        return network64.activations(IMAGES, {layer.name for layer in LAYERS})


@pytest.fixture
def ran(network64, monkeypatch):
    """Names of the convolutions that ran whole."""
    names = []
    apply = type(network64)._apply

    def watched(self, layer, op, maps):
        if isinstance(op, Conv):
            names.append(layer.parameter(op))
        return apply(self, layer, op, maps)

    monkeypatch.setattr(type(network64), "_apply", watched)
    return names


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_wanted_features_are_those_of_the_whole_layer(layer, network64, whole):
    features = some_features(layer)
    wanted = subset_of(layer.name, features, set(), CPU)
    with torch.inference_mode():
        found = network64.activations(IMAGES, {layer.name}, wanted)[layer.name]
    torch.testing.assert_close(found, whole[layer.name][:, features], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "feature"), [("Mixed_6a", 480), ("Mixed_6a", 767), ("Mixed_7a", 512)])
@pytest.mark.parametrize("with_layer_before", [False, True])
def test_features_that_a_pool_passes_on(name, feature, with_layer_before, network64, whole, ran):
    before = LAYERS[layers.depth(name) - 1].name
    taps = {before} if with_layer_before else set()
    with torch.inference_mode():
        found = network64.activations(IMAGES, {name, *taps}, subset_of(name, [feature] * 3, taps, CPU))
    torch.testing.assert_close(found[name], whole[name][:, [feature] * 3], rtol=1e-10, atol=1e-12)
    assert not any(parameter.startswith(name) for parameter in ran)
    is_whole = sum(parameter.startswith(before) for parameter in ran) >= len(layers.get_layer(before).branches)
    assert is_whole == with_layer_before
    if with_layer_before:
        torch.testing.assert_close(found[before], whole[before])


def test_only_the_branch_of_the_features_runs(network64, ran):
    with torch.inference_mode():
        network64.activations(IMAGES, {"Mixed_6b"}, subset_of("Mixed_6b", [200, 383, 200], set(), CPU))
    assert [name for name in ran if name.startswith("Mixed_6b")] == ["Mixed_6b.branch7x7_1", "Mixed_6b.branch7x7_2"]


def test_of_several_layers_only_the_deepest_is_cut_down():
    two = compile_objective(
        [targets.parse("Mixed_6a[199] + Mixed_6b[201]")] * 2, (299, 299), (299, 299), CPU, torch.float32
    )
    assert two.wanted is not None
    assert two.wanted.layer.name == "Mixed_6b"
    every = [targets.parse("Mixed_6b[:]"), targets.parse("Mixed_6b[3]")]
    assert compile_objective(every, (299, 299), (299, 299), CPU, torch.float32).wanted is None


TEXTS = ("Mixed_6a[3]", "Mixed_6a[400]", "Mixed_6a[700]", "Mixed_6a[479] + Mixed_6a[480]")


@pytest.mark.parametrize("text", TEXTS)
def test_a_row_does_not_know_what_its_neighbours_want(text, network32, recipes):
    recipe = recipes["quick"].scaled(96, 2)
    start = torch.stack([start_noise(999, recipe.first_size)] * 2)
    alone = descend(network32, [targets.parse(text)] * 2, recipe, start)[0]
    for other in TEXTS:
        rows = descend(network32, [targets.parse(other), targets.parse(text)], recipe, start)
        assert torch.equal(rows[1].image, alone.image)
        assert rows[1].octaves == alone.octaves
