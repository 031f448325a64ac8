"""Features by each metric: `Config` → jobs."""

from dataclasses import dataclass, replace

from atlas.inception.targets import Target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import METRICS, Metric, Recipe
from atlas.studies.metrics.settings import Settings


@dataclass(frozen=True)
class MetricRow:
    """A feature by each metric, by a recipe that is the same but for the metric and its name."""

    target: Target
    jobs: tuple[tuple[Metric, Job], ...]  # L1 first


def jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every metric."""
    return tuple(job for row in metric_rows(config) for _, job in row.jobs)


def metric_rows(config: Config) -> tuple[MetricRow, ...]:
    """The features that are rendered by each metric, in the configuration's order."""
    wanted = config.study(Settings)
    recipe = config.get_recipe(wanted.recipe)
    return tuple(
        MetricRow(target, tuple((m, Job(target, _with_metric(recipe, m), config.seed)) for m in METRICS))
        for target in config.within(wanted.targets)
    )


def _with_metric(recipe: Recipe, metric: Metric) -> Recipe:
    if recipe.metric == metric:
        return recipe
    return replace(recipe, metric=metric, name=f"{recipe.name}-{metric}")
