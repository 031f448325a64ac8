"""Does complexity grow with depth? Fineness, colours and edges of each layer's pictures, and their trend.

The article sees colours, patterns, textures, objects and then jumbles, from layer to layer.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import permutations

import numpy as np
from scipy.stats import rankdata, spearmanr

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.depth.result import DEPTH, MEASURES, RULES, Depth, LayerDepth, Quartiles, Trend, layer_depth_spec
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.image_metrics import colour_entropy, edge_density, luma, shrink, spectral_centroid

FEWEST_LAYERS = 3  # of two, a rank correlation is ±1 whatever they are


def measurements(config: Config) -> Iterator[Measurement]:
    """Each layer, then the trends over all."""
    specs = tuple(map(layer_depth_spec, config.map_layers))
    for layer, spec in zip(config.map_layers, specs, strict=True):
        yield Measurement(spec, partial(measure_layer_depth, layer=layer))
    yield Measurement(DEPTH, measure_depth, after=specs)


def measure_layer_depth(context: MeasureContext, layer: str) -> LayerDepth:
    """Measure the pictures of a layer that are there and were raised."""

    def measure(job: Job) -> tuple[float | None, float, float]:
        picture = shrink(context.picture(job), RULES.size)
        grey = luma(picture)
        return spectral_centroid(grey), colour_entropy(picture, RULES.levels), edge_density(grey, RULES.edge)

    jobs, raised = context.results.jobs(layer_depth_spec(layer)) or (), context.raised(layer_depth_spec(layer))
    rows = context.for_each(raised, measure)
    columns = (quartiles(row[at] for row in rows) for at in range(len(MEASURES)))
    return LayerDepth(layer, len(raised), len(jobs) - len(raised), *columns)


def measure_depth(context: MeasureContext) -> Depth:
    """Put the layers together, which are measured before, and the trends over them."""
    specs = [layer_depth_spec(layer) for layer in context.config.map_layers]
    layers = tuple(found for found in map(context.results.read, specs) if found)
    return Depth(layers, tuple(trend(measure, layers) for measure in MEASURES))


def trend(measure: str, layers: Iterable[LayerDepth]) -> Trend:
    """Spearman's rank correlation of the layers' medians with the order of the layers."""
    found = [of_layer.middle for layer in layers if (of_layer := getattr(layer, measure))]
    if len(found) < FEWEST_LAYERS or len(set(found)) == 1:
        return Trend(measure, len(found), None, None)
    result = spearmanr(range(len(found)), found)
    p = _p_of_orders(found) if len(found) <= RULES.most_ordered else float(result.pvalue)
    return Trend(measure, len(found), float(result.statistic), p)


def _p_of_orders(values: list[float]) -> float:
    """Share of all orders of the values whose rank correlation is as far from 0 as theirs, or farther.

    Student's t is of no use for a few layers: for three in order it gives p = 0, though two of six orders are as far.
    """
    ranks = rankdata(values) - (len(values) + 1) / 2
    depths = np.arange(len(values)) - (len(values) - 1) / 2
    found = np.array(list(permutations(ranks))) @ depths  # quarters, so that equal ones are equal to the last bit
    return float((np.abs(found) >= abs(ranks @ depths)).mean())


def quartiles(values: Iterable[float | None]) -> Quartiles | None:
    """The values below which a quarter, a half and three quarters of those that are known lie; None if none is."""
    known = [value for value in values if value is not None]
    return Quartiles(*np.percentile(known, (25, 50, 75))) if known else None
