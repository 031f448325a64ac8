"""Raw against octaves: features by several recipes side by side, and how alike the pictures are."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from atlas.common.text import count_of
from atlas.plan.recipes import Recipe
from atlas.site.catalogue import Atlas, LayerEntry, PlannedRendering
from atlas.site.models import Link, Page
from atlas.site.pages.parts import feature_page, shot_of, target_page
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.site.words import fixed, left_out
from atlas.studies.compare.jobs import Comparison, comparisons, jobs, raw_pairs
from atlas.studies.compare.result import COMPARE, Compare, Compared, ComparedTarget, raw_spec
from atlas.studies.compare.settings import Settings
from atlas.studies.shared.likeness import Likeness

CARD = StudyCard(
    "compare",
    "Raw against octaves",
    "How much of a picture is the feature’s, and how much the recipe’s? Recipes side by side.",
)
LINKS_A_LAYER = 8  # to features that are shown raw
UNRAISED = "one of the two pictures had no gradient or was not raised"


@dataclass(frozen=True)
class RawBeside:
    """A feature's raw picture, to be shown beside its own."""

    rendering: PlannedRendering
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
    wanted = atlas.config.study(Settings)
    pairs = zip(comparisons(atlas.config), found.targets, strict=True) if found else ()
    yield CARD.page(
        "The same features of InceptionV3 by plain gradient descent and by octaves, and how alike they are.",
        recipes=[(name, describe(atlas.config.get_recipe(name))) for name in wanted.recipes],  # the last is the base
        summaries=compare_summaries(found, wanted.recipes[-1]) if found else (),
        targets=[_target_part(atlas, comparison, one) for comparison, one in pairs],
        own=atlas.recipe.name,
        layers=[_layer_row(name, members) for name, members in raws.items() if members],
        summary=raw_summary([one for members in raws.values() for one in members.values()], unraised),
    )


def raw_beside(atlas: Atlas, entry: LayerEntry) -> Mapping[int, RawBeside]:
    """The features of a layer of which the store has both pictures, by number."""
    result = atlas.result(raw_spec(entry.layer.name))
    measured = {one.feature: one.likeness for one in result.features} if result else {}
    found = {}
    for pair in raw_pairs(atlas.config, entry.layer.name):
        raw, own = atlas.renderings[pair.raw], entry.by_number.get(pair.feature)
        if own and own.record and raw.record:
            size = min(job.recipe.octaves[-1].size for job in (pair.own, pair.raw))
            is_raised = raw.status == own.status == "ok"
            found[pair.feature] = RawBeside(raw, size, is_raised, measured.get(pair.feature))
    return found


def raw_renderings(atlas: Atlas, entry: LayerEntry) -> dict[int, PlannedRendering]:
    """The raw renderings of a layer's features, by number."""
    return {number: raw.rendering for number, raw in raw_beside(atlas, entry).items()}


def compare_summaries(found: Compare, base: str) -> tuple[str, ...]:
    """How alike the pictures by each recipe and by the base are, beside pictures of different features."""
    by_recipe = zip(*(target.recipes for target in found.targets), strict=True)
    return tuple(_summary(pictures, base) for pictures in by_recipe)


def raw_summary(members: Sequence[Likeness], unraised: int) -> str:
    """The medians over all features that are shown raw; "" if there are none.

    Args:
        members: of features of which both pictures were raised.
        unraised: how many features are left out.
    """
    middle = middle_of(members)
    if middle.ssim is None or middle.correlation is None:
        return ""
    return (
        f"Over {len(members)} features, the median correlation is {fixed(middle.correlation)} and the median SSIM "
        f"{fixed(middle.ssim)}.{left_out(unraised, UNRAISED)}"
    )


def middle_of(values: Collection[Likeness]) -> Likeness:
    """The medians; None where nothing is known."""
    return Likeness(_median(one.ssim for one in values), _median(one.correlation for one in values))


def describe(recipe: Recipe) -> str:
    """What a recipe does: sizes, steps, and whether it blurs or resizes."""
    sizes = " → ".join(str(octave.size) for octave in recipe.octaves)
    steps = sum(octave.steps for octave in recipe.octaves)
    blur = "blur" if any(octave.sigma for octave in recipe.octaves) else "no blur"
    resizing = ", and at each step the network sees the image at a random size" if recipe.resize else ""
    return f"{sizes} px, {steps} steps, {blur}{resizing}"


def _summary(pictures: Sequence[Compared], base: str) -> str:
    judged = [(own, one.others) for one in pictures if (own := one.own) and own.correlation is not None]
    name, unraised = pictures[0].recipe, left_out(len(pictures) - len(judged), UNRAISED)
    own = middle_of([one for one, _ in judged])
    if own.correlation is None or own.ssim is None:
        return f"No picture by {name} could be correlated with one by {base}."
    words = (
        f"In the median of {count_of(len(judged), 'feature')}, pictures by {name} have a correlation of "
        f"{fixed(own.correlation)} and an SSIM of {fixed(own.ssim)} with the same feature’s picture by {base}"
    )
    others = middle_of([other for _, rivals in judged for other in rivals])
    if others.correlation is None or others.ssim is None:
        return f"{words}.{unraised}"
    rivalled = [one for one in judged if one[1]]
    nearest = sum(mine.exceeds(rivals) for mine, rivals in rivalled)
    return (
        f"{words}; with the other features’ pictures by {base} they are {fixed(others.correlation)} and "
        f"{fixed(others.ssim)}. "
        f"For {nearest} of {len(rivalled)}, the feature’s own picture has the highest correlation.{unraised}"
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _target_part(atlas: Atlas, comparison: Comparison, found: ComparedTarget) -> dict[str, object]:
    """A feature by all recipes; a row without a result is the base, with which the others are compared."""
    measured = {one.recipe: one for one in found.recipes}
    rows = [(one, measured.get(one.recipe)) for one in (atlas.renderings[job] for job in comparison.jobs)]
    alt = f"Rendering of {comparison.target} by recipe "
    return {
        "target": comparison.target,
        "page": target_page(comparison.target),
        "shots": [shot_of(one, one.recipe, alt=f"{alt}{one.recipe}.") for one, _ in rows],
        "rows": [(one, row, middle_of(row.others).correlation if row else None) for one, row in rows],
    }


def _layer_row(layer: str, members: Mapping[int, Likeness]) -> tuple[str, int, Likeness, list[Link]]:
    """The features of a layer that are shown raw on their pages: how many, medians, and links to some."""
    links = [Link(str(number), feature_page(layer, number)) for number in list(members)[:LINKS_A_LAYER]]
    return layer, len(members), middle_of(members.values()), links


PAGE = StudyPage(
    card=CARD,
    pages=compare_pages,
    section=Section("studies/compare_section.html", raw_beside, shows_renderings=True),
    mentions=CARD.mentions(Settings),
    jobs=jobs,
    comparison=raw_renderings,
)
