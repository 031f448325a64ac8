"""Pictures by the metrics L1, L2 and L∞: how alike they are, and how much fine detail each has.

The article's longer text calls them "the same picture for each, with L1 the least noisy".
"""

from collections.abc import Iterator, Sequence

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.metrics.jobs import metric_rows
from atlas.studies.metrics.result import METRICS, MetricPicture, Metrics, MetricTarget
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.image_metrics import fine_share, likenesses, luma
from atlas.studies.shared.maps import Array


def measurements(_: Config) -> Iterator[Measurement]:
    """All listed features together."""
    yield Measurement(METRICS, measure_metrics)


def measure_metrics(context: MeasureContext) -> Metrics:
    """Measure the pictures of each metric."""
    rows = metric_rows(context.config)
    firsts = [context.raised_picture(row[0]) for row in rows]
    found = []
    for at, row in enumerate(rows):
        pictures = (_picture(context, job, firsts, at) for job in row)
        start = luma(context.start(row[0]))
        found.append(MetricTarget(str(row[0].target), start.std(), tuple(pictures)))
    return Metrics(tuple(found))


def _picture(context: MeasureContext, job: Job, firsts: Sequence[Array | None], at: int) -> MetricPicture:
    metric, picture, raised = job.recipe.metric, context.picture(job), context.results.is_raised(job)
    grey = luma(picture)
    to_l1, others = likenesses(picture if raised and metric != "l1" else None, firsts, at)
    return MetricPicture(metric, raised, fine_share(grey), grey.std(), to_l1, others)
