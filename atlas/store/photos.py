"""Photographs in a store: a configuration's files ↔ `<store>/photos/<sha256>.png`, from which dreams start.

A photograph is kept upright, in RGB, with its shorter side at most `LARGEST_SIDE`, and without anything else that its
file says of place and time. Beside it a note keeps which file had its name, so that a store that is copied to another
machine needs no file from outside.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image, PngImagePlugin

from atlas.errors import ConfigError, StoreError
from atlas.paths import is_there, open_regular, read_whole
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.lists.dream import StartPhoto
from atlas.plan.recipes import Octave, octave_size
from atlas.plan.starts import DRAWN_PHOTO, LARGEST_SIDE, Photo
from atlas.store.files import MOST_JSON, walk, write_atomically, write_if_changed
from atlas.store.masters import PHOTOS
from atlas.store.media import DAMAGE
from atlas.store.photo_files import decode_picture, read_bytes, sha256_of
from atlas.store.records import parse_json

DRAWN_FILE = Path(__file__).parent.parent / "drawn" / "start.jpg"  # the picture that ships with the project
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 0  # of a person's file, and so of what is kept of it
MOST_BYTES = 4 * MOST_PIXELS
_SHA256 = re.compile("[0-9a-f]{64}")
_KEY = "atlas-photo"  # of the PNG's iTXt chunk, which holds the hash of the pixels

Say = Callable[[str], None]


def photo_path(store: Path, photo: Photo) -> Path:
    """Where a photograph is kept."""
    return store / PHOTOS / f"{photo.sha256}.png"


def look_at_photos(config: Config, say: Say) -> Config:
    """The configuration with its photographs known: by their files, or by the store where a file is not here.

    Args:
        config: names photographs.
        say: told in a line of each that is too large and so made smaller.

    Raises:
        ConfigError: a file is missing, and the store has nothing of that name; or it is no picture, or damaged.
    """
    dream = config.lists.dream
    photos = tuple(replace(named, photo=_look_at(config.store, named, say)) for named in dream.photos)
    return replace(config, lists=replace(config.lists, dream=replace(dream, photos=photos)))


def keep_photos(config: Config, jobs: Iterable[Job]) -> None:
    """Put the photographs that jobs start from into the store, as far as they are not there.

    Raises:
        ConfigError: a file is not what it was when it was looked at.
        StoreError: the store cannot be written.
    """
    wanted = {job.start for job in jobs if job.start}
    for named in config.lists.dream.photos:
        if named.photo in wanted:
            _keep(config.store, named, named.photo)


def has_photo(store: Path, photo: Photo) -> bool:
    """Whether the store has a photograph, as far as its file's header says."""
    return _kept_size(photo_path(store, photo)) == photo.size


def open_photo(store: Path, photo: Photo) -> Image.Image:
    """A photograph, upright, in RGB.

    Raises:
        StoreError: not there, damaged, or edited.
    """
    return open_kept(photo_path(store, photo))


def open_kept(path: Path) -> Image.Image:
    """A photograph by the file in which it is kept.

    Raises:
        StoreError: not there, damaged, or edited.
    """
    try:
        with open_regular(path, MOST_BYTES) as file, Image.open(file, formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS or min(image.size) > LARGEST_SIDE:
                raise StoreError(f"{path}: larger than a photograph is kept; remove it and render again")
            image.load()
            digest = image.info.get(_KEY)
            picture = image.convert("RGB")
    except DAMAGE as error:
        raise StoreError(f"{path}: missing or damaged: {error}; remove it and render again") from None
    if digest != _pixels_sha256(picture):
        raise StoreError(f"{path}: its pixels are not those that were kept; remove it and render again")
    return picture


def list_photos(store: Path) -> Iterator[Path]:
    """Every kept photograph of a store, or of stores inside it, sorted."""
    found = (path for path in walk(store) if path.suffix == ".png" and path.parent.name == PHOTOS)
    return (path for path in found if not path.name.startswith("."))


def _look_at(store: Path, named: StartPhoto, say: Say) -> Photo:
    if named.file is None:
        return DRAWN_PHOTO
    if not is_there(named.file) and (noted := _read_note(store, named)):
        return noted
    data = read_bytes(named.file)
    digest = sha256_of(data)
    if size := _kept_size(store / PHOTOS / f"{digest}.png"):
        return Photo(digest, size)
    picture = decode_picture(data, named.file)
    kept = _reduce(picture)
    if kept.size != picture.size:
        was, now = (f"{width:,} × {height:,} px" for width, height in (picture.size, kept.size))
        say(f"{named.file}: {was}, resized to {now}: the shorter side may have {LARGEST_SIDE:,} px")
    return Photo(digest, (kept.height, kept.width))


def _keep(store: Path, named: StartPhoto, photo: Photo) -> None:
    path = photo_path(store, photo)
    try:
        open_kept(path)
    except StoreError:
        file = named.file or DRAWN_FILE
        data = read_bytes(file)
        if sha256_of(data) != photo.sha256:
            raise ConfigError(f"{file}: has changed since the run began; run the same command again") from None
        write_atomically(path, _png(_reduce(decode_picture(data, file))))
    note = {"file": named.given, "sha256": photo.sha256, "size": photo.size}
    write_if_changed(_note_path(store, named), (json.dumps(note) + "\n").encode())


def _reduce(picture: Image.Image) -> Image.Image:
    """The picture with its shorter side at most `LARGEST_SIDE`."""
    if min(picture.size) <= LARGEST_SIDE:
        return picture
    height, width = octave_size((picture.height, picture.width), Octave(LARGEST_SIDE, 1, (0, 0)))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _png(picture: Image.Image) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(_KEY, _pixels_sha256(picture))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _pixels_sha256(picture: Image.Image) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _kept_size(path: Path) -> tuple[int, int] | None:
    """(height, width) of a kept photograph; None if it is not there."""
    try:
        with open_regular(path, MOST_BYTES) as file, Image.open(file, formats=["PNG"]) as image:
            return (image.height, image.width) if _KEY in image.info else None
    except DAMAGE:
        return None


def _note_path(store: Path, named: StartPhoto) -> Path:
    return store / PHOTOS / f"{named.name}.json"


def _read_note(store: Path, named: StartPhoto) -> Photo | None:
    """The photograph that a name meant when something was rendered from it, if the store still has it."""
    try:
        note = parse_json(read_whole(_note_path(store, named), MOST_JSON))
        photo = Photo(note["sha256"], tuple(note["size"]))
        is_its = note["file"] == named.given and _SHA256.fullmatch(photo.sha256)
        return photo if is_its and has_photo(store, photo) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
