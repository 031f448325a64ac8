"""Metrics put to the test: how alike the pictures of L1, L2 and L∞ are, and how much fine detail each has.

The article's longer text calls them "the same picture for each, with L1 the least noisy".
"""

from collections.abc import Iterator, Sequence

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import Metric
from atlas.store.result_files import rounded
from atlas.studies.metrics.jobs import metric_rows
from atlas.studies.metrics.result import METRICS, MetricPicture, Metrics, MetricTarget
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.image_metrics import fine_share, kept, likeness, luma
from atlas.studies.shared.maps import Array


def measurements(_: Config) -> Iterator[Measurement]:
    """All listed features together."""
    yield Measurement(METRICS, measure_metrics)


def measure_metrics(context: MeasureContext) -> Metrics:
    """Measure the pictures of each metric.

    Raises:
        StoreError: a master is missing or damaged.
    """
    rows = metric_rows(context.results.config)
    jobs = [row.jobs[0][1] for row in rows]
    firsts = [context.picture(job) if context.results.is_raised(job) else None for job in jobs]
    found = []
    for at, row in enumerate(rows):
        pictures = (_picture(context, metric, job, firsts, at) for metric, job in row.jobs)
        start = luma(context.start(row.jobs[0][1]))
        found.append(MetricTarget(str(row.target), _number(start.std()), tuple(pictures)))
    return Metrics(tuple(found))


def _picture(
    context: MeasureContext, metric: Metric, job: Job, firsts: Sequence[Array | None], at: int
) -> MetricPicture:
    picture, raised = context.picture(job), context.results.is_raised(job)
    grey = luma(picture)
    fine = fine_share(grey)
    is_compared = metric != "l1" and raised and firsts[at] is not None
    to_firsts = [kept(likeness(picture, first)) if first is not None else None for first in firsts if is_compared]
    return MetricPicture(
        metric=metric,
        raised=raised,
        fine=None if fine is None else rounded(fine),
        contrast=_number(grey.std()),
        to_l1=to_firsts[at] if to_firsts else None,
        others=tuple(one for number, one in enumerate(to_firsts) if number != at and one),
    )


def _number(value: float) -> float:
    return rounded(float(value)) or 0.0
