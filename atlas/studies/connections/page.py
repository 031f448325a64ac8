"""Connections, on the pages of features: the features of the layers before and after that each is connected to most."""

from atlas.inception.layers import get_layer, layer_before
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.pages.parts import tiles
from atlas.site.study_page import Section, StudyPage
from atlas.site.words import short_percent
from atlas.studies.connections.result import Ties, connected_layers, connections_spec


def connections_of(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, dict[str, object] | None]]:
    """What feeds each planned feature of a layer, and what it feeds, by number.

    None for a side that is not measured, or where there is no such layer.
    """
    name, connected = entry.layer.name, connected_layers(atlas.config)
    after = next((layer for layer in connected if layer_before(layer).name == name), "")
    own = atlas.result(connections_spec(name)) if name in connected else None
    next_one = atlas.result(connections_spec(after)) if after else None
    found = {}
    for n in entry.by_number:
        fed_by = _side(atlas, own.before, own.fed_by[n], own.fed_by_planned.get(n, ())) if own else None
        feeds = _side(atlas, after, next_one.feeds.get(n, ()), next_one.feeds_planned.get(n, ())) if next_one else None
        if fed_by or feeds:
            found[n] = {"fed_by": fed_by, "feeds": feeds}
    return found


def _side(atlas: Atlas, layer: str, of_all: Ties, of_planned: Ties) -> dict[str, object]:
    """The largest shares of a feature in the layer before or after."""
    planned = atlas.once(tiles)
    return {
        "layer": layer,
        "features": get_layer(layer).features,
        # features with the largest shares of all: None for one that is not in the atlas, its number and its share
        "of_all": [(planned.get((layer, number)), number, share) for number, share in of_all],
        # those in the atlas: tile, words for the share, and the width of a line
        "of_planned": [(planned[layer, n], short_percent(share), max(1, 40 * share)) for n, share in of_planned],
    }


PAGE = StudyPage(section=Section("studies/connections_section.html", connections_of))
