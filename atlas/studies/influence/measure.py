"""How far a neuron's influence reaches: frames of videos, pairs of neurons, and disturbed starts (needs the network).

The article: adding a neuron in one corner changes the picture in another, and "at present not clear why". Experiments
tell the causes apart: a recipe without blur, a larger image in which the border is farther away, neurons whose
receptive fields do not overlap, and the descent's own amplification of differences that no neuron made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from atlas.rendering import numerics as arithmetic
from atlas.rendering.descent import descend
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
BINS = 16  # of distance, over the image's diagonal
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
    """The experiments on pairs of neurons."""
    by_target = groupby(influence_pairs(context.config), key=lambda pair: (pair.layer, pair.feature))
    return Influence(tuple(_target(context, list(members)) for _, members in by_target))


def _frame_change(changed: Array, gradient: Array, field: ReceptiveField, neuron: Size) -> FrameChange:
    disc = smallest_disc(gradient)
    return FrameChange(
        change=changed.mean(),
        in_field=share_in_box(changed, field.box(*neuron)),
        in_disc=share_in_disc(changed, disc) if disc else None,
        radius=disc.radius if disc else None,
    )


def _target(context: MeasureContext, pairs: Sequence[Pair]) -> TargetInfluence:
    first = pairs[0]
    undisturbed, sensitivity = [], []
    for precision in PRECISIONS:
        if precision in arithmetic.allowed_on(context.renderer.device):
            steps, found = _disturb(context, first, precision)
            undisturbed.append(steps)
            sensitivity += found
    far = _farther_half(first.jobs[0].recipe.first_size)
    both = zip(*undisturbed, strict=True) if len(undisturbed) > 1 else ()
    return TargetInfluence(
        layer=first.layer,
        feature=first.feature,
        recipe=first.jobs[0].recipe.name,
        pairs=tuple(_pair(context, pair) for pair in pairs),
        rounding=tuple(_difference(*steps)[far].mean() for steps in both),
        sensitivity=tuple(sensitivity),
    )


def _pair(context: MeasureContext, pair: Pair) -> PairInfluence:
    one, other, joint = (context.picture(job) for job in pair.jobs)
    untouched = context.untouched(pair.jobs[0])
    field = receptive_field(pair.layer, pair.feature)
    # rows and cols from one neuron to the other, in pixels
    apart = np.abs(np.subtract(pair.first, pair.second)) * field.jump
    places = [[field.centre + 0.5 + at * field.jump for at in neuron] for neuron in (pair.first, pair.second)]
    to_first, to_second = (distances((joint.shape[0], joint.shape[1]), (row, col)) for row, col in places)
    is_first = to_first <= to_second
    by_other = np.where(is_first, change(joint, one), change(joint, other))
    own = np.where(is_first, change(one, untouched), change(other, untouched))
    return PairInfluence(
        pair.variant,
        joint.shape[0],
        float(np.hypot(*apart)),
        bool((apart < field.size).all()),
        all(map(context.results.is_raised, pair.jobs)),
        own.mean(),
        by_other.mean(),
        *_by_place(by_other, np.where(is_first, to_second, to_first)),
    )


def _disturb(context: MeasureContext, pair: Pair, precision: str) -> tuple[list[Tensor], list[Sensitivity]]:
    """Descend on all neurons but the last: as it is, with the last corner of the start disturbed, and with the last.

    Returns:
        The first of these after each step, [3, H, W] float64 each, and how the others depart from it.
    """
    job = pair.jobs[0]
    start = to_tensor(context.start(job)).to(arithmetic.dtype_of(precision))
    rows, cols = layers.grid(pair.layer, job.recipe.first_size)
    without, whole = (
        Target((Term(pair.layer, pair.feature, Prefix(count)),)) for count in (rows * cols - 1, rows * cols)
    )
    starts = [start, *(_disturbed(start, amount) for amount in AMOUNTS), start]
    targets = [without] * (1 + len(AMOUNTS)) + [whole]
    steps: list[Tensor] = []  # [B, 3, H, W] each, clipped as a picture is
    with arithmetic.applied(replace(context.renderer.numerics, precision=precision, batch_size=len(starts))):
        network = context.renderer.network(precision, job.recipe.input)
        descend(
            network,
            targets,
            job.recipe,
            torch.stack(starts),
            seed=job.seed,
            after_step=lambda now: steps.append(now.cpu().double().clamp(0, 1)),
        )
    found = [_sensitivity(precision, amount, at, steps) for at, amount in enumerate((*AMOUNTS, None), start=1)]
    return [step[0].clone() for step in steps], found  # no views, which would keep all rows


def _disturbed(start: Tensor, amount: float) -> Tensor:
    """A start [3, H, W] with an amount added in its last corner."""
    moved = start.clone()
    side = round(CORNER * start.shape[-1])
    moved[:, -side:, -side:] += amount
    return moved


def _sensitivity(precision: str, amount: float | None, row: int, steps: Sequence[Tensor]) -> Sensitivity:
    """How one row of a batch departs from the first: `steps` holds [B, 3, H, W] after each step."""
    grown = [_difference(step[row], step[0]) for step in steps]
    size = grown[0].shape
    far = _farther_half(size)
    return Sensitivity(
        precision, amount, tuple(one[far].mean() for one in grown), *_by_place(grown[-1], _from_corner(size))
    )


def _difference(one: Tensor, other: Tensor) -> Array:
    """Mean absolute difference of two images at each pixel, [3, H, W] twice -> [H, W]."""
    return np.asarray((one - other).abs().numpy().mean(axis=0))


def _from_corner(size: Size) -> Array:
    """Distance of each pixel from the middle of the disturbed corner, [H, W]."""
    half = CORNER * size[0] / 2
    return distances(size, (size[0] - half, size[1] - half))


def _farther_half(size: Size) -> NDArray[np.bool_]:
    """The half of the image that is farther from the disturbed corner, [H, W]."""
    far = _from_corner(size)
    return far > np.median(far)


def _by_place(changed: Array, far: Array) -> tuple[tuple[float, ...], tuple[float, ...], Map]:
    """Where a change [H, W] falls: the middles of the bins of distance, its mean in each, and over a coarse grid."""
    edges = np.linspace(0, changed.shape[0] * np.sqrt(2), BINS + 1)
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    rows = means_over_cells(changed, CELLS).tolist()
    return tuple(middles), tuple(profile(changed, far, edges)), tuple(map(tuple, rows))
