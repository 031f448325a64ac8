"""The natural path: do the layers below a feature respond to its rendering as they do to its top crops?

Geirhos et al. 2024, "Don't trust your eyes", section 3: a picture can excite a feature by channels that no photograph
uses. Two pictures take the same path if the same channels respond to both, layer by layer. Compared are channel means
over the window that the strongest neuron sees, by Spearman's rank correlation. Each channel is standardised by its mean
and deviation over random crops: the raw means of any two pictures correlate, since some channels respond to everything.

Pure functions; `Means` are the channel means of the layers up to one, one layer after the other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from atlas.inception.layers import layers_up_to, own_channels, receptive_field
from atlas.studies.shared.maps import Array, Box

LAST = 3  # layers that count for the comparison: the feature's own and those before it
LARGEST = float(np.finfo(np.float16).max)  # of a mean: what is larger, or infinite, is taken as this
LEAST_DEVIATION = 1e-3  # of a channel, as a share of the largest of its layer: smaller ones are taken as this

Means = NDArray[np.float16]  # [channels of all layers up to one]


@dataclass(frozen=True)
class Paths:
    """How alike the layers up to a feature's own respond to pictures and to each of its k top crops: correlations."""

    own: Array  # [n, k, layers] of n renderings
    crops: Array  # [k, k, layers] of the top crops themselves
    random: Array  # [m, k, layers] of m random crops

    def of_renderings(self) -> Array:
        """Correlation of each rendering with the top crops, [n, layers]."""
        return np.asarray(self.own.mean(1))

    def of_crops(self) -> Array:
        """Correlation of the top crops with one another, [layers]."""
        return np.asarray(self.crops[~np.eye(len(self.crops), dtype=bool)].mean(0))

    def shares(self) -> Array:
        """For each rendering the share of random crops that are less like the top crops, [n], in the last layers."""
        return _share_below(self.own, self.random)

    def crop_share(self) -> float:
        """The same for a top crop and the others, the median of all: what a photograph of the feature reaches."""
        found = []
        for at in range(len(self.crops)):
            others = np.arange(len(self.crops)) != at
            found.append(_share_below(self.crops[at : at + 1, others], self.random[:, others])[0])
        return float(np.median(found))


def _share_below(pictures: Array, random: Array) -> Array:
    """For each picture the share of random crops whose correlation with top crops is lower, in the last layers.

    Args:
        pictures: [n, k, layers] correlations with k top crops.
        random: [m, k, layers] likewise.
    """
    own, null = (some[..., -LAST:].mean((1, 2)) for some in (pictures, random))
    return np.asarray((null < own[:, None]).mean(1))


def window(layer: str, box: Box, grid: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a layer's map whose receptive fields have their middle in a box; at least one of each.

    Args:
        layer: the layer.
        box: top, left, bottom, right in pixels.
        grid: (rows, cols) of the map.
    """
    field = receptive_field(layer)
    found = []
    for low, high, cells in ((box[0], box[2], grid[0]), (box[1], box[3], grid[1])):
        first, last = ((edge - field.centre - 0.5) / field.jump for edge in (low, high))
        start = min(max(math.ceil(first), 0), cells - 1)
        found.append(slice(start, min(max(math.floor(last) + 1, start + 1), cells)))
    return found[0], found[1]


class WindowMeans:
    """Channel means of the maps of one picture over windows, each computed once."""

    def __init__(self, maps: Mapping[str, Tensor]) -> None:
        """Take the maps of a picture.

        Args:
            maps: by layer, [F, rows, cols].
        """
        self._maps = maps
        self._known: dict[tuple[str, int, int, int, int], Array] = {}

    def over(self, layer: str, box: Box) -> Means:
        """The channel means of all layers up to one over a box, (top, left, bottom, right) in pixels."""
        means = np.concatenate([self._means(one.name, box) for one in layers_up_to(layer)])
        return np.asarray(np.clip(np.nan_to_num(means), 0, LARGEST), np.float16)

    def _means(self, layer: str, box: Box) -> Array:
        maps = self._maps[layer]
        rows, cols = window(layer, box, (maps.shape[1], maps.shape[2]))
        key = layer, rows.start, rows.stop, cols.start, cols.stop
        if key not in self._known:
            self._known[key] = maps[:, rows, cols].mean((1, 2)).cpu().double().numpy()
        return self._known[key]


class RandomCrops:
    """The random crops that all features with one receptive field share, with their ranks."""

    def __init__(self, layer: str, means: NDArray[np.float16]) -> None:
        """Standardise and rank.

        Args:
            layer: of the features.
            means: [m, channels of all layers up to it].
        """
        self._layer = layer
        self._parts = _parts(layer)
        values = means.astype(np.float64)
        self._mean = values.mean(0)
        deviation = values.std(0)
        largest = np.concatenate([np.full(part.stop - part.start, deviation[part].max()) for part in self._parts])
        self._deviation = np.maximum(deviation, LEAST_DEVIATION * np.maximum(largest, np.finfo(np.float64).tiny))
        self._ranks = self._rank(means)

    def paths(
        self, feature: int, own: NDArray[np.float16], crops: NDArray[np.float16], use: NDArray[np.bool_]
    ) -> Paths:
        """Compare renderings of a feature, and random crops, with the feature's top crops.

        The feature's own channel is left out, and the one that it pools: they respond to all of them by choice.

        Args:
            feature: its number.
            own: [n, channels] means of its renderings.
            crops: [k, channels] means of its top crops, k ≥ 2.
            use: [m] which random crops count: those of other pictures than the top crops.
        """
        both = self._rank(np.concatenate([own, crops]))
        left_out = own_channels(self._layer, feature)
        found = []
        for layer, part in zip(layers_up_to(self._layer), self._parts, strict=True):
            keep = np.arange(part.stop - part.start) != left_out.get(layer.name, -1)
            unit = _unit(both[:, part][:, keep])
            renderings, tops, random = unit[: len(own)], unit[len(own) :], _unit(self._ranks[use][:, part][:, keep])
            found.append((renderings @ tops.T, tops @ tops.T, random @ tops.T))
        return Paths(*(np.stack([one[part] for one in found], -1) for part in range(3)))

    def _rank(self, means: NDArray[np.float16]) -> Array:
        """Ranks of standardised channel means within each layer, [n, channels]."""
        values = (means.astype(np.float64) - self._mean) / self._deviation
        return np.concatenate([rankdata(values[:, part], axis=1) for part in self._parts], axis=1)


def _parts(layer: str) -> list[slice]:
    """Where the channels of each layer up to one stand in `Means`."""
    ends = np.cumsum([0, *(one.features for one in layers_up_to(layer))]).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _unit(ranks: Array) -> Array:
    """Rows without their mean and of length 1, so that their products are correlations; 0 where all are equal."""
    centred = ranks - ranks.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 0))
