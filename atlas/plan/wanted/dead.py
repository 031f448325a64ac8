"""Features without a gradient, rendered once more by a recipe that rescues them: `Config` and the dead → jobs."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs


@dataclass(frozen=True)
class Rescue:
    """A feature without a gradient, as the atlas renders it and rescued."""

    layer: str
    feature: int
    own: Job
    rescued: Job


def rescues(config: Config, dead: Collection[Job]) -> tuple[Rescue, ...]:
    """The rescues of an atlas: of the first few dead features of each layer.

    Args:
        config: by which recipe, and how many of each layer.
        dead: jobs whose rendering had no gradient; those that are not of the atlas's features are passed over.
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
