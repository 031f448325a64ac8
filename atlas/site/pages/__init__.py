"""`Atlas` → the pages of the site, each with its path, its words and what its template needs."""

from atlas.site.catalogue import Atlas
from atlas.site.models import Link, Page
from atlas.site.pages.features import feature_pages, mentions_of
from atlas.site.pages.network import layer_pages, network_pages
from atlas.site.pages.parts import neighbours


def make_pages(atlas: Atlas) -> list[Page]:
    """All pages of an atlas, in a fixed order."""
    study_pages = [page for study in atlas.studies for page in study.pages(atlas)]
    paths = {page.path for page in study_pages}
    mentions = mentions_of(atlas, paths)
    pages = network_pages(atlas, [study.card for study in atlas.studies if study.card and study.card.path in paths])
    entries = [entry for entry in atlas.layers if entry.features]
    for at, entry in enumerate(entries):
        pages += layer_pages(atlas, entry, neighbours(entries, at, lambda e: Link(e.layer.name, e.page)))
        pages += feature_pages(atlas, entry, mentions)
    return pages + study_pages
