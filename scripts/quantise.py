"""Weights at 8 bits: a state dict → a file of int8 weights with a scale for each channel, and the rest as it is."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from atlas.demo.quantised import SCALE

LARGEST = 127


def quantise(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round every weight of two and more dimensions to int8, each output channel with a scale of its own.

    Args:
        tensors: a state dict in float32; counters of batch norms are left out.

    Returns:
        The same names, weights in int8 and the rest in float32, and `<name>.scale` [channels] for each weight.
    """
    small = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        if tensor.ndim < 2:
            small[name] = tensor.float()
            continue
        rows = tensor.float().flatten(1)  # [channels, …] -> [channels, rest]
        scale = rows.abs().amax(1) / LARGEST
        rounded = (rows / torch.where(scale == 0, 1.0, scale)[:, None]).round()
        small[name] = rounded.to(torch.int8).view(tensor.shape)
        small[name + SCALE] = scale
    return small


def write_quantised(file: Path, small: Mapping[str, Tensor]) -> str:
    """Write a quantised state dict; returns the SHA-256 of the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file({name: small[name].contiguous() for name in sorted(small)}, file)
    return hashlib.sha256(file.read_bytes()).hexdigest()
