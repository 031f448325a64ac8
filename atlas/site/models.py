"""What pages are made of, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import dirname, relpath

from atlas.inception.layers import FC

HOME = "index.html"
REGION_COLUMNS = 16  # pictures in a row of a region's sheet at most
THUMB = 160  # pixels of a thumbnail's longer side
MARKS = ("seeds", "photographs", "path")  # kinds of checks, in the order of pages and data


def kind_of(layer: str) -> str:
    """What the features of a layer are called."""
    return "class" if layer == FC else "feature"


@dataclass(frozen=True)
class Picture:
    """A picture of a page: an AVIF and its JPEG fallback."""

    avif: str  # paths in the site
    jpeg: str
    width: int  # pixels
    height: int


@dataclass(frozen=True)
class Mark:
    """What one check says of whether a picture can be believed."""

    kind: str  # one of MARKS
    label: str  # what was found, such as "seeds agree"
    passed: bool | None  # whether the picture passed; None: it cannot be told
    value: float  # by which features are sorted, the most credible first
    words: str  # the value and what it is held against, as a sentence

    @property
    def word(self) -> str:
        """The label as one word, by which features are filtered."""
        return self.label.replace(" ", "-")

    @property
    def sign(self) -> str:
        """Whether it passed, as a sign."""
        return {True: "●", False: "○", None: "·"}[self.passed]


@dataclass(frozen=True)
class Tile:
    """A feature in a grid: a link with a thumbnail."""

    page: str
    layer: str
    number: int
    status: str
    thumb: Picture | None  # None: pending
    picture: Picture | None = None  # the large web copy, where a grid has large tiles
    facts: tuple[str, ...] = ()  # words by which a layer's page is filtered
    is_rescued: bool = False  # whether the picture is the rescued one
    words: str = ""  # what it responds to
    marks: tuple[Mark, ...] = ()

    @property
    def kind(self) -> str:
        """What it is: a "feature", or a "class" of the classifier."""
        return kind_of(self.layer)


@dataclass(frozen=True)
class Link:
    """A link and its words; without a page it is the open page, or a gap."""

    words: str
    page: str | None


@dataclass(frozen=True)
class Page:
    """A page to be written."""

    path: str
    template: str
    title: str  # of the window, before the atlas's
    description: str
    crumbs: tuple[Link, ...]
    body: Mapping[str, object]  # what its template needs, by name

    def link(self, target: str) -> str:
        """A path of the site, relative to this page."""
        return relpath(f"/{target}", f"/{dirname(self.path)}")  # absolute ones, so that it asks for no working folder


def fit(size: tuple[int, int], largest: int) -> tuple[int, int]:
    """(width, height) of a picture that is shrunk until its longer side has at most so many pixels."""
    longer = max(size)
    if longer <= largest:
        return size
    return max(1, round(size[0] * largest / longer)), max(1, round(size[1] * largest / longer))
