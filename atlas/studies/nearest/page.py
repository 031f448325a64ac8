"""Nearest features, on the pages of features: those with the most similar pictures, and the most similar kernels."""

from dataclasses import dataclass

from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import Tile
from atlas.site.pages.parts import tiles
from atlas.site.study_page import Section, StudyPage
from atlas.site.words import fixed
from atlas.studies.connections.result import wired_layers, wiring_spec
from atlas.studies.nearest.result import NEAREST, Nearest


@dataclass(frozen=True)
class Neighbours:
    """The features that are most like another, and how much."""

    by_picture: tuple[tuple[Tile, str], ...]  # none where it was not compared
    by_wiring: tuple[tuple[Tile, str], ...]


def neighbours_of(atlas: Atlas, entry: LayerEntry) -> dict[int, Neighbours]:
    """The neighbours of a layer's features, by number; those that are not in the atlas are left out."""
    name, planned = entry.layer.name, atlas.once(tiles)
    nearest = atlas.once(_nearest)
    near = nearest.layers.get(name, {}) if nearest else {}
    wiring = atlas.result(wiring_spec(name)) if name in wired_layers(atlas.config) else None
    alike = wiring.alike if wiring else {}
    found = {}
    for number in entry.by_number:
        pictures = [(planned.get((one.layer, one.feature)), f"{one.likeness:.3f}") for one in near.get(number, ())]
        kernels = [(planned.get((name, other)), fixed(cosine)) for other, cosine in alike.get(number, ())]
        both = (tuple((tile, like) for tile, like in pairs if tile) for pairs in (pictures, kernels))
        neighbours = Neighbours(*both)
        if neighbours.by_picture or neighbours.by_wiring:
            found[number] = neighbours
    return found


def _nearest(atlas: Atlas) -> Nearest | None:
    """Of all layers, so it is read once."""
    return atlas.result(NEAREST)


PAGE = StudyPage(section=Section("studies/nearest_section.html", neighbours_of))
