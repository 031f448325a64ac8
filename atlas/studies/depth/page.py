"""Depth: fineness, colours and edges of each layer's pictures, as charts over the 16 layers, and what they allow."""

from collections.abc import Iterator

from atlas.inception.layers import LAYERS
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Page
from atlas.site.study_page import StudyCard, StudyPage
from atlas.studies.depth.result import DEPTH, RULES, Depth, Quartiles

CARD = StudyCard(
    "depth",
    "Complexity and depth",
    "Do pictures grow more complex from layer to layer? Fineness, colours and edges, counted.",
)
LABELS = {  # of the vertical axis
    "centroid": "Spectral centroid, cycles a pixel",
    "entropy": "Colour entropy, bits",
    "edges": "Share of pixels that are edges",
}


def depth_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if it is measured."""
    found = atlas.result(DEPTH)
    if not found or not found.layers:
        return
    yield CARD.page(
        "Whether the pictures of InceptionV3's features grow more complex with depth, by three measures.",
        recipe=atlas.recipe.name,
        rules=RULES,
        found=found,
        charts={measure: _chart(found, measure) for measure in LABELS},
    )


def _chart(found: Depth, measure: str) -> Chart | None:
    """Medians over all 16 layers, with the band from the first to the third quartile; None if no layer has a value.

    A layer without a value is a gap.
    """
    by_name: dict[str, Quartiles | None] = {layer.layer: getattr(layer, measure) for layer in found.layers}
    values = [by_name.get(layer.name) for layer in LAYERS]
    if not any(values):
        return None
    points = tuple((float(at), one.middle if one else None) for at, one in enumerate(values))
    band = tuple((one.low, one.high) if one else None for one in values)
    label = LABELS[measure]
    return make_chart(
        [Series("median", points, "joined", band)],
        alt=f"{label}, over the layers from {LAYERS[0].name} to {LAYERS[-1].name}: medians and quartiles.",
        x_label="layer",
        y_label=f"{label}: median, and the band from the first to the third quartile",
        x_words=[(float(at), layer.name.split("_")[1]) for at, layer in enumerate(LAYERS)],  # "1a", …, "6b", …
    )


PAGE = StudyPage(card=CARD, pages=depth_pages)
