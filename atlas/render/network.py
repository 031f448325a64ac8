"""The network that is looked into: images → activations at the tapped layers; frozen, folded, cut off below them."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception import layers
from atlas.inception.architecture import Conv, Op
from atlas.inception.layers import LAYERS, Layer, convolutions
from atlas.plan.recipes import InputMap
from atlas.render.channel_subset import Narrow
from atlas.render.graph import walk, walk_to
from atlas.render.weights import Weights

BATCH_NORM_EPSILON = 0.001  # torchvision's InceptionV3
FIRST = "Conv2d_1a_3x3"


class Network:
    """InceptionV3 in eval mode, with each batch norm folded into its convolution and no weight gradients.

    The network takes pixels x in [0, 1]. Its weights are given x itself, as the article has it, or 2x − 1, as
    torchvision's ImageNet weights were trained (its `transform_input` and normalisation together come to that). The map
    is folded into the first convolution, which has no padding, so that it is exact and costs nothing.
    """

    def __init__(self, weights: Weights, device: torch.device, dtype: torch.dtype, input_map: InputMap = "x") -> None:
        self._device = device
        self._dtype = dtype
        folded = {name: fold(weights.tensors, name) for name, _, _ in convolutions()}
        if input_map == "2x-1":
            folded[FIRST] = fold_input(*folded[FIRST])
        # types are changed before moving, here and elsewhere: Apple's GPU takes no float64
        self._folded = {
            name: tuple(_in_layout(part.to(dtype).to(device)) for part in parts) for name, parts in folded.items()
        }

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    def activations(self, images: Tensor, taps: Collection[str], wanted: Narrow | None = None) -> dict[str, Tensor]:
        """Run the network up to the deepest tapped layer.

        Args:
            images: [B, 3, H, W], values around [0, 1], H and W at least 75 pixels.
            taps: names of layers.
            wanted: the features of the deepest tapped layer that are needed, n of them; None: all.

        Returns:
            For each tapped layer its activations after the ReLU, [B, features, rows, cols], in the network's type;
            for the deepest, only those wanted.
        """
        images = images.to(self._dtype)
        if wanted is None:
            walked = walk(images, max(layers.depth(name) for name in taps), self._apply)
        else:
            walked = walk_to(images, wanted, self._apply, self._apply_some)
        return {layer.name: maps for layer, maps in walked if layer.name in taps}

    def straight_activations(
        self, images: Tensor, taps: Collection[str], wanted: Narrow | None = None
    ) -> dict[str, Tensor]:
        """`activations`, equal in value, but the last ReLU on each feature's path has a slope of 1 everywhere.

        Only where it is tapped: what goes on into deeper layers passes that ReLU as it is. The last ReLU of a pooled
        feature (of Mixed_6a and Mixed_7a) lies in the layer before; the largest of rectified numbers is the largest
        number, rectified, so it is applied after the pool, and the gradient goes to the neuron that is nearest to
        opening.
        """
        deepest = max(layers.depth(name) for name in taps)
        looked_into = {*taps, *(_layer_before(name).name for name in taps if _has_pooled_features(name))}
        closed: dict[str, Tensor] = {}  # before the ReLU, by convolution

        def apply(layer: Layer, op: Op, maps: Tensor) -> Tensor:
            if not isinstance(op, Conv) or layer.name not in looked_into:
                return self._apply(layer, op, maps)
            closed[layer.parameter(op)] = self._convolve(layer, op, maps)
            return closed[layer.parameter(op)].relu()

        for _ in walk(images.to(self._dtype), deepest, apply):
            pass
        straight = {name: _straight_relu(self._before_relu(layers.get_layer(name), closed)) for name in taps}
        if wanted:
            straight[wanted.layer.name] = wanted.pick(straight[wanted.layer.name])
        return straight

    def _before_relu(self, layer: Layer, closed: Mapping[str, Tensor]) -> Tensor:
        """A layer's maps without the last ReLU of each path, [B, features, rows, cols]."""
        parts = []
        for branch in layer.branches:
            op = branch.ops[-1]
            if isinstance(op, Conv):
                parts.append(closed[layer.parameter(op)])
            else:
                parts.append(self._apply(layer, op, self._before_relu(_layer_before(layer.name), closed)))
        return torch.cat(parts, 1)

    def _convolve(self, layer: Layer, op: Conv, maps: Tensor) -> Tensor:
        weight, bias = self._folded[layer.parameter(op)]
        return F.conv2d(maps, weight, bias, op.stride, op.padding)

    def _apply_some(self, layer: Layer, op: Conv, maps: Tensor, channels: Tensor) -> Tensor:
        """A convolution's outputs of some channels, [B, n, rows, cols].

        B channels at a time, for a row's bits must not depend on how many features its neighbours want.
        """
        weight, bias = self._folded[layer.parameter(op)]
        outputs = [
            F.conv2d(maps, _in_layout(weight[some]), bias[some], op.stride, op.padding).relu_()
            for some in torch.split(channels, len(maps))
        ]
        return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]

    def _apply(self, layer: Layer, op: Op, maps: Tensor) -> Tensor:
        if isinstance(op, Conv):
            return self._convolve(layer, op, maps).relu_()
        if op.kind == "max":
            return F.max_pool2d(maps, op.kernel, op.stride)
        return F.avg_pool2d(maps, op.kernel, op.stride, op.padding)


class _StraightReLU(torch.autograd.Function):
    """A ReLU whose gradient is that of a linear function."""

    @staticmethod
    def forward(_: Any, maps: Tensor) -> Tensor:
        return maps.relu()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _straight_relu(maps: Tensor) -> Tensor:
    straight: Tensor = _StraightReLU.apply(maps)
    return straight


def _layer_before(name: str) -> Layer:
    return LAYERS[layers.depth(name) - 1]


def _has_pooled_features(name: str) -> bool:
    return any(not isinstance(branch.ops[-1], Conv) for branch in layers.get_layer(name).branches)


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
