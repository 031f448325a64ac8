"""Settings of the rescue of features whose picture shows nothing: its table [dead]."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from atlas.common.errors import ConfigError
from atlas.inception.layers import MOST_FEATURES
from atlas.plan.settings import Info, RecipeName, StudySettings, Whole


def _check_rescues(name: str, info: Info) -> str:
    recipe = info.context.recipes[name]
    if recipe and recipe.rescue_steps is None:
        raise ConfigError("must be a recipe with rescue_steps, such as rescued")
    return name


def _read_all(value: object) -> object:
    return MOST_FEATURES if value == "all" else value


@dataclass(frozen=True)
class Settings(StudySettings):
    """How features are rescued; which ones need it is known only once they are rendered.

    A rescue belongs to the picture of a feature and is not only shown beside it, so `emptied` changes nothing.

    Attributes:
        recipe: A recipe with `rescue_steps`. Default: the features’ own, with 16 of them.
        features: At most so many of each layer, or "all". 0: none.
    """

    recipe: Annotated[RecipeName, AfterValidator(_check_rescues)] | None = None
    features: Annotated[int, Whole(0, MOST_FEATURES), BeforeValidator(_read_all)] = MOST_FEATURES
