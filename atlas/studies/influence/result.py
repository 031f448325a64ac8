"""How far a neuron's influence reaches: by the frames of videos, and by experiments on pairs.

A change is the mean absolute difference of two pictures over pixels and channels, in units of the pixel range [0, 1].
"""

from dataclasses import dataclass
from typing import Literal

from atlas.plan.clips import Clip
from atlas.store.results import ResultSpec
from atlas.studies.influence.jobs import jobs

Map = tuple[tuple[float, ...], ...]  # means over the cells of a coarse grid, row by row


@dataclass(frozen=True)
class FrameChange:
    """What adding one neuron to the ones before it changed."""

    change: float  # over the whole picture
    in_field: float | None  # share of it inside the neuron's theoretical field; None: nothing changed
    in_disc: float | None  # inside its effective field; None: nothing changed, or the neuron has no gradient
    radius: float | None  # of the effective field, pixels


@dataclass(frozen=True)
class ClipInfluence:
    """The frames of one raster video, in order."""

    layer: str
    feature: int
    size: int  # pixels of the picture's side
    frames: tuple[FrameChange, ...]

    def share_in(self, place: Literal["in_field", "in_disc"]) -> float | None:
        """Share of the change that falls inside of the neurons' fields; None if no frame has such a share."""
        known = [(frame.change, share) for frame in self.frames if (share := getattr(frame, place)) is not None]
        total = sum(change for change, _ in known)
        return sum(change * share for change, share in known) / total if total else None

    @property
    def share_judged(self) -> float:
        """Share of the change that is by neurons with an effective field; 1 if nothing changed."""
        total = sum(frame.change for frame in self.frames)
        return sum(frame.change for frame in self.frames if frame.in_disc is not None) / total if total else 1.0


@dataclass(frozen=True)
class PairInfluence:
    """Two neurons optimised apart and together, by one variant of the recipe.

    Each pixel belongs to the nearer neuron. There the joint picture is compared with that neuron's own: what differs is
    the influence of the other neuron.
    """

    variant: str
    size: int  # pixels of the picture's side
    distance: float  # pixels between the neurons' centres
    fields_overlap: bool  # whether the two theoretical receptive fields share a pixel
    raised: bool  # whether all three pictures were; otherwise they say nothing about these neurons
    own: float  # change from untouched noise to a neuron's own picture, where that neuron is nearer
    other: float  # change by the other neuron there
    bins: tuple[float, ...]  # distances from the other neuron, pixels
    profile: tuple[float | None, ...]  # change by the other neuron at those distances; None: no pixel is there
    where: Map  # and over the picture


@dataclass(frozen=True)
class Sensitivity:
    """How a small difference in the last corner of the start grows; the target is all neurons but the last."""

    precision: str  # "fp32" or "fp64"
    amount: float | None  # added to every pixel of the corner in the start; None: the last neuron is added instead
    steps: tuple[float | None, ...]  # change after each step in the half of the image that is farther from the corner
    bins: tuple[float, ...]  # distances from the corner, pixels
    profile: tuple[float | None, ...]  # change after the last step at those distances
    where: Map  # and over the picture


@dataclass(frozen=True)
class TargetInfluence:
    """The experiments on one feature."""

    layer: str
    feature: int
    recipe: str
    pairs: tuple[PairInfluence, ...]
    rounding: tuple[float | None, ...]  # change between float32 and float64 there, nothing disturbed
    sensitivity: tuple[Sensitivity, ...]

    @property
    def added(self) -> tuple[Sensitivity, ...]:
        """What adding the last neuron does, in each precision; float32 first."""
        return tuple(one for one in self.sensitivity if one.amount is None)

    @property
    def most_disturbed(self) -> Sensitivity | None:
        """The disturbance of the start that changed most by the last step."""
        disturbed = (one for one in self.sensitivity if one.amount is not None)
        return max(disturbed, key=lambda one: one.steps[-1] or 0.0, default=None)


@dataclass(frozen=True)
class Influence:
    """All experiments."""

    targets: tuple[TargetInfluence, ...]


def clip_spec(clip: Clip) -> ResultSpec[ClipInfluence]:
    """The influence of each neuron of a video; of one with a stride, several neurons are added at a time."""
    return ResultSpec(
        f"influence-{clip.path.name}", 1, ClipInfluence, lambda _: tuple(frame.job for frame in clip.frames)
    )


INFLUENCE = ResultSpec("influence", 3, Influence, jobs)
