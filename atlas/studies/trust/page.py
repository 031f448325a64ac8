"""How far to trust this atlas: marks of all features, by layer and by recipe; and what they rest on, on each page."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from atlas.inception.layers import layers_up_to
from atlas.site.catalogue import Atlas, Feature, LayerEntry
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import MARKS, Mark, Page, Picture
from atlas.site.pages.parts import tile_of
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.studies.examples.page import crop_picture, known_examples, shown_examples
from atlas.studies.examples.result import QUANTILES, FeatureExamples
from atlas.studies.trust.marks import collection_of, kind_of, marks_of

CARD = StudyCard(
    "trust",
    "How far to trust this atlas",
    "Which of these pictures can be believed? Three checks, each against a null.",
)
SHOWN = 18  # features that pass all checks, and that fail some
NORMAL_95 = 1.96
LEAST_TOLD = 4  # features of a layer whose share is drawn
WIDTH, HIGHEST = 480, 160  # of a histogram, and of its highest column, in the units of its view box

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """How many features pass a check, of those of which it can be told."""

    passed: int
    told: int
    undecided: int = 0

    @property
    def limits(self) -> tuple[float, float]:
        """Wilson's interval of the share that passes; 95 % confidence."""
        return wilson(self.passed, self.told)


@dataclass(frozen=True)
class Bar:
    """A column of a histogram, in the units of its view box."""

    x: int
    width: int
    height: int


@dataclass(frozen=True)
class Evidence:
    """What the marks of a feature rest on."""

    one: FeatureExamples
    quantiles: Mapping[float, float]  # activations by pictures
    bars: tuple[Bar, ...]
    at: int | None  # where the rendering lies in the histogram; None: beyond it
    levels: tuple[tuple[float, float, Picture], ...]  # level, activation and crop, where crops are shown
    path: Chart | None  # None: it was not measured, or is of one layer


def wilson(passed: int, told: int) -> tuple[float, float]:
    """Wilson's interval of a share, 95 % confidence."""
    if not told:
        return 0.0, 1.0
    share, square = passed / told, NORMAL_95**2
    middle = share + square / (2 * told)
    spread = NORMAL_95 * math.sqrt(share * (1 - share) / told + square / (4 * told**2))
    low, high = ((middle + sign * spread) / (1 + square / told) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def count_marks(marks: Sequence[Mark]) -> dict[str, Share]:
    """How many pass each check."""
    return {kind: share_of(mark.passed for mark in marks if mark.kind == kind) for kind in MARKS}


def share_of(outcomes: Iterable[bool | None]) -> Share:
    """How many of some outcomes are positive."""
    every = list(outcomes)
    told = [passed for passed in every if passed is not None]
    return Share(sum(told), len(told), len(every) - len(told))


def trust_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, where anything is measured."""
    marked = [(feature, marks) for feature in atlas.features if (marks := atlas.marks_of(feature))]
    if not marked:
        return
    rows = [
        (entry, count_marks(some))
        for entry in atlas.layers
        if (some := [mark for feature in entry.features for mark in atlas.marks_of(feature)])
    ]
    known = atlas.once(known_examples)
    whole = count_marks([mark for _, some in marked for mark in some])
    measured, kind = {mark.kind for _, some in marked for mark in some}, kind_of(atlas)
    names = ("Seeds agree", f"Beats {kind}s", "Natural path")
    checks = {mark: name for mark, name in zip(MARKS, names, strict=True) if mark in measured}
    best = [feature for feature, marks in marked if all(mark.passed for mark in marks)]
    doubtful = [(feature, marks) for feature, marks in marked if any(mark.passed is False for mark in marks)]
    yield CARD.page(
        f"Which pictures of this atlas can be believed: do seeds agree, do they beat {kind}s, by a natural path?",
        features=len(marked),
        checks=checks,
        whole=whole,
        best=len(best),
        doubtful=len(doubtful),
        best_tiles=[(tile_of(feature), "") for feature in spread(best)],
        doubtful_tiles=[(tile_of(feature), failures(marks)) for feature, marks in spread(doubtful)],
        rows=rows,
        chart=_chart(rows, checks),
        recipes=_recipes(atlas),
        known=known.found,
        kind=kind,
        collection=collection_of(atlas),
    )


def failures(marks: Sequence[Mark]) -> str:
    """What a picture failed, in words."""
    return ", ".join(mark.label for mark in marks if mark.passed is False)


def spread(items: Sequence[Item]) -> list[Item]:
    """At most `SHOWN` of some items, evenly."""
    if len(items) <= SHOWN:
        return list(items)
    return [items[at * len(items) // SHOWN] for at in range(SHOWN)]


def _chart(rows: Sequence[tuple[LayerEntry, dict[str, Share]]], checks: Mapping[str, str]) -> Chart | None:
    """The share of features that pass each check, over the layers."""
    series = []
    for kind, name in checks.items():
        points = tuple(
            (float(at), 100 * share.passed / share.told if (share := shares[kind]).told >= LEAST_TOLD else None)
            for at, (_, shares) in enumerate(rows)
        )
        if any(value is not None for _, value in points):
            series.append(Series(name, points, "joined"))
    if len(rows) < 2 or not series:
        return None
    return make_chart(
        series,
        alt="The share of features that pass each check, over the layers.",
        x_label="layer",
        y_label="Share of the features that pass the check, of those of which it can be told, percent",
        x_words=[(float(at), entry.layer.name.split("_")[1]) for at, (entry, _) in enumerate(rows)],
    )


def _recipes(atlas: Atlas) -> list[tuple[str, Share, Share]]:
    """By recipe how many pass the two checks on photographs, of the features that all of these recipes raised.

    Features are rendered by several sets of recipes; it is the largest set that counts.
    """
    raised = {one.record.pixels_sha256 for one in atlas.shown_or_pending if one.record and one.status == "ok"}
    sets: dict[frozenset[str], list[FeatureExamples]] = {}
    for feature in atlas.once(known_examples).by_target.values():
        recipes = frozenset(placed.recipe for placed in feature.renderings)
        if all(placed.pixels in raised for placed in feature.renderings):
            sets.setdefault(recipes, []).append(feature)
    names, features = max(sets.items(), key=lambda one: (len(one[0]), len(one[1])), default=(frozenset(), []))
    if len(names) < 2:
        return []
    ordered = [placed.recipe for placed in features[0].renderings]
    return [(name, *_shares(name, features)) for name in ordered]


def _shares(recipe: str, features: Sequence[FeatureExamples]) -> tuple[Share, Share]:
    """How many features beat photographs by a recipe, and take a natural path."""
    renderings = [(one, placed) for one in features for placed in one.renderings if placed.recipe == recipe]
    return (
        share_of(placed.beats_pictures for _, placed in renderings),
        share_of(one.is_natural(placed) for one, placed in renderings),
    )


def evidence_of(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, object]]:
    """What the marks of a layer's features rest on, by number."""
    known, shown = atlas.once(known_examples), atlas.once(shown_examples)
    found: dict[int, dict[str, object]] = {}
    for feature in entry.shown:
        one = known.by_target.get(str(feature.job.target))
        if one and known.found and feature.status == "ok":
            found[feature.number] = {
                "evidence": _evidence(feature, one, has_crops=str(feature.job.target) in shown.by_target),
                "found": known.found,
                "kind": kind_of(atlas),
                "collection": collection_of(atlas),
            }
    return found


def _evidence(feature: Feature, one: FeatureExamples, *, has_crops: bool) -> Evidence:
    highest, best = max(one.counts), one.quantiles[-1]
    step = WIDTH / len(one.counts)
    bars = (
        Bar(round(at * step + 1), round(step - 2), max(1, round(HIGHEST * count / highest)))
        for at, count in enumerate(one.counts)
        if count
    )
    return Evidence(
        one=one,
        quantiles=dict(zip(QUANTILES, one.quantiles, strict=True)),
        bars=tuple(bars),
        at=round(WIDTH * one.own.score / best) if best and one.own.score <= best else None,
        levels=tuple((some.level, some.crop.score, crop_picture(some.crop)) for some in one.levels if has_crops),
        path=_path_chart(feature, one) if len(one.own.path) > 1 else None,
    )


def _path_chart(feature: Feature, one: FeatureExamples) -> Chart:
    """How alike layers respond to a rendering and to the top crops, up to the feature's own layer."""
    names = [layer.name.split("_")[1] for layer in layers_up_to(feature.layer)]
    values = {"the rendering and the top crops": one.own.path, "the top crops among themselves": one.crop_path}
    return make_chart(
        [Series(said, tuple((float(at), v) for at, v in enumerate(some)), "joined") for said, some in values.items()],
        alt="How alike each layer responds to the rendering and the top crops, and to these among themselves.",
        x_label="layer",
        y_label="Rank correlation of channel means, standardised by random crops, which lie around 0",
        x_words=[(float(at), name) for at, name in enumerate(names)],
        height=200,
    )


PAGE = StudyPage(
    card=CARD,
    pages=trust_pages,
    section=Section("studies/trust_section.html", evidence_of),
    marks=marks_of,
)
