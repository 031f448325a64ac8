"""What several lists of jobs need: places in feature maps, features in targets, and rows of jobs."""

from collections.abc import Iterable, Sequence

from atlas.inception import layers
from atlas.inception.architecture import Size
from atlas.inception.targets import Target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe


def feature_of(target: Target) -> tuple[str, int]:
    """Layer and number of a target that is one feature."""
    term = target.terms[0]
    assert term.feature is not None  # the configuration was read so
    return term.layer, term.feature


def middle_of(layer: str, recipe: Recipe) -> Size:
    """(row, col) of the neuron in the middle of a layer's maps at a recipe's first size."""
    rows, cols = layers.grid(layer, recipe.first_size)
    return rows // 2, cols // 2


def job_rows(config: Config, targets: Iterable[Target], recipes: Sequence[Recipe]) -> tuple[tuple[Job, ...], ...]:
    """Each target whose layers the configuration has, by every recipe."""
    return tuple(tuple(Job(target, recipe, config.seed) for recipe in recipes) for target in config.within(targets))
