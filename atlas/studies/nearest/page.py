"""Nearest features, for their pages: findings → the features with the most alike pictures and the most alike wiring."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atlas.site import words
from atlas.site.catalogue import Atlas, Feature
from atlas.site.models import Tile
from atlas.site.pages.parts import tile_of
from atlas.studies.connections.result import Ties, wired_layers, wiring_spec
from atlas.studies.nearest.result import NEAREST, Near, Nearest


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
class Vicinity:
    """What is known of all features at once; findings are read once a build."""

    tiles: Mapping[tuple[str, int], Tile]  # of the features that the atlas has, by layer and number
    nearest: Nearest | None  # None: not measured yet
    wiring: Mapping[str, Mapping[int, Ties]]  # by layer and number

    def of(self, feature: Feature) -> Neighbours:
        """The neighbours of a feature."""
        layer, number = feature.layer, feature.number
        near = self.nearest.layers.get(layer, {}).get(number, ()) if self.nearest else ()
        ties = self.wiring.get(layer, {}).get(number, ())
        return Neighbours(tuple(self._by_picture(near)), tuple(self._by_wiring(layer, ties)))

    def _by_picture(self, near: Iterable[Near]) -> Iterable[Nearby]:
        for one in near:
            if tile := self.tiles.get((one.layer, one.feature)):
                yield Nearby(tile, f"{one.likeness:.3f}")

    def _by_wiring(self, layer: str, ties: Ties) -> Iterable[Nearby]:
        for number, cosine in ties:
            if tile := self.tiles.get((layer, number)):
                yield Nearby(tile, words.fixed(cosine))


def vicinity(atlas: Atlas) -> Vicinity:
    """Gather what the studies found."""
    wired = ((layer, atlas.result(wiring_spec(layer))) for layer in wired_layers(atlas.config))
    return Vicinity(
        tiles={(feature.layer, feature.number): tile_of(feature) for feature in atlas.features},
        nearest=atlas.result(NEAREST),
        wiring={layer: found.alike for layer, found in wired if found},
    )
