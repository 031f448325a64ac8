"""Settings of the renderings from several noises: its table [seeds]."""

from dataclasses import dataclass
from typing import Annotated

from atlas.inception.layers import MOST_FEATURES
from atlas.plan.settings import MapLayers, StudySettings, Whole

MOST_SEEDS = 16


@dataclass(frozen=True)
class Settings(StudySettings):
    """The first features of some layers, each rendered from several noises."""

    count: Annotated[int, Whole(1, MOST_SEEDS)]  # noises of each feature; 1: none but the feature's own
    features: Annotated[int, Whole(0, MOST_FEATURES)]  # so many of each layer
    layers: MapLayers
