"""Influence: what a neuron changes far away, frame by frame and by experiment, and what follows about the question."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import log2

from atlas.inception.layers import receptive_field
from atlas.plan.clips import Clip
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Page
from atlas.site.pages.parts import shot_of
from atlas.site.study_page import StudyCard, StudyPage
from atlas.studies.influence.jobs import Pair, influence_pairs, jobs
from atlas.studies.influence.result import (
    INFLUENCE,
    ClipInfluence,
    FrameChange,
    Map,
    Sensitivity,
    TargetInfluence,
    clip_spec,
)
from atlas.studies.influence.settings import Settings
from atlas.studies.raster.jobs import config_clips

CARD = StudyCard(
    "influence", "Influence from afar", "Adding a neuron in one corner changes the picture in another. Why?"
)
FLOOR = 1e-8  # of changes on a logarithmic axis
BINS = 10  # shades of a heat map


def influence_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if something is measured."""
    clips = [clip for clip in config_clips(atlas.config) if clip.stride == 1]
    parts = [_clip_part(clip, found) for clip in clips if (found := atlas.result(clip_spec(clip)))]
    experiments = atlas.result(INFLUENCE)
    if not parts and not experiments:
        return
    pairs = influence_pairs(atlas.config)
    yield CARD.page(
        "How far adding one neuron reaches, in InceptionV3: measured frame by frame, and by experiments.",
        targets=[_target_part(atlas, one, pairs) for one in experiments.targets] if experiments else [],
        clips=parts,
        strided=[f"{clip.layer}[{clip.feature}]" for clip in config_clips(atlas.config) if clip.stride > 1],
    )


def _clip_part(clip: Clip, found: ClipInfluence) -> dict[str, object]:
    """What the frames of a video show."""
    rows, cols = clip.cells
    top, left, bottom, right = receptive_field(clip.layer, clip.feature).box(rows // 2, cols // 2)
    largest = max(frame.change for frame in found.frames) or 1.0
    shades = [round(BINS * frame.change / largest) for frame in found.frames]
    series = [
        Series("all", tuple((k, frame.change) for k, frame in enumerate(found.frames, 1))),
        Series("outside of the effective field", tuple((k, _outside(one)) for k, one in enumerate(found.frames, 1))),
    ]
    name = f"{clip.layer}[{clip.feature}]"
    alt = f"Change of the picture with each added neuron of {name}, in all and outside of its effective field."
    return {
        "found": found,
        # whether the theoretical field of the middle neuron covers the picture
        "covers": top <= 0 and left <= 0 and bottom >= found.size and right >= found.size,
        "cells": list(zip((frame.cell for frame in clip.frames), found.frames, shades, strict=True)),
        "grid": clip.cells,
        "curve": make_chart(series, alt=alt, x_label="frame", y_label="Change from the frame before"),
    }


def _outside(frame: FrameChange) -> float | None:
    return None if frame.in_disc is None else frame.change * (1 - frame.in_disc)


def _target_part(atlas: Atlas, found: TargetInfluence, pairs: tuple[Pair, ...]) -> dict[str, object]:
    """The experiments on one feature."""
    name = f"{found.layer}[{found.feature}]"
    mine = [pair for pair in pairs if (pair.layer, pair.feature) == (found.layer, found.feature)]
    single = [(_difference_words(one), one) for one in found.sensitivity if one.precision == "fp32"]
    raised = [pair for pair in found.pairs if pair.raised]
    apart = [Series(pair.variant, tuple(zip(pair.bins, pair.profile, strict=True))) for pair in raised]
    return {
        "found": found,
        "steps": _steps_chart(found, name, "fp32"),
        "steps64": _steps_chart(found, name, "fp64"),
        "distance": make_chart(
            [Series(words, tuple(zip(one.bins, one.profile, strict=True))) for words, one in single],
            alt=f"Differences after the last step over the distance from the corner, for {name}.",
            x_label="pixels from the corner",
            y_label="Change after the last step",
            log=True,
            floor=FLOOR,
        ),
        "maps": [make_map(words, one.where) for words, one in single],  # after the last step
        "shots": [
            shot_of(atlas.renderings[job], f"{words}, {pair.variant}")
            for pair in mine
            for words, job in zip(("first alone", "second alone", "together"), pair.jobs, strict=True)
        ],
        "pair_maps": [make_map(one.variant, one.where) for one in raised],
        "pair_chart": _pair_chart(apart, name),  # None: nowhere anything
    }


def make_map(words: str, where: Map) -> dict[str, object]:
    """Draw a map: the greatest change has the strongest shade, and two shades weaker is half as much.

    Args:
        words: what made the change.
        where: its means over a square grid.
    """
    largest = max(max(row) for row in where)
    runs = []  # row, column, length and shade of neighbours of one shade
    for row, values in enumerate(where):
        shades = [max(0, BINS + round(2 * log2(value / largest))) if value else 0 for value in values]
        for shade, run in groupby(range(len(shades)), key=lambda col: shades[col]):
            cols = list(run)
            if shade:
                runs.append((row, cols[0], len(cols), shade))
    return {"words": words, "runs": runs, "cells": len(where)}


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


def _steps_chart(found: TargetInfluence, name: str, precision: str) -> Chart | None:
    """Differences in the far half over the steps, in one precision; None where the device has none such."""
    words = precision.replace("fp", "float")
    curves = [
        Series(_difference_words(one), tuple(enumerate(one.steps, 1)))
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


def _difference_words(one: Sensitivity) -> str:
    return "last neuron added" if one.amount is None else f"corner disturbed by {one.amount:g}"


PAGE = StudyPage(card=CARD, pages=influence_pages, mentions=CARD.mentions(Settings), jobs=jobs)
