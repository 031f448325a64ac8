"""Features without a gradient: how many there are in each layer, and what a rescue does for them and for others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from atlas.inception.layers import MOST_FEATURES
from atlas.site.catalogue import Atlas, Feature, LayerEntry, PlannedRendering
from atlas.site.models import Link, Page
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.site.words import percent, rose_later
from atlas.store.forecast import count_of
from atlas.studies.dead.rescues import rescue_recipe, rescues
from atlas.studies.dead.settings import Settings

CARD = StudyCard(
    "dead", "Features without a gradient", "Some pictures stay grey, since their gradient is 0. How many do?"
)
LINKS_A_LAYER = 16  # to features without a gradient


@dataclass(frozen=True)
class Rescued:
    """A feature whose picture shows nothing and its rescued rendering, which may be pending."""

    own: Feature
    rescued: PlannedRendering


def dead_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if anything is rendered and the configuration wants it."""
    wanted = atlas.config.study(Settings)
    rows = [_row(entry.layer.name, entry.shown) for entry in atlas.layers if entry.shown]
    if not rows or not wanted.features:
        return
    rescued, recipe = tuple(atlas.once(rescued_features).values()), rescue_recipe(atlas.config)
    yield CARD.page(
        "How many features of InceptionV3 have no gradient at a grey start, by layer, and what a rescue changes.",
        summary=dead_summary([feature for feature in atlas.features if feature.record]),
        rows=rows,
        recipe=atlas.recipe.name,
        seed=atlas.config.seed,
        rescued=rescued,
        most=wanted.features if wanted.features < MOST_FEATURES else None,  # of each layer; None: all
        rescue_recipe=recipe,
        rescue_summary=rescue_summary(rescued),
    )


def rescued_features(atlas: Atlas) -> dict[tuple[str, int], Rescued]:
    """All features that are rendered once more, by layer and number, in the network's order."""
    features = {f.job: f for f in atlas.features if f.record and f.record.needs_rescue}
    pairs = (Rescued(features[one.own], atlas.renderings[one.rescued]) for one in rescues(atlas.config, features))
    return {(one.own.layer, one.own.number): one for one in pairs}


def rescued_of(atlas: Atlas, entry: LayerEntry) -> Mapping[int, Rescued]:
    """Those of a layer whose rescued rendering is there, by number."""
    found = ((number, atlas.once(rescued_features).get((entry.layer.name, number))) for number in entry.by_number)
    return {number: one for number, one in found if one and one.rescued.record}


def dead_summary(rendered: Sequence[Feature]) -> str:
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


def rescue_summary(rescued: Sequence[Rescued]) -> str:
    """For how many features the rescued picture scores higher than their own."""
    shown = [one for one in rescued if one.rescued.record]
    if not shown:
        return "None of them is rescued yet."
    words = []
    for status, what in (("no_gradient", "without a gradient"), ("not_raised", "not raised")):
        scores = [(one.rescued.score, one.own.score) for one in shown if one.own.status == status]
        higher = sum(score is not None and own is not None and score > own for score, own in scores)
        if scores:
            words.append(f"Of {count_of(len(scores), 'picture')} {what}, {higher} scored higher once rescued.")
    return " ".join(words)


def _row(name: str, rendered: Sequence[Feature]) -> dict[str, object]:
    """A layer and its features without a gradient, with links to some of them."""
    dead = [feature for feature in rendered if feature.status == "no_gradient"]
    links = [Link(str(feature.number), feature.page) for feature in dead[:LINKS_A_LAYER]]
    share = percent(len(dead) / len(rendered))
    return {"name": name, "rendered": len(rendered), "dead": len(dead), "share": share, "links": links}


PAGE = StudyPage(
    card=CARD,
    pages=dead_pages,
    section=Section("studies/dead_section.html", rescued_of, shows_renderings=True),
    rescues=lambda config, dead: ((one.own, one.rescued) for one in rescues(config, dead)),
)
