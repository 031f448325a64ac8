"""Settings of pairs of targets, and of a layer's features shown each other's pictures: its table [interactions]."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainValidator

from atlas.common.errors import ConfigError
from atlas.inception.targets import Target
from atlas.plan.jobs import DEFAULT_SEED, Job
from atlas.plan.recipes import Recipe
from atlas.plan.settings import Info, LayerNames, RecipeName, StudySettings, Whole, read_target

TargetPair = tuple[Target, Target]
LONGEST_WALK = 11
MOST_FEATURES = 32  # of a matrix


def _read_pairs(value: object, info: Info) -> tuple[TargetPair, ...]:
    """Pairs of targets that the recipe can render; those of an extended file that it cannot are left out."""
    recipe = info.context.recipes.get(info.data.get("recipe", ""))
    if isinstance(value, tuple):  # of an extended file
        return tuple(pair for pair in value if not recipe or all(_can_render(recipe, target) for target in pair))
    if not isinstance(value, list) or not all(_is_pair(item) for item in value):
        raise ConfigError('must be a list of pairs, such as [["Mixed_6a[199]", "Mixed_6b[201]"]]')
    return tuple(dict.fromkeys(_read_pair(texts, recipe) for texts in value))


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)


def _read_pair(texts: list[str], recipe: Recipe | None) -> TargetPair:
    first, second = map(read_target, texts)
    for target in (first, second):
        if len(target.terms) > 1 or target.terms[0].coefficient != 1:
            raise ConfigError(f'"{target}" is a sum or weighted; name one such as "Mixed_6b[201]"')
        if target.is_class:
            raise ConfigError(
                f'"{target}" is a class, whose log-odds are no activation; name one such as "Mixed_6b[201]"'
            )
        if recipe:
            Job(target, recipe, DEFAULT_SEED)  # which says why it cannot be rendered
    if first == second:
        raise ConfigError(f'"{first}" is paired with itself; name two targets')
    return first, second


def _can_render(recipe: Recipe, target: Target) -> bool:
    try:
        Job(target, recipe, DEFAULT_SEED)
    except ConfigError:
        return False
    return True


@dataclass(frozen=True)
class Settings(StudySettings):
    """Pairs of targets, alone and together, and layers of which each picture is shown to each feature.

    Attributes:
        recipe: Of the pairs.
        pairs: Pairs of features, neurons, rows or whole layers.
        walk: Pictures from the first target to the second, both ends included.
        layers: Layers whose pictures are each given to all of their features.
        features: So many of each such layer.
    """

    recipe: RecipeName
    pairs: Annotated[tuple[TargetPair, ...], PlainValidator(_read_pairs)]
    walk: Annotated[int, Whole(2, LONGEST_WALK)]
    layers: LayerNames
    features: Annotated[int, Whole(2, MOST_FEATURES)]
