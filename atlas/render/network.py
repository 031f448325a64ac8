"""The network that is looked into: images → activations at the tapped layers; frozen, folded, cut off below them."""

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.plan import layers
from atlas.plan.blocks import Conv, Op
from atlas.plan.layers import Layer, convolutions
from atlas.render.graph import walk
from atlas.render.weights import Weights

BATCH_NORM_EPSILON = 0.001  # torchvision's InceptionV3


class Network:
    """InceptionV3 in eval mode, with each batch norm folded into its convolution and no weight gradients.

    Pixels in [0, 1] go in as they are: neither ImageNet's normalisation nor torchvision's `transform_input`.
    """

    def __init__(self, weights: Weights, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._folded = {
            name: tuple(t.to(device, dtype).contiguous(memory_format=_layout(t)) for t in fold(weights.tensors, name))
            for name, _, _ in convolutions()
        }

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    def activations(self, images: Tensor, taps: Collection[str]) -> dict[str, Tensor]:
        """Run the network up to the deepest tapped layer.

        Args:
            images: [B, 3, H, W], values around [0, 1], H and W at least 75 pixels.
            taps: names of layers.

        Returns:
            For each tapped layer its activations after the ReLU, [B, features, rows, cols], in the network's type.
        """
        deepest = max(layers.depth(name) for name in taps)
        walked = walk(images.to(self._dtype), deepest, self._apply)
        return {layer.name: maps for layer, maps in walked if layer.name in taps}

    def _apply(self, layer: Layer, op: Op, maps: Tensor) -> Tensor:
        if isinstance(op, Conv):
            weight, bias = self._folded[layer.parameter(op)]
            return F.conv2d(maps, weight, bias, op.stride, op.padding).relu_()
        if op.kind == "max":
            return F.max_pool2d(maps, op.kernel, op.stride)
        return F.avg_pool2d(maps, op.kernel, op.stride, op.padding)


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


def _layout(tensor: Tensor) -> torch.memory_format:
    """Channels last for convolution weights: measured about twice as fast as torch's default on CPU."""
    return torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
