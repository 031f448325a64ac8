"""Masters: the PNG files of a store, each with its pixels and its provenance, a `Record`."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, PngImagePlugin

from atlas.common.errors import StoreError
from atlas.plan.jobs import Job
from atlas.plan.recipes import LARGEST_SIZE
from atlas.store.files import walk, write_atomically
from atlas.store.media import encoded, open_picture
from atlas.store.records import Record, WeightsId, read_json
from atlas.store.weights_ids import WEIGHTS_FILE, known_weights

KEY = "atlas"  # of the PNG's iTXt chunk
PHOTOS = "photos"  # the folder of a store whose pictures are no masters
MOST_BYTES = 4 * LARGEST_SIZE**2  # of a file: more than the largest picture, uncompressed, and its record
_REMEDY = "render it again"
_WEIGHTS_FOLDER = re.compile(r".+-[0-9a-f]{8}")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def master_path(store: Path, weights: WeightsId, job: Job) -> Path:
    """The path of a job's master: `<store>/<weights>-<sha8>/<recipe>-<digest8>/<slug>.png`."""
    path = store / weights.folder / job.path
    return path.with_name(f"{path.stem}{weights.path_suffix(job.recipe)}.png")


def pixels_sha256(pixels: bytes) -> str:
    """Hash of RGB bytes."""
    return hashlib.sha256(pixels).hexdigest()


def write_master(path: Path, pixels: bytes, record: Record) -> None:
    """Write a master, atomically.

    Args:
        path: of the master.
        pixels: RGB bytes, row by row, 3·width·height of them.
        record: its provenance.

    Raises:
        StoreError: the file cannot be written.
    """
    info = PngImagePlugin.PngInfo()
    info.add_itxt(KEY, record.to_json())
    picture = Image.frombytes("RGB", (record.width, record.height), pixels)
    write_atomically(path, encoded(picture, "PNG", pnginfo=info))


def read_record(path: Path) -> Record:
    """Read a master's record and check that the file has its end; the pixels are not looked at.

    Raises:
        StoreError: not there, not a master, or cut off.
    """
    with open_picture(path, "PNG", MOST_BYTES, _REMEDY) as image:
        text = image.info.get(KEY)  # it stands before the pixels, so that reading it is quick
        assert image.fp
        image.fp.seek(-len(_PNG_END), 2)
        if image.fp.read() != _PNG_END:
            raise StoreError(f"{path}: cut off; {_REMEDY}")
    if not isinstance(text, str):
        raise StoreError(f"{path}: carries no record of the atlas; {_REMEDY}")
    try:
        return read_json(str(text), Record)  # msgspec takes no subclass of it, which Pillow's is
    except StoreError as error:
        raise StoreError(f"{path}: {error}; {_REMEDY}") from None


def open_master(path: Path) -> tuple[Image.Image, Record]:
    """Read a master whole and check its pixels against its record.

    Returns:
        The picture (RGB) and the record.

    Raises:
        StoreError: not there, damaged, or edited.
    """
    record = read_record(path)
    with open_picture(path, "PNG", MOST_BYTES, _REMEDY) as image:
        if image.size != (record.width, record.height):  # before memory is allocated for a size that may be made up
            raise StoreError(f"{path}: its size is not that of its record, so it was edited; {_REMEDY}")
        if max(image.size) > LARGEST_SIZE:
            raise StoreError(f"{path}: larger than the {LARGEST_SIZE} px that are rendered; {_REMEDY}")
        picture = image.convert("RGB")
    if pixels_sha256(picture.tobytes()) != record.pixels_sha256:
        raise StoreError(f"{path}: its pixels are not those of its record, so it was edited; {_REMEDY}")
    return picture, record


def find_record(
    path: Path, job: Job, weights: WeightsId, precision: str | None = None, *, check_pixels: bool = False
) -> Record | None:
    """The record of a job's master if that is fresh, else None. Mere existence is not freshness.

    Args:
        path: of the master.
        job: target, recipe, seed and start.
        weights: by which it would be rendered.
        precision: resolved precision; None if any will do.
        check_pixels: decode the picture too, which takes some milliseconds, so that a damaged one is not fresh.
    """
    try:
        record = open_master(path)[1] if check_pixels else read_record(path)
    except StoreError:
        return None
    return record if record.is_of(job, weights, precision) else None


def list_masters(store: Path) -> Iterator[Path]:
    """The paths of all masters of a store, or of stores inside it, sorted."""
    found = (path for path in walk(store) if path.suffix == ".png" and path.parent.name != PHOTOS)
    return (path for path in found if not path.name.startswith("."))


def unknown_folders(store: Path) -> Iterator[str]:
    """One line for each folder of masters that are not shown, since no readable note tells their weights; sorted."""
    try:
        folders = sorted(path for path in store.iterdir() if _WEIGHTS_FOLDER.fullmatch(path.name))
    except FileNotFoundError:
        return
    except OSError as error:
        yield f"{store}: cannot be read: {error.strerror}; allow this user to read it"
        return
    known = {weights.folder for weights in known_weights(store)}
    for folder in folders:
        if folder.name not in known and _may_hold_masters(folder):
            yield (
                f"{folder}: not shown: its {WEIGHTS_FILE} cannot be read, or is of a folder of another name: allow "
                "this user to read it, give the folder its name again, or render with these weights once more"
            )


def _may_hold_masters(folder: Path) -> bool:
    try:
        return any(list_masters(folder))
    except StoreError:  # it cannot be read
        return True
