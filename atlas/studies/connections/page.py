"""How features hang together, for their pages: findings of two layers → the features before and after each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from atlas.inception import layers
from atlas.site import words
from atlas.site.catalogue import Atlas, Feature, LayerEntry
from atlas.site.models import Link, Picture
from atlas.site.pages.parts import thumb_of
from atlas.studies.connections.result import Ties, connected_layers, connections_spec, layer_before

Features = Mapping[int, Feature]  # of a layer, by number
NOBODY: Features = MappingProxyType({})


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


def connections_of(atlas: Atlas, entry: LayerEntry) -> dict[int, Connected]:
    """What feeds each planned feature of a layer, and what it feeds; features of which nothing is known are left out.

    Findings are read once a layer, since they are of all its features.
    """
    name = entry.layer.name
    fed_by, feeds = _fed_by(atlas, name), _feeds(atlas, name)
    numbers = [feature.number for feature in entry.features]
    return {number: Connected(fed_by.get(number), feeds.get(number)) for number in numbers if number in fed_by | feeds}


def _fed_by(atlas: Atlas, name: str) -> dict[int, Side]:
    found = atlas.result(connections_spec(name)) if name in connected_layers(atlas.config) else None
    if found is None:
        return {}
    planned = _planned(atlas, found.before)
    return {
        number: _side(found.before, found.fed_by[number], found.fed_by_planned.get(number, ()), planned)
        for number in _planned(atlas, name)
    }


def _feeds(atlas: Atlas, name: str) -> dict[int, Side]:
    after = next((later for later in connected_layers(atlas.config) if layer_before(later) == name), None)
    found = atlas.result(connections_spec(after)) if after else None
    if found is None or after is None:
        return {}
    planned = _planned(atlas, after)
    return {
        number: _side(after, found.feeds.get(number, ()), found.feeds_planned.get(number, ()), planned)
        for number in _planned(atlas, name)
    }


def _side(layer: str, of_all: Ties, of_planned: Ties, planned: Features) -> Side:
    return Side(
        layer=layer,
        features=layers.get_layer(layer).features,
        of_all=tuple(_link(number, share, planned) for number, share in of_all),
        of_planned=tuple(_tiles(of_planned, planned)),
        is_complete=all(number in planned for number, _ in of_all),
    )


def _link(number: int, share: float, planned: Features) -> tuple[Link, str]:
    page = planned[number].page if number in planned else None
    return Link(str(number), page), words.percent(share)


def _tiles(ties: Ties, planned: Features) -> Iterable[TieTile]:
    for number, share in ties:
        feature = planned[number]
        yield TieTile(feature.page, feature.layer, number, thumb_of(feature.face), words.percent(share))


def _planned(atlas: Atlas, layer: str) -> Features:
    entry = next((one for one in atlas.layers if one.layer.name == layer), None)
    return {feature.number: feature for feature in entry.features} if entry else NOBODY
