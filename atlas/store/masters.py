"""PNG masters with their provenance inside: pixels and `Record` ↔ one file, fresh by content and never half there."""

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from PIL import Image, PngImagePlugin

from atlas.common.errors import StoreError
from atlas.common.paths import open_regular
from atlas.plan.config import LARGEST_SIZE
from atlas.plan.jobs import Job
from atlas.store.files import walk, write_atomically
from atlas.store.media import DAMAGE
from atlas.store.records import Record, WeightsId
from atlas.store.weights_ids import WEIGHTS_FILE, read_weights_id

KEY = "atlas"  # of the PNG's iTXt chunk
PHOTOS = "photos"  # the folder of a store whose pictures are no masters
MOST_BYTES = 4 * LARGEST_SIZE**2  # of a file: more than the largest picture takes uncompressed, and its record
_WEIGHTS_FOLDER = re.compile(r".+-[0-9a-f]{8}")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def master_path(store: Path, weights: WeightsId, job: Job) -> Path:
    """Where a job's master lies: `<store>/<weights>-<sha8>/<recipe>-<digest8>/<slug>.png`."""
    path = store / weights.folder / job.path
    return path.with_name(f"{path.stem}{weights.path_suffix(job.recipe)}.png")


def pixels_sha256(pixels: bytes) -> str:
    """Hash of RGB bytes."""
    return hashlib.sha256(pixels).hexdigest()


def write_master(path: Path, pixels: bytes, record: Record) -> None:
    """Write a master, atomically.

    Args:
        path: where.
        pixels: RGB bytes, row by row, 3·width·height of them.
        record: its provenance.

    Raises:
        StoreError: the file cannot be written.
    """
    info = PngImagePlugin.PngInfo()
    info.add_itxt(KEY, record.to_json())
    buffer = io.BytesIO()
    Image.frombytes("RGB", (record.width, record.height), pixels).save(buffer, "PNG", pnginfo=info)
    write_atomically(path, buffer.getvalue())


def read_record(path: Path) -> Record:
    """Read a master's record and check that the file has its end; the pixels are not looked at.

    Raises:
        StoreError: not there, not a master, or cut off.
    """
    try:
        with open_regular(path, MOST_BYTES) as file:
            return _record_of(path, file)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from None


def open_master(path: Path) -> tuple[Image.Image, Record]:
    """Read a master whole and check its pixels against its record.

    Returns:
        The picture (RGB) and the record.

    Raises:
        StoreError: not there, damaged, or edited.
    """
    record = read_record(path)
    try:
        with open_regular(path, MOST_BYTES) as file, Image.open(file, formats=["PNG"]) as image:
            if image.size != (record.width, record.height):  # before memory is taken for a size that a person made up
                raise StoreError(f"{path}: its size is not that of its record, so it was edited; render it again")
            if max(image.size) > LARGEST_SIZE:
                raise StoreError(f"{path}: larger than the {LARGEST_SIZE} px that are rendered; render it again")
            image.load()
            picture = image.convert("RGB")
    except DAMAGE as error:
        raise StoreError(f"{path}: damaged: {error}; render it again") from None
    if pixels_sha256(picture.tobytes()) != record.pixels_sha256:
        raise StoreError(f"{path}: its pixels are not those of its record, so it was edited; render it again")
    return picture, record


def find_record(
    path: Path, job: Job, weights: WeightsId, precision: str | None = None, *, look_at_pixels: bool = False
) -> Record | None:
    """The record of a job's master if that is fresh, else None. Mere existence is not freshness.

    Args:
        path: where the master would lie.
        job: target, recipe, seed and start.
        weights: by which it would be rendered.
        precision: resolved precision; None if any will do.
        look_at_pixels: open the picture too, which takes some milliseconds, so that a damaged one is not fresh.
    """
    try:
        record = open_master(path)[1] if look_at_pixels else read_record(path)
    except StoreError:
        return None
    return record if record.is_of(job, weights, precision) else None


def list_masters(store: Path) -> Iterator[Path]:
    """Every file of a store, or of stores inside it, that carries a master's name, sorted."""
    found = (path for path in walk(store) if path.suffix == ".png" and path.parent.name != PHOTOS)
    return (path for path in found if not path.name.startswith("."))


def unknown_folders(store: Path) -> Iterator[str]:
    """One line for each folder of masters whose weights no readable note tells, so that nobody finds them; sorted."""
    try:
        folders = sorted(path for path in store.iterdir() if _WEIGHTS_FOLDER.fullmatch(path.name))
    except FileNotFoundError:
        return
    except OSError as error:
        yield f"{store}: cannot be read: {error.strerror}; allow this user to read it"
        return
    for folder in folders:
        if not _has_its_note(folder) and _holds_masters(folder):
            yield (
                f"{folder}: not shown: its {WEIGHTS_FILE} cannot be read, or is of a folder of another name: allow "
                "this user to read it, give the folder its name again, or render with these weights once more"
            )


def _has_its_note(folder: Path) -> bool:
    try:
        return read_weights_id(folder / WEIGHTS_FILE).folder == folder.name
    except StoreError:
        return False


def _holds_masters(folder: Path) -> bool:
    """Whether there are masters in a folder; one that cannot be read may have some."""
    try:
        return any(list_masters(folder))
    except StoreError:
        return True


def _record_of(path: Path, file: IO[bytes]) -> Record:
    """The record in an open master; its text chunk stands before the pixels, so that reading it is quick."""
    try:
        with Image.open(file, formats=["PNG"]) as image:
            text = image.info.get(KEY)
        file.seek(-len(_PNG_END), 2)
        is_whole = file.read() == _PNG_END
    except DAMAGE:
        raise StoreError(f"{path}: not a whole PNG file; render it again") from None
    if not is_whole:
        raise StoreError(f"{path}: cut off; render it again")
    if not isinstance(text, str):
        raise StoreError(f"{path}: carries no record of the atlas; render it again")
    try:
        return Record.from_json(text)
    except StoreError as error:
        raise StoreError(f"{path}: {error}; render it again") from None
