"""Effective receptive fields, as measured: for features of each branch, the disc that the gradient fills."""

from dataclasses import dataclass

from atlas.findings.topics import Topic
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.wanted.fields import field_probes


@dataclass(frozen=True)
class Disc:
    """A disc in an image, in pixels from the corner of the image."""

    row: float
    col: float
    radius: float


@dataclass(frozen=True)
class FieldPoint:
    """One feature's neuron: the smallest discs that hold 90 % of its gradient's magnitude; None: no gradient there."""

    feature: int
    branch: str
    start: Disc | None  # at the start noise
    end: Disc | None  # at the picture made for this neuron


@dataclass(frozen=True)
class Fields:
    """Effective fields of a layer."""

    layer: str
    neuron: tuple[int, int]  # (row, col), the same for all
    size: int  # pixels of the image's side
    points: tuple[FieldPoint, ...]  # by feature


def fields_topic(layer: str) -> Topic[Fields]:
    """The effective fields of a layer."""

    def jobs(config: Config) -> tuple[Job, ...]:
        return tuple(probe.job for probe in field_probes(config) if probe.layer == layer)

    return Topic(f"fields-{layer}", 1, Fields, jobs)
