"""The pages that follow the network: home, method, regions and layers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from atlas.inception import layers
from atlas.plan.recipes import Recipe
from atlas.site import words
from atlas.site.catalogue import PENDING, Atlas, Feature, LayerEntry, RegionEntry, Statuses
from atlas.site.colour import COLOUR_NAMES, STRONG
from atlas.site.models import Link, Page, Picture, StudyCard, Tile, VideoCard
from atlas.site.pages.method import method_page
from atlas.site.pages.parts import (
    FEATURES_A_PAGE,
    HOME,
    HOME_LINK,
    MISSING,
    Around,
    layer_page,
    neighbours,
    region_link,
    tile_of,
    video_cards,
)
from atlas.site.pictures import has_sheet, layer_sheet_path, sheet_folder
from atlas.site.region_map import RegionMap, map_region
from atlas.site.sheets import region_sheet
from atlas.store.forecast import count_of
from atlas.store.records import STATUSES

FEATURES_A_LAYER = 16  # on a region's page, as in the article's figures
GRID_SIZE = (299, 299)  # pixels at which a layer's grid is stated
MEASURE = (
    f"A picture has the colour of each hue that holds at least {words.percent(STRONG)} of its chroma (OKLCH, on the "
    "thumbnail), or is black, grey or white where there is little."
)
PAGES_AROUND = 2  # links on either side of the page that is open


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
class Choice:
    """What the tiles of a page can be filtered by."""

    label: str
    options: tuple[tuple[str, int], ...]  # word, and how many tiles of the page have it


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
class PlainBody:
    """A page whose words stand in its template."""

    recipe: Recipe


def network_pages(atlas: Atlas, studies: tuple[StudyCard, ...]) -> list[Page]:
    """Home, method and the pages of the regions."""
    pages = [_home(atlas, studies), method_page(atlas)]
    regions = [region for region in atlas.regions if region.planned]
    for at, region in enumerate(regions):
        pages.append(_region_page(atlas, region, neighbours(regions, at, lambda r: Link(r.region.title, r.page))))
    return pages


def _home(atlas: Atlas, studies: tuple[StudyCard, ...]) -> Page:
    shown = sum(len(entry.shown) for entry in atlas.layers)
    body = HomeBody(
        regions=tuple(_region_card(region) for region in atlas.regions),
        planned=len(atlas.features),
        shown=shown,
        statuses=atlas.statuses,
        recipe=atlas.recipe.name,
        studies=studies,
        videos=video_cards(atlas),
    )
    places = sum(bool(entry.features) for entry in atlas.layers), sum(bool(region.planned) for region in atlas.regions)
    description = (
        f"What layers of InceptionV3 respond to: {count_of(shown, 'rendering')} of features from "
        f"{count_of(places[0], 'layer')} in {count_of(places[1], 'region')}."
    )
    return Page(HOME, "home.html", "", description, (), body)


def missing_page(atlas: Atlas) -> Page:
    """The page for addresses that do not exist; served at any depth, so its links must be absolute."""
    return Page(MISSING, MISSING, "Not found", "There is no such page in this atlas.", (), PlainBody(atlas.recipe))


def _region_card(region: RegionEntry) -> RegionCard:
    return RegionCard(
        slug=region.region.slug,
        title=region.region.title,
        page=region.page if region.planned else None,
        sentence=words.REGIONS[region.region.slug],
        map=map_region(region.region.slug),
        cards=tuple(_card(entry, _sample(entry)) for entry in region.layers),
    )


def _sample(entry: LayerEntry) -> Sequence[Feature]:
    """The feature whose picture stands for its layer: the first that came out, if there is one."""
    came_out = [feature for feature in entry.shown if feature.face.status == "ok"]
    return (came_out or entry.shown)[:1]


def _card(entry: LayerEntry, features: Sequence[Feature]) -> Card:
    rows, cols = layers.grid(entry.layer.name, GRID_SIZE)
    return Card(
        name=entry.layer.name,
        page=entry.page if entry.features else None,
        features=entry.layer.features,
        grid=f"{rows} × {cols}",
        field=words.field_of(entry.layer.name),
        planned=len(entry.features),
        shown=len(entry.shown),
        statuses=entry.statuses,
        tiles=tuple(tile_of(feature) for feature in features),
    )


def _region_page(atlas: Atlas, region: RegionEntry, around: Around) -> Page:
    sheet = None
    if has_sheet(region):
        folder = sheet_folder(region)
        sheet = Picture(f"{folder}/sheet.avif", f"{folder}/sheet.jpg", *region_sheet(region).size)
    title = region.region.title
    is_demo = atlas.weights is not None and atlas.weights.name == "demo"
    has_pictures = any(entry.shown for entry in region.layers)
    body = RegionBody(
        sentence=words.REGIONS[region.region.slug],
        shown=words.DEMO_REGIONS[region.region.slug] if is_demo and has_pictures else "",
        cards=tuple(_card(entry, entry.features[:FEATURES_A_LAYER]) for entry in region.planned),
        sheet=sheet,
        previous=around[0],
        next=around[1],
    )
    names = ", ".join(entry.layer.name for entry in region.planned)
    description = f"{title} of InceptionV3: what the features of {names} respond to."
    return Page(region.page, "region.html", title, description, (HOME_LINK, Link(title, None)), body)


def layer_pages(atlas: Atlas, entry: LayerEntry, around: Around) -> list[Page]:
    """The pages of a layer's features, so many on each."""
    name, count = entry.layer.name, len(entry.features)
    total = -(-count // FEATURES_A_PAGE)
    region = region_link(entry.layer.region)
    pages = []
    for at in range(total):
        chunk = entry.features[at * FEATURES_A_PAGE : (at + 1) * FEATURES_A_PAGE]
        tiles = tuple(replace(tile_of(f), facts=(f.status, *atlas.tints.get(f.folder, ()))) for f in chunk)
        body = LayerBody(
            card=_card(entry, ()),
            tiles=tiles,
            choices=tuple(_choices(tiles)),
            measure=MEASURE if any(len(tile.facts) > 1 for tile in tiles) else "",
            sheet=layer_sheet_path(entry) if entry.shown else None,
            branches=_branches(entry.layer),
            at=at + 1,
            total=total,
            pages=_page_links(name, at + 1, total),
            previous=around[0],
            next=around[1],
        )
        title = f"{name}, page {at + 1}" if total > 1 else name
        crumbs = (HOME_LINK, region, Link(name, None))
        description = _layer_words(entry) + (f" Page {at + 1} of {total}." if total > 1 else "")
        pages.append(Page(layer_page(name, at + 1), "layer.html", title, description, crumbs, body))
    return pages


def _layer_words(entry: LayerEntry) -> str:
    """What a layer's pages show."""
    layer, place = entry.layer, f"of {entry.layer.name} in InceptionV3"
    if not entry.shown:
        return f"{count_of(len(entry.features), 'feature')} {place}, planned and not rendered."
    part = "All" if len(entry.shown) == layer.features else f"{len(entry.shown):,} of the"
    features = count_of(layer.features, "feature")
    return f"{part} {features} {place}, as pictures made by gradient descent on the input."


def _choices(tiles: Sequence[Tile]) -> Iterator[Choice]:
    """What a page's tiles can be filtered by: status and colour, where they differ."""
    counts = Counter(fact for tile in tiles for fact in tile.facts)
    for label, order in (("Status", (*STATUSES, PENDING)), ("Colour", COLOUR_NAMES)):
        options = tuple((word, counts[word]) for word in order if counts[word])
        if len(options) > 1:
            yield Choice(label, options)


def _page_links(name: str, at: int, total: int) -> tuple[Link, ...]:
    """Links to the first and last page and to those around the open one, with gaps between."""
    if total == 1:
        return ()
    near = range(at - PAGES_AROUND, at + PAGES_AROUND + 1)
    links: list[Link] = []
    for page in sorted({1, total, *(n for n in near if 1 <= n <= total)}):
        if links and int(links[-1].words) != page - 1:
            links.append(Link("…", None))
        links.append(Link(str(page), None if page == at else layer_page(name, page)))
    return tuple(links)


def _branches(layer: layers.Layer) -> tuple[tuple[str, str, str], ...]:
    if len(layer.branches) == 1:
        return ()
    return tuple(
        (branch.name, f"{branch.first} to {branch.range[-1]}", words.field_of(layer.name, branch.first))
        for branch in layer.branches
    )
