"""Settings of the colours of the first layer: its table [palette]."""

from dataclasses import dataclass
from typing import Annotated

from atlas.inception.layers import get_layer
from atlas.inception.targets import Term
from atlas.plan.settings import RecipeNames, StudySettings, Whole

LAYER = "Conv2d_1a_3x3"  # the one layer whose features are linear in the image, but for their ReLU


@dataclass(frozen=True)
class Settings(StudySettings):
    """Recipes by which the first features of Conv2d_1a_3x3 are rendered and their colours measured.

    Attributes:
        recipes: By each of them.
        features: So many of the first features.
    """

    recipes: RecipeNames
    features: Annotated[int, Whole(1, get_layer(LAYER).features)]

    @property
    def terms(self) -> tuple[Term, ...]:
        """The features whose colours are measured."""
        return tuple(Term(LAYER, feature) for feature in range(self.features)) if self.recipes else ()
