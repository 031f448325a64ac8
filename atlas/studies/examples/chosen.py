"""The pictures that a scan chose, opened once more: crops of them, and the channel means that paths are made of."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atlas.inception import layers
from atlas.inception.layers import ReceptiveField, receptive_field
from atlas.rendering.model import Network
from atlas.store.crops import LARGEST, write_crop
from atlas.store.results import rounded
from atlas.studies.examples.path import Means, WindowMeans
from atlas.studies.examples.pictures import PictureSource
from atlas.studies.examples.result import PATH_CROPS, Crop, LevelCrop
from atlas.studies.examples.scan import Scan, Watcher, read_batches
from atlas.studies.shared.context import Pixels, stacked

RANDOM_CROPS = 64  # of as many pictures

Box = tuple[int, int, int, int]
Place = tuple[int, int]  # (row, col)
Feature = tuple[str, int]  # layer and number
Field = tuple[str, ReceptiveField]  # a layer, and a receptive field in it


@dataclass(frozen=True)
class Top:
    """A picture among the top ones of a feature."""

    feature: Feature
    rank: int
    neuron: Place
    score: float


@dataclass(frozen=True)
class Level:
    """The picture at a quantile of a feature's activations."""

    feature: Feature
    level: float
    score: float


@dataclass(frozen=True)
class Choice:
    """What is wanted of each picture, by its number."""

    tops: Mapping[int, Sequence[Top]]
    levels: Mapping[int, Sequence[Level]]
    random: Sequence[int]  # pictures of the random crops


@dataclass
class Chosen:
    """What was cut and measured."""

    hashes: Sequence[str]  # of all pictures, by number
    crops: dict[Feature, dict[int, Crop]] = field(default_factory=lambda: defaultdict(dict))  # by rank
    levels: dict[Feature, list[LevelCrop]] = field(default_factory=lambda: defaultdict(list))
    paths: dict[Feature, dict[int, Means]] = field(default_factory=lambda: defaultdict(dict))  # by rank
    random: dict[Field, dict[int, Means]] = field(default_factory=lambda: defaultdict(dict))  # by picture


def choose(wanted: Mapping[str, Sequence[int]], scan: Scan, ranks: Mapping[float, int], size: int) -> Choice:
    """Which pictures are opened again: of each feature the top ones and those at levels, and some for random crops.

    A picture that does not excite a feature at all has no crop: none of its neurons is the strongest.

    Args:
        wanted: features, by layer, as they were scanned.
        scan: what was found.
        ranks: by level the rank of its picture, 0 being the strongest.
        size: pixels of the square that the network saw.
    """
    tops: dict[int, list[Top]] = defaultdict(list)
    levels: dict[int, list[Level]] = defaultdict(list)
    for layer, features in wanted.items():
        top, (_, cols) = scan.tops[layer], layers.grid(layer, (size, size))
        for at, rank in (top.scores > 0).nonzero().tolist():
            neuron = divmod(int(top.places[at, rank]), cols)
            one = Top((layer, features[at]), rank, neuron, rounded(float(top.scores[at, rank])))
            tops[int(top.pictures[at, rank])].append(one)
        for number, scores in zip(features, scan.scores[layer], strict=True):
            order = np.argsort(-scores, kind="stable")
            for level, at in ((level, order[rank]) for level, rank in ranks.items() if scores[order[rank]] > 0):
                levels[scan.compared[at]].append(Level((layer, number), level, rounded(float(scores[at]))))
    return Choice(tops, levels, scan.compared[:RANDOM_CROPS])


def open_chosen(
    network: Network,
    source: PictureSource,
    choice: Choice,
    fields: Iterable[Field],
    size: int,
    rows: int,
    folder: Path,
    watcher: Watcher,
) -> Chosen:
    """Cut crops and measure paths, opening each picture once. One that is gone is left out.

    Args:
        network: in float32.
        source: the pictures.
        choice: what is wanted of each.
        fields: of which receptive fields random crops are taken, the same for all features that have one.
        size: pixels of the square that the network sees.
        rows: pictures in a batch.
        folder: where crops are written.
        watcher: told of progress.
    """
    hashes, wanted_fields = sorted(source.pictures), list(fields)
    numbers = sorted({*choice.tops, *choice.levels, *choice.random})
    deepest = max((layer for layer, _ in wanted_fields), key=layers.depth)
    taps = [layer.name for layer in layers.layers_up_to(deepest)]
    found, is_random = Chosen(hashes), set(choice.random)
    for batch, pictures in read_batches(source, numbers, size, rows, "cutting crops", watcher):
        maps = network.activations(stacked(pictures, rows).to(network.device), taps)
        for row, (number, pixels) in enumerate(zip(batch, pictures, strict=True)):
            mine = {name: some[row] for name, some in maps.items()}
            means = WindowMeans(mine)
            cutter = _Cutter(pixels, hashes[number], folder)
            for top in choice.tops.get(number, ()):
                found.crops[top.feature][top.rank] = cutter.cut(top.feature, top.neuron, top.score)
                if top.rank < PATH_CROPS:
                    box = receptive_field(*top.feature).box(*top.neuron)
                    found.paths[top.feature][top.rank] = means.over(top.feature[0], box)
            for level in choice.levels.get(number, ()):
                neuron = strongest(mine[level.feature[0]][level.feature[1]])
                crop = cutter.cut(level.feature, neuron, level.score)
                found.levels[level.feature].append(LevelCrop(level.level, crop))
            for one in wanted_fields if number in is_random else ():
                found.random[one][number] = means.over(one[0], random_box(*one, hashes[number], size))
    return found


class _Cutter:
    """Cuts crops of one picture; in late layers many neurons see the same part, which is all of it."""

    def __init__(self, pixels: Pixels, sha256: str, folder: Path) -> None:
        self._square = Image.fromarray(pixels)
        self._sha256 = sha256
        self._folder = folder
        self._files: dict[Box, tuple[str, tuple[int, int]]] = {}  # and the size of each

    def cut(self, feature: Feature, neuron: Place, score: float) -> Crop:
        box = field_in(*feature, neuron, self._square.width)
        if box not in self._files:
            image = crop_of(self._square, box)
            self._files[box] = write_crop(self._folder, image), image.size
        return Crop(self._sha256, neuron, score, box, *self._files[box])


def field_in(layer: str, feature: int, neuron: Place, size: int) -> Box:
    """The theoretical receptive field of a neuron inside a square picture: (top, left, bottom, right) in pixels."""
    top, left, bottom, right = receptive_field(layer, feature).box(*neuron)
    return max(0, math.floor(top)), max(0, math.floor(left)), min(size, math.ceil(bottom)), min(size, math.ceil(right))


def random_box(layer: str, reach: ReceptiveField, sha256: str, size: int) -> tuple[float, float, float, float]:
    """What a random neuron of a layer sees of a picture, drawn by its hash: (top, left, bottom, right) in pixels."""
    generator = Random(f"{layer} {reach.size} {sha256}")
    rows, cols = layers.grid(layer, (size, size))
    return reach.box(generator.randrange(rows), generator.randrange(cols))


def field_of(layer: str, feature: int) -> Field:
    """The receptive field of a feature: features that share it share random crops."""
    return layer, receptive_field(layer, feature)


def crop_of(square: Image.Image, box: Box) -> Image.Image:
    """A part of a picture, shrunk to what is kept of it."""
    top, left, bottom, right = box
    image = square.crop((left, top, right, bottom))
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image


def strongest(values: Tensor) -> Place:
    """(row, col) of the largest value of a map [rows, cols], the first in reading order."""
    row, col = divmod(int(values.flatten().argmax()), values.shape[1])
    return row, col


def as_rows(means: Iterable[Means]) -> NDArray[np.float16]:
    """Channel means of several windows, [n, channels]."""
    return np.stack(list(means))
