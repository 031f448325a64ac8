"""Which features feed a feature: folded weights, composed along the branches of a block → shares of the norm.

Needs only the weights. A chain of convolutions without the ReLUs between them is one convolution, whose kernel is the
composition of theirs; what a feature gets from a feature before is the part of that kernel which belongs to the two.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from atlas.inception.architecture import Conv, Op, Pool
from atlas.inception.layers import Branch, Layer, get_layer
from atlas.plan.config import Config
from atlas.render.model import fold
from atlas.render.weights import Weights
from atlas.store.result_files import rounded
from atlas.studies.connections.result import (
    Connections,
    Ties,
    Wiring,
    connected_layers,
    connections_spec,
    layer_before,
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
    config = context.results.config
    before = layer_before(layer)
    here, there = config.features_of(layer), config.features_of(before)
    shares = connection_shares(context.renderer.weights, get_layer(layer))
    count = config.study(Settings).strongest
    everything = range(shares.shape[0]), range(shares.shape[1])
    return Connections(
        layer=layer,
        before=before,
        fed_by=tuple(strongest(shares[feature], everything[1], count) for feature in everything[0]),
        fed_by_planned={feature: strongest(shares[feature], there, count) for feature in here},
        feeds={feature: strongest(shares[:, feature], everything[0], count) for feature in there},
        feeds_planned={feature: strongest(shares[:, feature], here, count) for feature in there},
    )


def measure_wiring(context: MeasureContext, layer: str) -> Wiring:
    """Which planned features of a layer are wired alike: those of one branch, by the cosine of their kernels."""
    config = context.results.config
    planned, count = config.features_of(layer), config.study(Settings).strongest
    alike: dict[int, Ties] = {}
    for branch in get_layer(layer).branches:
        members = [feature for feature in planned if feature in branch.range]
        if not members or not any(isinstance(op, Conv) for op in branch.ops):
            continue  # a pool alone is as many paths as it has features
        cosines = kernel_cosines(context.renderer.weights, get_layer(layer), branch, members)
        for row, feature in enumerate(members):
            cosines[row, row] = 0  # a feature is no neighbour of its own
            found = strongest(cosines[row].clamp_min(0), range(len(members)), count)
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
    kernels = _folded(weights, layer, branch)
    ends = torch.eye(branch.features, dtype=torch.float64)[[feature - branch.first for feature in features]]
    rows = (_composed(ends[at : at + ROWS], branch.ops, kernels) for at in range(0, len(ends), ROWS))
    vectors = torch.cat([some.permute(2, 0, 1, 3).flatten(1).float() for some in rows])  # [n, height · width · inputs]
    directions = torch.nn.functional.normalize(vectors)
    return (directions @ directions.T).double()


def connection_shares(weights: Weights, layer: Layer) -> Tensor:
    """What share of a feature's squared norm each feature before has.

    Args:
        weights: to be folded.
        layer: any but the first.

    Returns:
        [features, features before] float64 on the CPU; a row adds up to 1, or to 0 where all weights are 0.
    """
    parts = (squared_norms(branch, _folded(weights, layer, branch), layer.inputs) for branch in layer.branches)
    norms = torch.cat(list(parts))  # [features, features before]
    return norms / norms.sum(1, keepdim=True).clamp_min(torch.finfo(norms.dtype).tiny)


def squared_norms(branch: Branch, kernels: Mapping[Conv, Tensor], inputs: int) -> Tensor:
    """Squared L2 norms of a branch's composed kernels; exact for its convolutions without the ReLUs.

    An average pool is a uniform kernel. A max pool counts as the channel itself, as do the pools between layers. A
    stride leaves out positions and not weights, so it does not matter.

    Args:
        branch: the path.
        kernels: of its convolutions, [out, in, height, width] each.
        inputs: features that enter it.

    Returns:
        [branch.features, inputs].
    """
    last = branch.ops[-1]
    ends = torch.eye(last.out if isinstance(last, Conv) else inputs, dtype=torch.float64)  # [features, features]
    parts = (ends[at : at + ROWS] for at in range(0, len(ends), ROWS))
    return torch.cat([_composed(end, branch.ops, kernels).square().sum((0, 1)) for end in parts])


def strongest(shares: Tensor, among: Sequence[int], count: int) -> Ties:
    """The largest shares above 0 among some features.

    Args:
        shares: [n], by feature.
        among: which of them, ascending; of equal shares the first comes first.
        count: at most so many.
    """
    chosen = shares[list(among)]
    order = chosen.argsort(descending=True, stable=True)[:count].tolist()
    found = ((among[at], rounded(float(chosen[at]))) for at in order)
    return tuple((feature, share) for feature, share in found if share)


def _folded(weights: Weights, layer: Layer, branch: Branch) -> dict[Conv, Tensor]:
    """The kernels of a branch's convolutions, [out, in, height, width] each."""
    return {op: fold(weights.tensors, layer.parameter(op))[0].cpu() for op in branch.ops if isinstance(op, Conv)}


def _composed(end: Tensor, ops: Sequence[Op], kernels: Mapping[Conv, Tensor]) -> Tensor:
    """Kernels from the input of a path to some features at its end, put together from the end.

    Args:
        end: the features, one-hot, [rows, out].
        ops: the path.
        kernels: of its convolutions.

    Returns:
        [height, width, rows, inputs].
    """
    composed = end[None, None]  # [1, 1, rows, out]
    for op in reversed(ops):
        if isinstance(op, Conv):
            composed = _full_convolution(composed, kernels[op].permute(2, 3, 0, 1))
        elif op.kind == "avg":
            composed = _averaged(composed, op)
    return composed


def _full_convolution(one: Tensor, other: Tensor) -> Tensor:
    """Full 2-D convolution of kernels and product of their channels: [h, w, r, m], [h', w', m, i] -> [h″, w″, r, i]."""
    height, width, rows, _ = one.shape
    tall, wide, _, inputs = other.shape
    found = one.new_zeros(height + tall - 1, width + wide - 1, rows, inputs)
    for row in range(tall):
        for col in range(wide):
            found[row : row + height, col : col + width] += one @ other[row, col]
    return found


def _averaged(kernel: Tensor, pool: Pool) -> Tensor:
    """Full convolution with an average pool, which is a uniform kernel: [h, w, r, i] -> [h′, w′, r, i]."""
    height, width = kernel.shape[:2]
    tall, wide = pool.kernel
    found = kernel.new_zeros(height + tall - 1, width + wide - 1, *kernel.shape[2:])
    for row in range(tall):
        for col in range(wide):
            found[row : row + height, col : col + width] += kernel / (tall * wide)
    return found
