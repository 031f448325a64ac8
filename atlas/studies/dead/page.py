"""Features without a gradient: how many there are in each layer, and what a rescue does for them and for others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atlas.inception.layers import MOST_FEATURES
from atlas.site.catalogue import Atlas, Feature, LayerEntry, PlannedRendering
from atlas.site.models import Page
from atlas.site.study_page import Section, StudyCard, StudyPage
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

    @property
    def scores_higher(self) -> bool:
        """Whether the rescued picture scores higher than the feature's own."""
        own, rescued = self.own.score, self.rescued.score
        return own is not None and rescued is not None and rescued > own


def dead_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if anything is rendered and the configuration wants it."""
    wanted = atlas.config.study(Settings)
    rendered = [feature for feature in atlas.features if feature.record]
    if not rendered or not wanted.features:
        return
    yield CARD.page(
        "How many features of InceptionV3 have no gradient at a grey start, by layer, and what a rescue changes.",
        rendered=rendered,
        links=LINKS_A_LAYER,
        recipe=atlas.recipe.name,
        seed=atlas.config.seed,
        rescued=tuple(atlas.once(rescued_features).values()),
        most=wanted.features if wanted.features < MOST_FEATURES else None,  # of each layer; None: all
        rescue_recipe=rescue_recipe(atlas.config),
    )


def rescued_features(atlas: Atlas) -> dict[tuple[str, int], Rescued]:
    """All features that are rendered once more, by layer and number, in the network's order."""
    features = {f.job: f for f in atlas.features if f.record and f.record.needs_rescue}
    pairs = (Rescued(features[own], atlas.renderings[job]) for own, job in rescues(atlas.config, features))
    return {(one.own.layer, one.own.number): one for one in pairs}


def rescued_of(atlas: Atlas, entry: LayerEntry) -> Mapping[int, Rescued]:
    """Those of a layer whose rescued rendering is there, by number."""
    found = ((number, atlas.once(rescued_features).get((entry.layer.name, number))) for number in entry.by_number)
    return {number: one for number, one in found if one and one.rescued.record}


PAGE = StudyPage(
    card=CARD,
    pages=dead_pages,
    section=Section("studies/dead_section.html", rescued_of, shows_renderings=True),
    rescues=rescues,
)
