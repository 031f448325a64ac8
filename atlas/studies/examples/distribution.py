"""How strongly many pictures activate a feature, and where a rendering lies among them. Pure functions."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from atlas.studies.examples.result import BINS, KEPT, LEVELS, QUANTILES

CONFIDENCE = 0.95

Scores = NDArray[np.float32]  # [pictures] activations, at least 0


def quantiles(scores: Scores) -> tuple[float, ...]:
    """The activations at `QUANTILES`, each that of some picture."""
    return tuple(map(float, np.quantile(scores, QUANTILES, method="inverted_cdf")))


def histogram(scores: Scores) -> tuple[int, ...]:
    """How many pictures have an activation in each of `BINS` even steps from 0 to the largest."""
    counts, _ = np.histogram(scores, BINS, (0.0, float(scores.max()) or 1.0))
    return tuple(counts.tolist())


def level_ranks(count: int) -> Mapping[float, int]:
    """By level the rank of its picture from the strongest, 0, down; without those of the top crops.

    With few pictures the highest levels lie among the top crops.
    """
    ranks = {level: count - max(1, math.ceil(level * count)) for level in LEVELS}  # as `quantiles` has them
    return {level: rank for level, rank in ranks.items() if rank >= KEPT}


def share_limits(reached: int, count: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, of which so many of a count were seen; 95 % confidence."""
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, reached, count - reached + 1)) if reached else 0.0
    high = float(beta.ppf(1 - tail, reached + 1, count - reached)) if reached < count else 1.0
    return low, high
