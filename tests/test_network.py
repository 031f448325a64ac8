"""The folded, truncated network against torchvision's, and the layer table against both."""

import copy

import pytest
import torch
import torch.nn.functional as F

import oracle
from atlas.inception import layers
from atlas.inception.architecture import Pool
from atlas.inception.layers import LAYERS
from atlas.rendering import model
from atlas.rendering.model import Network, subset_of
from atlas.rendering.weights import expected_shapes

IMAGE = torch.rand(2, 3, 80, 107, generator=torch.Generator().manual_seed(3)).double()
NAMES = [layer.name for layer in LAYERS]


@pytest.fixture(scope="module")
def theirs(model64):
    with torch.inference_mode():
        return oracle.Cut(model64, NAMES)(IMAGE)


@pytest.fixture(scope="module")
def ours(network64):
    with torch.inference_mode():
        return network64.activations(IMAGE, set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_torchvisions(name, ours, theirs):
    assert ours[name].shape == theirs[name].shape
    torch.testing.assert_close(ours[name], theirs[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS, ids=NAMES)
def test_table_knows_features_and_grid(layer, theirs):
    assert theirs[layer.name].shape[1:] == (layer.features, *layers.grid(layer.name, (80, 107)))


def test_only_the_layers_needed_run(network64, monkeypatch):
    ran = []
    apply = type(network64)._apply
    monkeypatch.setattr(
        type(network64), "_apply", lambda self, layer, op, x: ran.append(layer.name) or apply(self, layer, op, x)
    )
    with torch.inference_mode():
        network64.activations(IMAGE, {"Conv2d_2b_3x3"})
    assert set(ran) == {"Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"}


def test_expected_shapes_are_torchvisions(model64):
    state = model64.state_dict()
    shapes = expected_shapes()
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    others = [n for n in state if n not in shapes and not n.startswith(("fc", "AuxLogits"))]
    assert all(name.endswith("num_batches_tracked") for name in others)


# GFLOP of one step at 299, 340 and 380 px: counted once for the design, by another program
GFLOP = {
    "Conv2d_1a_3x3": (0.08, 0.10, 0.12),
    "Conv2d_2a_3x3": (0.87, 1.13, 1.41),
    "Conv2d_2b_3x3": (2.47, 3.18, 3.99),
    "Conv2d_3b_1x1": (2.58, 3.32, 4.17),
    "Conv2d_4a_3x3": (5.36, 6.95, 8.75),
    "Mixed_5b": (6.6, 8.6, 10.8),
    "Mixed_5c": (8.0, 10.4, 13.1),
    "Mixed_5d": (9.4, 12.2, 15.4),
    "Mixed_6a": (11.0, 14.2, 18.0),
    "Mixed_6b": (12.5, 16.1, 20.5),
    "Mixed_6c": (14.4, 18.5, 23.8),
    "Mixed_6d": (16.4, 20.9, 27.1),
    "Mixed_6e": (18.8, 24.0, 31.2),
    "Mixed_7a": (20.0, 25.5, 33.1),
    "Mixed_7b": (21.3, 27.1, 35.2),
    "Mixed_7c": (22.8, 29.1, 37.6),
}


@pytest.mark.parametrize("name", NAMES)
def test_work_of_a_step(name):
    measured = [layers.step_flops(name, (size, size)) / 1e9 for size in (299, 340, 380)]
    digits = 2 if GFLOP[name][0] < 6 else 1
    assert [round(value + 1e-9, digits) for value in measured] == pytest.approx(
        GFLOP[name], abs=0.06 if digits == 1 else 0.011
    )


@pytest.mark.parametrize("name", NAMES)
def test_work_of_a_feature_is_what_its_convolutions_do(name, network64, monkeypatch):
    """Counted while they run: a multiply-add is two operations, and the gradient costs as much again."""
    counted = []
    conv2d = F.conv2d

    def count(maps, weight, *arguments):
        made = conv2d(maps, weight, *arguments)
        counted.append(made[0, 0].numel() * weight.numel())
        return made

    monkeypatch.setattr(F, "conv2d", count)
    for branch in layers.get_layer(name).branches:
        counted.clear()
        wanted = subset_of(name, [branch.first], set(), torch.device("cpu"))
        with torch.inference_mode():
            network64.activations(IMAGE[:1], {name}, wanted)
        assert 4 * sum(counted) == layers.step_flops(name, (80, 107), branch.first)


def test_facts_of_the_network():
    assert sum(layer.features for layer in LAYERS) == 10_448
    assert [layers.grid(name, (299, 299))[0] for name in NAMES] == [149, 147, 147, 73, 71, 35, 35, 35] + [17] * 5 + [
        8
    ] * 3
    widths = {f: layers.receptive_field("Mixed_6b", f).size for f in (0, 191, 192, 384, 575, 576, 767)}
    assert [size[0] for size in widths.values()] == [159, 159, 255, 351, 351, 191, 191]


@pytest.mark.parametrize(
    ("name", "feature", "at"), [("Conv2d_2b_3x3", 3, (7, 9)), ("Mixed_5b", 70, (5, 5)), ("Mixed_5b", 250, (6, 6))]
)
def test_receptive_field_is_where_the_gradient_reaches(name, feature, at, network64):
    """No ReLU may hide a path: with positive weights and pictures every path is open."""
    field = layers.receptive_field(name, feature)
    size = 200
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    opened = _opened(network64)
    value = opened.activations(image, {name})[name][0, feature, at[0], at[1]]
    reached = torch.autograd.grad(value, image)[0].abs().sum((0, 1)) > 0
    rows, cols = reached.any(1).nonzero().flatten(), reached.any(0).nonzero().flatten()
    top, left, bottom, right = field.box(*at)
    assert (rows.min().item(), cols.min().item()) == (max(0, top), max(0, left))
    assert (rows.max().item() + 1, cols.max().item() + 1) == (min(size, bottom), min(size, right))


def _opened(network):
    """A copy in which every path is open: positive weights, and max pools that pass all of their window."""
    opened = copy.copy(network)
    opened._folded = {
        k: (w.abs() / w.abs().sum((1, 2, 3), keepdim=True), b.abs() + 1e-3) for k, (w, b) in network._folded.items()
    }
    plain = opened._apply

    def apply(layer, op, maps):
        if isinstance(op, Pool) and op.kind == "max":
            return F.avg_pool2d(maps, op.kernel, op.stride)
        return plain(layer, op, maps)

    opened._apply = apply
    return opened


@pytest.mark.parametrize("layer", ["Mixed_5b", "Mixed_6b", "Mixed_7c"])
def test_the_forms_for_a_gpu_give_the_same_gradients(layer, weights, network64, monkeypatch):
    """Average pools behind their convolutions, bias and ReLU in one kernel, a symmetric transpose: here without one."""

    def convolution_relu(maps, weight, bias, stride, padding, dilation, groups):
        return F.conv2d(maps, weight, bias, stride, padding, dilation, groups).relu()

    monkeypatch.setattr(torch, "cudnn_convolution_relu", convolution_relu)
    monkeypatch.setattr(model, "average_pool", model._AveragePool.apply)
    for_gpu = Network(weights, network64.device, torch.float64)
    for_gpu._pools_late = for_gpu._fuses = True
    features = range(0, layers.get_layer(layer).features, 40)
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for network in (network64, for_gpu):
        leaf = images.clone().requires_grad_()
        wanted = subset_of(layer, features, {layer}, network.device)
        for run in (network.activations, network.straight_activations):
            maps = run(leaf, {layer}, wanted)[layer]
            found.append((maps, torch.autograd.grad(maps.square().sum() + maps.sum(), leaf)[0]))
    for one, two in zip(found[:2], found[2:], strict=True):
        for ours, theirs in zip(one, two, strict=True):
            assert theirs.abs().max() > 0
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
