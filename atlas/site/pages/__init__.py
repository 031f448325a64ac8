"""`Atlas` → the pages of the site, each with its path, its words and what its template needs."""

from atlas.site.catalogue import Atlas
from atlas.site.models import Link, Page
from atlas.site.pages.features import feature_pages, mentions_of
from atlas.site.pages.network import layer_pages, network_pages
from atlas.site.pages.parts import neighbours
from atlas.site.pages.studies import show_study


def make_pages(atlas: Atlas) -> list[Page]:
    """All pages of an atlas, in a fixed order."""
    shown = [show_study(study, atlas) for study in atlas.studies]
    study_pages = [page for one in shown for page in one.pages]
    mentions = mentions_of(shown, {page.path for page in study_pages})
    pages = network_pages(atlas, shown)
    entries = [entry for entry in atlas.layers if entry.features]
    for at, entry in enumerate(entries):
        pages += layer_pages(atlas, entry, neighbours(entries, at, lambda e: Link(e.layer.name, e.page)))
        pages += feature_pages(atlas, entry, shown, mentions)
    return pages + study_pages
