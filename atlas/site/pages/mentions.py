"""Where else the atlas shows a feature: its dreams, its neurons, and the studies that list it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from atlas.inception.targets import Term
from atlas.site.catalogue import Atlas, Feature
from atlas.site.models import Link, Page
from atlas.site.pages.parts import HOME, dream_page
from atlas.studies.dreams.jobs import config_dreams

Key = tuple[str, int | None]  # a layer and a feature of it; None: all features


@dataclass(frozen=True)
class Mentions:
    """Links by what they are of."""

    links: Mapping[Key, tuple[Link, ...]]

    def of(self, feature: Feature) -> tuple[Link, ...]:
        """Pages of a feature, and then those of its whole layer."""
        return (*self.links.get((feature.layer, feature.number), ()), *self.links.get((feature.layer, None), ()))


def mentions(atlas: Atlas, pages: Collection[Page]) -> Mentions:
    """Gather the pages of which features are a part.

    Args:
        atlas: what is shown.
        pages: those that may be linked to; a study without a page is left out.
    """
    titles = {page.path: page.title for page in pages}
    found: dict[Key, dict[str, str]] = {}  # path → words
    for term, path, said in (*_neurons(titles), *_dreams(atlas), *_studies(atlas, titles)):
        if path in titles:
            found.setdefault(term, {}).setdefault(path, said)
    return Mentions({key: tuple(Link(said, path) for path, said in links.items()) for key, links in found.items()})


def _neurons(titles: Mapping[str, str]) -> Iterator[tuple[Key, str, str]]:
    """Neurons lie in their feature's folder: `<layer>/<feature>/<row>-<col>/index.html`."""
    for path, title in titles.items():
        parts = path.split("/")
        if len(parts) == 4 and parts[1].isdecimal():
            yield (parts[0], int(parts[1])), path, f"Neuron {title}"


def _dreams(atlas: Atlas) -> Iterator[tuple[Key, str, str]]:
    for dream in config_dreams(atlas.config):
        for term in dream.job.target.terms:
            yield _key(term), dream_page(dream), f"Deep dream {dream.title} → {dream.job.target}"


def _studies(atlas: Atlas, titles: Mapping[str, str]) -> Iterator[tuple[Key, str, str]]:
    """Lists that name features; a study's page is named as its list."""
    for table, settings in atlas.config.studies.items():
        path = f"{table}/{HOME}"
        for term in settings.terms:
            yield _key(term), path, titles.get(path, "")


def _key(term: Term) -> Key:
    return term.layer, term.feature
