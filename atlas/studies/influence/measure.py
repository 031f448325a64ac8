"""How far a neuron's influence reaches: frames of videos, pairs of neurons, and disturbed starts (needs the network).

The article: adding a neuron in one corner changes the picture in another, and "at present not clear why". Causes are
told apart by experiment: a recipe without blur, a larger image in which the border is farther away, neurons whose
receptive fields do not meet, and the descent's own amplification of differences that no neuron made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlas.inception import layers
from atlas.inception.architecture import Size
from atlas.inception.layers import ReceptiveField, receptive_field
from atlas.inception.targets import Neuron, Prefix, Target, Term
from atlas.plan.clips import Clip
from atlas.plan.config import Config
from atlas.render import numerics as arithmetic
from atlas.render.descent import descend
from atlas.store.result_files import rounded
from atlas.studies.influence.jobs import Pair, influence_pairs
from atlas.studies.influence.result import (
    INFLUENCE,
    ClipInfluence,
    FrameChange,
    Influence,
    Map,
    PairInfluence,
    Sensitivity,
    TargetInfluence,
    clip_spec,
)
from atlas.studies.raster.jobs import config_clips
from atlas.studies.shared.context import MeasureContext, Measurement, to_tensor
from atlas.studies.shared.maps import (
    Array,
    change,
    distances,
    means_over_cells,
    profile,
    share_in_box,
    share_in_disc,
    smallest_disc,
)

AMOUNTS = (1e-7, 1e-6, 1e-5)  # added to the corner of the start
PRECISIONS = ("fp32", "fp64")
CORNER = 1 / 8  # side of the disturbed corner, of the image's
BINS = 16  # of distance, over the image's side
CELLS = 16  # of a map, in either direction


def measurements(config: Config) -> Iterator[Measurement]:
    """The videos that add one neuron at a time, then the experiments on pairs."""
    for clip in config_clips(config):
        if clip.stride == 1:
            yield Measurement(clip_spec(clip), partial(measure_clip, clip=clip))
    yield Measurement(INFLUENCE, measure_influence)


def measure_clip(context: MeasureContext, clip: Clip) -> ClipInfluence:
    """What each frame of a video changed, inside and outside of its neuron's fields.

    The effective field is the disc that holds 90 % of the gradient of neuron k alone, at frame k.

    Raises:
        StoreError: a master is missing or damaged.
    """
    pictures = [context.picture(frame.job) for frame in clip.frames]
    neurons = [Target((Term(clip.layer, clip.feature, Neuron(*frame.neuron)),)) for frame in clip.frames]
    gradients = context.gradients(neurons, pictures, clip.recipe.first_size, clip.recipe.input)
    field = receptive_field(clip.layer, clip.feature)
    before = [context.untouched(clip.frames[0].job), *pictures[:-1]]
    frames = (
        _frame_change(change(picture, last), gradient, field, frame.neuron)
        for picture, last, gradient, frame in zip(pictures, before, gradients, clip.frames, strict=True)
    )
    return ClipInfluence(clip.layer, clip.feature, clip.recipe.octaves[-1].size, tuple(frames))


def measure_influence(context: MeasureContext) -> Influence:
    """The experiments on pairs of neurons.

    Raises:
        StoreError: a master is missing or damaged.
    """
    pairs = influence_pairs(context.results.config)
    by_target = groupby(pairs, key=lambda pair: (pair.layer, pair.feature))
    return Influence(tuple(_target(context, list(members)) for _, members in by_target))


def _frame_change(changed: Array, gradient: Array, field: ReceptiveField, neuron: Size) -> FrameChange:
    disc = smallest_disc(gradient)
    return FrameChange(
        change=rounded(float(changed.mean())) or 0.0,
        in_field=_rounded(share_in_box(changed, field.box(*neuron))),
        in_disc=_rounded(share_in_disc(changed, disc)) if disc else None,
        radius=_rounded(disc.radius) if disc else None,
    )


def _target(context: MeasureContext, pairs: Sequence[Pair]) -> TargetInfluence:
    first = pairs[0]
    allowed = [precision for precision in PRECISIONS if precision in arithmetic.allowed_on(context.renderer.device)]
    by_precision = {precision: _disturb(context, first, precision) for precision in allowed}
    pairs_found = tuple(_pair(context, pair) for pair in pairs)
    between = _rounding(*(disturbed.calm for disturbed in by_precision.values())) if len(allowed) > 1 else []
    return TargetInfluence(
        layer=first.layer,
        feature=first.feature,
        recipe=first.first_job.recipe.name,
        pairs=pairs_found,
        rounding=tuple(rounded(step[_farther_half(first.first_job.recipe.first_size)].mean()) for step in between),
        sensitivity=tuple(sens for disturbed in by_precision.values() for sens in disturbed.found),
    )


def _pair(context: MeasureContext, pair: Pair) -> PairInfluence:
    one, other = context.picture(pair.first_job), context.picture(pair.second_job)
    joint, untouched = context.picture(pair.joint_job), context.untouched(pair.first_job)
    to_first, to_second = (distances((joint.shape[0], joint.shape[1]), place) for place in _places(pair))
    is_first = to_first <= to_second
    by_other = np.where(is_first, change(joint, one), change(joint, other))
    own = np.where(is_first, change(one, untouched), change(other, untouched))
    edges = _edges(joint.shape[0])
    field = receptive_field(pair.layer, pair.feature)
    return PairInfluence(
        variant=pair.variant,
        size=joint.shape[0],
        distance=rounded(float(np.hypot(*np.subtract(*_places(pair))))) or 0.0,
        fields_overlap=_overlap(field, pair.first, pair.second),
        raised=all(map(context.results.is_raised, (pair.first_job, pair.second_job, pair.joint_job))),
        own=rounded(float(own.mean())) or 0.0,
        other=rounded(float(by_other.mean())) or 0.0,
        bins=_middles(edges),
        profile=tuple(rounded(v) for v in profile(by_other, np.where(is_first, to_second, to_first), edges)),
        where=_map(by_other),
    )


def _rounding(one: Sequence[Tensor], other: Sequence[Tensor]) -> list[Array]:
    """Change between two descents after each step, [H, W] each."""
    return [(a - b).abs().numpy().mean(axis=0) for a, b in zip(one, other, strict=True)]  # [3, H, W] -> [H, W]


@dataclass(frozen=True)
class _Disturbed:
    """Descents that differ in one corner, and the calm one beside them."""

    calm: list[Tensor]  # after each step, [3, H, W] float64, clipped as a picture is
    found: list[Sensitivity]


def _disturb(context: MeasureContext, pair: Pair, precision: str) -> _Disturbed:
    """Descend on all neurons but the last: as it is, with the last corner of the start disturbed, and with the last."""
    job = pair.first_job
    start = to_tensor(context.start(job)).to(torch.float64 if precision == "fp64" else torch.float32)
    rows, cols = layers.grid(pair.layer, job.recipe.first_size)
    without, whole = (
        Target((Term(pair.layer, pair.feature, Prefix(count)),)) for count in (rows * cols - 1, rows * cols)
    )
    starts = [start, *(_disturbed(start, amount) for amount in AMOUNTS), start]
    targets = [without] * (1 + len(AMOUNTS)) + [whole]
    seen: list[Tensor] = []
    numerics = replace(context.renderer.numerics, precision=precision, batch_size=len(starts))
    with arithmetic.applied(numerics):
        network = context.renderer.network(precision, job.recipe.input)
        descend(
            network,
            targets,
            job.recipe,
            torch.stack(starts),
            seed=job.seed,
            after_step=lambda now: seen.append(now.cpu().double().clamp(0, 1)),
        )
    found = [_sensitivity(precision, amount, at, seen) for at, amount in enumerate((*AMOUNTS, None), start=1)]
    return _Disturbed([now[0].clone() for now in seen], found)  # not views, which would keep all rows


def _disturbed(start: Tensor, amount: float) -> Tensor:
    """A start [3, H, W] with an amount added in its last corner."""
    moved = start.clone()
    side = round(CORNER * start.shape[-1])
    moved[:, -side:, -side:] += amount
    return moved


def _sensitivity(precision: str, amount: float | None, row: int, seen: Sequence[Tensor]) -> Sensitivity:
    """How one row of a batch parts from the first: `seen` holds [B, 3, H, W] after each step."""
    grown = [(now[row] - now[0]).abs().numpy().mean(axis=0) for now in seen]  # [3, H, W] -> [H, W]
    size = grown[0].shape
    far, edges = _from_corner(size), _edges(size[0])
    steps = tuple(rounded(step[_farther_half(size)].mean()) for step in grown)
    last = tuple(rounded(value) for value in profile(grown[-1], far, edges))
    return Sensitivity(precision, amount, steps, _middles(edges), last, _map(grown[-1]))


def _from_corner(size: Size) -> Array:
    """Distance of each pixel from the middle of the disturbed corner, [H, W]."""
    half = CORNER * size[0] / 2
    return distances(size, (size[0] - half, size[1] - half))


def _farther_half(size: Size) -> NDArray[np.bool_]:
    """The half of the image that is farther from the disturbed corner, [H, W]."""
    far = _from_corner(size)
    return far > np.median(far)


def _places(pair: Pair) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres of the two neurons' fields, in pixels."""
    field = receptive_field(pair.layer, pair.feature)
    first, second = (
        (field.centre + 0.5 + row * field.jump, field.centre + 0.5 + col * field.jump)
        for row, col in (pair.first, pair.second)
    )
    return first, second


def _overlap(field: ReceptiveField, first: Size, second: Size) -> bool:
    top, left, bottom, right = field.box(*first)
    other_top, other_left, other_bottom, other_right = field.box(*second)
    return min(bottom, other_bottom) > max(top, other_top) and min(right, other_right) > max(left, other_left)


def _edges(side: int) -> Array:
    return np.linspace(0, side * np.sqrt(2), BINS + 1)


def _middles(edges: Array) -> tuple[float, ...]:
    return tuple(float(f"{middle:.6g}") for middle in (edges[1:] + edges[:-1]) / 2)


def _map(changed: Array) -> Map:
    """A change [H, W] over a coarse grid."""
    return tuple(tuple(rounded(value) or 0.0 for value in row) for row in means_over_cells(changed, CELLS).tolist())


def _rounded(value: float | None) -> float | None:
    return None if value is None else rounded(value)
