"""Store → page models: `Atlas` → the pages of the site, each with its path, its words and what its template needs."""

from atlas.site.catalogue import Atlas
from atlas.site.models import Link, Page
from atlas.site.pages.features import Surroundings, feature_pages
from atlas.site.pages.mentions import mentions
from atlas.site.pages.network import layer_pages, network_pages
from atlas.site.pages.parts import neighbours
from atlas.studies.compare import page as compare
from atlas.studies.dead import page as dead
from atlas.studies.depth import page as depth
from atlas.studies.dreams import page as dreams
from atlas.studies.examples import page as examples
from atlas.studies.fields import page as fields
from atlas.studies.influence import page as influence
from atlas.studies.interactions import page as interactions
from atlas.studies.metrics import page as metrics
from atlas.studies.nearest.page import vicinity
from atlas.studies.neurons import page as neurons
from atlas.studies.palette import page as palette
from atlas.studies.raster.page import video_pages

STUDIES = (
    (neurons.CARD, neurons.neuron_pages),
    (fields.CARD, fields.field_pages),
    (influence.CARD, influence.influence_pages),
    (palette.CARD, palette.palette_pages),
    (interactions.CARD, interactions.interaction_pages),
    (examples.CARD, examples.example_pages),
    (dreams.CARD, dreams.dream_pages),
    (compare.CARD, compare.compare_pages),
    (metrics.CARD, metrics.metrics_pages),
    (depth.CARD, depth.depth_pages),
    (dead.CARD, dead.dead_pages),
)


def make_pages(atlas: Atlas) -> list[Page]:
    """All pages of an atlas, in a fixed order."""
    studies = [(card, pages) for card, make in STUDIES if (pages := make(atlas))]
    pages = network_pages(atlas, tuple(card for card, _ in studies))
    entries = [entry for entry in atlas.layers if entry.features]
    around = Surroundings(vicinity(atlas), mentions(atlas, [page for _, members in studies for page in members]))
    for at, entry in enumerate(entries):
        pages += layer_pages(atlas, entry, neighbours(entries, at, lambda e: Link(e.layer.name, e.page)))
        pages += feature_pages(atlas, entry, around)
    pages += video_pages(atlas)
    return pages + [page for _, members in studies for page in members]
