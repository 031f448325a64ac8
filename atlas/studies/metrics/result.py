"""How pictures by different metrics differ."""

from dataclasses import dataclass

from atlas.plan.recipes import Metric
from atlas.store.results import ResultSpec
from atlas.studies.metrics.jobs import jobs
from atlas.studies.shared.likeness import Likeness


@dataclass(frozen=True)
class MetricPicture:
    """A feature's picture by one metric."""

    metric: Metric
    raised: bool  # False: no gradient, or a score not above the start's, so not the feature's picture
    fine: float | None  # share of the luma's spectral power above half the Nyquist frequency; None: no structure
    contrast: float  # standard deviation of the luma, in units of the pixel range
    to_l1: Likeness | None  # None: this is L1's, or one of the two was not raised
    others: tuple[Likeness, ...]  # to L1's raised pictures of the other listed features; empty where `to_l1` is None


@dataclass(frozen=True)
class MetricTarget:
    """One feature by each metric, L1 first."""

    target: str
    start_contrast: float  # of the noise that all began as
    pictures: tuple[MetricPicture, ...]


@dataclass(frozen=True)
class Metrics:
    """All listed features."""

    targets: tuple[MetricTarget, ...]


METRICS = ResultSpec("metrics", 2, Metrics, jobs)
