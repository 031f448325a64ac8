"""What a page is made of: frozen dataclasses without behaviour, from the site's smallest part to its pages."""

from dataclasses import dataclass

from atlas.findings.likeness import Likeness
from atlas.plan.recipes import Octave, Recipe
from atlas.site.blocks import Block
from atlas.site.catalogue import Statuses
from atlas.site.charts import Chart
from atlas.site.region_map import RegionMap
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
    facts: tuple[str, ...] = ()  # words by which a layer's page is filtered


@dataclass(frozen=True)
class Choice:
    """What the tiles of a page can be filtered by."""

    label: str
    options: tuple[tuple[str, int], ...]  # word, and how many tiles of the page have it


@dataclass(frozen=True)
class Link:
    """A link and its words; without a page it is the place where the reader is, or a gap."""

    words: str
    page: str | None


@dataclass(frozen=True)
class Card:
    """A layer on its region's page or in the region map."""

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
    """A region on the home page: its map, and a card for each block of it."""

    slug: str
    title: str
    page: str | None
    sentence: str
    map: RegionMap
    cards: tuple[Card, ...]


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
class HomeBody:
    """The home page."""

    regions: tuple[RegionCard, ...]
    planned: int
    shown: int
    statuses: Statuses
    recipe: str
    studies: tuple["StudyCard", ...]
    videos: tuple[VideoCard, ...]


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
    choices: tuple[Choice, ...]  # only those that leave a choice
    measure: str  # what a colour among the choices means, "" where there is none
    sheet: str | None  # path of a picture of all features; None: nothing is shown
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
class Stages:
    """The start of a rendering and the end of each octave, side by side in one picture."""

    path: str  # in the site
    width: int  # pixels
    height: int
    labels: tuple[str, ...]  # one for each
    alt: str


@dataclass(frozen=True)
class Nearby:
    """A feature that is like another."""

    tile: Tile
    likeness: str


@dataclass(frozen=True)
class Neighbours:
    """The features that are most like another."""

    by_picture: tuple[Nearby, ...]  # none where no study has compared it
    by_wiring: tuple[Nearby, ...]


@dataclass(frozen=True)
class Again:
    """How to make a rendering again."""

    command: tuple[str, ...]  # parts, to be joined by spaces
    toml: str | None  # of a recipe that the package does not have
    record: Record | None  # None: pending
    json: str | None  # path of the record


@dataclass(frozen=True)
class TieTile:
    """A connected feature in a grid."""

    page: str
    layer: str
    number: int
    thumb: Picture | None  # None: pending
    share: str


@dataclass(frozen=True)
class Side:
    """The strongest connections of a feature in the layer before or after."""

    layer: str
    features: int  # of that layer
    of_all: tuple[tuple[Link, str], ...]  # the strongest of all, and their shares
    of_planned: tuple[TieTile, ...]  # the strongest of those in the atlas
    is_complete: bool  # whether the strongest of all are in the atlas


@dataclass(frozen=True)
class Connected:
    """How a feature hangs together with the layers before and after."""

    fed_by: Side | None
    feeds: Side | None


@dataclass(frozen=True)
class RawBeside:
    """A feature's raw picture, to be shown beside its own."""

    recipe: str
    own_recipe: str
    picture: Picture
    alt: str
    status: str
    score: float | None  # as shown
    own_score: float | None
    json: str  # path of the record
    size: int  # pixels at which the two were compared
    likeness: Likeness | None  # None: not measured yet


@dataclass(frozen=True)
class CropShot:
    """A crop of a picture that excites a feature."""

    picture: Picture
    alt: str
    score: str


@dataclass(frozen=True)
class CropSection:
    """A feature's strongest crops, out of a collection of pictures."""

    sentence: str  # whether its own picture beats them
    shots: tuple[CropShot, ...]
    page: str  # of all features
    title: str  # where the pictures come from
    seen: int  # pictures
    size: int  # pixels of the square that the network saw


@dataclass(frozen=True)
class Rescued:
    """A feature without a gradient and its rescued rendering, side by side."""

    layer: str
    number: int
    page: str  # of the feature
    own: Picture
    own_recipe: str
    own_score: float | None
    recipe: str
    steps: int  # at the start, in which the gradient may be rescued
    picture: Picture | None  # None: pending
    status: str
    score: float | None
    json: str | None  # path of the rescued rendering's record


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
    seed: int
    recipe: Recipe
    octaves: tuple[OctaveRow, ...]
    branch: str
    field: str
    path: str  # from the layer before
    block: Block
    stages: Stages | None  # None: the store keeps none
    progress: Chart | None  # None: pending, or no score is finite
    neighbours: Neighbours
    mentions: tuple[Link, ...]  # other pages of which it is a part
    again: Again
    player: Player | None  # None: there is no video of it
    raw: RawBeside | None  # None: the store does not have both
    rescued: Rescued | None  # None: it needs no rescue, or has none
    connected: Connected | None  # None: nothing is known of its connections
    crops: CropSection | None  # None: none are shown
    previous: Link | None
    next: Link | None


@dataclass(frozen=True)
class VideosBody:
    """The list of all videos."""

    cards: tuple[VideoCard, ...]


@dataclass(frozen=True)
class PlainBody:
    """A page whose words stand in its template."""

    recipe: Recipe


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
