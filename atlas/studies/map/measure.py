"""Where each feature lies on the map: descriptions of pictures → t-SNE → cells of a grid.

The descriptions are those of the nearest features: histograms of colours and of directions, whose distance does not
depend on where in a picture something is.
"""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from atlas.plan.config import Config
from atlas.studies.map.result import FEATURE_MAP, FeatureMap
from atlas.studies.nearest.chain import unit_vectors
from atlas.studies.nearest.measure import describe
from atlas.studies.nearest.result import described_spec
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.maps import Array
from atlas.studies.shared.places import feature_of

FEWEST = 4  # different pictures, below which there is nothing to arrange
CELLS_A_FEATURE = 1.6  # cells of the grid for each feature: the empty ones leave gaps between groups
ASPECT = 1.5  # columns for each row, as most screens are wide
PERPLEXITY = 30  # about so many neighbours of each picture count
SEED = 0

Cells = NDArray[np.int64]


def measurements(config: Config) -> Iterator[Measurement]:
    """The map, once the pictures of all layers are described."""
    yield Measurement(FEATURE_MAP, measure_map, after=tuple(map(described_spec, config.map_layers)))


def measure_map(context: MeasureContext) -> FeatureMap:
    """Arrange the pictures of all layers, described before, and those that were rescued."""
    layers = context.config.map_layers
    described = {
        (one.layer, feature): data
        for layer in layers
        if (one := context.results.read(described_spec(layer)))
        for feature, data in one.features.items()
    }
    rescued = [job for job in context.raised(FEATURE_MAP) if feature_of(job.target) not in described]
    data = context.for_each(rescued, lambda job: describe(context.image(job)))
    described |= {feature_of(job.target): one for job, one in zip(rescued, data, strict=True)}
    columns, rows, cells = arrange(list(described.values()))
    found: dict[str, dict[int, tuple[int, int]]] = {layer: {} for layer in layers}
    for (layer, feature), (column, row) in zip(described, cells.tolist(), strict=True):
        found[layer][feature] = column, row
    return FeatureMap(columns, rows, found)


def arrange(described: Sequence[bytes]) -> tuple[int, int, Cells]:
    """Lay pictures out on a grid so that alike ones lie near each other.

    Args:
        described: pictures, n of them, as `describe` does.

    Returns:
        Columns and rows of the grid, and [n, 2] the column and the row of each picture; no two are the same. The same
        pictures in the same order have the same cells. Fewer than four different ones lie in their order.
    """
    columns, rows = _grid(len(described))
    if len(set(described)) < FEWEST:
        return columns, rows, _all_cells(columns, rows)[: len(described)]
    return columns, rows, snap(embed(unit_vectors(described)), columns, rows)


def embed(vectors: Array) -> Array:
    """[n, d] -> [n, 2] points on a plane, near each other where vectors are: t-SNE (van der Maaten & Hinton 2008).

    Distances between vectors far apart mean little. On one thread, since sums in another order would, step by step,
    lead to another arrangement.
    """
    from sklearn.manifold import TSNE  # takes a second to import, and is needed here alone
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    with threadpool_limits(limits=1):
        method = TSNE(perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1)
        return np.asarray(method.fit_transform(vectors), dtype=np.float64)


def snap(points: Array, columns: int, rows: int) -> Cells:
    """Move each point to a cell of its own: the nearest that is free, of equally near ones the first by row.

    Those in the middle choose first, so that where it is crowded, what has to give way moves outwards.

    Args:
        points: [n, 2], stretched to the whole grid.
        columns: of the grid; with `rows` at least n cells.
        rows: of the grid.

    Returns:
        [n, 2] columns and rows.
    """
    low, high, most = points.min(0), points.max(0), np.array([columns - 1, rows - 1])
    placed = (points - low) / np.maximum(high - low, np.finfo(float).tiny) * most
    free = _all_cells(columns, rows)
    left = free.astype(np.float64)
    cells = np.zeros((len(points), 2), dtype=np.int64)
    for at in np.argsort(np.square(placed - most / 2).sum(1), kind="stable"):
        nearest = np.square(left - placed[at]).sum(1).argmin()
        cells[at] = free[nearest]
        left[nearest] = np.inf
    return cells


def _grid(count: int) -> tuple[int, int]:
    """Columns and rows for so many pictures: a single row for the fewest."""
    if count < FEWEST:
        return count, min(count, 1)
    rows = ceil(sqrt(count * CELLS_A_FEATURE / ASPECT))
    return ceil(count * CELLS_A_FEATURE / rows), rows


def _all_cells(columns: int, rows: int) -> Cells:
    """[columns · rows, 2] every column and row, row by row."""
    row, column = np.indices((rows, columns))
    return np.stack([column, row], axis=-1).reshape(-1, 2)
