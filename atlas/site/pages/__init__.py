"""`Atlas` → the pages of the site, each with its path, its words and what its template needs."""

from atlas.site.catalogue import Atlas
from atlas.site.models import Link, Page
from atlas.site.pages.features import feature_pages, mentions_of
from atlas.site.pages.network import layer_pages, network_pages
from atlas.site.pages.parts import neighbours
from atlas.site.pages.studies import show_study
from atlas.store.results import result_path


def make_pages(atlas: Atlas) -> tuple[list[Page], tuple[str, ...]]:
    """All pages of an atlas, in a fixed order, and one message for each result of which no page can be made."""
    found = [show_study(study, atlas) for study in atlas.studies]
    shown = [one for one, _ in found]
    study_pages = [page for one in shown for page in one.pages]
    mentions = mentions_of(shown, {page.path for page in study_pages})
    pages = network_pages(atlas, shown)
    entries = [entry for entry in atlas.layers if entry.features]
    for at, entry in enumerate(entries):
        pages += layer_pages(atlas, entry, neighbours(entries, at, lambda e: Link(e.layer.name, e.page)))
        pages += feature_pages(atlas, entry, shown, mentions)
    unusable = sorted({name for _, names in found for name in names})
    return pages + study_pages, tuple(_message(atlas, name) for name in unusable)


def _message(atlas: Atlas, name: str) -> str:
    assert atlas.weights, "it is a result of some weights"
    path = result_path(atlas.config.store, atlas.weights, name)
    return (
        f"{path}: damaged: no page can be made of it, so it is not shown; remove it, and atlas build measures it anew"
    )
