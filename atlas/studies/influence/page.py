"""Influence: what a neuron changes far away, frame by frame and by experiment, and what follows about the question."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import log2

from atlas.inception.layers import receptive_field
from atlas.plan.clips import Clip
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Page
from atlas.site.pages.parts import Shot, feature_page, shot_of
from atlas.site.study_page import StudyCard, StudyPage
from atlas.site.words import field_of, number, percent, whole_percent
from atlas.studies.influence.jobs import Pair, influence_pairs, jobs
from atlas.studies.influence.result import (
    INFLUENCE,
    ClipInfluence,
    FrameChange,
    Map,
    PairInfluence,
    Sensitivity,
    TargetInfluence,
    clip_spec,
)
from atlas.studies.influence.settings import Settings
from atlas.studies.raster.jobs import config_clips

CARD = StudyCard(
    "influence", "Influence from afar", "Adding a neuron in one corner changes the picture in another. Why?"
)
PRECISIONS = {"fp32": "float32", "fp64": "float64"}
LIKE = 0.5  # a change counts as of the size of another if it is at least half of it
LITTLE = 0.1  # and as little beside it if it is less than a tenth
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


def frames_summary(found: ClipInfluence) -> str:
    """How much of the change falls outside of the neurons' fields."""
    total = sum(frame.change for frame in found.frames)
    field = _weighted([(frame.change, frame.in_field) for frame in found.frames])
    disc = _weighted([(frame.change, frame.in_disc) for frame in found.frames])
    if not total or field is None:
        return "No frame differs from the one before."
    words = f"{whole_percent(1 - field)} of all change falls outside of the added neuron’s theoretical receptive field"
    if disc is not None:
        measured = sum(frame.change for frame in found.frames if frame.in_disc is not None)
        share = (
            "" if measured == total else f" (of the {whole_percent(measured / total)} by neurons that have a gradient)"
        )
        words += f", and {whole_percent(1 - disc)} outside of its effective one{share}"
    return words + "."


def reach_summary(found: TargetInfluence) -> str:
    """What follows about the article's question from the experiments on one feature, and no more."""
    words = [_amplification(found)]
    first = found.pairs[0]
    if first.raised and not first.fields_overlap and first.other == 0:
        words.append(
            "Two neurons whose receptive fields do not meet left each other’s half of the picture unchanged in all 8 "
            "bits: here shared steps and blur alone have no influence that far."
        )
    return " ".join(words)


def _amplification(found: TargetInfluence) -> str:
    steps = steps_of(found, "fp32", None)
    added = steps[-1] if steps else None
    if not added:
        return (
            "Adding the last neuron changed nothing in the far half: nothing reached it, or the neuron had no gradient."
        )
    fact = f"Adding the last neuron changed the far half of the picture by {number(added)}."
    if steps[0]:  # before it could grow
        first = (
            f"After the first step, before anything could grow, it was {number(steps[0])}: that much arrives at once."
        )
    else:
        first = "After the first step nothing had changed there yet: what came later was passed on from step to step."
    return f"{fact} {first} {_growth(found, added)}"


def _growth(found: TargetInfluence, added: float) -> str:
    """What differences that no neuron made come to, in the corner and by rounding, beside what the neuron did."""
    disturbed = [one for one in found.sensitivity if one.amount is not None]
    most = max(disturbed, key=lambda one: one.steps[-1] or 0.0, default=None)
    words = [_corner_sentence(most, added)] if most else []
    rounding = (found.rounding[-1] if found.rounding else None) or 0.0
    if rounding >= LIKE * added:
        words.append(
            "Rounding alone, float32 against float64, which acts on every pixel at every step, changes it by "
            f"{_beside(rounding, added)}. The change is of the same size as that by rounding, so its size cannot be "
            "attributed to the neuron."
        )
    return " ".join(words)


def _corner_sentence(most: Sensitivity, added: float) -> str:
    """What the disturbance of the start that did most says of the change that the neuron made."""
    value = most.steps[-1] or 0.0
    if value < LITTLE * added:
        return (
            "No disturbance of the start in that corner, with no neuron added, reached a tenth of that. ReLUs flip or "
            "do not, so this holds for the amounts that were tried."
        )
    fact = (
        f"The start disturbed by {most.amount:g} in that corner, with no neuron added, changes it by "
        f"{_beside(value, added)}"
    )
    return f"{fact}: the descent itself makes small differences that large." if value >= LIKE * added else f"{fact}."


def _beside(value: float, added: float) -> str:
    return f"{number(value)}, {whole_percent(value / added)} of that"


def disturbances(found: TargetInfluence) -> list[tuple[str, float | None]]:
    """What was disturbed with no neuron added, and the change in the far half after the last step."""
    rows = [
        (f"start disturbed by {one.amount:g}, in {PRECISIONS[one.precision]}", one.steps[-1])
        for one in found.sensitivity
        if one.amount is not None
    ]
    if found.rounding:
        rows.append(("nothing disturbed: float32 against float64", found.rounding[-1]))
    return rows


def steps_of(found: TargetInfluence, precision: str, amount: float | None) -> tuple[float | None, ...]:
    """Change in the far half after each step; `amount` None: by adding the last neuron."""
    curves = (one.steps for one in found.sensitivity if (one.precision, one.amount) == (precision, amount))
    return next(curves, ())


def pair_summary(found: PairInfluence) -> str:
    """What one neuron did to the other's half."""
    meet = "fields overlap" if found.fields_overlap else "fields do not meet"
    if not found.raised:
        return f"{meet}: cannot be judged, since not all three pictures were raised"
    share = f", {whole_percent(found.other / found.own)} of the change by the nearer neuron itself" if found.own else ""
    return f"{meet}: the other neuron changed {number(found.other)}{share}"


def _weighted(pairs: Sequence[tuple[float, float | None]]) -> float | None:
    """Mean share, weighted by change; frames without a share are left out."""
    known = [(change, share) for change, share in pairs if share is not None and change]
    total = sum(change for change, _ in known)
    return sum(change * share for change, share in known) / total if total else None


def _clip_part(clip: Clip, found: ClipInfluence) -> dict[str, object]:
    """What the frames of a video show."""
    rows, cols = clip.cells
    field = receptive_field(clip.layer, clip.feature)
    top, left, bottom, right = field.box(rows // 2, cols // 2)
    largest = max(frame.change for frame in found.frames) or 1.0
    cells = [
        (*frame.cell, round(BINS * change.change / largest), _cell_words(frame.cell, change))
        for frame, change in zip(clip.frames, found.frames, strict=True)
    ]
    name = f"{clip.layer}[{clip.feature}]"
    series = [
        Series("all", tuple((k, frame.change) for k, frame in enumerate(found.frames, 1))),
        Series("outside of the effective field", tuple((k, _outside(one)) for k, one in enumerate(found.frames, 1))),
    ]
    alt = f"Change of the picture with each added neuron of {name}, in all and outside of its effective field."
    return {
        "name": name,
        "page": feature_page(clip.layer, clip.feature),
        "summary": frames_summary(found),
        # whether the theoretical field of the middle neuron covers the picture
        "covers": top <= 0 and left <= 0 and bottom >= found.size and right >= found.size,
        "field": field_of(clip.layer, clip.feature),
        "cells": cells,  # row, column, shade and words of each neuron
        "grid": clip.cells,
        "curve": make_chart(series, alt=alt, x_label="frame", y_label="Change from the frame before"),
    }


def _outside(frame: FrameChange) -> float | None:
    return None if frame.in_disc is None else frame.change * (1 - frame.in_disc)


def _cell_words(cell: tuple[int, int], change: FrameChange) -> str:
    words = f"row {cell[0]}, column {cell[1]}: change {change.change:.4g}"
    return words if change.in_disc is None else f"{words}, {whole_percent(1 - change.in_disc)} outside of its field"


def _target_part(atlas: Atlas, found: TargetInfluence, pairs: tuple[Pair, ...]) -> dict[str, object]:
    """The experiments on one feature."""
    name = f"{found.layer}[{found.feature}]"
    mine = [pair for pair in pairs if (pair.layer, pair.feature) == (found.layer, found.feature)]
    single = [(_amount_words(one.amount), one) for one in found.sensitivity if one.precision == "fp32"]
    raised = [pair for pair in found.pairs if pair.raised]
    apart = [Series(pair.variant, tuple(zip(pair.bins, pair.profile, strict=True))) for pair in raised]
    return {
        "name": name,
        "page": feature_page(found.layer, found.feature),
        "summary": reach_summary(found),
        "rows": _rows(found),  # what was done, the change in the far half, and beside adding a neuron
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
        "pairs": [_pair_row(atlas, one, pair) for one, pair in zip(found.pairs, mine, strict=True)],
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


def _rows(found: TargetInfluence) -> list[tuple[str, str, str]]:
    added = [
        (f"last neuron added, in {words}", steps[-1])
        for precision, words in PRECISIONS.items()
        if (steps := steps_of(found, precision, None))
    ]
    (_, value), *others = rows = (*added, *disturbances(found))
    shares = ["", *(percent(other / value) if other is not None and value else "" for _, other in others)]
    return [(words, number(other), share) for (words, other), share in zip(rows, shares, strict=True)]


def _steps_chart(found: TargetInfluence, name: str, precision: str) -> Chart | None:
    """Differences in the far half over the steps, in one precision; None where the device has none such."""
    words = PRECISIONS[precision]
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


def _pair_row(atlas: Atlas, found: PairInfluence, pair: Pair) -> tuple[PairInfluence, str, list[Shot]]:
    """One variant of the experiment on two neurons, its summary and its pictures."""
    named = zip(("first alone", "second alone", "together"), pair.jobs, strict=True)
    shots = [shot_of(atlas.renderings[job], f"{words}, {found.variant}") for words, job in named]
    return found, pair_summary(found), shots


PAGE = StudyPage(card=CARD, pages=influence_pages, mentions=CARD.mentions(Settings), jobs=jobs)
