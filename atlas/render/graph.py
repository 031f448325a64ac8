"""The walk through the layer table: images and a function that applies one operation → each layer's maps."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from atlas.plan.blocks import Op
from atlas.plan.layers import LAYERS, Branch, Layer

Apply = Callable[[Layer, Op, Tensor], Tensor]


def walk(images: Tensor, deepest: int, apply: Apply) -> Iterator[tuple[Layer, Tensor]]:
    """Run the network from the first layer on.

    Args:
        images: [B, 3, H, W].
        deepest: position of the last layer to run, 0 to 15.
        apply: (layer, convolution or pool, maps) → maps.

    Yields:
        Each layer with its output, [B, features, rows, cols].
    """
    maps = images
    for layer in LAYERS[: deepest + 1]:
        if layer.before:
            maps = apply(layer, layer.before, maps)
        maps = _block(layer, maps, apply)
        yield layer, maps


def _block(layer: Layer, maps: Tensor, apply: Apply) -> Tensor:
    paths: dict[tuple[Op, ...], Tensor] = {(): maps}
    outputs = [_branch(layer, branch, paths, apply) for branch in layer.branches]
    # one [B, branch.features, rows, cols] a branch -> [B, features, rows, cols]
    return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]


def _branch(layer: Layer, branch: Branch, paths: dict[tuple[Op, ...], Tensor], apply: Apply) -> Tensor:
    """Run one branch; `paths` keeps the maps behind each path, since some branches share their beginning."""
    for length in range(1, len(branch.ops) + 1):
        path = branch.ops[:length]
        if path not in paths:
            paths[path] = apply(layer, path[-1], paths[path[:-1]])
    return paths[branch.ops]
