"""Settings of the comparison of metrics: its table [metrics]."""

from dataclasses import dataclass

from atlas.plan.settings import FeatureTargets, RecipeName, StudySettings


@dataclass(frozen=True)
class Settings(StudySettings):
    """Features that are rendered by each metric, all else being equal."""

    targets: FeatureTargets
    recipe: RecipeName  # whose metric is exchanged
