"""Settings of two neurons that are optimised apart and together: its table [influence]."""

from dataclasses import dataclass

from atlas.plan.settings import FeatureListSettings, OneSizeRecipe


@dataclass(frozen=True)
class Settings(FeatureListSettings):
    """Features of which two neurons are optimised apart and together."""

    recipe: OneSizeRecipe
