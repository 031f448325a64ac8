"""The pages that follow the network: home, method, regions and layers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from atlas.common.text import count_of, plural
from atlas.inception import layers
from atlas.site.catalogue import STATES, Atlas, Feature, LayerEntry, RegionEntry
from atlas.site.colour import COLOUR_NAMES, STRONG
from atlas.site.models import HOME, MARKS, Page, Tile, kind_of
from atlas.site.pages.method import method_page
from atlas.site.pages.orders import make_orders, orders_path
from atlas.site.pages.parts import (
    FEATURES_A_PAGE,
    Around,
    layer_page,
    layer_tile,
    make_page,
    neighbours,
    region_link,
    tile_of,
)
from atlas.site.pictures import layer_sheet_path, sheet_copy
from atlas.site.region_map import map_region
from atlas.site.study_page import StudyCard
from atlas.site.words import features_of

MOST_LARGE_TILES = 24  # of a page whose pictures are large at first; more are of medium size
FEATURES_A_LAYER = 16  # on a region's page, as in the article's figures
GRID_SIZE = (299, 299)  # pixels at which a layer's grid is stated


def network_pages(atlas: Atlas, cards: Sequence[StudyCard]) -> list[Page]:
    """Home, with the cards of studies, method and the pages of the regions."""
    pages = [_home(atlas, cards), method_page(atlas)]
    regions = [region for region in atlas.regions if region.planned]
    for at, region in enumerate(regions):
        pages.append(_region_page(atlas, region, neighbours(regions, at, lambda r: region_link(r.region.slug))))
    return pages


def _home(atlas: Atlas, cards: Sequence[StudyCard]) -> Page:
    shown = sum(len(entry.shown) for entry in atlas.layers)
    places = sum(bool(entry.features) for entry in atlas.layers), sum(bool(region.planned) for region in atlas.regions)
    description = (
        f"What layers of InceptionV3 respond to: {count_of(shown, 'rendering')} of features from "
        f"{count_of(places[0], 'layer')} in {count_of(places[1], 'region')}."
    )
    sections = (study.home for study in atlas.studies if study.home)
    body = {
        "regions": [_region_card(atlas, region) for region in atlas.regions],
        "planned": len(atlas.features),
        "shown": shown,
        "statuses": _statuses(atlas.features),
        "recipe": atlas.recipe.name,
        "studies": cards,
        "sections": [(template, found) for template, show in sections if (found := show(atlas))],
    }
    return Page(HOME, "home.html", "", description, (), body)


def _region_card(atlas: Atlas, region: RegionEntry) -> dict[str, object]:
    """A region on the home page: its map, and a card for each of its layers."""
    return {
        "region": region.region,
        "page": region_link(region.region.slug).page if region.planned else None,
        "map": map_region([entry.layer for entry in region.layers]),
        "sheet": sheet_copy(region),  # a row for each planned layer
        # the picture that stands for a layer is the first of status `ok`, if there is one
        "cards": [
            _card(atlas, entry, sorted(entry.shown, key=lambda feature: feature.face.status != "ok")[:1])
            for entry in region.layers
        ],
    }


def _card(atlas: Atlas, entry: LayerEntry, features: Sequence[Feature]) -> dict[str, object]:
    """A layer on its region's page or in the region map, with some of its features."""
    return {
        "layer": entry.layer,
        "kind": kind_of(entry.layer.name),
        "page": entry.page if entry.features else None,
        "grid": layers.grid(entry.layer.name, GRID_SIZE),  # (rows, cols)
        "planned": len(entry.features),
        "shown": len(entry.shown),
        "statuses": _statuses(entry.features),
        "tiles": [_tile(atlas, feature) for feature in features],
    }


def _tile(atlas: Atlas, feature: Feature) -> Tile:
    """A feature on a region's page; a class with its name."""
    return replace(tile_of(feature), words=atlas.words_of(feature) if feature.kind == "class" else "")


def _statuses(features: Iterable[Feature]) -> list[tuple[str, int]]:
    """How many features have each status, those with none left out."""
    counts = Counter(feature.status for feature in features)
    return [(status, counts[status]) for status in STATES if counts[status]]


def _article_tiles(atlas: Atlas, entry: LayerEntry) -> list[Tile]:
    """The features of a layer by the article's recipe, where that is not their own and the store has them."""
    recipe, tiles = atlas.config.get_recipe(atlas.config.recipe), []
    for feature in entry.features[:FEATURES_A_LAYER] if recipe != atlas.recipe else ():
        other = atlas.renderings.get(replace(feature.job, recipe=recipe))
        if other and other.record:
            tiles.append(Tile(feature.page, feature.layer, feature.number, other.status, other.thumb, other.picture))
    return tiles


def _region_page(atlas: Atlas, region: RegionEntry, around: Around) -> Page:
    title, slug = region.region.title, region.region.slug
    names = ", ".join(entry.layer.name for entry in region.planned)
    return make_page(
        f"region/{slug}/{HOME}",
        "region.html",
        title,
        f"{title} of InceptionV3: what the {plural(kind_of(region.layers[0].layer.name))} of {names} respond to.",
        slug=slug,
        cards=[_card(atlas, entry, entry.features[:FEATURES_A_LAYER]) for entry in region.planned],
        article=(atlas.config.recipe, {entry.layer.name: _article_tiles(atlas, entry) for entry in region.planned}),
        sheet=sheet_copy(region),
        around=around,
    )


def layer_pages(atlas: Atlas, entry: LayerEntry, around: Around) -> list[Page]:
    """The pages of a layer's features, so many on each."""
    name = entry.layer.name
    total = -(-len(entry.features) // FEATURES_A_PAGE)
    paths = [layer_page(name, at + 1) for at in range(total)]
    parts = [study.layer for study in atlas.studies if study.layer]
    everything = tuple(layer_tile(atlas, feature) for feature in entry.features)
    pages = []
    for at, path in enumerate(paths):
        tiles = everything[at * FEATURES_A_PAGE : (at + 1) * FEATURES_A_PAGE]
        page = make_page(
            path,
            "layer.html",
            f"{name}, page {at + 1}" if total > 1 else name,
            _layer_words(entry) + (f" Page {at + 1} of {total}." if total > 1 else ""),
            region_link(entry.layer.region),
            last=name,
            card=_card(atlas, entry, ()),
            tiles=tiles,
            choices=list(_choices(tiles, everything)),
            orders=list(atlas.once(make_orders)[name]),
            orders_path=orders_path(name),
            strong=STRONG if any(len(tile.facts) > 1 for tile in tiles) else None,  # None: no picture has a colour
            size="m" if len(tiles) > MOST_LARGE_TILES else "l",
            sections=[(template, shown) for template, show in parts if (shown := show(atlas, entry))],
            sheet=layer_sheet_path(entry) if entry.shown else None,
            at=at + 1,
            pages=paths,
            around=around,
        )
        pages.append(page)
    return pages


def _layer_words(entry: LayerEntry) -> str:
    """What a layer's pages show."""
    layer, place = entry.layer, f"of {entry.layer.name} in InceptionV3"
    if not entry.shown:
        return f"{features_of(layer, len(entry.features))} {place}, planned and not rendered."
    part = "All" if len(entry.shown) == layer.features else f"{len(entry.shown):,} of the"
    return f"{part} {features_of(layer)} {place}, as pictures made by gradient descent on the input."


def _choices(tiles: Sequence[Tile], everything: Sequence[Tile]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """What a layer's tiles can be filtered by, where they differ: its name, and how many of a page have each word."""
    counts, known = (Counter(fact for tile in some for fact in tile.facts) for some in (tiles, everything))
    marks = sorted({(MARKS.index(mark.kind), not mark.passed, mark.word) for tile in everything for mark in tile.marks})
    trust = [word for *_, word in marks]
    for label, order in (("Status", STATES), ("Colour", COLOUR_NAMES), ("Trust", trust)):
        options = [(word, counts[word]) for word in order if known[word]]
        if len(options) > 1 or any(known[word] < len(everything) for word, _ in options):
            yield label, options
