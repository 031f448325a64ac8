"""Settings of the renderings from several noises: its table [seeds]."""

from dataclasses import dataclass
from typing import Annotated

from atlas.inception.layers import MOST_FEATURES
from atlas.plan.settings import MapLayers, StudySettings, Whole

MOST_SEEDS = 16


@dataclass(frozen=True)
class Settings(StudySettings):
    """The first features of some layers, each rendered from several noises.

    Attributes:
        count: Noises of each feature. 1: its own alone.
        features: So many of each layer.
        layers: "all", or a list.
    """

    count: Annotated[int, Whole(1, MOST_SEEDS)]
    features: Annotated[int, Whole(0, MOST_FEATURES)]
    layers: MapLayers
