"""Features without a gradient: how many there are in each layer, and what a rescue makes of them and of others."""

from collections.abc import Sequence
from dataclasses import dataclass

from atlas.inception.layers import MOST_FEATURES
from atlas.site.catalogue import PENDING, Atlas, Feature
from atlas.site.models import Link, Page, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK
from atlas.site.words import percent, rose_later
from atlas.store.forecast import count_of
from atlas.studies.dead.rescued import Rescued, rescued_features
from atlas.studies.dead.rescues import rescue_recipe
from atlas.studies.dead.settings import Settings

PAGE = f"dead/{HOME}"
TITLE = "Features without a gradient"
CARD = StudyCard(TITLE, PAGE, "Some pictures stay grey, since nothing tells the descent where to go. How many do?")
LINKS_A_LAYER = 16  # to features without a gradient


@dataclass(frozen=True)
class DeadRow:
    """A layer and its features without a gradient."""

    name: str
    rendered: int
    dead: int
    share: str
    links: tuple[Link, ...]  # to some of them


@dataclass(frozen=True)
class DeadBody:
    """The page."""

    verdict: str
    rows: tuple[DeadRow, ...]
    recipe: str  # of the features
    seed: int
    rescued: tuple[Rescued, ...]
    most: int | None  # rescued of each layer; None: all
    rescue_recipe: str
    rescue_steps: int
    rescue_verdict: str


def dead_pages(atlas: Atlas) -> list[Page]:
    """The page, if anything is rendered and the configuration wants it."""
    wanted = atlas.config.study(Settings)
    rows = [_row(entry.layer.name, entry.shown) for entry in atlas.layers if entry.shown]
    if not rows or not wanted.features:
        return []
    rescued, recipe = rescued_features(atlas), rescue_recipe(atlas.config)
    body = DeadBody(
        verdict=dead_verdict([feature for feature in atlas.features if feature.record]),
        rows=tuple(rows),
        recipe=atlas.recipe.name,
        seed=atlas.config.seed,
        rescued=rescued,
        most=wanted.features if wanted.features < MOST_FEATURES else None,
        rescue_recipe=recipe.name,
        rescue_steps=recipe.rescue_steps or 0,
        rescue_verdict=rescue_verdict(rescued),
    )
    description = (
        "How many features of InceptionV3 have no gradient at a grey start, by layer, and what a rescue makes of them."
    )
    return [Page(PAGE, "studies/dead.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)]


def dead_verdict(rendered: Sequence[Feature]) -> str:
    """How many of the rendered features have no gradient, in how many layers, and whether a later octave found one."""
    dead = [feature for feature in rendered if feature.status == "no_gradient"]
    layers = count_of(len({feature.layer for feature in rendered}), "layer")
    if not dead:
        return f"None of the {len(rendered):,} features rendered here, in {layers}, is without one."
    words = (
        f"{len(dead):,} of the {len(rendered):,} features rendered here ({percent(len(dead) / len(rendered))}) had no "
        f"gradient at any step. They lie in {len({feature.layer for feature in dead})} of {layers}."
    )
    later = sum(rose_later(feature.record) for feature in dead if feature.record)
    if later:
        was = "was" if later == 1 else "were"
        words += f" {later} of them {was} raised by a later octave: an older record counts the first octave alone."
    return words


def rescue_verdict(rescued: Sequence[Rescued]) -> str:
    """For how many features the rescued picture scores higher than their own."""
    shown = [one for one in rescued if one.status != PENDING]
    if not shown:
        return "None of them is rendered so yet."
    words = []
    for status, what in (("no_gradient", "without a gradient"), ("not_raised", "not raised")):
        some = [one for one in shown if one.own_status == status]
        higher = sum(one.score is not None and one.own_score is not None and one.score > one.own_score for one in some)
        if some:
            words.append(f"Of {count_of(len(some), 'picture')} {what}, {higher} scored higher once rescued.")
    return " ".join(words)


def _row(name: str, rendered: Sequence[Feature]) -> DeadRow:
    dead = [feature for feature in rendered if feature.status == "no_gradient"]
    links = tuple(Link(str(feature.number), feature.page) for feature in dead[:LINKS_A_LAYER])
    return DeadRow(name, len(rendered), len(dead), percent(len(dead) / len(rendered)), links)
