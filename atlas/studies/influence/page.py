"""Influence: what a neuron changes far away, frame by frame and by experiment, and what follows about the question."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log2

from atlas.inception.layers import receptive_field
from atlas.plan.clips import Clip
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Link, Page, Picture, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK, picture_of
from atlas.site.verdicts import PRECISIONS, disturbances, frames_verdict, pair_verdict, reach_verdict, steps_of
from atlas.site.words import number, percent, whole_percent
from atlas.studies.influence.jobs import Pair, influence_pairs
from atlas.studies.influence.result import (
    INFLUENCE,
    ClipInfluence,
    FrameChange,
    Map,
    PairInfluence,
    TargetInfluence,
    clip_spec,
)
from atlas.studies.raster.jobs import config_clips

PAGE = f"influence/{HOME}"
TITLE = "Influence from afar"
CARD = StudyCard(TITLE, PAGE, "Adding a neuron in one corner changes the picture in another. Why?")
FLOOR = 1e-8  # of changes on a logarithmic axis
BINS = 10  # shades of a heat map


@dataclass(frozen=True)
class Cell:
    """A neuron in a heat map."""

    row: int
    col: int
    shade: int  # 0 to BINS
    words: str


@dataclass(frozen=True)
class Run:
    """Neighbours of one shade in a row of a map."""

    row: int
    col: int
    length: int
    shade: int  # 1 to BINS


@dataclass(frozen=True)
class HeatMap:
    """Where a change falls, over the picture."""

    words: str  # what made it
    runs: tuple[Run, ...]
    cells: int  # in either direction


@dataclass(frozen=True)
class ClipPart:
    """What the frames of a video show."""

    name: str
    page: str  # of the feature
    verdict: str
    covers: bool  # whether the theoretical field of the middle neuron covers the picture
    field: str
    cells: tuple[Cell, ...]
    grid: tuple[int, int]
    curve: Chart


@dataclass(frozen=True)
class PairRow:
    """One variant of the experiment on two neurons."""

    variant: str
    size: int
    distance: float
    own: float
    other: float
    verdict: str
    pictures: tuple[Picture | None, Picture | None, Picture | None]  # first, second, together
    alts: tuple[str, ...]  # of the pictures


@dataclass(frozen=True)
class TargetPart:
    """The experiments on one feature."""

    name: str
    page: str
    verdict: str
    rows: tuple[tuple[str, str, str], ...]  # what was done, the change in the far half, and beside adding a neuron
    steps: Chart | None
    steps64: Chart | None
    distance: Chart
    maps: tuple[HeatMap, ...]  # after the last step
    pairs: tuple[PairRow, ...]
    pair_maps: tuple[HeatMap, ...]
    pair_chart: Chart | None  # None: nowhere anything


@dataclass(frozen=True)
class InfluenceBody:
    """The page."""

    targets: tuple[TargetPart, ...]
    clips: tuple[ClipPart, ...]
    strided: tuple[str, ...]  # videos that add several neurons at a time


def influence_pages(atlas: Atlas) -> list[Page]:
    """The page, if something is measured."""
    clips = [clip for clip in config_clips(atlas.config) if clip.stride == 1]
    parts = [_clip_part(clip, found) for clip in clips if (found := atlas.result(clip_spec(clip)))]
    experiments = atlas.result(INFLUENCE)
    if not parts and not experiments:
        return []
    pairs = influence_pairs(atlas.config)
    targets = tuple(_target_part(atlas, one, pairs) for one in experiments.targets) if experiments else ()
    strided = tuple(f"{clip.layer}[{clip.feature}]" for clip in config_clips(atlas.config) if clip.stride > 1)
    description = "How far adding one neuron reaches, in InceptionV3: measured frame by frame, and by experiments."
    body = InfluenceBody(targets, tuple(parts), strided)
    return [Page(PAGE, "studies/influence.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)]


def _clip_part(clip: Clip, found: ClipInfluence) -> ClipPart:
    rows, cols = clip.cells
    field = receptive_field(clip.layer, clip.feature)
    top, left, bottom, right = field.box(rows // 2, cols // 2)
    largest = max(frame.change for frame in found.frames) or 1.0
    cells = (
        Cell(*frame.cell, round(BINS * change.change / largest), _cell_words(frame.cell, change))
        for frame, change in zip(clip.frames, found.frames, strict=True)
    )
    name = f"{clip.layer}[{clip.feature}]"
    series = [Series("all", tuple((k, frame.change) for k, frame in enumerate(found.frames, 1)))]
    outside = tuple((float(k), _outside(frame)) for k, frame in enumerate(found.frames, 1))
    series.append(Series("outside of the effective field", outside))
    alt = f"Change of the picture with each added neuron of {name}, in all and outside of its effective field."
    return ClipPart(
        name=name,
        page=f"{clip.layer}/{clip.feature}/{HOME}",
        verdict=frames_verdict(found),
        covers=top <= 0 and left <= 0 and bottom >= found.size and right >= found.size,
        field=f"{field.size[0]} × {field.size[1]} px",
        cells=tuple(cells),
        grid=clip.cells,
        curve=make_chart(series, alt=alt, x_label="frame", y_label="Change from the frame before"),
    )


def _outside(frame: FrameChange) -> float | None:
    return None if frame.in_disc is None else frame.change * (1 - frame.in_disc)


def _cell_words(cell: tuple[int, int], change: FrameChange) -> str:
    words = f"row {cell[0]}, column {cell[1]}: change {change.change:.4g}"
    return words if change.in_disc is None else f"{words}, {whole_percent(1 - change.in_disc)} outside of its field"


def _target_part(atlas: Atlas, found: TargetInfluence, pairs: tuple[Pair, ...]) -> TargetPart:
    name = f"{found.layer}[{found.feature}]"
    mine = [pair for pair in pairs if (pair.layer, pair.feature) == (found.layer, found.feature)]
    far = [
        Series(_amount_words(one.amount), tuple(zip(one.bins, one.profile, strict=True)))
        for one in found.sensitivity
        if one.precision == "fp32"
    ]
    raised = [pair for pair in found.pairs if pair.raised]
    apart = [Series(p.variant, tuple(zip(p.bins, p.profile, strict=True))) for p in raised]
    return TargetPart(
        name=name,
        page=f"{found.layer}/{found.feature}/{HOME}",
        verdict=reach_verdict(found),
        rows=_rows(found),
        steps=_steps_chart(found, name, "fp32", "float32"),
        steps64=_steps_chart(found, name, "fp64", "float64"),
        distance=make_chart(
            far,
            alt=f"Differences after the last step over the distance from the corner, for {name}.",
            x_label="pixels from the corner",
            y_label="Change after the last step",
            log=True,
            floor=FLOOR,
        ),
        maps=tuple(
            make_map(_amount_words(one.amount), one.where) for one in found.sensitivity if one.precision == "fp32"
        ),
        pairs=tuple(_pair_row(atlas, one, pair) for one, pair in zip(found.pairs, mine, strict=True)),
        pair_maps=tuple(make_map(one.variant, one.where) for one in raised),
        pair_chart=_pair_chart(apart, name),
    )


def make_map(words: str, where: Map) -> HeatMap:
    """Draw a map: the greatest change has the strongest shade, and two shades weaker is half as much.

    Args:
        words: what made the change.
        where: its means over a square grid.
    """
    largest = max(max(row) for row in where)
    runs = []
    for row, values in enumerate(where):
        shades = [max(0, BINS + round(2 * log2(value / largest))) if value else 0 for value in values]
        col = 0
        for shade, run in groupby(shades):
            length = len(list(run))
            if shade:
                runs.append(Run(row, col, length, shade))
            col += length
    return HeatMap(words, tuple(runs), len(where))


def _pair_chart(apart: Sequence[Series], name: str) -> Chart | None:
    """What the other neuron did, over distance; None if that was nothing at all."""
    if not any(value for series in apart for _, value in series.points):
        return None
    return make_chart(
        apart,
        alt=f"What the other of two neurons changed, over the distance from it, for {name}.",
        x_label="pixels from the other neuron",
        y_label="Change by the other neuron",
    )


def _rows(found: TargetInfluence) -> tuple[tuple[str, str, str], ...]:
    added = [
        (f"last neuron added, in {words}", steps[-1])
        for precision, words in PRECISIONS.items()
        if (steps := steps_of(found, precision, None))
    ]
    (first, value), *others = (*added, *disturbances(found))
    rows = [(first, number(value), "")]
    for words, other in others:
        rows.append((words, number(other), percent(other / value) if other is not None and value else ""))
    return tuple(rows)


def _steps_chart(found: TargetInfluence, name: str, precision: str, words: str) -> Chart | None:
    """Differences in the far half over the steps, in one precision; None where the device has none such."""
    curves = [
        Series(_amount_words(one.amount), tuple(enumerate(one.steps, 1)))
        for one in found.sensitivity
        if one.precision == precision
    ]
    if not curves:
        return None
    if precision == "fp32" and found.rounding:
        curves.append(Series("float32 against float64", tuple(enumerate(found.rounding, 1))))
    return make_chart(
        curves,
        alt=f"How differences in the far half grow over the steps in {words}, for {name}.",
        x_label="step",
        y_label=f"Change in the far half, in {words}",
        log=True,
        floor=FLOOR,
    )


def _amount_words(amount: float | None) -> str:
    return "last neuron added" if amount is None else f"corner disturbed by {amount:g}"


def _pair_row(atlas: Atlas, found: PairInfluence, pair: Pair) -> PairRow:
    jobs = (pair.first_job, pair.second_job, pair.joint_job)
    first, second, joint = (picture_of(atlas.exhibits[job]) for job in jobs)
    names = (f"Rendering of {job.target}." for job in jobs)
    return PairRow(
        variant=found.variant,
        size=found.size,
        distance=found.distance,
        own=found.own,
        other=found.other,
        verdict=pair_verdict(found),
        pictures=(first, second, joint),
        alts=tuple(names),
    )
