"""What a page is made of: frozen dataclasses without behaviour, from the site's smallest part to its pages."""

import posixpath
from dataclasses import dataclass

from atlas.plan.recipes import Octave, Recipe
from atlas.site.catalogue import Statuses
from atlas.store.records import OctaveScores, Record


@dataclass(frozen=True)
class Picture:
    """A picture of a page: an AVIF and its JPEG fallback."""

    avif: str  # paths in the site
    jpeg: str
    width: int  # pixels
    height: int


@dataclass(frozen=True)
class Tile:
    """A feature in a grid: a link with a thumbnail."""

    page: str
    layer: str
    number: int
    status: str
    thumb: Picture | None  # None: pending


@dataclass(frozen=True)
class Link:
    """A link and its words; without a page it is the place where the reader is, or a gap."""

    words: str
    page: str | None


@dataclass(frozen=True)
class Card:
    """A layer on the home page or on its region's page."""

    name: str
    page: str | None  # None: the atlas has no feature of it
    features: int  # of the layer
    grid: str
    field: str  # theoretical receptive field
    planned: int
    shown: int
    statuses: Statuses
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class RegionCard:
    """A region on the home page."""

    slug: str
    title: str
    page: str | None
    sentence: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class HomeBody:
    """The home page."""

    regions: tuple[RegionCard, ...]
    planned: int
    shown: int
    statuses: Statuses
    recipe: str


@dataclass(frozen=True)
class RegionBody:
    """A region's page."""

    sentence: str
    shown: str  # what its pictures show, "" where nobody has said so of these weights
    cards: tuple[Card, ...]
    sheet: Picture | None
    previous: Link | None
    next: Link | None


@dataclass(frozen=True)
class LayerBody:
    """One page of a layer's features."""

    card: Card
    tiles: tuple[Tile, ...]
    branches: tuple[tuple[str, str, str], ...]  # name, features, receptive field
    at: int  # which page, from 1
    total: int
    pages: tuple[Link, ...]  # a few of them
    previous: Link | None
    next: Link | None


@dataclass(frozen=True)
class OctaveRow:
    """An octave of a recipe and what it did."""

    octave: Octave
    grid: str  # of the feature map at this size
    scores: OctaveScores | None  # None: pending


@dataclass(frozen=True)
class FeatureBody:
    """A feature's page."""

    layer: str
    number: int
    target: str
    status: str
    sentence: str
    picture: Picture | None
    alt: str
    record: Record | None
    json: str | None  # path of the record
    seed: int
    recipe: Recipe
    octaves: tuple[OctaveRow, ...]
    branch: str
    field: str
    command: tuple[str, ...]  # parts, to be joined by spaces
    toml: str | None  # of a recipe that the package does not have
    previous: Link | None
    next: Link | None


@dataclass(frozen=True)
class PlainBody:
    """A page whose words stand in its template."""

    recipe: Recipe


Body = HomeBody | RegionBody | LayerBody | FeatureBody | PlainBody


@dataclass(frozen=True)
class Page:
    """A page to be written."""

    path: str
    template: str
    title: str  # of the window, before the atlas's
    description: str
    crumbs: tuple[Link, ...]
    body: Body

    def link(self, target: str) -> str:
        """A path of the site as seen from this page."""
        return posixpath.relpath(target, posixpath.dirname(self.path) or ".")
