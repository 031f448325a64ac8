"""A layer's features sorted by something else than their numbers: a script that the layer's pages load."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from posixpath import dirname

from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.colour import GREYS, HUES
from atlas.site.finder import letters, places
from atlas.site.models import MARKS, Tile, kind_of
from atlas.site.pages.parts import layer_tile

NAME = "atlasOrders"  # the variable that the script sets

_GREYS = [name for name, _ in GREYS]
_FIRST_HUE = HUES[0][1]  # degrees, where the wheel of colours is cut

Orders = Mapping[str, Sequence[int]]  # numbers of all features of a layer, by what they are sorted by


def orders_path(layer: str) -> str:
    """Path of a layer's script in the site."""
    return f"{layer}/orders.js"


def make_orders(atlas: Atlas) -> Mapping[str, Orders]:
    """By layer, the orders of its features for which there are data; call it by `atlas.once`."""
    return {entry.layer.name: _orders(atlas, entry) for entry in atlas.layers if entry.features}


def _orders(atlas: Atlas, entry: LayerEntry) -> Orders:
    ways = [("score", _by_score), ("colour", _by_colour), *(study.order for study in atlas.studies if study.order)]
    ways += ((kind, partial(_by_mark, kind)) for kind in MARKS)
    ranked = {name: way(atlas, entry) for name, way in ways}
    return {name: list(dict.fromkeys([*first, *entry.by_number])) for name, first in ranked.items() if len(first) > 1}


def _by_score(_: Atlas, entry: LayerEntry) -> list[int]:
    """The highest first; features without a picture, or whose score is not finite, have no place."""
    scores = {feature.number: feature.score for feature in entry.shown if feature.score is not None}
    return sorted(scores, key=lambda number: -scores[number])


def _by_colour(atlas: Atlas, entry: LayerEntry) -> list[int]:
    """Round the wheel of hues from red to pink, and then from black to white."""
    places = {}
    for feature in entry.shown:
        folder = feature.face.folder
        hue, names = atlas.hues.get(folder), atlas.colours.get(folder, ())
        if hue is not None:
            places[feature.number] = (hue - _FIRST_HUE) % 360
        elif names:
            places[feature.number] = 360 + _GREYS.index(names[0])
    return sorted(places, key=lambda number: places[number])


def _by_mark(kind: str, atlas: Atlas, entry: LayerEntry) -> list[int]:
    """The most credible first, by one check."""
    marks = ((feature.number, mark) for feature in entry.features for mark in atlas.marks_of(feature))
    values = {number: mark.value for number, mark in marks if mark.kind == kind}
    return sorted(values, key=lambda number: -values[number])


def orders_script(atlas: Atlas, layer: str) -> bytes:
    """The orders of a layer and what its tiles are made of, as a script.

    Tiles that have all but their number in common are of one kind; there is a character for the kind of each feature.
    """
    entry = atlas.layer(layer)
    said = list(map(atlas.words_of, entry.features))
    words = places(said)
    made = [_kind(layer_tile(atlas, feature)) for feature in entry.features]
    kinds = list({json.dumps(kind): kind for kind in made}.values())
    data = {
        "layer": layer,
        "called": f"{layer} {kind_of(layer)}",
        "numbers": list(entry.by_number),
        "kinds": kinds,
        "kind": letters(kinds.index(kind) for kind in made),
        "words": [escape(one) for one in words],
        "word": letters(words[one] for one in said),
        "orders": atlas.once(make_orders)[layer],
    }
    return f"window.{NAME} = {json.dumps(data, ensure_ascii=False, separators=(',', ':'))};\n".encode()


def _kind(tile: Tile) -> dict[str, object]:
    """What is shown of a tile but its number, which stands as #### in the folder of its rescued picture."""
    kind: dict[str, object] = {"facts": " ".join(tile.facts), "status": tile.status}
    if tile.marks:
        kind["marks"] = ["".join(mark.sign for mark in tile.marks), ", ".join(mark.label for mark in tile.marks)]
    if tile.thumb and tile.picture:
        kind["sizes"] = [tile.thumb.width, tile.thumb.height, tile.picture.width]
        if tile.is_rescued:
            folder = "_####".join(dirname(tile.thumb.jpeg).rsplit(f"_{tile.number:04}", 1))
            kind |= {"status": "rescued", "face": folder}
    return kind
