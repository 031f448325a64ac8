"""Features whose picture shows nothing, rendered once more by a recipe that rescues them: `Config` and they → jobs."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs
from atlas.plan.recipes import Recipe
from atlas.studies.dead.settings import Settings

RESCUE_STEPS = 16  # opened all of 32 features of a network trained on photographs but two whose weights are all 0


def rescue_recipe(config: Config) -> Recipe:
    """The recipe that rescues: the one that is named, else the features' own with a rescue in its first steps.

    A recipe of the configuration that is the same but for its name is taken by that name.
    """
    if (chosen := config.study(Settings).recipe) is not None:
        return config.get_recipe(chosen)
    own = config.face_recipe
    if own.rescue_steps:
        return own
    rescuing = replace(own, name=f"{own.name[:32]}-rescued", rescue_steps=RESCUE_STEPS)
    return next((recipe for recipe in config.recipes.values() if recipe.digest == rescuing.digest), rescuing)


def rescues(config: Config, dead: Collection[Job]) -> tuple[tuple[Job, Job], ...]:
    """Features whose picture shows nothing: the job of each, and that of its rescue; in the network's order.

    Args:
        config: by which recipe, and of how many features of each layer.
        dead: jobs whose rendering needs a rescue; those that are not of the atlas's features are left out.
    """
    if not dead:
        return ()
    wanted, dead = config.study(Settings), set(dead)
    recipe = rescue_recipe(config)
    found, count = [], Counter[str]()
    for job in feature_jobs(config):
        layer = job.target.terms[0].layer
        if job not in dead or count[layer] == wanted.features or job.recipe == recipe:
            continue
        count[layer] += 1
        found.append((job, Job(job.target, recipe, job.seed)))
    return tuple(found)
