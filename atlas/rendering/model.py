"""The network: images → activations at the tapped layers; frozen, folded, cut off below the deepest of them.

A batch wants one feature a row, and nothing of the deepest layer's other features reaches its loss. So neither their
channels nor the branches that only they need are computed (`ChannelSubset`). This changes no number, and made a step at
299 px on two cores faster: 2.6 instead of 4.0 ms at Conv2d_1a, 12.8 instead of 19.9 at Conv2d_4a, 41.5 instead of 44.7
at Mixed_6b.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception import layers
from atlas.inception.architecture import MEAN_POOL, Conv, Op
from atlas.inception.layers import ALL_LAYERS, FC, LAYERS, Branch, Layer, convolutions, layer_before
from atlas.plan.recipes import InputMap
from atlas.rendering.weights import Weights

BATCH_NORM_EPSILON = 0.001  # torchvision's InceptionV3
FIRST = "Conv2d_1a_3x3"
POOLED = "branch_pool"  # the 1×1 convolutions that follow an average pool
IMAGE_CHANNELS = 3  # as many have no kernel that does it all at once

Apply = Callable[[Layer, Op, Tensor], Tensor]
Paths = dict[tuple[Op, ...], Tensor]  # maps behind each path of a block, of which some branches share the beginning


@dataclass(frozen=True)
class BranchSubset:
    """A branch, and which of its channels make which of the n wanted features."""

    branch: Branch
    channels: Tensor  # [n] int64: channel of the branch; 0 for features of other branches
    is_here: Tensor  # [n] bool: whether this branch makes the feature


@dataclass(frozen=True)
class ChannelSubset:
    """Some features of one layer, n of them, in any order; a feature may be repeated."""

    layer: Layer
    features: Tensor  # [n] int64
    branches: tuple[BranchSubset, ...]  # those that make any of the features
    below: "ChannelSubset | None"  # if a pool makes all of them: the features of the layer before that it pools

    @property
    def first(self) -> Layer:
        """The first layer that does not run whole."""
        return self.below.first if self.below else self.layer


def subset_of(layer: str, features: Sequence[int], taps: Collection[str], device: torch.device) -> ChannelSubset:
    """Find what must run of a layer for some of its features.

    Args:
        layer: the deepest layer that runs.
        features: those wanted, 0 ≤ feature < features of the layer.
        taps: layers whose maps are needed whole, besides this one.
        device: where the network runs.
    """
    block = layers.get_layer(layer)
    branches, channels = [], list[int]()
    for branch in block.branches:
        is_here = [feature in branch.range for feature in features]
        if any(is_here):
            channels = [feature - branch.first if feature in branch.range else 0 for feature in features]
            subset = BranchSubset(branch, torch.tensor(channels, device=device), torch.tensor(is_here, device=device))
            branches.append(subset)
    below = None
    if len(branches) == 1 and branches[0].branch.ends_in_pool and (before := layer_before(layer).name) not in taps:
        below = subset_of(before, channels, taps, device)  # a pool passes on each feature by itself
    return ChannelSubset(block, torch.tensor(features, device=device), tuple(branches), below)


class Network:
    """InceptionV3 in eval mode, with each batch norm folded into its convolution and no weight gradients.

    The network takes pixels x in [0, 1]. Its weights are given x itself, as the article has it, or 2x − 1, as
    torchvision's ImageNet weights were trained (its `transform_input` and normalisation together are this map). The map
    is folded into the first convolution, which has no padding, so that it is exact and costs nothing.
    """

    def __init__(self, weights: Weights, device: torch.device, dtype: torch.dtype, input_map: InputMap = "x") -> None:
        self.device = device
        self._dtype = dtype
        # On a GPU: measured on an H200, both together made a step at Mixed_6b and Mixed_7c 1.25 to 1.45 times as fast.
        is_cuda = device.type == "cuda" and torch.version.cuda is not None
        self._pools_late = is_cuda  # average what a 1×1 convolution makes of the maps: the same, of fewer channels
        self._fuses = is_cuda and dtype != torch.float64
        folded = {name: fold(weights.tensors, name) for name, _, _ in convolutions()}
        if input_map == "2x-1":
            folded[FIRST] = fold_input(*folded[FIRST])
        # types are changed before moving, here and elsewhere: Apple's GPU takes no float64
        self._folded = {
            name: tuple(_in_layout(part.to(dtype).to(device)) for part in parts) for name, parts in folded.items()
        }
        if weights.has_classifier:  # in half precision logits would be too coarse
            exact = torch.promote_types(dtype, torch.float32)
            self._folded[FC] = tuple(
                weights.tensors[f"{FC}.{part}"].to(exact).to(device) for part in ("weight", "bias")
            )

    def activations(
        self, images: Tensor, taps: Collection[str], wanted: ChannelSubset | None = None
    ) -> dict[str, Tensor]:
        """Run the network up to the deepest tapped layer.

        Args:
            images: [B, 3, H, W], values around [0, 1], H and W at least 75 pixels.
            taps: names of layers.
            wanted: the features of the deepest tapped layer that are needed, n of them; None: all, as for classes.

        Returns:
            For each tapped layer its activations after the ReLU, [B, features, rows, cols], in the network's type;
            for the deepest, only those wanted, [B, n, rows, cols]. Of `fc` the logits, [B, classes, 1, 1], in float32
            or float64.
        """
        whole = layers.depth(wanted.first.name) if wanted else 1 + max(map(layers.depth, taps))
        images = images.to(self._dtype)
        maps, tapped = images, {}
        for layer, maps in walk(images, whole, self._apply):
            if layer.name in taps:
                tapped[layer.name] = maps
        if wanted:
            tapped[wanted.layer.name] = self._subset(wanted, maps)
        return tapped

    def straight_activations(
        self, images: Tensor, taps: Collection[str], wanted: ChannelSubset | None = None
    ) -> dict[str, Tensor]:
        """`activations`, but the last ReLU on each feature's path has a slope of 1 everywhere; equal for finite maps.

        Only where it is tapped: deeper layers get the output of the usual ReLU. The last ReLU of a pooled feature (of
        Mixed_6a and Mixed_7a) lies in the layer before, as does that of a class. The largest of rectified numbers is
        the largest number, rectified, so it is applied after the pool, and the gradient goes to the neuron that is
        nearest to opening.
        """
        straight = {LAYERS[-1].name if name == FC else name for name in taps}
        pooled = {layer_before(name).name for name in straight if layers.get_layer(name).branches[-1].ends_in_pool}
        before_relu: dict[str, Tensor] = {}  # by convolution

        def apply(layer: Layer, op: Op, maps: Tensor) -> Tensor:
            if not isinstance(op, Conv) or layer.name not in {*straight, *pooled}:
                return self._apply(layer, op, maps)
            before_relu[layer.parameter(op)] = self._convolve(op, maps, *self._folded[layer.parameter(op)])
            return before_relu[layer.parameter(op)].relu()

        for _ in walk(images.to(self._dtype), 1 + max(map(layers.depth, straight)), apply):
            pass
        tapped = {}
        for name in straight:
            maps = self._before_relu(layers.get_layer(name), before_relu)
            tapped[name] = maps + (maps.relu() - maps).detach()
        if FC in taps:
            tapped[FC] = self._logits(mean_of_maps(tapped[LAYERS[-1].name]))
        if wanted:
            tapped[wanted.layer.name] = tapped[wanted.layer.name].index_select(1, wanted.features)
        return tapped

    def _before_relu(self, layer: Layer, before_relu: Mapping[str, Tensor]) -> Tensor:
        """A layer's maps without the last ReLU of each path, [B, features, rows, cols]."""
        parts = []
        for branch in layer.branches:
            op = branch.ops[-1]
            if isinstance(op, Conv):
                parts.append(before_relu[layer.parameter(op)])
            else:
                parts.append(self._apply(layer, op, self._before_relu(layer_before(layer.name), before_relu)))
        return torch.cat(parts, 1)

    def _apply(self, layer: Layer, op: Op, maps: Tensor) -> Tensor:
        if layer.name == FC and isinstance(op, Conv):
            return self._logits(maps)
        if isinstance(op, Conv):
            return self._rectified(op, maps, *self._folded[layer.parameter(op)])
        if op == MEAN_POOL:
            return mean_of_maps(maps)
        if op.kind == "max":
            return F.max_pool2d(maps, op.kernel, op.stride)
        return maps if self._pools_late else average_pool(maps)

    def _rectified(self, op: Conv, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """A convolution and its ReLU."""
        if self._fuses and maps.shape[1] > IMAGE_CHANNELS and not (self._pools_late and op.name == POOLED):
            rectified: Tensor = _RectifiedConvolution.apply(maps, weight, bias, op)
            return rectified
        return self._convolve(op, maps, weight, bias).relu_()

    def _convolve(self, op: Conv, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if self._pools_late and op.name == POOLED:
            return average_pool(F.conv2d(maps, weight)) + bias[:, None, None]
        return F.conv2d(maps, weight, bias, op.stride, op.padding)

    def _subset(self, wanted: ChannelSubset, maps: Tensor) -> Tensor:
        """The wanted features, [B, n, rows, cols], from the maps of the last layer that ran whole."""
        layer, (first, *others) = wanted.layer, wanted.branches
        if wanted.below:
            return self._apply(layer, first.branch.ops[-1], self._subset(wanted.below, maps))
        paths: Paths = {(): self._apply(layer, layer.before, maps) if layer.before else maps}
        some = self._subset_of_branch(layer, first, paths)
        for part in others:
            some = torch.where(part.is_here[:, None, None], self._subset_of_branch(layer, part, paths), some)
        return some

    def _subset_of_branch(self, layer: Layer, part: BranchSubset, paths: Paths) -> Tensor:
        """[B, n, rows, cols] of a branch; arbitrary in channels that it does not make.

        A convolution makes B channels at a time: a row's bits must not depend on how many features its neighbours want.
        """
        *inner, op = part.branch.ops
        maps = _run_path(layer, tuple(inner), paths, self._apply)
        if not isinstance(op, Conv):
            return self._apply(layer, op, maps.index_select(1, part.channels))
        weight, bias = self._folded[layer.parameter(op)]
        outputs = [
            self._rectified(op, maps, _in_layout(weight[some]), bias[some])
            for some in torch.split(part.channels, len(maps))
        ]
        return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]

    def _logits(self, means: Tensor) -> Tensor:
        """Logits, [B, classes, 1, 1], from the means of Mixed_7c's maps, [B, features, 1, 1].

        Image by image and a product at a time: a matrix product may sum up in another order where the batch is larger,
        and in TF32 it rounds.
        """
        weight, bias = self._folded[FC]  # [classes, features], [classes]
        rows = [(weight * row).sum(1) + bias for row in means.to(weight.dtype).flatten(1)]
        return torch.stack(rows)[..., None, None]


def mean_of_maps(maps: Tensor) -> Tensor:
    """The mean of each map, [B, C, rows, cols] → [B, C, 1, 1], in float32 or float64.

    By `mean`, since the sum of an adaptive pool depends on the size of the batch.
    """
    return maps.to(torch.promote_types(maps.dtype, torch.float32)).mean((2, 3), keepdim=True)


def average_pool(maps: Tensor) -> Tensor:
    """`F.avg_pool2d(maps, 3, 1, 1)`, [B, C, H, W] both, with a right gradient on CUDA."""
    averages: Tensor = _AveragePool.apply(maps) if maps.is_cuda else F.avg_pool2d(maps, 3, 1, 1)
    return averages


class _AveragePool(torch.autograd.Function):
    """An average pool whose gradient does not depend on torch's.

    On CUDA that was wrong for maps in the layout channels last until it was mended in 2026 (pytorch issue 188344): with
    torch 2.11, gradients at Mixed_5d had a cosine of 0.98. The pool is a symmetric matrix, and so its own transpose.
    """

    @staticmethod
    def forward(_: Any, maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, 3, 1, 1)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return F.avg_pool2d(gradient, 3, 1, 1)


class _RectifiedConvolution(torch.autograd.Function):
    """A convolution, its bias and its ReLU in one kernel of cuDNN; the gradient goes to the maps alone."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, op: Conv) -> Tensor:
        ctx.op = op
        out = torch.cudnn_convolution_relu(maps, weight, bias, (op.stride, op.stride), op.padding, (1, 1), 1)
        ctx.save_for_backward(maps, weight, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        maps, weight, out = ctx.saved_tensors
        stride, padding = (ctx.op.stride, ctx.op.stride), ctx.op.padding
        gradient = torch.ops.aten.threshold_backward(gradient, out, 0)
        by_maps, _, _ = torch.ops.aten.convolution_backward(
            gradient, maps, weight, None, stride, padding, (1, 1), False, (0, 0), 1, (True, False, False)
        )
        return by_maps, None, None, None


def walk(images: Tensor, count: int, apply: Apply) -> Iterator[tuple[Layer, Tensor]]:
    """Run the first layers of the network.

    Args:
        images: [B, 3, H, W].
        count: how many layers, 0 to 16; 17 with the classifier.
        apply: (layer, convolution or pool, maps) → maps.

    Yields:
        Each layer with its output, [B, features, rows, cols].
    """
    maps = images
    for layer in ALL_LAYERS[:count]:
        paths: Paths = {(): apply(layer, layer.before, maps) if layer.before else maps}
        outputs = [_run_path(layer, branch.ops, paths, apply) for branch in layer.branches]
        # one [B, branch.features, rows, cols] a branch -> [B, features, rows, cols]
        maps = torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]
        yield layer, maps


def _run_path(layer: Layer, ops: tuple[Op, ...], paths: Paths, apply: Apply) -> Tensor:
    """Run one path of a block, as far as it has not run yet."""
    for length in range(1, len(ops) + 1):
        path = ops[:length]
        if path not in paths:
            paths[path] = apply(layer, path[-1], paths[path[:-1]])
    return paths[ops]


def fold(tensors: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Fold a batch norm into its convolution.

    Args:
        tensors: state dict.
        name: prefix of the convolution.

    Returns:
        Weight [out, inputs, height, width] and bias [out] in float64 of one convolution that does the same.
    """
    weight, gamma, beta, mean, variance = (
        tensors[f"{name}.{part}"].double()
        for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    )
    scale = gamma / torch.sqrt(variance + BATCH_NORM_EPSILON)
    return weight * scale[:, None, None, None], beta - mean * scale


def fold_input(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Fold the map 2x − 1 into a convolution without padding: W·(2x − 1) + b = 2W·x + (b − ΣW).

    Args:
        weight: [out, inputs, height, width].
        bias: [out].
    """
    return 2 * weight, bias - weight.sum((1, 2, 3))


def _in_layout(tensor: Tensor) -> Tensor:
    """Channels last for convolution weights: measured about twice as fast as torch's default on CPU."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor.contiguous()
