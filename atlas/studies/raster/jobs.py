"""The frames of raster videos: `Config` → jobs."""

from atlas.plan.clips import config_clips
from atlas.plan.config import Config
from atlas.plan.jobs import Job


def jobs(config: Config) -> tuple[Job, ...]:
    """The frames of all videos."""
    return tuple(frame.job for clip in config_clips(config) for frame in clip.frames)
