"""Which features feed a feature: folded weights, composed along the branches of a block → shares of the norm.

Needs only the weights. A chain of convolutions without the ReLUs between them is one convolution, whose kernel is the
composition of theirs; what a feature gets from a feature before is the part of that kernel which belongs to the two.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception.architecture import Conv, Op
from atlas.inception.layers import Branch, Layer, get_layer, layer_before
from atlas.plan.config import Config
from atlas.rendering.model import fold
from atlas.rendering.weights import Weights
from atlas.studies.connections.result import (
    Connections,
    Ties,
    Wiring,
    connected_layers,
    connections_spec,
    wired_layers,
    wiring_spec,
)
from atlas.studies.connections.settings import Settings
from atlas.studies.shared.context import MeasureContext, Measurement

ROWS = 32  # features whose composed kernels are held in memory together


def measurements(config: Config) -> Iterator[Measurement]:
    """The layers' connections, then which of their features are wired alike."""
    for layer in connected_layers(config):
        yield Measurement(connections_spec(layer), partial(measure_connections, layer=layer))
    for layer in wired_layers(config):
        yield Measurement(wiring_spec(layer), partial(measure_wiring, layer=layer))


def measure_connections(context: MeasureContext, layer: str) -> Connections:
    """The strongest connections between a layer and the one before it."""
    config = context.config
    before = layer_before(layer).name
    here, there = config.features_of(layer), config.features_of(before)
    shares = connection_shares(context.renderer.weights, get_layer(layer))
    count = config.study(Settings).strongest
    everything = range(shares.shape[0]), range(shares.shape[1])
    return Connections(
        layer=layer,
        before=before,
        fed_by=tuple(largest(shares[feature], everything[1], count) for feature in everything[0]),
        fed_by_planned={feature: largest(shares[feature], there, count) for feature in here},
        feeds={feature: largest(shares[:, feature], everything[0], count) for feature in there},
        feeds_planned={feature: largest(shares[:, feature], here, count) for feature in there},
    )


def measure_wiring(context: MeasureContext, layer: str) -> Wiring:
    """Which planned features of a layer are wired alike: those of one branch, by the cosine of their kernels."""
    config = context.config
    planned, count = config.features_of(layer), config.study(Settings).strongest
    alike: dict[int, Ties] = {}
    for branch in get_layer(layer).branches:
        members = [feature for feature in planned if feature in branch.range]
        if not members or not any(isinstance(op, Conv) for op in branch.ops):
            continue  # a pool alone is as many paths as it has features
        cosines = kernel_cosines(context.renderer.weights, get_layer(layer), branch, members)
        for row, feature in enumerate(members):
            cosines[row, row] = 0  # a feature is no neighbour of its own
            found = largest(cosines[row].clamp_min(0), range(len(members)), count)
            alike[feature] = tuple((members[at], cosine) for at, cosine in found)
    return Wiring(layer, alike)


def kernel_cosines(weights: Weights, layer: Layer, branch: Branch, features: Sequence[int]) -> Tensor:
    """Cosines between the composed kernels of some features of a branch that has convolutions.

    Args:
        weights: to be folded.
        layer: whose branch it is.
        branch: the path.
        features: n of them, by their numbers in the layer.

    Returns:
        [n, n] float64, each from −1 to 1; 0 where all weights of a feature are 0.
    """
    ends = torch.eye(branch.features, dtype=torch.float64)[[feature - branch.first for feature in features]]
    kernels = composed_kernels(branch.ops, _folded(weights, layer, branch), ends)
    # [rows, inputs, height, width] each -> [n, height · width · inputs]
    vectors = torch.cat([some.permute(0, 2, 3, 1).flatten(1).float() for some in kernels])
    directions = F.normalize(vectors)
    return (directions @ directions.T).double()


def connection_shares(weights: Weights, layer: Layer) -> Tensor:
    """What share of a feature's squared norm each feature before has.

    Args:
        weights: to be folded.
        layer: any but the first.

    Returns:
        [features, features before] float64 on the CPU; a row adds up to 1, or to 0 where all weights are 0.
    """
    norms = torch.cat([squared_norms(branch, _folded(weights, layer, branch)) for branch in layer.branches])
    return norms / norms.sum(1, keepdim=True).clamp_min(torch.finfo(norms.dtype).tiny)


def squared_norms(branch: Branch, kernels: Mapping[Conv, Tensor]) -> Tensor:
    """Squared L2 norms of a branch's composed kernels, [branch.features, inputs]; for the arguments see there."""
    ends = torch.eye(branch.features, dtype=torch.float64)
    return torch.cat([some.square().sum((2, 3)) for some in composed_kernels(branch.ops, kernels, ends)])


def largest(shares: Tensor, among: Sequence[int], count: int) -> Ties:
    """The largest shares above 0 among some features.

    Args:
        shares: [n], by feature.
        among: which of them, ascending; of equal shares the first comes first.
        count: at most so many.
    """
    chosen = shares[list(among)]
    order = chosen.argsort(descending=True, stable=True)[:count].tolist()
    return tuple((among[at], float(chosen[at])) for at in order if chosen[at] > 0)


def composed_kernels(ops: Sequence[Op], kernels: Mapping[Conv, Tensor], ends: Tensor) -> Iterator[Tensor]:
    """Kernels from the input of a path to features at its end; exact for its convolutions without the ReLUs.

    An average pool is a uniform kernel. A max pool counts as the channel itself, as do the pools between layers. A
    stride leaves out positions and not weights, so it does not matter.

    Args:
        ops: the path.
        kernels: of its convolutions, [out, in, height, width] each.
        ends: the features, one-hot, [n, out].

    Yields:
        [rows, inputs, height, width], a few features at a time.
    """
    for end in ends.split(ROWS):
        composed = end[:, :, None, None]  # [rows, out, 1, 1]
        for op in reversed(ops):
            if isinstance(op, Conv):  # a transposed convolution is the full one, which composes kernels
                composed = F.conv_transpose2d(composed, kernels[op])
            elif op.kind == "avg":
                uniform = end.new_full((1, 1, *op.kernel), 1 / (op.kernel[0] * op.kernel[1]))
                # [rows · inputs, 1, height, width]
                spread = F.conv_transpose2d(composed.flatten(0, 1)[:, None], uniform)
                composed = spread.reshape(*composed.shape[:2], *spread.shape[2:])
        yield composed


def _folded(weights: Weights, layer: Layer, branch: Branch) -> dict[Conv, Tensor]:
    """The kernels of a branch's convolutions, [out, in, height, width] each."""
    return {op: fold(weights.tensors, layer.parameter(op))[0].cpu() for op in branch.ops if isinstance(op, Conv)}
