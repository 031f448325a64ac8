"""The map of features: a page with all of them on one plane, drawn from the sheets of the layers."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from atlas.inception.layers import FC
from atlas.plan.config import Config
from atlas.site.budget import Weight
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.copies import GROUND, JPEG, SMALL_JPEG, Encoder, Work, make_work
from atlas.site.finder import ranges
from atlas.site.links import MAP_DATA
from atlas.site.models import THUMB, Page, Picture
from atlas.site.pictures import layer_sheet, layer_sheet_path
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.studies.map.result import FEATURE_MAP, Cell

CARD = StudyCard(
    "map", "Map of features", "All features on one plane, each near those whose pictures look alike.", in_menu=True
)
NAME = "atlasMap"  # the variable that the script with the data sets
WIDTH = 1600  # pixels of the picture of the whole map, at most
GAP = 16  # pixels of a cell's side for each one between two pictures
CELL_BYTES, MOST_BYTES = 3_800, 4_800_000  # of a feature in that picture, and of all
AVIF_QUALITY, JPEG_QUALITY = 50, 75  # of many small pictures


@dataclass(frozen=True)
class Plane:
    """What is on the map and shown in the atlas."""

    columns: int
    rows: int
    layers: Mapping[str, Mapping[int, Cell]]  # by layer and feature; only layers that have one

    @property
    def count(self) -> int:
        """Features."""
        return sum(map(len, self.layers.values()))

    @property
    def tile(self) -> int:
        """Pixels of a cell's side in the picture of the whole map."""
        return min(THUMB, WIDTH // self.columns)

    @property
    def picture(self) -> Picture:
        """The whole map."""
        return Picture("map/map.avif", "map/map.jpg", self.columns * self.tile, self.rows * self.tile)


def plane(atlas: Atlas) -> Plane | None:
    """The map, if it is measured and has a feature; call it by `atlas.once`."""
    found = atlas.result(FEATURE_MAP)
    if not found:
        return None
    layers = {}
    for name, cells in found.layers.items():
        known = ((number, atlas.layer(name).by_number.get(number)) for number in cells)
        if shown := {number: cells[number] for number, one in known if one and one.face.status == "ok"}:
            layers[name] = shown
    return Plane(found.columns, found.rows, layers) if layers else None


def map_pages(atlas: Atlas) -> Iterator[Page]:
    """The page."""
    if found := atlas.once(plane):
        yield CARD.page(
            "All features of InceptionV3 on one plane, each near those whose pictures have like colours and edges.",
            layers=[(name, len(cells)) for name, cells in found.layers.items()],
            count=found.count,
            others=sum(len(entry.shown) for entry in atlas.layers if entry.layer.name != FC) - found.count,
            picture=found.picture,
        )


def map_scripts(atlas: Atlas) -> Iterator[tuple[str, bytes]]:
    """What lies where, for the page's script."""
    if found := atlas.once(plane):
        layers = [_layer(atlas.layer(name), cells, found.columns) for name, cells in found.layers.items()]
        data = {"columns": found.columns, "rows": found.rows, "tile": found.tile, "layers": layers}
        yield f"map/{MAP_DATA}", f"window.{NAME} = {json.dumps(data, separators=(',', ':'))};\n".encode()


def _layer(entry: LayerEntry, cells: Mapping[int, Cell], columns: int) -> dict[str, Any]:
    """The features of a layer's sheet in its order, and the cell of each, counted row by row; −1 if it has none."""
    sheet = layer_sheet(entry)
    places = (cells.get(feature.number) for feature in entry.features)
    return {
        "name": entry.layer.name,
        "sheet": [layer_sheet_path(entry), sheet.tile, sheet.gap, len(sheet.rows[0])],
        "numbers": ranges(feature.number for feature in entry.features),
        "cells": [-1 if place is None else place[1] * columns + place[0] for place in places],
        "faces": {feature.number: f"{feature.face.folder}/" for feature in entry.features if feature.rescued},
    }


def map_pictures(atlas: Atlas, avif: Encoder) -> Iterator[Work]:
    """The whole map as one picture: for a first look, and all there is without scripts."""
    if not (found := atlas.once(plane)):
        return
    by_name = ((atlas.layer(name).by_number, cells) for name, cells in found.layers.items())
    faces = [(features[number].face, cell) for features, cells in by_name for number, cell in cells.items()]
    pixels = hashlib.sha256(repr([(face.record and face.record.pixels_sha256, cell) for face, cell in faces]).encode())
    thumbs = tuple((f"{face.folder}/thumb.jpg", cell) for face, cell in faces)
    size = found.picture.width, found.picture.height
    copies = (
        (found.picture.avif, replace(avif, quality=AVIF_QUALITY), max(size)),
        (found.picture.jpeg, replace(JPEG, quality=JPEG_QUALITY), max(size)),
    )
    draw = partial(draw_map, atlas.config.site, thumbs, found.tile, size)
    thumb = SMALL_JPEG if "jpeg" in atlas.left_out else JPEG
    yield make_work(draw, pixels.hexdigest(), copies, f"{size} {found.tile} {GAP} {GROUND} {thumb.identity}")


def draw_map(site: Path, thumbs: Iterable[tuple[str, Cell]], tile: int, size: tuple[int, int]) -> Image.Image:
    """The whole map from the thumbnails in the site, which take a tenth of the time of masters.

    Args:
        site: its folder.
        thumbs: path of each, and its cell.
        tile: pixels of a cell's side.
        size: (width, height) of the map in pixels.
    """
    whole, side = Image.new("RGB", size, GROUND), tile - max(1, tile // GAP)
    for path, (column, row) in thumbs:
        # one is missing if its master turned out to be damaged, and then the map is drawn once more without it
        with suppress(FileNotFoundError), Image.open(site / path) as image:
            image.draft("RGB", (side, side))  # decodes few of the pixels where that is enough
            whole.paste(image.resize((side, side), Image.Resampling.LANCZOS), (column * tile, row * tile))
    return whole


def links_of(atlas: Atlas, entry: LayerEntry) -> dict[int, str]:
    """Where the features of a layer lie on the map, by number."""
    found = atlas.once(plane)
    name = entry.layer.name
    return {number: f"{CARD.path}#{name}-{number}" for number in found.layers.get(name, ())} if found else {}


def map_weights(config: Config, _: object) -> Iterator[Weight]:
    """What the picture of the whole map weighs."""
    features = sum(len(config.features_of(layer)) for layer in config.map_layers)
    yield Weight("pages and data", 2, min(MOST_BYTES, CELL_BYTES * features))


PAGE = StudyPage(
    card=CARD,
    pages=map_pages,
    section=Section("studies/map_section.html", links_of),
    pictures=map_pictures,
    written=map_scripts,
    weighs=map_weights,
)
