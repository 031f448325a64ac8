"""Raster videos and their frames: `Config` → clips and jobs."""

from atlas.plan.clips import Clip, make_clip
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.raster.settings import Settings


def jobs(config: Config) -> tuple[Job, ...]:
    """The frames of all videos."""
    return tuple(frame.job for clip in config_clips(config) for frame in clip.frames)


def config_clips(config: Config) -> tuple[Clip, ...]:
    """The videos of a configuration, in its order."""
    wanted = config.study(Settings)
    recipe = config.get_recipe(wanted.recipe)
    return tuple(
        make_clip(target, recipe, config.seed, stride=wanted.stride, fps=wanted.fps, size=wanted.size)
        for target in config.within(wanted.targets)
    )
