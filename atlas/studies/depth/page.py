"""Depth: fineness, colours and edges of each layer's pictures, as charts over the 16 layers, and what they allow."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from atlas.inception.layers import LAYERS, depth
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Page
from atlas.site.study_page import StudyCard, StudyPage
from atlas.site.words import fixed, number, percent
from atlas.studies.depth.result import DEPTH, EDGE, LEVELS, MOST_ORDERED, SIZE, Depth, LayerDepth, Quartiles, Trend

CARD = StudyCard(
    "depth",
    "Complexity and depth",
    "Do pictures grow more complex from layer to layer? Fineness, colours and edges, counted.",
)
STRONG = 0.5  # a trend needs a rank correlation of at least so much,
CHANCE = 0.05  # that chance alone would reach less often than this,
FEWEST = 5  # over so many layers: even four in order are no rarer than that
NONE_GROWS = (
    "This does not show that complexity does not grow. What a reader sees grow, from colours to textures to parts of "
    "objects, is not what these measures capture."
)
DIRECTIONS = (
    ("grows", "grows with depth", "grow with depth"),
    ("falls", "falls", "fall"),
    ("shows no trend", "shows no trend", "show no trend"),
)


@dataclass(frozen=True)
class Measure:
    """A measure of pictures and its words."""

    field: str  # of a layer's result
    title: str
    what: str
    label: str  # of the vertical axis


MEASURES = (
    Measure(
        "centroid",
        "Fineness",
        "The spectral centroid: the mean frequency of the luma (the stored values in Rec. 709’s weights), weighted by "
        "its power. Pictures of one colour have none; in nearly uniform ones it describes the small variation left.",
        "Spectral centroid, cycles a pixel",
    ),
    Measure(
        "entropy",
        "Colours",
        f"The entropy of a histogram of colours with {LEVELS} × {LEVELS} × {LEVELS} bins: 0 bits for one colour, 9 if "
        "all bins are equally full.",
        "Colour entropy, bits",
    ),
    Measure(
        "edges",
        "Edges",
        "The share of pixels at which the luma, by Sobel’s filters, has a slope of more than "
        f"{EDGE / sqrt(2):.2g} pixel ranges a pixel.",
        "Share of pixels that are edges",
    ),
)


def depth_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if it is measured."""
    found = atlas.result(DEPTH)
    if not found or not found.layers:
        return
    trends = {trend.measure: trend for trend in found.trends}
    yield CARD.page(
        "Whether the pictures of InceptionV3's features grow more complex with depth, by three measures.",
        recipe=atlas.recipe.name,
        size=SIZE,
        summary=depth_summary(found),
        parts=[_part(found, measure, trends[measure.field]) for measure in MEASURES],
        rows=[_row(atlas, layer) for layer in found.layers],
        measured=sum(layer.measured for layer in found.layers),
        left_out=sum(layer.left_out for layer in found.layers),
        strong=STRONG,
        chance=CHANCE,
        fewest=FEWEST,
        most_ordered=MOST_ORDERED,
    )


def direction(trend: Trend) -> str | None:
    """Whether a measure "grows", "falls" or "shows no trend" with depth; None if that cannot be told."""
    if trend.layers < FEWEST:
        return None
    if trend.rho is None or trend.p is None or abs(trend.rho) < STRONG or trend.p >= CHANCE:  # None: all are equal
        return "shows no trend"
    return "grows" if trend.rho > 0 else "falls"


def trend_sentence(trend: Trend, title: str) -> str:
    """A measure's trend in words, with its numbers."""
    found = direction(trend)
    if found is None:
        return f"{title}: too few layers to speak of a trend, {trend.layers} of the {FEWEST} needed."
    if trend.rho is None or trend.p is None:
        return f"{title}: the medians of all {trend.layers} layers are equal."
    chance = "below 0.001" if trend.p < 0.001 else f"= {trend.p:.2g}"
    return (
        f"{title}: the median {found} with depth. Spearman’s rank correlation over {trend.layers} layers is "
        f"{fixed(trend.rho)} (p {chance})."
    )


def depth_summary(found: Depth) -> str:
    """What the trends together allow to say of complexity."""
    titles = {measure.field: measure.title.lower() for measure in MEASURES}
    ways = [(titles[trend.measure], direction(trend)) for trend in found.trends]
    if any(way is None for _, way in ways):
        return "There are too few layers here to say whether complexity grows with depth."
    clauses = []
    for way, verb, verbs in DIRECTIONS:
        those = [title for title, found_way in ways if found_way == way]
        if those:
            clauses.append(f"{len(those)} {verb if len(those) == 1 else verbs} ({', '.join(those)})")
        elif way == "grows":
            clauses.append("none grows with depth")
    said = f"Of the three measures of complexity, {', '.join(clauses)}."
    return said if any(way == "grows" for _, way in ways) else f"{said} {NONE_GROWS}"


def extremes_sentence(found: Depth, measure: Measure) -> str:
    """Where the medians of a measure are lowest and highest, since a rank correlation misses a rise and a fall."""
    medians = [(one.middle, layer.layer) for layer in found.layers if (one := _quartiles(layer, measure))]
    if len({median for median, _ in medians}) < 2:
        return ""
    show = percent if measure.field == "edges" else number
    (low, low_layer), (high, high_layer) = min(medians), max(medians)
    return f" The median is lowest in {low_layer} ({show(low)}) and highest in {high_layer} ({show(high)})."


def _part(found: Depth, measure: Measure, trend: Trend) -> tuple[Measure, str, Chart | None]:
    """A measure over all layers, its summary and chart; no chart if no layer has a value."""
    by_name = {layer.layer: _quartiles(layer, measure) for layer in found.layers}
    values = [by_name.get(layer.name) for layer in LAYERS]
    summary = trend_sentence(trend, measure.title) + extremes_sentence(found, measure)
    return measure, summary, _chart(measure, values) if any(values) else None


def _chart(measure: Measure, values: list[Quartiles | None]) -> Chart:
    """Medians over all 16 layers, with the band from the first to the third quartile; gaps where a layer has none."""
    points = tuple((float(at), one.middle if one else None) for at, one in enumerate(values))
    band = tuple((one.low, one.high) if one else None for one in values)
    return make_chart(
        [Series("median", points, "joined", band)],
        alt=f"{measure.label}, over the layers from {LAYERS[0].name} to {LAYERS[-1].name}: medians and quartiles.",
        x_label="layer",
        y_label=f"{measure.label}: median, and the band from the first to the third quartile",
        x_words=[(float(depth(layer.name)), _short(layer.name)) for layer in LAYERS],
    )


def _row(atlas: Atlas, layer: LayerDepth) -> tuple[LayerDepth, str, list[str]]:
    """A layer, its page, and its medians with the quartiles, one for each measure."""
    return layer, atlas.layer(layer.layer).page, [_text(_quartiles(layer, measure), measure) for measure in MEASURES]


def _text(quartiles: Quartiles | None, measure: Measure) -> str:
    if quartiles is None:
        return "–"
    show = percent if measure.field == "edges" else number
    return f"{show(quartiles.middle)} ({show(quartiles.low)} to {show(quartiles.high)})"


def _quartiles(layer: LayerDepth, measure: Measure) -> Quartiles | None:
    found: Quartiles | None = getattr(layer, measure.field)
    return found


def _short(name: str) -> str:
    """`Conv2d_1a_3x3` → "1a", `Mixed_6b` → "6b"."""
    return name.split("_")[1]


PAGE = StudyPage(card=CARD, pages=depth_pages)
