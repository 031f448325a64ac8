"""Stages of a rendering: its images at the start and after each octave, in one strip beside its master."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe
from atlas.store.records import Record
from atlas.store.sidecars import STAGES, is_sidecar_of, sidecar_path, write_sidecar

SIDE = 160  # pixels of a stage at most
QUALITY = 40  # a strip of four is about 8 KB then, so that all features together stay under 0.1 GB


def has_stages(job: Job) -> bool:
    """Whether a rendering's stages are kept: only of a whole feature, and of more than one octave."""
    return job.target.is_feature and job.start is None and len(job.recipe.octaves) > 1


def stages_path(master: Path) -> Path:
    """The path of a master's strip: `<slug>.stages.avif`."""
    return sidecar_path(master, STAGES)


def write_stages(master: Path, stages: Sequence[Image.Image], record: Record) -> None:
    """Write a strip beside its master, atomically; nothing if there are no stages.

    Args:
        master: path of the master.
        stages: square RGB pictures in order, the last as large as the master; they are shrunk.
        record: the master's.

    Raises:
        StoreError: the file cannot be written.
    """
    if not stages:
        return
    side = min(SIDE, record.width)
    strip = Image.new("RGB", (side * len(stages), side))
    for at, stage in enumerate(stages):
        strip.paste(stage.resize((side, side), Image.Resampling.LANCZOS), (at * side, 0))
    write_sidecar(stages_path(master), strip, record, QUALITY)


def find_stages(master: Path, job: Job, record: Record) -> Path | None:
    """The path of a master's strip, if that is there, whole, and belongs to this record's pixels."""
    path = stages_path(master)
    return path if has_stages(job) and is_sidecar_of(path, record, strip_size(job.recipe)) else None


def strip_size(recipe: Recipe) -> tuple[int, int]:
    """(width, height) of a recipe's strip in pixels."""
    side = min(SIDE, recipe.octaves[-1].size)  # a small rendering is not enlarged
    return side * (len(recipe.octaves) + 1), side
