"""Settings of the comparison of metrics: its table [metrics]."""

from dataclasses import dataclass

from atlas.plan.settings import FeatureListSettings, RecipeName


@dataclass(frozen=True)
class Settings(FeatureListSettings):
    """Features that are rendered by each metric, all else being equal."""

    recipe: RecipeName  # whose metric is exchanged
