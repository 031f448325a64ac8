"""The first layer's features, whose colours are measured: `Config` → jobs."""

from atlas.inception.targets import feature_target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.palette.settings import LAYER, Settings


def palette_jobs(config: Config, recipe: str) -> tuple[Job, ...]:
    """The features by one recipe of the palette; none if the configuration leaves the layer or the recipe out."""
    wanted = config.study(Settings)
    if LAYER not in config.layers or recipe not in wanted.recipes:
        return ()
    chosen = config.get_recipe(recipe)
    return tuple(Job(feature_target(LAYER, feature), chosen, config.seed) for feature in range(wanted.features))


def jobs(config: Config) -> tuple[Job, ...]:
    """The features by every recipe of the palette."""
    return tuple(job for recipe in config.study(Settings).recipes for job in palette_jobs(config, recipe))
