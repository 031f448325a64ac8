"""What many pages are made of, as frozen dataclasses; what only one kind of page has stands in its room."""

from dataclasses import dataclass

from atlas.plan.recipes import Octave
from atlas.store.records import OctaveScores, Record


@dataclass(frozen=True)
class Picture:
    """A picture of a page: an AVIF and its JPEG fallback."""

    avif: str  # paths in the site
    jpeg: str
    width: int  # pixels
    height: int


@dataclass(frozen=True)
class Shot:
    """A picture among others, with a caption."""

    words: str
    picture: Picture | None  # None: pending
    alt: str
    page: str | None = None  # to which the caption leads


@dataclass(frozen=True)
class Outcome:
    """How a rendering came out, as a row of a table says it."""

    recipe: str
    status: str
    score_start: float | None
    score_shown: float | None
    json: str | None  # path of the record; None: pending


@dataclass(frozen=True)
class Tile:
    """A feature in a grid: a link with a thumbnail."""

    page: str
    layer: str
    number: int
    status: str
    thumb: Picture | None  # None: pending
    facts: tuple[str, ...] = ()  # words by which a layer's page is filtered
    is_rescued: bool = False  # whether the picture is the rescued one


@dataclass(frozen=True)
class Link:
    """A link and its words; without a page it is the place where the reader is, or a gap."""

    words: str
    page: str | None


@dataclass(frozen=True)
class VideoCard:
    """A video in a list."""

    page: str  # of its feature
    layer: str
    number: int
    grid: str
    frames: int
    stride: int
    poster: str | None  # None: pending
    size: tuple[int, int]  # (width, height) of the poster


@dataclass(frozen=True)
class Player:
    """A video of neurons in reading order, to be scrubbed on its own grid."""

    layer: str
    number: int
    video: str  # paths in the site
    poster: str
    json: str
    sheet: Picture
    bytes: int  # of the video
    size: tuple[int, int]  # (width, height) of the video in pixels
    picture: tuple[int, int]  # (width, height) of the frames inside it
    grid: tuple[int, int]  # (rows, cols) of neurons
    cells: tuple[int, int]  # (rows, cols) of frames
    stride: int
    fps: int
    frames: int
    field: tuple[float, ...]  # (top, left, bottom, right) of neuron (0, 0)'s receptive field, in the video's pixels
    jump: float  # from one neuron to the next
    recipe: str
    command: tuple[str, ...]
    toml: str | None  # of a recipe that the package does not have


@dataclass(frozen=True)
class OctaveRow:
    """An octave of a recipe and what it did."""

    octave: Octave
    grid: str  # of the feature map at this size
    scores: OctaveScores | None  # None: pending


@dataclass(frozen=True)
class Stages:
    """The start of a rendering and the end of each octave, side by side in one picture."""

    path: str  # in the site
    width: int  # pixels
    height: int
    labels: tuple[str, ...]  # one for each
    alt: str


@dataclass(frozen=True)
class Again:
    """How to make a rendering again."""

    command: tuple[str, ...]  # parts, to be joined by spaces
    toml: str | None  # of a recipe that the package does not have
    record: Record | None  # None: pending
    json: str | None  # path of the record


@dataclass(frozen=True)
class StudyCard:
    """A study on the home page."""

    title: str
    page: str
    sentence: str  # its question, or what it shows


@dataclass(frozen=True)
class Page:
    """A page to be written."""

    path: str
    template: str
    title: str  # of the window, before the atlas's
    description: str
    crumbs: tuple[Link, ...]
    body: object  # what its template needs: one dataclass for each kind of page

    def link(self, target: str) -> str:
        """A path of the site as seen from this page."""
        here, there = self.path.split("/")[:-1], target.split("/")
        shared = 0
        while shared < min(len(here), len(there) - 1) and here[shared] == there[shared]:
            shared += 1
        return "/".join([*[".."] * (len(here) - shared), *there[shared:]])
