"""Settings of the effective receptive fields: its table [fields]."""

from dataclasses import dataclass
from typing import Annotated

from atlas.plan.settings import LayerNames, OneSizeRecipe, StudySettings, Whole

MOST_FEATURES = 64  # of a branch


@dataclass(frozen=True)
class Settings(StudySettings):
    """Layers of which the effective receptive field is measured, branch by branch.

    Attributes:
        layers: Whose features are probed.
        features: So many of each branch.
        recipe: A recipe of one size.
    """

    layers: LayerNames
    features: Annotated[int, Whole(1, MOST_FEATURES)]
    recipe: OneSizeRecipe
