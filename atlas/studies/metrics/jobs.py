"""Features by each metric: `Config` → jobs."""

from dataclasses import replace

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import METRICS, Metric, Recipe
from atlas.studies.metrics.settings import Settings


def jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every metric."""
    return tuple(job for row in metric_rows(config) for job in row)


def metric_rows(config: Config) -> tuple[tuple[Job, ...], ...]:
    """Each listed feature by every metric, L1 first; the recipes are the same but for the metric and the name."""
    wanted = config.study(Settings)
    recipe = config.get_recipe(wanted.recipe)
    return tuple(
        tuple(Job(target, _with_metric(recipe, metric), config.seed) for metric in METRICS)
        for target in config.within(wanted.targets)
    )


def _with_metric(recipe: Recipe, metric: Metric) -> Recipe:
    if recipe.metric == metric:
        return recipe
    return replace(recipe, metric=metric, name=f"{recipe.name}-{metric}")
