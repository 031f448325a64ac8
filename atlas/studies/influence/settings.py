"""Settings of two neurons that are optimised apart and together: its table [influence]."""

from dataclasses import dataclass

from atlas.plan.settings import FeatureTargets, OneSizeRecipe, StudySettings


@dataclass(frozen=True)
class Settings(StudySettings):
    """Features of which two neurons are optimised apart and together.

    Attributes:
        targets: Features, each with a page of its own.
        recipe: A recipe of one size.
    """

    targets: FeatureTargets
    recipe: OneSizeRecipe
