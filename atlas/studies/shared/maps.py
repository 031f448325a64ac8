"""Measures of pictures and of maps over them: arrays → numbers. Pure functions.

Places are (row, col) in pixels from the corner of the image, so that the first pixel's middle is (0.5, 0.5).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass
from scipy.stats import binned_statistic

from atlas.studies.fields.result import Disc

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]  # top, left, bottom, right
SHARE = 0.9  # of the magnitude that an effective field holds


def change(one: Array, other: Array) -> Array:
    """Mean absolute difference of two pictures at each pixel: [H, W, 3] twice -> [H, W]."""
    return np.asarray(np.abs(one - other).mean(axis=2))


def distances(size: tuple[int, int], place: tuple[float, float]) -> Array:
    """Distance of each pixel's middle from a place, [H, W] in pixels."""
    rows, cols = np.indices(size) + 0.5
    return np.asarray(np.hypot(rows - place[0], cols - place[1]))


def centre_of_mass(weights: Array) -> tuple[float, float] | None:
    """(row, col) of the centre of mass of weights of at least 0, [H, W]; None if there are none."""
    if not weights.sum() > 0:
        return None
    row, col = center_of_mass(weights)
    return row + 0.5, col + 0.5


def spread(weights: Array, place: tuple[float, float]) -> float:
    """Root mean square distance from a place, weighted, in pixels."""
    squared = distances((weights.shape[0], weights.shape[1]), place) ** 2
    return float(np.sqrt((weights * squared).sum() / weights.sum()))


def smallest_disc(weights: Array, share: float = SHARE) -> Disc | None:
    """The smallest disc about the centre of mass that holds a share of the weights, [H, W]; None if there are none."""
    centre = centre_of_mass(weights)
    if centre is None:
        return None
    far = distances((weights.shape[0], weights.shape[1]), centre).ravel()
    order = np.argsort(far, kind="stable")
    held = np.cumsum(weights.ravel()[order])
    last = int(np.searchsorted(held, share * held[-1]))
    return Disc(*centre, float(far[order[min(last, len(order) - 1)]]))


def share_in_box(weights: Array, box: Box) -> float | None:
    """Share of the weights [H, W] at pixels whose middle lies in a box; None if there are no weights."""
    rows, cols = np.indices(weights.shape) + 0.5
    inside = (rows > box[0]) & (rows < box[2]) & (cols > box[1]) & (cols < box[3])
    return _share(weights, inside)


def share_in_disc(weights: Array, disc: Disc) -> float | None:
    """Share of the weights [H, W] at pixels whose middle lies in a disc; None if there are no weights."""
    far = distances((weights.shape[0], weights.shape[1]), (disc.row, disc.col))
    return _share(weights, far <= disc.radius)


def profile(values: Array, far: Array, edges: Array) -> list[float]:
    """Mean of values by distance.

    Args:
        values: any shape.
        far: their distances, of the same shape.
        edges: n + 1 ascending bounds of n bins.

    Returns:
        n means, not-a-number for a bin without values.
    """
    means: list[float] = binned_statistic(far.ravel(), values.ravel(), bins=edges).statistic.tolist()
    return means


def means_over_cells(values: Array, cells: int) -> Array:
    """Means over a coarse grid: [H, W] -> [cells, cells]; cells differ by a pixel where the sides cannot be divided."""
    bands = np.array_split(values, cells, axis=0)
    return np.array([[part.mean() for part in np.array_split(band, cells, axis=1)] for band in bands])


def _share(weights: Array, inside: NDArray[np.bool_]) -> float | None:
    total = weights.sum()
    return float(weights[inside].sum() / total) if total > 0 else None
