"""Raw against octaves: features by several recipes side by side, and how alike the pictures are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from atlas.plan.recipes import Recipe
from atlas.site.catalogue import Atlas, Exhibit
from atlas.site.models import Link, Outcome, Page, Shot, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK, outcome_of, shot_of
from atlas.site.words import fixed
from atlas.store.forecast import count_of
from atlas.studies.compare.jobs import Comparison, comparisons
from atlas.studies.compare.raw import raw_beside
from atlas.studies.compare.result import COMPARE, Compare, Compared, ComparedTarget
from atlas.studies.compare.settings import Settings
from atlas.studies.shared.likeness import Likeness

PAGE = f"compare/{HOME}"
TITLE = "Raw against octaves"
CARD = StudyCard(
    TITLE, PAGE, "How much of a picture is the feature’s, and how much the recipe’s? Recipes side by side."
)
LINKS_A_LAYER = 8  # to features that are shown raw


@dataclass(frozen=True)
class RecipeRow:
    """A feature's picture by one recipe, beside those by the base recipe."""

    outcome: Outcome
    is_base: bool  # whether the others are held against it
    own: Likeness | None  # to the base recipe's picture; None: one of the two was not raised, or this is the base
    others: float | None  # median correlation with the base recipe's pictures of the other features


@dataclass(frozen=True)
class TargetPart:
    """A feature by all recipes."""

    name: str
    id: str
    page: str
    shots: tuple[Shot, ...]
    rows: tuple[RecipeRow, ...]


@dataclass(frozen=True)
class LayerRow:
    """The features of a layer that are shown raw on their pages."""

    name: str
    count: int
    middle: Likeness  # medians
    links: tuple[Link, ...]


@dataclass(frozen=True)
class CompareBody:
    """The page."""

    recipes: tuple[tuple[str, str], ...]  # name, and what it does; the last is the base
    verdicts: tuple[str, ...]  # one for each recipe but the base
    targets: tuple[TargetPart, ...]
    own: str  # the atlas's own recipe
    layers: tuple[LayerRow, ...]
    summary: str  # of all these layers


def compare_pages(atlas: Atlas) -> list[Page]:
    """The page, if something is measured."""
    beside = [(entry.layer.name, raw_beside(atlas, entry)) for entry in atlas.layers]
    raws = {name: {number: raw.likeness for number, raw in raw.items() if raw.likeness} for name, raw in beside}
    unraised = sum(not raw.is_raised for _, members in beside for raw in members.values())
    found = atlas.result(COMPARE)
    if not found and not any(raws.values()):
        return []
    wanted = atlas.config.study(Settings)
    pairs = zip(comparisons(atlas.config), found.targets, strict=True) if found else ()
    body = CompareBody(
        recipes=tuple((name, describe(atlas.config.get_recipe(name))) for name in wanted.recipes),
        verdicts=compare_verdicts(found, wanted.recipes[-1]) if found else (),
        targets=tuple(_target_part(atlas, comparison, one) for comparison, one in pairs),
        own=atlas.recipe.name,
        layers=tuple(_layer_row(name, members) for name, members in raws.items() if members),
        summary=raw_summary([one for members in raws.values() for one in members.values()], unraised),
    )
    description = "The same features of InceptionV3 by plain gradient descent and by octaves, and how alike they are."
    return [Page(PAGE, "studies/compare.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)]


def compare_verdicts(found: Compare, base: str) -> tuple[str, ...]:
    """How alike the pictures by each recipe and by the base are, beside pictures of different features."""
    by_recipe = zip(*(target.recipes for target in found.targets), strict=True)
    return tuple(_verdict(pictures, base) for pictures in by_recipe)


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
        f"{fixed(middle.ssim)}.{left_out_sentence(unraised)}"
    )


def middle_of(values: Sequence[Likeness]) -> Likeness:
    """The medians; None where nothing is known."""
    return Likeness(_median(one.ssim for one in values), _median(one.correlation for one in values))


def describe(recipe: Recipe) -> str:
    """What a recipe does: sizes, steps, and whether it blurs or resizes."""
    sizes = " → ".join(str(octave.size) for octave in recipe.octaves)
    steps = sum(octave.steps for octave in recipe.octaves)
    blur = "blur" if any(octave.sigma for octave in recipe.octaves) else "no blur"
    resizing = ", and at each step the network sees the image at a random size" if recipe.resize else ""
    return f"{sizes} px, {steps} steps, {blur}{resizing}"


def _verdict(pictures: Sequence[Compared], base: str) -> str:
    judged = [(own, one.others) for one in pictures if (own := one.own) and own.correlation is not None]
    name, left_out = pictures[0].recipe, left_out_sentence(len(pictures) - len(judged))
    own = middle_of([one for one, _ in judged])
    if own.correlation is None or own.ssim is None:
        return f"No picture by {name} could be correlated with one by {base}."
    words = (
        f"In the median of {count_of(len(judged), 'feature')}, pictures by {name} have a correlation of "
        f"{fixed(own.correlation)} and an SSIM of {fixed(own.ssim)} with the same feature’s picture by {base}"
    )
    others = middle_of([other for _, rivals in judged for other in rivals])
    if others.correlation is None or others.ssim is None:
        return f"{words}.{left_out}"
    rivalled = [one for one in judged if one[1]]
    nearest = sum(_is_nearest(*one) for one in rivalled)
    return (
        f"{words}; with the other features’ pictures by {base} they are {fixed(others.correlation)} and "
        f"{fixed(others.ssim)}. "
        f"For {nearest} of {len(rivalled)}, the feature’s own picture has the highest correlation.{left_out}"
    )


def left_out_sentence(count: int) -> str:
    """How many features are not compared, and why; "" for none. It begins with a space."""
    if not count:
        return ""
    are = "is" if count == 1 else "are"
    return f" {count_of(count, 'feature')} {are} left out: one of the two pictures had no gradient or was not raised."


def _is_nearest(own: Likeness, others: Sequence[Likeness]) -> bool:
    known = [other.correlation for other in others if other.correlation is not None]
    return own.correlation is not None and all(own.correlation > other for other in known)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _target_part(atlas: Atlas, comparison: Comparison, found: ComparedTarget) -> TargetPart:
    term = comparison.target.terms[0]
    measured = {one.recipe: one for one in found.recipes}
    exhibits = [atlas.exhibits[job] for job in comparison.jobs]
    return TargetPart(
        name=str(comparison.target),
        id=f"{term.layer}-{term.feature}",
        page=f"{term.layer}/{term.feature}/{HOME}",
        shots=tuple(_shot(exhibit) for exhibit in exhibits),
        rows=tuple(_row(exhibit, measured.get(exhibit.job.recipe.name)) for exhibit in exhibits),
    )


def _shot(exhibit: Exhibit) -> Shot:
    name = exhibit.job.recipe.name
    return shot_of(exhibit, name, alt=f"Rendering of {exhibit.job.target} by recipe {name}.")


def _row(exhibit: Exhibit, found: Compared | None) -> RecipeRow:
    if found is None:
        return RecipeRow(outcome_of(exhibit), is_base=True, own=None, others=None)
    return RecipeRow(outcome_of(exhibit), is_base=False, own=found.own, others=middle_of(found.others).correlation)


def _layer_row(layer: str, members: dict[int, Likeness]) -> LayerRow:
    links = (Link(str(number), f"{layer}/{number}/{HOME}") for number in list(members)[:LINKS_A_LAYER])
    return LayerRow(layer, len(members), middle_of(list(members.values())), tuple(links))
