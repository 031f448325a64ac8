"""Features from several noises: `Config` → jobs."""

from dataclasses import replace

from atlas.inception.targets import feature_target
from atlas.plan.config import LARGEST_SEED, Config
from atlas.plan.jobs import Job
from atlas.studies.seeds.settings import Settings


def jobs(config: Config) -> tuple[Job, ...]:
    """Every rendering of the features that are rendered from several noises."""
    return tuple(job for layer in config.map_layers for some in seed_jobs(config, layer).values() for job in some)


def seed_jobs(config: Config, layer: str) -> dict[int, tuple[Job, ...]]:
    """The first features of a layer by number, each from several noises, of which the first is the configuration's.

    The recipe is that of most features, also where the first ones have a larger one.
    """
    wanted = config.study(Settings)
    if wanted.count == 1 or layer not in wanted.layers:
        return {}
    first = {number: face_job(config, layer, number) for number in config.first_features(layer, wanted.features)}
    return {
        number: tuple(replace(job, seed=(job.seed + step) % (LARGEST_SEED + 1)) for step in range(wanted.count))
        for number, job in first.items()
    }


def face_job(config: Config, layer: str, number: int) -> Job:
    """A feature by the recipe of most features."""
    return Job(feature_target(layer, number), config.face_recipe, config.seed)
