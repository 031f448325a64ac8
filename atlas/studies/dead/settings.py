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
    """

    # None: the features' own, with a rescue.
    recipe: Annotated[RecipeName, AfterValidator(_check_rescues)] | None = None
    # At most so many of each layer; 0: none, and no page.
    features: Annotated[int, Whole(0, MOST_FEATURES), BeforeValidator(_read_all)] = MOST_FEATURES
