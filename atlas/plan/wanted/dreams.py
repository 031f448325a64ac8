"""Deep dreams: each photograph of a configuration towards each target: `Config` → jobs."""

from dataclasses import dataclass

from atlas.errors import ConfigError
from atlas.plan import layers
from atlas.plan.config import LARGEST_SIZE, Config
from atlas.plan.jobs import Job
from atlas.plan.lists.dream import DreamList, StartPhoto
from atlas.plan.recipes import Recipe


@dataclass(frozen=True)
class Dream:
    """A photograph, and the rendering that starts from it."""

    start: StartPhoto
    job: Job


def config_dreams(config: Config) -> tuple[Dream, ...]:
    """The dreams of a configuration whose photographs were looked at, photograph by photograph.

    Raises:
        ConfigError: the size is too small for the recipe, or a photograph too long for the size.
    """
    wanted = config.lists.dream
    if not wanted.photos:
        return ()
    recipe = _sized(config.get_recipe(wanted.recipe), wanted)
    return tuple(
        _dream(start, Job(target, recipe, config.seed, start.photo))
        for start in wanted.photos
        for target in wanted.targets
        if all(term.layer in config.layers for term in target.terms)
    )


def _sized(recipe: Recipe, wanted: DreamList) -> Recipe:
    if wanted.size is None:
        return recipe
    sized = recipe.ending_at(wanted.size)
    least = min(octave.size for octave in sized.octaves)
    if least < layers.MIN_SIZE:
        raise ConfigError(
            f"a dream of {wanted.size} px by the recipe {recipe.name} would begin with {least} px, and "
            f"{layers.MIN_SIZE} are the least that the network takes; ask for a larger size"
        )
    return sized


def _dream(start: StartPhoto, job: Job) -> Dream:
    assert start.photo, "photographs are looked at before jobs are made of them"
    largest = max(side for size in job.sizes for side in size)
    if largest > LARGEST_SIZE:
        height, width = start.photo.size
        raise ConfigError(
            f"{start.given}: at {width} × {height} px it is so long that the dream's longer side would have {largest} "
            f"px, and {LARGEST_SIZE} are the most; crop it, or ask for a smaller size"
        )
    return Dream(start, job)
