"""Features by several recipes, and features by raw descent beside their own picture: `Config` → jobs."""

from dataclasses import dataclass

from atlas.inception.targets import feature_target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.compare.settings import Settings
from atlas.studies.shared.places import feature_of, job_rows


@dataclass(frozen=True)
class RawPair:
    """A feature's picture by the recipe of the article's pages, and by raw descent."""

    feature: int
    own: Job
    raw: Job


def jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every recipe, and each layer's features raw and by the article's recipe."""
    found = list(compared_jobs(config))
    for layer in config.layers:
        found += (job for pair in raw_pairs(config, layer) for job in (pair.own, pair.raw))
        found += (*article_jobs(config, layer), *other_jobs(config, layer))
    return tuple(dict.fromkeys(found))


def compared_jobs(config: Config) -> tuple[Job, ...]:
    """The listed features by every recipe."""
    return tuple(job for row in comparisons(config) for job in row)


def comparisons(config: Config) -> tuple[tuple[Job, ...], ...]:
    """Each listed feature by several recipes, in the configuration's order; the others are compared with the last."""
    wanted = config.study(Settings)
    return job_rows(config, wanted.targets, [config.get_recipe(name) for name in wanted.recipes])


def jobs_beside(config: Config, layer: str) -> dict[int, list[Job]]:
    """The jobs that a feature's page shows beside its own, by number: raw, by the article's recipe, and by others."""
    found: dict[int, list[Job]] = {}
    raw = (pair.raw for pair in raw_pairs(config, layer))
    for job in (*raw, *article_jobs(config, layer), *other_jobs(config, layer)):
        _, number = feature_of(job.target)
        found.setdefault(number, []).append(job)
    return found


def article_jobs(config: Config, layer: str) -> tuple[Job, ...]:
    """The features of a layer by the recipe of the article's pages, ascending; none if all are by that anyway."""
    recipe = config.get_recipe(config.recipe)
    if recipe == config.face_recipe:
        return ()
    features = {*config.first_features(layer, config.study(Settings).recipe_features)}
    features |= {pair.feature for pair in raw_pairs(config, layer)}
    return tuple(Job(feature_target(layer, feature), recipe, config.seed) for feature in sorted(features))


def other_jobs(config: Config, layer: str) -> tuple[Job, ...]:
    """The first features of a layer by the recipes that are listed to be shown beside their own picture."""
    wanted = config.study(Settings)
    shown = {config.face_recipe, *map(config.get_recipe, (config.recipe, wanted.raw))}
    others = [recipe for recipe in map(config.get_recipe, wanted.beside) if recipe not in shown]
    features = config.first_features(layer, wanted.raw_features)
    return tuple(Job(feature_target(layer, number), recipe, config.seed) for number in features for recipe in others)


def raw_pairs(config: Config, layer: str) -> tuple[RawPair, ...]:
    """The features of a layer that are rendered raw too, ascending; none if the article's recipe is the raw one."""
    wanted = config.study(Settings)
    own, raw = config.get_recipe(config.recipe), config.get_recipe(wanted.raw)
    if own == raw:
        return ()
    features = set(config.first_features(layer, wanted.raw_features))
    if layer in config.layers:
        features |= {number for name, number in map(feature_of, wanted.targets) if name == layer}
    found = []
    for feature in sorted(features):
        target = feature_target(layer, feature)
        found.append(RawPair(feature, Job(target, own, config.seed), Job(target, raw, config.seed)))
    return tuple(found)
