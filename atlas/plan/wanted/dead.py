"""Features whose picture shows nothing, rendered once more by a recipe that rescues them: `Config` and they → jobs."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs

# Statuses of a record that call for a rescue: nothing to follow, or a step that closed the feature's ReLU for good.
RESCUED = frozenset({"no_gradient", "not_raised"})


@dataclass(frozen=True)
class Rescue:
    """A feature whose picture shows nothing, as the atlas renders it and rescued."""

    layer: str
    feature: int
    own: Job
    rescued: Job


def rescues(config: Config, dead: Collection[Job]) -> tuple[Rescue, ...]:
    """The rescues of an atlas.

    Args:
        config: by which recipe, and of how many features of each layer.
        dead: jobs whose rendering has a status of `RESCUED`; those that are not of the atlas's features are left out.
    """
    if not dead:
        return ()
    wanted, dead = config.lists.dead, set(dead)
    recipe = config.get_recipe(wanted.recipe)
    found, count = [], Counter[str]()
    for job in feature_jobs(config):
        term = job.target.terms[0]
        assert term.feature is not None  # feature_jobs names one feature each
        if job not in dead or count[term.layer] == wanted.features or job.recipe == recipe:
            continue
        count[term.layer] += 1
        found.append(Rescue(term.layer, term.feature, job, Job(job.target, recipe, job.seed)))
    return tuple(found)
