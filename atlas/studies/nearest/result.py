"""Which features' pictures are alike: a description of each picture, and the nearest by description."""

from dataclasses import dataclass
from functools import partial

from atlas.plan.jobs import layer_jobs, map_jobs
from atlas.store.results import ResultSpec

MOST = 6  # neighbours of each feature


@dataclass(frozen=True)
class Described:
    """The pictures of a layer that show something: those of status `ok`."""

    layer: str
    features: dict[int, bytes]  # by feature: two histograms as 8-bit square roots, see `atlas.studies.nearest.measure`


@dataclass(frozen=True)
class Near:
    """A feature whose picture is near another's."""

    layer: str
    feature: int
    likeness: float  # mean overlap of the two pictures' histograms, from 0 to 1


@dataclass(frozen=True)
class Nearest:
    """All features with a picture that shows something."""

    layers: dict[str, dict[int, tuple[Near, ...]]]  # by layer and feature, the nearest first
    orders: dict[str, tuple[int, ...]]  # by layer, its features so ordered that neighbours are alike


def described_spec(layer: str) -> ResultSpec[Described]:
    """The pictures of a layer; one result a layer, so that a change in one leaves the others described."""
    return ResultSpec(f"described-{layer}", 1, Described, partial(layer_jobs, layer=layer), needs_all=False)


NEAREST = ResultSpec("nearest", 2, Nearest, map_jobs, needs_all=False)
