"""Raw against octaves: features by several recipes side by side, and how alike the pictures are."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from atlas.plan.jobs import Job
from atlas.site.catalogue import Atlas, LayerEntry, PlannedRendering
from atlas.site.models import Page
from atlas.site.pages.parts import shot_of, target_page
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.studies.compare.jobs import comparisons, jobs, jobs_beside, raw_pairs
from atlas.studies.compare.result import COMPARE, Compare, Compared, ComparedTarget, raw_spec
from atlas.studies.compare.settings import Settings
from atlas.studies.shared.likeness import Likeness

CARD = StudyCard(
    "compare",
    "Raw against octaves",
    "How much of a picture is the feature’s, and how much the recipe’s? Recipes side by side.",
)


@dataclass(frozen=True)
class RawBeside:
    """A feature's picture by raw descent, and by the recipe of the article's pages."""

    rendering: PlannedRendering
    own: PlannedRendering
    size: int  # pixels at which the two were compared
    is_raised: bool  # whether both pictures were: otherwise they are not compared
    likeness: Likeness | None  # None: not measured yet, or not compared


def compare_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if something is measured."""
    beside = [(entry.layer.name, raw_beside(atlas, entry)) for entry in atlas.layers]
    raws = {name: {number: raw.likeness for number, raw in raw.items() if raw.likeness} for name, raw in beside}
    unraised = sum(not raw.is_raised for _, members in beside for raw in members.values())
    found = atlas.result(COMPARE)
    if not found and not any(raws.values()):
        return
    pairs = zip(comparisons(atlas.config), found.targets, strict=True) if found else ()
    likenesses = [one for members in raws.values() for one in members.values()]
    yield CARD.page(
        "The same features of InceptionV3 by plain gradient descent and by octaves, and how alike they are.",
        # the last is the base
        recipes=[atlas.config.get_recipe(name) for name in atlas.config.study(Settings).recipes],
        summaries=compare_summaries(found) if found else (),
        targets=[_target_part(atlas, row, one) for row, one in pairs],
        own=atlas.config.recipe,
        layers=[(name, list(members), middle_of(members.values())) for name, members in raws.items() if members],
        raw=(len(likenesses), middle_of(likenesses), unraised),
    )


def raw_beside(atlas: Atlas, entry: LayerEntry) -> Mapping[int, RawBeside]:
    """The features of a layer of which the store has both pictures, by number."""
    result = atlas.result(raw_spec(entry.layer.name))
    measured = {one.feature: one.likeness for one in result.features} if result else {}
    found = {}
    for pair in raw_pairs(atlas.config, entry.layer.name):
        raw, own = atlas.renderings[pair.raw], atlas.renderings[pair.own]
        if own.record and raw.record:
            size = min(job.recipe.octaves[-1].size for job in (pair.own, pair.raw))
            is_raised = raw.status == own.status == "ok"
            found[pair.feature] = RawBeside(raw, own, size, is_raised, measured.get(pair.feature))
    return found


def versions(atlas: Atlas, entry: LayerEntry) -> dict[int, list[PlannedRendering]]:
    """The renderings of a layer's features by other recipes, by number."""
    beside = jobs_beside(atlas.config, entry.layer.name)
    return {number: [atlas.renderings[job] for job in jobs] for number, jobs in beside.items()}


def raw_renderings(atlas: Atlas, entry: LayerEntry) -> dict[int, PlannedRendering]:
    """The raw renderings of a layer's features, by number."""
    return {number: raw.rendering for number, raw in raw_beside(atlas, entry).items()}


@dataclass(frozen=True)
class RecipeSummary:
    """How alike the pictures by one recipe and by the base are, beside pictures of different features.

    Features of which a picture was not raised, or is of one colour, are left out.
    """

    recipe: str
    compared: int  # features
    left_out: int
    own: Likeness  # medians, with the same feature's picture by the base
    others: Likeness  # with those of the other features
    with_others: int  # of those compared, the features that were compared with others
    nearest: int  # of these, the ones whose own picture has the highest correlation


def compare_summaries(found: Compare) -> list[RecipeSummary]:
    """What comes out for each recipe but the base."""
    by_recipe = zip(*(target.recipes for target in found.targets), strict=True)
    return [_summary(pictures) for pictures in by_recipe]


def _summary(pictures: Sequence[Compared]) -> RecipeSummary:
    judged = [(own, one.others) for one in pictures if (own := one.own) and own.correlation is not None]
    rivalled = [(own, others) for own, others in judged if others]
    return RecipeSummary(
        recipe=pictures[0].recipe,
        compared=len(judged),
        left_out=len(pictures) - len(judged),
        own=middle_of([own for own, _ in judged]),
        others=middle_of([other for _, others in judged for other in others]),
        with_others=len(rivalled),
        nearest=sum(own.exceeds(others) for own, others in rivalled),
    )


def middle_of(values: Collection[Likeness]) -> Likeness:
    """The medians; None where nothing is known."""
    return Likeness(_median(one.ssim for one in values), _median(one.correlation for one in values))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _target_part(atlas: Atlas, jobs: Sequence[Job], found: ComparedTarget) -> dict[str, object]:
    """A feature by all recipes; a row without a result is the base, with which the others are compared."""
    measured = {one.recipe: one for one in found.recipes}
    rows = [(one, measured.get(one.recipe)) for one in (atlas.renderings[job] for job in jobs)]
    target = jobs[0].target
    alt = f"Rendering of {target} by recipe "
    return {
        "target": target,
        "page": target_page(target),
        "shots": [shot_of(one, one.recipe, alt=f"{alt}{one.recipe}.") for one, _ in rows],
        "rows": [(one, row, middle_of(row.others).correlation if row else None) for one, row in rows],
    }


PAGE = StudyPage(
    card=CARD,
    pages=compare_pages,
    section=Section("studies/compare_section.html", raw_beside, comes_last=True),
    mentions=CARD.mentions(Settings),
    jobs=jobs,
    role="recipes",
    versions=versions,
    comparison=raw_renderings,
)
