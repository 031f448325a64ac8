"""How alike pictures by different recipes are: those of listed features, and raw pictures beside a feature's own.

Pictures of two sizes are compared at the smaller one: the larger is shrunk by Lanczos resampling.
"""

from dataclasses import dataclass

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.results import ResultSpec
from atlas.studies.compare.jobs import compared_jobs, raw_pairs
from atlas.studies.shared.likeness import Likeness


@dataclass(frozen=True)
class Compared:
    """A feature's picture by one recipe, compared with those by the last recipe."""

    recipe: str
    own: Likeness | None  # to the same feature's; None: one of the two was not raised, so there is nothing to compare
    others: tuple[Likeness, ...]  # to those of the other listed features: how alike unrelated pictures are


@dataclass(frozen=True)
class ComparedTarget:
    """One feature."""

    target: str
    recipes: tuple[Compared, ...]  # all but the last, in the configuration's order


@dataclass(frozen=True)
class Compare:
    """All listed features."""

    targets: tuple[ComparedTarget, ...]


@dataclass(frozen=True)
class RawFeature:
    """A feature's own picture compared with its raw one."""

    feature: int
    likeness: Likeness


@dataclass(frozen=True)
class RawLayer:
    """The features of a layer of which the store has both, and both were raised, ascending."""

    features: tuple[RawFeature, ...]


COMPARE = ResultSpec("compare", 2, Compare, compared_jobs)


def raw_spec(layer: str) -> ResultSpec[RawLayer]:
    """The features of a layer that are rendered raw too; one result a layer, so that a page reads one."""

    def jobs(config: Config) -> tuple[Job, ...]:
        return tuple(job for pair in raw_pairs(config, layer) for job in (pair.own, pair.raw))

    return ResultSpec(f"raw-{layer}", 2, RawLayer, jobs, needs_all=False)
