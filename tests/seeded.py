"""Seeded, untrained weights for tests: a seed → a state dict whose every feature responds to the start noise.

Trained weights have features that are dead on grey noise, and which ones would change with every training.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception.architecture import Conv, Op
from atlas.inception.layers import FC, LAYERS, Layer, convolutions, get_layer
from atlas.rendering.model import walk

SEED = 2015  # of the weights and of the calibration pictures
CALIBRATION_SIZE = 128  # pixels
START_PICTURES = 2  # of the calibration pictures, the last ones


def seeded_tensors(seed: int = SEED) -> dict[str, Tensor]:
    """Random convolutions (He et al. 2015) with batch norms calibrated on generated pictures.

    Without calibration a deep random network has almost no gradient at its input.

    Returns:
        A state dict in torchvision's spelling, float32, without `fc` and `AuxLogits`.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, conv, inputs in convolutions():
        fan_in = inputs * conv.kernel[0] * conv.kernel[1]
        noise = torch.rand(conv.out, inputs, *conv.kernel, generator=generator) * 2 - 1
        tensors[f"{name}.conv.weight"] = noise * math.sqrt(6 / fan_in)

    def apply(layer: Layer, op: Op, maps: Tensor) -> Tensor:
        if not isinstance(op, Conv):
            return F.max_pool2d(maps, 3, 2) if op.kind == "max" else F.avg_pool2d(maps, 3, 1, 1)
        name = layer.parameter(op)
        maps = F.conv2d(maps, tensors[f"{name}.conv.weight"].double(), None, op.stride, op.padding)
        mean, variance = _statistics(maps)
        tensors.update(_batch_norm(name, mean, variance))
        return F.relu((maps - mean[:, None, None]) / variance.sqrt()[:, None, None])

    for _ in walk(_calibration_pictures(generator), len(LAYERS), apply):
        pass
    return tensors


def _statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, [B, C, H, W] -> [C] each.

    The mean is that of the start noise alone, so that about half of every feature's neurons are open where descent
    begins; the spread is that of all pictures. Both are rounded, so that machines which add in another order agree.
    """
    mean = maps[-START_PICTURES:].mean((0, 2, 3)).bfloat16().double()
    variance = (maps - mean[:, None, None]).square().mean((0, 2, 3)).bfloat16().double()
    return mean, variance


def _batch_norm(name: str, mean: Tensor, variance: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}.bn.weight": torch.ones_like(mean).float(),
        f"{name}.bn.bias": torch.zeros_like(mean).float(),
        f"{name}.bn.running_mean": mean.float(),
        f"{name}.bn.running_var": variance.float(),
    }


def _calibration_pictures(generator: torch.Generator) -> Tensor:
    """Eight pictures [8, 3, H, W] in [0, 1], float64: coloured noise of several coarsenesses, and the start noise."""
    size = CALIBRATION_SIZE
    pictures = []
    for cells in (4, 8, 16, 32, 64, size):
        field = torch.rand(1, 3, cells, cells, generator=generator, dtype=torch.float64)
        pictures.append(F.interpolate(field, (size, size), mode="bicubic", align_corners=False).clamp(0, 1))
    start = torch.rand(START_PICTURES, 3, size, size, generator=generator, dtype=torch.float64) / 10 + 0.5
    return torch.cat([*pictures, start])


def with_classifier(tensors: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    """The state dict with a random classifier of so many classes."""
    generator = torch.Generator().manual_seed(1)
    inputs = get_layer(FC).inputs
    weight = torch.randn(classes, inputs, generator=generator) / 10
    return {**tensors, f"{FC}.weight": weight, f"{FC}.bias": torch.randn(classes, generator=generator)}


def closed(tensors: Mapping[str, Tensor], name: str, feature: int, bias: float = -1.0) -> dict[str, Tensor]:
    """The state dict with a feature whose ReLU is closed: on the start noise alone, or by a lower bias for good."""
    biases = tensors[f"{name}.bn.bias"].clone()
    biases[feature] = bias
    return {**tensors, f"{name}.bn.bias": biases}
