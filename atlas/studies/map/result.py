"""Where each feature lies on the map: a cell of a grid, near the features whose pictures are alike."""

from dataclasses import dataclass

from atlas.plan.config import Config
from atlas.plan.jobs import Job, map_jobs
from atlas.store.results import ResultSpec
from atlas.studies.dead.rescues import rescue_recipe
from atlas.studies.nearest.result import described_spec

Cell = tuple[int, int]  # column and row, from 0


@dataclass(frozen=True)
class FeatureMap:
    """All features with a picture that shows something; of those that were rescued, that picture."""

    columns: int
    rows: int
    layers: dict[str, dict[int, Cell]]  # by layer and feature; no two lie in the same cell


def _jobs(config: Config) -> tuple[Job, ...]:
    """The features, and then a rescue of each: which ones there are is known only by the store."""
    own, recipe = map_jobs(config), rescue_recipe(config)
    return tuple(dict.fromkeys((*own, *(Job(job.target, recipe, job.seed) for job in own))))


def _described(config: Config) -> tuple[object, ...]:
    """How pictures are described."""
    return tuple({described_spec(layer).version for layer in config.map_layers})


FEATURE_MAP = ResultSpec("map", 1, FeatureMap, _jobs, _described, needs_all=False)
