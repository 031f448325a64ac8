"""Photographs in a store: a configuration's files ↔ `<store>/photos/<sha256>.png`, from which dreams start.

A photograph is kept upright, in sRGB, with its shorter side at most `LARGEST_SIDE`, and without anything else that its
file says. Beside it a note for each name that its file had lets a store that is copied to another machine need no file
from outside.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, PngImagePlugin

from atlas.common.errors import ConfigError, StoreError
from atlas.common.paths import is_there, open_regular, read_whole
from atlas.inception.architecture import Size
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, octave_size
from atlas.plan.starts import DRAWN_PHOTO, LARGEST_SIDE, Photo
from atlas.store.files import MOST_JSON, walk, write_atomically, write_if_changed
from atlas.store.masters import PHOTOS
from atlas.store.media import DAMAGE
from atlas.store.photo_files import COLOURS, decode, read_bytes, sha256_of
from atlas.store.profiles import convert_to_srgb
from atlas.store.records import parse_json
from atlas.studies.dreams.settings import StartPhoto

DRAWN_FILE = Path(__file__).parent.parent / "demo" / "start.jpg"  # the picture that ships with the project
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 0  # of a person's file, and so of what is kept of it
MOST_BYTES = 4 * MOST_PIXELS
_SHA256 = re.compile("[0-9a-f]{64}")
_KEY = "atlas-photo"  # of the PNG's iTXt chunk, which holds the hash of the pixels
_COLOURS = "atlas-photo-colours"  # of another one; earlier versions did not write it, and took all files as sRGB

Say = Callable[[str], None]


def photo_path(store: Path, photo: Photo) -> Path:
    """Where a photograph is kept."""
    return store / PHOTOS / f"{photo.id}.png"


def look_at_photos(config: Config, say: Say) -> Config:
    """The configuration with its photographs known: by their files, or by the store where a file is not here.

    Args:
        config: names photographs.
        say: told in a line of each that is too large and so made smaller.

    Raises:
        ConfigError: a file is no picture, or damaged; or it is missing, and the store has no photograph of that name,
            or several.
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
    kept = _read_header(photo_path(store, photo))
    return kept is not None and kept.size == photo.size


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
            picture.info = {}  # earlier versions kept the profile, which Pillow would write into copies
    except DAMAGE as error:
        raise StoreError(f"{path}: missing or damaged: {error}; remove it and render again") from None
    if digest != _pixels_sha256(picture):
        raise StoreError(f"{path}: its pixels are not those that were kept; remove it and render again")
    return picture


def list_photos(store: Path) -> Iterator[Path]:
    """Every kept photograph of a store, or of stores inside it, sorted."""
    found = (path for path in walk(store) if path.suffix == ".png" and path.parent.name == PHOTOS)
    return (path for path in found if not path.name.startswith("."))


@dataclass(frozen=True)
class _Header:
    """What a kept photograph says before its pixels."""

    size: Size
    profile: bytes | None  # only of one that an earlier version kept
    is_srgb: bool  # whether the profile of its file was heeded; earlier versions did not


def _look_at(store: Path, named: StartPhoto, say: Say) -> Photo:
    if named.file is None:
        return DRAWN_PHOTO
    if not is_there(named.file) and (noted := _find_noted(store, named)):
        return noted
    data = read_bytes(named.file)
    digest = sha256_of(data)
    for photo in (Photo(digest, (0, 0), is_converted=True), Photo(digest, (0, 0))):
        if (kept := _read_header(photo_path(store, photo))) and kept.is_srgb:
            return replace(photo, size=kept.size)
    decoded = decode(data, named.file)
    picture = _reduce(decoded.picture)
    if picture.size != decoded.size:
        was, now = (f"{width:,} × {height:,} px" for width, height in (decoded.size, picture.size))
        say(f"{named.file}: {was}, resized to {now}: the shorter side may have {LARGEST_SIDE:,} px")
    return Photo(digest, (picture.height, picture.width), decoded.is_converted)


def _keep(store: Path, named: StartPhoto, photo: Photo) -> None:
    path, file = photo_path(store, photo), named.file or DRAWN_FILE
    is_here = is_there(file)
    if not _is_settled(path, is_here):
        earlier = None if is_here else _open_earlier(store, photo)
        picture = earlier or _open_file(file, photo)
        write_atomically(path, _png(picture, is_srgb=photo.is_converted or is_here))
    if photo.is_converted:
        _remove_earlier(store, photo)
    note = {"file": named.given, "sha256": photo.sha256, "size": photo.size, "is_converted": photo.is_converted}
    write_if_changed(_note_path(store, named, photo), (json.dumps(note) + "\n").encode())


def _is_settled(path: Path, is_here: bool) -> bool:
    """Whether a photograph is kept whole and as this version keeps it, as far as that can be had."""
    try:
        open_kept(path)
    except StoreError:
        return False
    kept = _read_header(path)
    return kept is not None and kept.profile is None and (kept.is_srgb or not is_here)


def _open_file(file: Path, photo: Photo) -> Image.Image:
    data = read_bytes(file)
    if sha256_of(data) != photo.sha256:
        raise ConfigError(f"{file}: has changed since the run began; run the same command again")
    return _reduce(decode(data, file).picture)


def _open_earlier(store: Path, photo: Photo) -> Image.Image | None:
    """A photograph whose file is gone, from what an earlier version kept of it; None if that is not there."""
    path = _earlier_path(store, photo)
    kept = _read_header(path)
    if kept is None or (photo.is_converted and not kept.profile):
        return None
    try:
        picture = open_kept(path)
    except StoreError:
        return None
    return convert_to_srgb(picture, kept.profile) if photo.is_converted else picture


def _remove_earlier(store: Path, photo: Photo) -> None:
    """Remove what an earlier version kept of a photograph: wrong colours, and a profile that may name its maker."""
    path = _earlier_path(store, photo)
    if (kept := _read_header(path)) and kept.profile:
        with suppress(OSError):
            path.unlink()


def _earlier_path(store: Path, photo: Photo) -> Path:
    return photo_path(store, replace(photo, is_converted=False))


def _reduce(picture: Image.Image) -> Image.Image:
    """The picture with its shorter side at most `LARGEST_SIDE`."""
    if min(picture.size) <= LARGEST_SIDE:
        return picture
    height, width = octave_size((picture.height, picture.width), Octave(LARGEST_SIDE, 1, (0, 0)))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _png(picture: Image.Image, *, is_srgb: bool) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(_KEY, _pixels_sha256(picture))
    if is_srgb:
        info.add_itxt(_COLOURS, COLOURS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info, icc_profile=None)
    return buffer.getvalue()


def _pixels_sha256(picture: Image.Image) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _read_header(path: Path) -> _Header | None:
    """What a kept photograph says before its pixels; None if it is not there."""
    try:
        with open_regular(path, MOST_BYTES) as file, Image.open(file, formats=["PNG"]) as image:
            if _KEY not in image.info:
                return None
            size, is_srgb = (image.height, image.width), image.info.get(_COLOURS) == COLOURS
            return _Header(size, image.info.get("icc_profile"), is_srgb)
    except DAMAGE:
        return None


def _note_path(store: Path, named: StartPhoto, photo: Photo) -> Path:
    """The note that a photograph's file had this name: one a name, so that runs side by side do not change the same."""
    return store / PHOTOS / f"{photo.id}~{sha256_of(os.fsencode(named.given))[:8]}.json"


def _find_noted(store: Path, named: StartPhoto) -> Photo | None:
    """The photograph of which the store knows that its file had this name.

    Raises:
        ConfigError: there are several.
    """
    photos: dict[str, Photo] = {}  # by hash: of a file that an earlier version read otherwise there may be two
    for path in sorted((store / PHOTOS).glob("*.json")):
        photo = _read_note(store, path, named.given)
        if photo and (photo.is_converted or photo.sha256 not in photos):
            photos[photo.sha256] = photo
    if len(photos) > 1:
        kept = (photo_path(store, photo) for photo in photos.values())
        raise ConfigError(
            f"{named.file}: no such file, and {len(photos)} pictures in the store had this name: "
            f"{' and '.join(map(str, kept))}; put the file back, or remove from the store what is not meant"
        )
    return next(iter(photos.values()), None)


def _read_note(store: Path, path: Path, given: str) -> Photo | None:
    """The photograph of a note, if that is of this name, and if the store still has it."""
    try:
        note = parse_json(read_whole(path, MOST_JSON))
        if note["file"] != given or not _SHA256.fullmatch(note["sha256"]):
            return None
        photo = Photo(note["sha256"], tuple(note["size"]), note.get("is_converted") is True)
        if not has_photo(store, photo):
            return None
        converted = replace(photo, is_converted=True)
        return converted if _open_earlier(store, converted) else photo
    except (OSError, ValueError, KeyError, TypeError):
        return None
