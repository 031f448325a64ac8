"""The walk through the layer table: images and a function that applies one operation → each layer's maps."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from atlas.inception import layers
from atlas.inception.architecture import Conv, Op
from atlas.inception.layers import LAYERS, Layer
from atlas.render.channel_subset import Narrow, Part

Apply = Callable[[Layer, Op, Tensor], Tensor]
ApplySome = Callable[[Layer, Conv, Tensor, Tensor], Tensor]


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


def walk_to(images: Tensor, wanted: Narrow, apply: Apply, apply_some: ApplySome) -> Iterator[tuple[Layer, Tensor]]:
    """Run the network to some features of a layer; of that layer, nothing that others need.

    Args:
        images: [B, 3, H, W].
        wanted: which features, n of them.
        apply: (layer, convolution or pool, maps) → maps.
        apply_some: (layer, convolution, maps, output channels [n]) → maps of these channels alone, [B, n, rows, cols].

    Yields:
        Each layer before with its whole output, then the wanted features, [B, n, rows, cols]. The layer before a
        branch that only pools is passed over, if nothing else needs it.
    """
    below = wanted.parts[0].below
    depth = layers.depth(wanted.layer.name)
    maps = images
    for layer, maps in walk_to(images, below, apply, apply_some) if below else walk(images, depth - 1, apply):
        if below is None or layer is not below.layer:
            yield layer, maps
    if below:
        yield wanted.layer, apply(wanted.layer, wanted.parts[0].branch.ops[-1], maps)
    else:
        yield wanted.layer, _some_of_block(wanted, maps, apply, apply_some)


def _block(layer: Layer, maps: Tensor, apply: Apply) -> Tensor:
    paths: dict[tuple[Op, ...], Tensor] = {(): maps}
    outputs = [_path(layer, branch.ops, paths, apply) for branch in layer.branches]
    # one [B, branch.features, rows, cols] a branch -> [B, features, rows, cols]
    return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]


def _path(layer: Layer, ops: tuple[Op, ...], paths: dict[tuple[Op, ...], Tensor], apply: Apply) -> Tensor:
    """Run one path; `paths` keeps the maps behind each, since some branches share their beginning."""
    for length in range(1, len(ops) + 1):
        path = ops[:length]
        if path not in paths:
            paths[path] = apply(layer, path[-1], paths[path[:-1]])
    return paths[ops]


def _some_of_block(wanted: Narrow, maps: Tensor, apply: Apply, apply_some: ApplySome) -> Tensor:
    layer = wanted.layer
    paths: dict[tuple[Op, ...], Tensor] = {(): apply(layer, layer.before, maps) if layer.before else maps}
    first, *others = wanted.parts
    some = _some(layer, first, paths, apply, apply_some)
    for part in others:
        some = torch.where(part.is_here[:, None, None], _some(layer, part, paths, apply, apply_some), some)
    return some


def _some(layer: Layer, part: Part, paths: dict[tuple[Op, ...], Tensor], apply: Apply, apply_some: ApplySome) -> Tensor:
    """What a branch makes of the wanted features, [B, n, rows, cols]; arbitrary in channels that it does not make."""
    *inner, last = part.branch.ops
    maps = _path(layer, tuple(inner), paths, apply)
    if isinstance(last, Conv):
        return apply_some(layer, last, maps, part.channels)
    return apply(layer, last, maps.index_select(1, part.channels))
