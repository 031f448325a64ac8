"""How far to trust this atlas: the marks of all features, by layer and by recipe."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import MARKS, Mark, Page
from atlas.site.pages.parts import tile_of
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.studies.examples.page import known_examples
from atlas.studies.examples.result import FeatureExamples
from atlas.studies.trust.marks import collection_of, kind_of, marks_of
from atlas.studies.trust.section import evidence_of
from atlas.studies.trust.shares import Share, share_of

CARD = StudyCard(
    "trust",
    "How far to trust this atlas",
    "Which of these pictures can be believed? Three checks, each against a null.",
)
SHOWN = 18  # features that pass all checks, and that fail some
LEAST_TOLD = 4  # features of a layer whose share is drawn

Item = TypeVar("Item")


def count_marks(marks: Sequence[Mark]) -> dict[str, Share]:
    """How many pass each check."""
    return {kind: share_of(mark.passed for mark in marks if mark.kind == kind) for kind in MARKS}


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


PAGE = StudyPage(
    card=CARD,
    pages=trust_pages,
    section=Section("studies/trust_section.html", evidence_of),
    marks=marks_of,
)
