"""Pairs of neurons, apart and together: `Config` → jobs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from atlas.inception import layers
from atlas.inception.architecture import Size
from atlas.inception.targets import Neuron, Target, Term
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe
from atlas.studies.influence.settings import Settings
from atlas.studies.shared.places import feature_of

LARGER = 1.5  # times the size, in which the same two neurons lie farther from the border
CORNER = 8  # a neuron of a pair lies an eighth of the grid away from its corner


@dataclass(frozen=True)
class Pair:
    """Two neurons of a feature, far apart: each alone, and both together."""

    variant: str  # "as it is", "without blur" or "larger image"
    layer: str
    feature: int
    first: Size
    second: Size
    jobs: tuple[Job, ...]  # the first alone, the second alone, and both


def jobs(config: Config) -> tuple[Job, ...]:
    """The renderings of all pairs."""
    return tuple(job for pair in influence_pairs(config) for job in pair.jobs)


def influence_pairs(config: Config) -> tuple[Pair, ...]:
    """Pairs of neurons near opposite corners, by the recipe, without its blur, and in a larger image."""
    wanted = config.study(Settings)
    recipe = config.get_recipe(wanted.recipe)
    found: list[Pair] = []
    for target in config.within(wanted.targets):
        found += _pairs(*feature_of(target), recipe, config.seed)
    return tuple(found)


def _pairs(layer: str, feature: int, recipe: Recipe, seed: int) -> Iterator[Pair]:
    rows, cols = layers.grid(layer, recipe.first_size)
    first = rows // CORNER, cols // CORNER
    second = rows - 1 - first[0], cols - 1 - first[1]
    sharp = replace(recipe.without_blur(), name=f"{recipe.name}-sharp")
    large = replace(recipe.scaled(round(LARGER * recipe.octaves[0].size)), name=f"{recipe.name}-large")
    large_rows, large_cols = layers.grid(layer, large.first_size)
    shift = (large_rows - rows) // 2, (large_cols - cols) // 2
    variants = (("as it is", recipe, (0, 0)), ("without blur", sharp, (0, 0)), ("larger image", large, shift))
    for variant, changed, by in variants:
        a, b = ((row + by[0], col + by[1]) for row, col in (first, second))
        one, other = (Term(layer, feature, Neuron(*position)) for position in (a, b))
        jobs = tuple(Job(Target(terms), changed, seed) for terms in ((one,), (other,), (one, other)))
        yield Pair(variant, layer, feature, a, b, jobs)
