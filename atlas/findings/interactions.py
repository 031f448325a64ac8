"""What two features make of each other's pictures, as measured: pairs alone and together, and matrices of a layer.

A score is the mean activation over a feature's map, of the stored 8-bit picture in float32. Distances of a pair are in
units of half the root mean square distance between the picture for the first feature and that for the second.
"""

from dataclasses import dataclass

from atlas.findings.topics import Topic
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.wanted.interactions import interactions, matrix_jobs


@dataclass(frozen=True)
class Mixed:
    """A picture for some mixture of two features."""

    target: str
    weight: float  # of the second feature in the straight mixture of pictures that it is held against
    first: float  # score for the first feature
    second: float  # and for the second
    off: float | None  # distance from that mixture; None: the pictures for the two features are the same


@dataclass(frozen=True)
class PairInteraction:
    """Two features alone, together and in between."""

    first: str
    second: str
    apart: float  # root mean square distance of the pictures for each alone, in units of the pixel range
    joint: Mixed  # held against the mean of the two
    scatter: float | None  # distance of the joint picture from the one that the same target gives from other noise
    walk: tuple[Mixed, ...]  # from the first alone to the second alone


@dataclass(frozen=True)
class Interactions:
    """All pairs of a configuration."""

    pairs: tuple[PairInteraction, ...]


@dataclass(frozen=True)
class Matrix:
    """How much the picture for each of a few features excites each of them."""

    layer: str
    features: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]  # by picture, and then by feature
    noise: tuple[float, ...]  # of the start noise at the pictures' size, by feature


def _pair_jobs(config: Config) -> tuple[Job, ...]:
    return tuple(dict.fromkeys(job for pair in interactions(config) for job in pair.jobs))


INTERACTIONS = Topic("interactions", 1, Interactions, _pair_jobs)


def matrix_topic(layer: str) -> Topic[Matrix]:
    """The matrix of a layer."""
    return Topic(f"interactions-{layer}", 1, Matrix, lambda config: matrix_jobs(config, layer))
