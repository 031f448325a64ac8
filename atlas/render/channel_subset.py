"""The last block cut down to the features that are wanted: features of a layer → the branches and channels to run.

A batch wants one feature a row. Nothing of the deepest layer's other features reaches its loss, so neither their
channels nor the branches that only they need are computed. What is left gives the same numbers.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.inception import layers
from atlas.inception.architecture import Conv
from atlas.inception.layers import LAYERS, Branch, Layer


@dataclass(frozen=True)
class Part:
    """A branch of the block, and which of its channels make which of the n wanted features."""

    branch: Branch
    channels: Tensor  # [n] int64: channel of the branch; 0 for features of other branches
    is_here: Tensor  # [n] bool: whether this branch makes the feature
    below: "Narrow | None"  # where the branch is a pool: the features of the layer before that it pools


@dataclass(frozen=True)
class Narrow:
    """Some features of one layer, n of them, in any order and as often as wanted."""

    layer: Layer
    features: Tensor  # [n] int64
    parts: tuple[Part, ...]

    def pick(self, maps: Tensor) -> Tensor:
        """The wanted features of all: [B, features, rows, cols] -> [B, n, rows, cols]."""
        return maps.index_select(1, self.features)


def narrow(layer: str, features: Sequence[int], taps: Collection[str], device: torch.device) -> Narrow:
    """Find what must run of a layer for some of its features.

    Args:
        layer: the deepest layer that runs.
        features: those wanted, 0 ≤ feature < features of the layer.
        taps: layers whose maps are needed whole, besides this one.
        device: where the network runs.
    """
    block = layers.get_layer(layer)
    branches = [branch for branch in block.branches if any(feature in branch.range for feature in features)]
    parts = tuple(_part(block, branch, features, taps, device, len(branches)) for branch in branches)
    return Narrow(block, torch.tensor(features, device=device), parts)


def _part(
    block: Layer, branch: Branch, features: Sequence[int], taps: Collection[str], device: torch.device, branches: int
) -> Part:
    here = [feature in branch.range for feature in features]
    channels = [feature - branch.first if inside else 0 for feature, inside in zip(features, here, strict=True)]
    before = LAYERS[layers.depth(block.name) - 1].name
    # a pool passes each feature of the layer before by itself, unless that layer runs whole anyway
    is_narrow_below = not isinstance(branch.ops[-1], Conv) and branches == 1 and before not in taps
    return Part(
        branch,
        torch.tensor(channels, device=device),
        torch.tensor(here, device=device),
        narrow(before, channels, taps, device) if is_narrow_below else None,
    )
