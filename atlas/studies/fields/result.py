"""Effective receptive fields: discs that hold the gradient and the change of a neuron, for features of each branch."""

from dataclasses import dataclass
from typing import Literal

from atlas.store.results import ResultSpec
from atlas.studies.fields.jobs import field_probes

DiscName = Literal["start", "end", "change"]


@dataclass(frozen=True)
class Disc:
    """A disc in an image, in pixels from the corner of the image."""

    row: float
    col: float
    radius: float


@dataclass(frozen=True)
class FieldPoint:
    """One feature's neuron: discs that hold 90 % of its gradient's magnitude, and of what it changed in its picture.

    Each is the smallest about the centre of mass of what it holds; None: there is nothing to hold, or, of the change,
    the picture was not raised, and so is none of this neuron.
    """

    feature: int
    branch: str
    is_spread: bool  # one of those spread evenly over the branch, which stand for it
    is_named: bool  # named by a list of the configuration
    start: Disc | None  # at the start noise
    end: Disc | None  # at the picture made for this neuron
    change: Disc | None  # of what differs between that picture, if raised, and noise blurred as the recipe blurs

    def radius(self, disc: DiscName) -> float | None:
        """The radius of one of the discs, if it is there."""
        found: Disc | None = getattr(self, disc)
        return found.radius if found else None


@dataclass(frozen=True)
class Fields:
    """Effective fields of a layer."""

    layer: str
    neuron: tuple[int, int]  # (row, col), the same for all
    size: int  # pixels of the image's side
    points: tuple[FieldPoint, ...]  # by feature


def fields_spec(layer: str) -> ResultSpec[Fields]:
    """The effective fields of a layer."""
    return ResultSpec(
        f"fields-{layer}",
        3,
        Fields,
        jobs=lambda config: tuple(probe.job for probe in field_probes(config, layer)),
        settings=lambda config: tuple((probe.is_spread, probe.is_named) for probe in field_probes(config, layer)),
    )
