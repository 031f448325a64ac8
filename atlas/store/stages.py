"""Stages of a rendering: its images at the start and after each octave, in one AVIF file beside its master."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from atlas.common.errors import StoreError
from atlas.common.paths import read_file
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe
from atlas.store.files import walk, write_atomically
from atlas.store.media import damage_refused, encoded, has_all_boxes
from atlas.store.records import Record

SIDE = 160  # pixels of a stage at most
QUALITY = 40  # a strip of four is about 8 KB then, so that all features together stay under 0.1 GB
MOST_BYTES = 2**25  # of a strip
_SUFFIX = ".stages.avif"
_DESCRIPTION = 0x010E  # EXIF's ImageDescription, which holds the hash of the master's pixels


def has_stages(job: Job) -> bool:
    """Whether a rendering's stages are kept: only of a whole feature, and of more than one octave."""
    return job.target.is_feature and job.start is None and len(job.recipe.octaves) > 1


def stages_path(master: Path) -> Path:
    """The path of a master's strip: `<slug>.stages.avif`."""
    return master.with_suffix(_SUFFIX)


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
    exif = Image.Exif()
    exif[_DESCRIPTION] = record.pixels_sha256
    settings = {"quality": QUALITY, "subsampling": "4:4:4", "speed": 6, "exif": exif.tobytes()}
    # one thread, since the bytes depend on the number
    write_atomically(stages_path(master), encoded(strip, "AVIF", max_threads=1, **settings))


def find_stages(master: Path, job: Job, record: Record) -> Path | None:
    """The path of a master's strip, if that is there, whole, and belongs to this record's pixels."""
    path = stages_path(master)
    is_its = has_stages(job) and read_strip(path) == (record.pixels_sha256, strip_size(job.recipe))
    return path if is_its else None


def strip_size(recipe: Recipe) -> tuple[int, int]:
    """(width, height) of a recipe's strip in pixels."""
    side = min(SIDE, recipe.octaves[-1].size)  # a small rendering is not enlarged
    return side * (len(recipe.octaves) + 1), side


def list_stages(store: Path) -> Iterator[Path]:
    """Every strip of a store, or of stores inside it, sorted."""
    return (path for path in walk(store) if path.name.endswith(_SUFFIX) and not path.name.startswith("."))


def master_of(path: Path) -> Path:
    """The path of the master that a strip belongs to."""
    return path.with_name(path.name.removesuffix(_SUFFIX) + ".png")


def read_strip(path: Path) -> tuple[object, tuple[int, int] | None]:
    """The hash of its master's pixels that a strip names, and its (width, height); (None, None) if it is not whole."""
    try:
        with damage_refused(path, ""):
            data = read_file(path, MOST_BYTES)
            with Image.open(io.BytesIO(data), formats=["AVIF"]) as image:
                found = image.getexif().get(_DESCRIPTION), image.size
    except StoreError:
        return None, None
    return found if has_all_boxes(data) else (None, None)
