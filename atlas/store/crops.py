"""Crops of pictures in a store: WebP files, each named by its pixels so that no crop is kept twice.

Small crops are lossless, since pages show their pixels one by one. Large ones are not: of all features they would take
more than the masters.
"""

import hashlib
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from PIL import Image

from atlas.common.errors import StoreError
from atlas.store.files import walk, write_if_changed
from atlas.store.media import encoded, open_picture
from atlas.store.records import WeightsId

FOLDER = "examples"
CROPS = "crops"
LARGEST = 160  # pixels of the longer side
MOST_LOSSLESS = 32  # pixels of the longer side
QUALITY = 80  # of larger ones
MOST_BYTES = 2**20  # of a crop's file
_REMEDY = "run atlas examples --force"
_NAME = re.compile(r"[0-9a-f]{24}\.webp")


def examples_folder(store: Path, weights: WeightsId) -> Path:
    """The folder of the examples of some weights' features."""
    return store / weights.folder / FOLDER


def crop_name(image: Image.Image) -> str:
    """The name of a crop's file: a digest of its size and its pixels as they are decoded."""
    data = f"{image.width}x{image.height}|".encode() + image.tobytes()
    return hashlib.sha256(data).hexdigest()[:24] + ".webp"  # masters alone are PNG


def write_crop(folder: Path, image: Image.Image) -> str:
    """Write a crop, without any metadata.

    Args:
        folder: of the examples.
        image: RGB, at most `LARGEST` pixels.

    Returns:
        The name of its file.

    Raises:
        StoreError: the file cannot be written.
    """
    bare = Image.frombytes("RGB", image.size, image.tobytes())
    data = encoded(bare, "WEBP", lossless=max(image.size) <= MOST_LOSSLESS, exact=True, quality=QUALITY)
    with Image.open(io.BytesIO(data)) as decoded:
        name = crop_name(decoded.convert("RGB"))
    write_if_changed(folder / CROPS / name, data, sync=False)
    return name


def open_crop(path: Path) -> Image.Image:
    """Read a crop and check that its pixels are those of its name.

    Raises:
        StoreError: not there, damaged, or edited.
    """
    with open_picture(path, "WEBP", MOST_BYTES, _REMEDY) as image:
        if max(image.size) > LARGEST:
            raise StoreError(f"{path}: larger than a crop is; {_REMEDY}")
        picture = image.convert("RGB")
    if crop_name(picture) != path.name:
        raise StoreError(f"{path}: its pixels are not those of its name; {_REMEDY}")
    return picture


def has_crop(folder: Path, name: str) -> bool:
    """Whether a folder of crops has a file of this name. The name comes from a record, and may be anything."""
    return _NAME.fullmatch(name) is not None and (folder / name).is_file()


def list_crops(store: Path) -> Iterator[Path]:
    """Every crop of a store, or of stores inside it, sorted."""
    return (path for path in walk(store) if path.parts[-3:-1] == (FOLDER, CROPS) and _NAME.fullmatch(path.name))


def remove_crops(folder: Path, keep: Collection[str]) -> None:
    """Remove the crops of an earlier run: they may show what the user no longer wants kept.

    Args:
        folder: of the examples.
        keep: names of the files that stay.

    Raises:
        StoreError: a file cannot be removed.
    """
    try:
        for path in list_crops(folder):
            if path.name not in keep:
                path.unlink()
    except OSError as error:
        raise StoreError(f"{error.filename}: cannot be removed: {error.strerror}; remove it by hand") from None
