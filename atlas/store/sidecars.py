"""Pictures beside a master that are no masters, each one AVIF file that names the master's pixels.

The stages of its octaves, and the map of how much each of its pixels counted. A master is whole without either.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from atlas.common.errors import StoreError
from atlas.common.paths import read_file
from atlas.store.files import walk, write_atomically
from atlas.store.media import damage_refused, encoded, has_all_boxes
from atlas.store.records import Record

STAGES = ".stages.avif"
IMPORTANCE = ".importance.avif"
SUFFIXES = (STAGES, IMPORTANCE)
MOST_BYTES = 2**25  # of a file
_DESCRIPTION = 0x010E  # EXIF's ImageDescription, which holds the hash of the master's pixels


def sidecar_path(master: Path, suffix: str) -> Path:
    """Where a master's sidecar of a kind lies: `<slug><suffix>`."""
    return master.with_suffix(suffix)


def write_sidecar(path: Path, picture: Image.Image, record: Record, quality: int) -> None:
    """Write a picture beside its master, atomically.

    Args:
        path: of the sidecar.
        picture: RGB or grey, 8 bits.
        record: the master's.
        quality: of the AVIF, from 0 to 100.

    Raises:
        StoreError: the file cannot be written.
    """
    exif = Image.Exif()
    exif[_DESCRIPTION] = record.pixels_sha256
    settings = {"quality": quality, "subsampling": "4:4:4", "speed": 6, "exif": exif.tobytes()}
    # one thread, since the bytes depend on the number
    write_atomically(path, encoded(picture, "AVIF", max_threads=1, **settings))


def is_sidecar_of(path: Path, record: Record, size: tuple[int, int]) -> bool:
    """Whether a sidecar is there, whole, of a (width, height), and belongs to the pixels of a record."""
    return _read(path) == (record.pixels_sha256, size)


def named_pixels(path: Path) -> object:
    """The hash of its master's pixels that a sidecar names; None if it is not whole."""
    return _read(path)[0]


def list_sidecars(store: Path) -> Iterator[Path]:
    """Every sidecar of a store, or of stores inside it, sorted."""
    return (path for path in walk(store) if path.name.endswith(SUFFIXES) and not path.name.startswith("."))


def master_of(path: Path) -> Path:
    """The path of the master that a sidecar belongs to."""
    suffix = next(suffix for suffix in SUFFIXES if path.name.endswith(suffix))
    return path.with_name(path.name.removesuffix(suffix) + ".png")


def _read(path: Path) -> tuple[object, tuple[int, int] | None]:
    """The hash of its master's pixels that a sidecar names, and its (width, height); (None, None) if not whole."""
    try:
        with damage_refused(path, ""):
            data = read_file(path, MOST_BYTES)
            with Image.open(io.BytesIO(data), formats=["AVIF"]) as image:
                found = image.getexif().get(_DESCRIPTION), image.size
    except StoreError:
        return None, None
    return found if has_all_boxes(data) else (None, None)
