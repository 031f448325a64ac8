"""Features without a gradient: how many there are in each layer, and what a rescue does for them and for others."""

from collections.abc import Iterator

from atlas.inception.layers import MOST_FEATURES
from atlas.site.catalogue import Atlas, Feature, LayerEntry
from atlas.site.models import Page
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.studies.dead.rescues import rescue_recipe, rescues
from atlas.studies.dead.settings import Settings

CARD = StudyCard(
    "dead", "Features without a gradient", "Some pictures stay grey, since their gradient is 0. How many do?"
)


def dead_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if anything is rendered and the configuration wants it."""
    wanted = atlas.config.study(Settings)
    rendered = [feature for feature in atlas.features if feature.record]
    if not rendered or not wanted.features:
        return
    yield CARD.page(
        "How many features of InceptionV3 have no gradient at a grey start, by layer, and what a rescue changes.",
        rendered=rendered,
        recipe=atlas.recipe.name,
        seed=atlas.config.seed,
        rescued=[feature for feature in atlas.features if feature.rescue],
        most=wanted.features if wanted.features < MOST_FEATURES else None,  # of each layer; None: all
        rescue_recipe=rescue_recipe(atlas.config),
    )


def rescued_of(_: Atlas, entry: LayerEntry) -> dict[int, Feature]:
    """The features of a layer whose rescue is there, by number."""
    return {feature.number: feature for feature in entry.features if feature.rescue and feature.rescue.record}


PAGE = StudyPage(
    card=CARD,
    pages=dead_pages,
    section=Section("studies/dead_section.html", rescued_of),
    rescues=rescues,
)
