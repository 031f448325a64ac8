"""Nearest features, on the pages of features: those with the most similar pictures, and the most similar kernels.

A layer's page is sorted by likeness.
"""

from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import Tile
from atlas.site.pages.parts import tiles
from atlas.site.study_page import Section, StudyPage
from atlas.site.words import fixed
from atlas.studies.connections.result import wired_layers, wiring_spec
from atlas.studies.nearest.result import NEAREST, Nearest


def neighbours_of(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, list[tuple[Tile, str]]]]:
    """The features that are most like those of a layer, and how much, by number; those in the atlas alone."""
    name, planned = entry.layer.name, atlas.once(tiles)
    nearest = atlas.once(_nearest)
    near = nearest.layers.get(name, {}) if nearest else {}
    wiring = atlas.result(wiring_spec(name)) if name in wired_layers(atlas.config) else None
    alike = wiring.alike if wiring else {}
    found = {}
    for number in entry.by_number:
        pictures = [(planned.get((one.layer, one.feature)), f"{one.likeness:.3f}") for one in near.get(number, ())]
        kernels = [(planned.get((name, other)), fixed(cosine)) for other, cosine in alike.get(number, ())]
        both = (("by_picture", pictures), ("by_wiring", kernels))
        neighbours = {how: [(tile, like) for tile, like in pairs if tile] for how, pairs in both}
        if any(neighbours.values()):
            found[number] = neighbours
    return found


def _nearest(atlas: Atlas) -> Nearest | None:
    """Of all layers, so it is read once."""
    return atlas.result(NEAREST)


def order_of(atlas: Atlas, entry: LayerEntry) -> list[int]:
    """The features of a layer whose pictures are described, so that neighbours are alike."""
    nearest = atlas.once(_nearest)
    return list(nearest.orders.get(entry.layer.name, ())) if nearest else []


PAGE = StudyPage(
    order=("likeness", order_of), section=Section("studies/nearest_section.html", neighbours_of, stands_beside=True)
)
