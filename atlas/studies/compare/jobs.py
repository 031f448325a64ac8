"""Features by several recipes, and features by raw descent beside their own picture: `Config` → jobs."""

from dataclasses import dataclass

from atlas.inception.targets import feature_target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.compare.settings import Settings
from atlas.studies.shared.places import feature_of, job_rows


@dataclass(frozen=True)
class RawPair:
    """A feature's picture by the atlas's recipe, and by raw descent."""

    feature: int
    own: Job
    raw: Job


def jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every recipe, and the raw pictures of each layer."""
    return (*compared_jobs(config), *(pair.raw for layer in config.layers for pair in raw_pairs(config, layer)))


def compared_jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every recipe."""
    return tuple(job for row in comparisons(config) for job in row)


def comparisons(config: Config) -> tuple[tuple[Job, ...], ...]:
    """Each listed feature by several recipes, in the configuration's order; the others are compared with the last."""
    wanted = config.study(Settings)
    return job_rows(config, wanted.targets, [config.get_recipe(name) for name in wanted.recipes])


def raw_pairs(config: Config, layer: str) -> tuple[RawPair, ...]:
    """The features of a layer that are rendered raw too, ascending; none if the atlas's own recipe is the raw one."""
    wanted = config.study(Settings)
    own, raw = config.get_recipe(config.recipe), config.get_recipe(wanted.raw)
    if own == raw:
        return ()
    features = set(config.features_of(layer)[: wanted.raw_features])
    if layer in config.layers:
        features |= {number for name, number in map(feature_of, wanted.targets) if name == layer}
    found = []
    for feature in sorted(features):
        target = feature_target(layer, feature)
        found.append(RawPair(feature, Job(target, own, config.seed), Job(target, raw, config.seed)))
    return tuple(found)
