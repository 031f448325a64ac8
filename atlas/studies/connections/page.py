"""Connections, on the pages of features: the features of the layers before and after that each is connected to most."""

from dataclasses import dataclass

from atlas.inception.layers import get_layer
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import Link, Tile
from atlas.site.pages.parts import tiles
from atlas.site.study_page import Section, StudyPage
from atlas.site.words import percent
from atlas.studies.connections.result import Ties, connected_layers, connections_spec, layer_before


@dataclass(frozen=True)
class Side:
    """The largest shares of a feature in the layer before or after."""

    layer: str
    features: int  # of that layer
    of_all: tuple[tuple[Link, str], ...]  # the features with the largest shares of all, and these shares
    of_planned: tuple[tuple[Tile, str], ...]  # and of those in the atlas
    is_complete: bool  # whether those with the largest shares of all are in the atlas


@dataclass(frozen=True)
class Connected:
    """How a feature is connected to the layers before and after; None: not measured, or there is no such layer."""

    fed_by: Side | None
    feeds: Side | None


def connections_of(atlas: Atlas, entry: LayerEntry) -> dict[int, Connected]:
    """What feeds each planned feature of a layer, and what it feeds, by number."""
    name, connected = entry.layer.name, connected_layers(atlas.config)
    after = next((layer for layer in connected if layer_before(layer) == name), "")
    own = atlas.result(connections_spec(name)) if name in connected else None
    next_one = atlas.result(connections_spec(after)) if after else None
    found = {}
    for n in entry.by_number:
        fed_by = _side(atlas, own.before, own.fed_by[n], own.fed_by_planned.get(n, ())) if own else None
        feeds = _side(atlas, after, next_one.feeds.get(n, ()), next_one.feeds_planned.get(n, ())) if next_one else None
        if fed_by or feeds:
            found[n] = Connected(fed_by, feeds)
    return found


def _side(atlas: Atlas, layer: str, of_all: Ties, of_planned: Ties) -> Side:
    planned = atlas.once(tiles)
    links = []
    for number, share in of_all:
        tile = planned.get((layer, number))
        links.append((Link(str(number), tile.page if tile else None), percent(share)))
    return Side(
        layer=layer,
        features=get_layer(layer).features,
        of_all=tuple(links),
        of_planned=tuple((planned[layer, number], percent(share)) for number, share in of_planned),
        is_complete=all(link.page for link, _ in links),
    )


PAGE = StudyPage(section=Section("studies/connections_section.html", connections_of))
