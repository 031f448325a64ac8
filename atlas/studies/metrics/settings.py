"""Settings of the comparison of metrics: its table [metrics]."""

from dataclasses import dataclass

from atlas.plan.settings import FeatureTargets, RecipeName, StudySettings


@dataclass(frozen=True)
class Settings(StudySettings):
    """Features that are rendered by each metric, all else being equal.

    Attributes:
        targets: Features, each by L1, L2 and L∞.
        recipe: Whose metric is exchanged.
    """

    targets: FeatureTargets
    recipe: RecipeName
