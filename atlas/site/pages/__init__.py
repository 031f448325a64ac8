"""Store → page models: `Atlas` → the pages of the site, each with its path, its words and what its template needs."""

from atlas.site.catalogue import Atlas
from atlas.site.models import Link, Page
from atlas.site.pages import (
    compare,
    dead,
    depth,
    dreams,
    examples,
    fields,
    influence,
    interactions,
    metrics,
    neurons,
    palette,
)
from atlas.site.pages.features import Surroundings, feature_pages
from atlas.site.pages.mentions import mentions
from atlas.site.pages.nearest import vicinity
from atlas.site.pages.network import layer_pages, network_pages
from atlas.site.pages.parts import neighbours
from atlas.site.pages.videos import video_pages

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
