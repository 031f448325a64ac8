"""Photographs that dreams start from, kept in a store as `<store>/photos/<sha256>.png`.

A photograph is kept upright, in sRGB, with its shorter side at most `LARGEST_SIDE`, and without metadata. A note beside
it for each name of its file makes a copied store independent of the user's files.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from PIL import Image, PngImagePlugin

from atlas.common import log
from atlas.common.errors import ConfigError, StoreError
from atlas.common.paths import is_there, read_file
from atlas.inception.architecture import Size
from atlas.plan.recipes import Octave, octave_size
from atlas.plan.starts import DRAWN_PHOTO, LARGEST_SIDE, Photo, StartPhoto
from atlas.store.files import MOST_JSON, walk, write_atomically, write_if_changed
from atlas.store.masters import PHOTOS, pixels_sha256
from atlas.store.media import encoded, open_picture
from atlas.store.picture_files import COLOURS, decode, read_bytes, sha256_of
from atlas.store.records import read_json

DRAWN_FILE = Path(__file__).parent.parent / "demo" / "start.jpg"  # the picture that ships with the project
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 0  # of a user's file, and so of a kept photograph
MOST_BYTES = 4 * MOST_PIXELS
_KEY = "atlas-photo"  # of the PNG's iTXt chunk, which holds the hash of the pixels
_COLOURS = "atlas-photo-colours"  # of another one; the photograph is read anew if it says other than `COLOURS`
_REMEDY = "remove it and render again"

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Note:
    """The note of a photograph's name. Each name has its own file, so that concurrent runs write different files."""

    file: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Size
    is_converted: bool = False


def photo_path(store: Path, photo: Photo) -> Path:
    """The path of a kept photograph."""
    return store / PHOTOS / f"{photo.id}.png"


def identify_photo(store: Path, named: StartPhoto, say: Say) -> Photo:
    """Find out which photograph a configuration names: by its file, or by the store's notes if that is missing.

    Args:
        store: folder of masters.
        named: the photograph in the configuration.
        say: called with a line if the photograph is resized.

    Raises:
        ConfigError: the file is no picture, or damaged; or it is missing, and the store has no photograph of that name,
            or several.
    """
    if named.file is None:
        return DRAWN_PHOTO
    if not is_there(named.file) and (noted := _find_noted(store, named)):
        return noted
    digest = sha256_of(read_bytes(named.file))
    for photo in (Photo(digest, (0, 0), is_converted=True), Photo(digest, (0, 0))):
        if size := _kept_size(photo_path(store, photo), in_srgb=True):
            return replace(photo, size=size)
    return read_photo(named.file, say)[0]


def read_photo(file: Path, say: Say = log.notice) -> tuple[Photo, Image.Image]:
    """Read a photograph from the user's file, with its pixels as a store would keep them: upright, in RGB.

    Args:
        file: a picture file of any supported kind.
        say: called with a line if the photograph is resized.

    Raises:
        ConfigError: the file is missing, no picture, or damaged.
    """
    data = read_bytes(file)
    decoded = decode(data, file)
    picture = _reduce(decoded.picture)
    if picture.size != decoded.size:
        was, now = (f"{width:,} × {height:,} px" for width, height in (decoded.size, picture.size))
        say(f"{file}: {was}, resized to {now}: the shorter side may have {LARGEST_SIDE:,} px")
    return Photo(sha256_of(data), (picture.height, picture.width), decoded.is_converted), picture


def keep_photo(store: Path, named: StartPhoto, photo: Photo) -> None:
    """Put a photograph and its note into the store, if they are not there.

    Raises:
        ConfigError: its file has changed since it was identified.
        StoreError: the store cannot be written.
    """
    path, file = photo_path(store, photo), named.file or DRAWN_FILE
    if not _is_settled(path, can_be_read=is_there(file)):
        found, picture = read_photo(file, say=lambda _: None)
        if found.sha256 != photo.sha256:
            raise ConfigError(f"{file}: has changed since the run began; run the same command again")
        write_atomically(path, _png(picture))
    note = _Note(named.given, photo.sha256, photo.size, photo.is_converted)
    note_path = store / PHOTOS / f"{photo.id}~{sha256_of(os.fsencode(named.given))[:8]}.json"
    write_if_changed(note_path, (json.dumps(asdict(note)) + "\n").encode())


def open_photo(store: Path, photo: Photo) -> Image.Image:
    """Open a photograph: upright, in RGB.

    Raises:
        StoreError: not there, damaged, or edited.
    """
    return open_kept(photo_path(store, photo))


def open_kept(path: Path) -> Image.Image:
    """Open a photograph by the path of its file.

    Raises:
        StoreError: not there, damaged, or edited.
    """
    with open_picture(path, "PNG", MOST_BYTES, _REMEDY) as image:
        if image.width * image.height > MOST_PIXELS or min(image.size) > LARGEST_SIDE:
            raise StoreError(f"{path}: larger than a photograph is kept; {_REMEDY}")
        picture = image.convert("RGB")
    if picture.info.get(_KEY) != pixels_sha256(picture.tobytes()):
        raise StoreError(f"{path}: its pixels are not those that were kept; {_REMEDY}")
    picture.info = {}  # Pillow would write some of it into copies
    return picture


def list_photos(store: Path) -> Iterator[Path]:
    """The paths of all photographs of a store, or of stores inside it, sorted."""
    found = (path for path in walk(store) if path.suffix == ".png" and path.parent.name == PHOTOS)
    return (path for path in found if not path.name.startswith("."))


def _kept_size(path: Path, *, in_srgb: bool = False) -> Size | None:
    """The size of a kept photograph, by its header; None if it is not there, is none, or not surely `in_srgb`."""
    with suppress(StoreError), open_picture(path, "PNG", MOST_BYTES, _REMEDY) as image:
        if image.info.get(_KEY) and (not in_srgb or image.info.get(_COLOURS) == COLOURS):
            return image.height, image.width
    return None


def _is_settled(path: Path, *, can_be_read: bool) -> bool:
    """Whether a photograph is whole, and would be kept in the same colours if it can be read anew."""
    with suppress(StoreError):
        open_kept(path)
        return _kept_size(path, in_srgb=can_be_read) is not None
    return False


def _reduce(picture: Image.Image) -> Image.Image:
    """Resize a picture so that its shorter side is at most `LARGEST_SIDE`."""
    if min(picture.size) <= LARGEST_SIDE:
        return picture
    height, width = octave_size((picture.height, picture.width), Octave(LARGEST_SIDE, 1, (0, 0)))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _png(picture: Image.Image) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(_KEY, pixels_sha256(picture.tobytes()))
    info.add_itxt(_COLOURS, COLOURS)
    return encoded(picture, "PNG", pnginfo=info, icc_profile=None)


def _find_noted(store: Path, named: StartPhoto) -> Photo | None:
    """The photograph whose file had this name, by the store's notes.

    Raises:
        ConfigError: there are several.
    """
    notes = (_read_note(store, path, named.given) for path in sorted((store / PHOTOS).glob("*.json")))
    photos = set(filter(None, notes))
    if len(photos) > 1:
        kept = (photo_path(store, photo) for photo in photos)
        raise ConfigError(
            f"{named.file}: no such file, and {len(photos)} pictures in the store had this name: "
            f"{' and '.join(sorted(map(str, kept)))}; put the file back, or remove from the store what is not meant"
        )
    return next(iter(photos), None)


def _read_note(store: Path, path: Path, given: str) -> Photo | None:
    """The photograph of a note, if it has this name and the store still has it."""
    try:
        note = read_json(read_file(path, MOST_JSON), _Note)
    except (OSError, StoreError):
        return None
    photo = Photo(note.sha256, note.size, note.is_converted)
    return photo if note.file == given and _kept_size(photo_path(store, photo)) == photo.size else None
