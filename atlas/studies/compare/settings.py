"""Settings of the comparison of recipes: its table [compare]."""

from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import AfterValidator

from atlas.common.errors import ConfigError
from atlas.inception.layers import MOST_FEATURES
from atlas.plan.settings import FeatureTargets, RecipeNames, StudySettings, Whole

FEWEST_RECIPES = 2


def _check_recipes(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) < FEWEST_RECIPES:
        raise ConfigError("must name at least two: raw descent first, and last the one to compare with")
    return names


@dataclass(frozen=True)
class Settings(StudySettings):
    """Features by several recipes side by side, and the first features of each layer by others beside their own.

    Attributes:
        targets: Features, each by all `recipes` on one page.
        recipes: Raw descent first, and last the one that the others are compared with.
        beside: Recipes that are shown beside a feature’s own picture too.
        raw_features: So many features of each layer are rendered raw, and by the recipes of `beside`.
        recipe_features: So many features of each layer are rendered by the `recipe` of [features] too, if its `face`
            is another.
    """

    targets: FeatureTargets
    recipes: Annotated[RecipeNames, AfterValidator(_check_recipes)]
    beside: RecipeNames
    raw_features: Annotated[int, Whole(0, MOST_FEATURES)]
    recipe_features: Annotated[int, Whole(0, MOST_FEATURES)]

    @property
    def raw(self) -> str:
        """The recipe of raw descent."""
        return self.recipes[0]

    def emptied(self) -> Self:
        """The same settings without features."""
        return replace(self, targets=(), raw_features=0, recipe_features=0)
