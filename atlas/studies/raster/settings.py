"""Settings of raster videos: its table [raster]."""

from dataclasses import dataclass
from typing import Annotated

from atlas.inception.layers import MIN_SIZE
from atlas.plan.recipes import LARGEST_SIZE
from atlas.plan.settings import FeatureTargets, OneSizeRecipe, StudySettings, Whole

LARGEST_FPS = 120
LARGEST_STRIDE = 149  # neurons: the side of the largest grid


@dataclass(frozen=True)
class Settings(StudySettings):
    """Features of which there is a video of neurons in reading order.

    Attributes:
        targets: Features, a video of each.
        recipe: A recipe of one size.
        fps: Frames a second. Default: a row of the grid a second.
        stride: Neurons from one frame to the next. Default: the least that leaves at most 400 frames.
        size: Pixels of the frames. Default: the recipe’s.
    """

    targets: FeatureTargets
    recipe: OneSizeRecipe
    fps: Annotated[int, Whole(1, LARGEST_FPS)] | None = None
    stride: Annotated[int, Whole(1, LARGEST_STRIDE)] | None = None
    size: Annotated[int, Whole(MIN_SIZE, LARGEST_SIZE)] | None = None
