"""Weights at 8 bits, as `scripts/quantise.py` writes them → a state dict."""

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ".scale"  # after the name of a weight: what its channels are multiplied by


def restore(small: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict that a quantised one stands for, in float32."""
    tensors = {}
    for name, tensor in small.items():
        if name.endswith(SCALE):
            continue
        if tensor.dtype == torch.int8:
            scale = small[name + SCALE]
            tensors[name] = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
        else:
            tensors[name] = tensor.float()
    return tensors
