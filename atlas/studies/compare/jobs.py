"""Features by several recipes, and features by raw descent beside their own picture: `Config` → jobs."""

from dataclasses import dataclass

from atlas.inception.targets import Target, feature_target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.compare.settings import Settings
from atlas.studies.shared.places import feature_of


@dataclass(frozen=True)
class Comparison:
    """A feature by several recipes."""

    target: Target
    jobs: tuple[Job, ...]  # by recipe; the others are compared with the last


@dataclass(frozen=True)
class RawPair:
    """A feature's picture by the atlas's recipe, and by raw descent."""

    feature: int
    own: Job
    raw: Job


def jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every recipe, and the raw pictures of each layer."""
    listed = [job for comparison in comparisons(config) for job in comparison.jobs]
    return (*listed, *(pair.raw for layer in config.layers for pair in raw_pairs(config, layer)))


def comparisons(config: Config) -> tuple[Comparison, ...]:
    """The features that are rendered by several recipes, in the configuration's order."""
    wanted = config.study(Settings)
    recipes = [config.get_recipe(name) for name in wanted.recipes]
    return tuple(
        Comparison(target, tuple(Job(target, recipe, config.seed) for recipe in recipes))
        for target in config.within(wanted.targets)
    )


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
