"""The maximally activating crops of each feature, out of a person's pictures, and their file in the store.

A score is the activation of one neuron, the strongest: the mean over a map would count what surrounds the crop. No path
of a picture is kept: pictures and their folder are named by hashes.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from atlas.common.errors import StoreError
from atlas.plan.recipes import InputMap
from atlas.plan.starts import DRAWN
from atlas.store.crops import CROPS, FOLDER, examples_folder, has_crop
from atlas.store.files import walk
from atlas.store.records import Numerics, WeightsId
from atlas.store.results import read_result
from atlas.studies.examples.settings import Settings

VERSION = 3
RECORD = "examples.json"
KEPT = 9  # crops a feature
PATH_CROPS = 3  # of them, with which a rendering's path is compared
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)  # of the pictures' activations that are kept
BINS = 24  # of the histogram of those, from 0 to the largest
LEVELS = (0.99, 0.9, 0.5, 0.0)  # quantiles at which a crop is kept too, where it is not among the top ones
TRUSTED = 0.9  # a rendering should activate its feature more than this share of pictures do
NATURAL = 0.95  # its path should be more like that of the top crops than the paths of this share of random crops


@dataclass(frozen=True)
class Crop:
    """The part of a picture that its strongest neuron of a feature can see."""

    picture: str  # SHA-256 of the picture's file, or of the pixels of a drawn one
    neuron: tuple[int, int]  # (row, col)
    score: float  # activation of that neuron
    box: tuple[int, int, int, int]  # top, left, bottom, right in the square that the network saw, pixels
    file: str  # name of the crop
    size: tuple[int, int]  # (width, height) of the crop in pixels


@dataclass(frozen=True)
class LevelCrop:
    """A crop of the picture at a quantile of the pictures' activations."""

    level: float  # one of LEVELS
    crop: Crop


@dataclass(frozen=True)
class Placed:
    """A rendering of a feature among the pictures."""

    recipe: str
    pixels: str  # SHA-256 of its pixels
    neuron: tuple[int, int]  # (row, col) of its strongest neuron
    score: float  # activation of that neuron
    reached: int  # pictures that activate the feature as much, of those that are compared
    limits: tuple[float, float]  # of the share of all such pictures that do, with 95 % confidence (Clopper and Pearson)
    path: tuple[float, ...] = ()  # correlation of channel means with the top crops, by layer up to the feature's own
    natural: float | None = None  # share of random crops that are less like the top crops; None: too few crops

    @property
    def beats_pictures(self) -> bool | None:
        """Whether it activates its feature more than `TRUSTED` of all such pictures; None: they are too few to say."""
        low, high = self.limits
        return True if high < 1 - TRUSTED else False if low > 1 - TRUSTED else None


@dataclass(frozen=True)
class FeatureExamples:
    """A feature's maximally activating crops, and its renderings among all pictures."""

    target: str
    renderings: tuple[Placed, ...]  # the feature's own first, then those by other recipes
    crops: tuple[Crop, ...]  # of one picture each, the highest score first; only those that activate the feature
    levels: tuple[LevelCrop, ...] = ()  # at those `LEVELS` that lie below the top crops, highest first
    quantiles: tuple[float, ...] = ()  # of the pictures' activations, at `QUANTILES`
    counts: tuple[int, ...] = ()  # how many pictures have an activation in each of `BINS` steps from 0 to the largest
    crop_path: tuple[float, ...] = ()  # correlation of channel means of the top crops with one another, by layer
    crop_natural: float | None = None  # as `natural`, of a top crop with the others; None: too few crops

    @property
    def own(self) -> Placed:
        """The feature's own rendering."""
        return self.renderings[0]

    def is_natural(self, one: Placed) -> bool | None:
        """Whether a rendering excites the feature by the channels by which pictures do.

        Returns:
            None if it cannot be told: the top crops themselves have too little in common.
        """
        if one.natural is None or self.crop_natural is None or self.crop_natural < NATURAL:
            return None
        return one.natural >= NATURAL

    @property
    def wins(self) -> bool:
        """Whether the feature's own picture activates its strongest neuron more than every crop does."""
        return self.own.score > max((crop.score for crop in self.crops), default=0.0)


@dataclass(frozen=True)
class Examples:
    """The maximally activating crops of all features, out of some pictures, and renderings among these."""

    version: int
    folder: str | None  # which one they are of, see `folder_digest`; None: drawn pictures
    size: int  # pixels of the square that the network saw of each picture
    seen: int  # pictures
    skipped: int  # files that could not be read
    numerics: Numerics
    features: tuple[FeatureExamples, ...]  # in the network's order
    compared: int = 0  # pictures of which all activations were kept
    random: int = 0  # random crops, of one picture each
    input: InputMap = "x"  # what the network was given for a picture x; "x" in records from before there was a choice


def examples_path(store: Path, weights: WeightsId) -> Path:
    """Where the record of the examples lies; those of the last run are kept."""
    return examples_folder(store, weights) / RECORD


def read_examples(store: Path, weights: WeightsId, inputs: str | None = None) -> Examples | None:
    """The examples that a store has.

    Args:
        store: folder of masters.
        weights: whose features.
        inputs: digest of all that they depend on; None if any will do.

    Returns:
        None if there are none, of this version, these inputs, and pictures given to the network as in its training.

    Raises:
        StoreError: the record was edited, or damaged.
    """
    found = read_result(examples_path(store, weights), Examples, inputs)
    is_current = found and found.version == VERSION and found.input == weights.trained_input
    return found if is_current else None


def store_faults(store: Path) -> list[str]:
    """One line for each record of a store, or of stores inside it, that is damaged, and each crop that is missing."""
    faults = []
    for record in walk(store):
        if record.parts[-2:] == (FOLDER, RECORD):
            folder = record.parent / CROPS
            try:
                found = read_result(record, Examples, None)
            except StoreError as error:
                faults.append(str(error))
                continue
            names = sorted(crop_files(found.features)) if found else ()
            faults += [missing(folder / name) for name in names if not has_crop(folder, name)]
    return faults


def missing(crop: Path) -> str:
    """What is said of a crop that is not there."""
    return f"{crop}: missing; run atlas examples --force"


def folder_digest(store: Path, folder: Path) -> str:
    """SHA-256 of the way from a store to a folder, links followed: which folder it is, without its path.

    It is the way from the store, and not the whole path, so that a store and its pictures can be moved together.
    """
    way = os.path.relpath(os.path.realpath(folder), os.path.realpath(store))
    return hashlib.sha256(os.fsencode(way)).hexdigest()


def is_of(found: Examples, wanted: Settings, store: Path) -> bool:
    """Whether examples are of the pictures that a configuration names; `atlas examples` can scan any others too."""
    if isinstance(wanted.folder, Path):
        return found.folder == folder_digest(store, wanted.folder)
    return wanted.folder == DRAWN and found.folder is None


def crop_files(features: Iterable[FeatureExamples]) -> frozenset[str]:
    """The names of all crops of some features."""
    return frozenset(
        crop.file for feature in features for crop in (*feature.crops, *(one.crop for one in feature.levels))
    )
