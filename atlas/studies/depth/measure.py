"""Does complexity grow with depth? Fineness, colours and edges of each layer's pictures, and their trend.

The article sees colours, patterns, textures, objects and then jumbles, from layer to layer.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import permutations

import numpy as np
from scipy.stats import rankdata, spearmanr

from atlas.common.cores import count_cores
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.result_files import rounded
from atlas.studies.depth.result import (
    DEPTH,
    EDGE,
    LEVELS,
    MEASURES,
    MOST_ORDERED,
    SIZE,
    Depth,
    LayerDepth,
    Quartiles,
    Trend,
    layer_depth_spec,
)
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.image_metrics import colour_entropy, edge_density, luma, quartiles, shrink, spectral_centroid

FEWEST_LAYERS = 3  # of two, a rank correlation is ±1 whatever they are


@dataclass(frozen=True)
class Look:
    """What one picture is like."""

    centroid: float | None
    entropy: float
    edges: float


def measurements(config: Config) -> Iterator[Measurement]:
    """Each layer, then the trends over all."""
    specs = tuple(map(layer_depth_spec, config.layers))
    for layer, spec in zip(config.layers, specs, strict=True):
        yield Measurement(spec, partial(measure_layer_depth, layer=layer))
    yield Measurement(DEPTH, measure_depth, after=specs)


def measure_layer_depth(context: MeasureContext, layer: str) -> LayerDepth:
    """Measure the pictures of a layer that are there and were raised.

    Raises:
        StoreError: a master is damaged.
    """
    jobs = context.results.jobs(layer_depth_spec(layer)) or ()
    raised = [job for job in jobs if context.results.is_raised(job)]

    def measure(job: Job) -> Look:
        picture = shrink(context.picture(job), SIZE)
        grey = luma(picture)
        return Look(spectral_centroid(grey), colour_entropy(picture, LEVELS), edge_density(grey, EDGE))

    with ThreadPoolExecutor(count_cores()) as pool:
        looks = list(pool.map(measure, raised))
    return LayerDepth(
        layer=layer,
        measured=len(looks),
        left_out=len(jobs) - len(looks),
        centroid=_quartiles(look.centroid for look in looks),
        entropy=_quartiles(look.entropy for look in looks),
        edges=_quartiles(look.edges for look in looks),
    )


def measure_depth(context: MeasureContext) -> Depth:
    """Gather the layers, which are measured before, and look for trends over them."""
    specs = [layer_depth_spec(layer) for layer in context.results.config.layers]
    layers = tuple(found for found in map(context.results.read, specs) if found)
    return Depth(layers, tuple(trend(measure, layers) for measure in MEASURES))


def trend(measure: str, layers: Iterable[LayerDepth]) -> Trend:
    """Spearman's rank correlation of the layers' medians with the order of the layers."""
    found = [quartiles.middle for layer in layers if (quartiles := getattr(layer, measure))]
    if len(found) < FEWEST_LAYERS or len(set(found)) == 1:
        return Trend(measure, len(found), None, None)
    result = spearmanr(range(len(found)), found)
    p = _p_of_orders(found) if len(found) <= MOST_ORDERED else float(result.pvalue)
    return Trend(measure, len(found), rounded(float(result.statistic)), rounded(p))


def _p_of_orders(values: list[float]) -> float:
    """Share of all orders of the values whose rank correlation is as far from 0 as theirs, or farther.

    Student's t is no guide to a few layers: of three in order it gives p = 0, where two of six orders do as much.
    """
    ranks = rankdata(values) - (len(values) + 1) / 2
    depths = np.arange(len(values)) - (len(values) - 1) / 2
    found = np.array(list(permutations(ranks))) @ depths  # quarters, so that equal ones are equal to the last bit
    return float((np.abs(found) >= abs(ranks @ depths)).mean())


def _quartiles(values: Iterable[float | None]) -> Quartiles | None:
    known = [value for value in values if value is not None]
    return Quartiles(*(float(f"{value:.6g}") for value in quartiles(known))) if known else None
