"""Features by each metric: `Config` → jobs."""

from dataclasses import replace

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import METRICS
from atlas.studies.metrics.settings import Settings
from atlas.studies.shared.places import job_rows


def jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every metric."""
    return tuple(job for row in metric_rows(config) for job in row)


def metric_rows(config: Config) -> tuple[tuple[Job, ...], ...]:
    """Each listed feature by every metric, L1 first; the recipes are the same but for the metric and the name."""
    wanted = config.study(Settings)
    own = config.get_recipe(wanted.recipe)
    others = {metric: replace(own, metric=metric, name=f"{own.name}-{metric}") for metric in METRICS}
    return job_rows(config, wanted.targets, list({**others, own.metric: own}.values()))
