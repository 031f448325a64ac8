"""Photographs that dreams start from, kept in a store as `<store>/photos/<sha256>.png`.

A photograph is kept upright, in sRGB, with its shorter side at most `LARGEST_SIDE`, and without metadata. A note beside
it for each name of its file makes a copied store independent of the user's files.

Earlier versions took the pixels of every file as sRGB, and kept its profile. Their photographs are converted.
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
from atlas.store.picture_files import COLOURS, convert_to_srgb, decode, read_bytes, sha256_of
from atlas.store.records import read_json

DRAWN_FILE = Path(__file__).parent.parent / "demo" / "start.jpg"  # the picture that ships with the project
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 0  # of a user's file, and so of a kept photograph
MOST_BYTES = 4 * MOST_PIXELS
_KEY = "atlas-photo"  # of the PNG's iTXt chunk, which holds the hash of the pixels
_COLOURS = "atlas-photo-colours"  # of another one; earlier versions did not write it
_REMEDY = "remove it and render again"

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Note:
    """The note of a photograph's name. Each name has its own file, so that concurrent runs write different files."""

    file: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Size
    is_converted: bool = False


@dataclass(frozen=True)
class _Header:
    """The metadata of a kept photograph."""

    size: Size
    digest: str | None  # of the pixels
    profile: bytes | None  # only earlier versions kept it
    is_srgb: bool  # earlier versions did not say it


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
    data = read_bytes(named.file)
    digest = sha256_of(data)
    for photo in (Photo(digest, (0, 0), is_converted=True), Photo(digest, (0, 0))):
        if (kept := _read_header(photo_path(store, photo))) and kept.is_srgb:
            return replace(photo, size=kept.size)
    return _decode(named.file, data, say)[0]


def read_photo(file: Path, say: Say = log.notice) -> tuple[Photo, Image.Image]:
    """Read a photograph from the user's file, with its pixels as a store would keep them: upright, in RGB.

    Args:
        file: a picture file of any supported kind.
        say: called with a line if the photograph is resized.

    Raises:
        ConfigError: the file is missing, no picture, or damaged.
    """
    return _decode(file, read_bytes(file), say)


def keep_photo(store: Path, named: StartPhoto, photo: Photo) -> None:
    """Put a photograph and its note into the store, if they are not there.

    Raises:
        ConfigError: its file has changed since it was identified.
        StoreError: the store cannot be written.
    """
    path, file = photo_path(store, photo), named.file or DRAWN_FILE
    is_here = is_there(file)
    if not _is_settled(path, is_here):
        earlier = None if is_here else _open_earlier(store, photo)
        found, picture = (photo, earlier) if earlier else read_photo(file, say=lambda _: None)
        if found.sha256 != photo.sha256:
            raise ConfigError(f"{file}: has changed since the run began; run the same command again")
        write_atomically(path, _png(picture, is_srgb=photo.is_converted or is_here))
    if photo.is_converted:
        _remove_earlier(store, photo)
    note = _Note(named.given, photo.sha256, photo.size, photo.is_converted)
    note_path = store / PHOTOS / f"{photo.id}~{sha256_of(os.fsencode(named.given))[:8]}.json"
    write_if_changed(note_path, (json.dumps(asdict(note)) + "\n").encode())


def has_photo(store: Path, photo: Photo) -> bool:
    """Whether the store has a photograph, by the header of its file."""
    kept = _read_header(photo_path(store, photo))
    return kept is not None and kept.size == photo.size


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
    return _read_kept(path)[0]


def list_photos(store: Path) -> Iterator[Path]:
    """The paths of all photographs of a store, or of stores inside it, sorted."""
    found = (path for path in walk(store) if path.suffix == ".png" and path.parent.name == PHOTOS)
    return (path for path in found if not path.name.startswith("."))


def _read_kept(path: Path) -> tuple[Image.Image, _Header]:
    with open_picture(path, "PNG", MOST_BYTES, _REMEDY) as image:
        if image.width * image.height > MOST_PIXELS or min(image.size) > LARGEST_SIDE:
            raise StoreError(f"{path}: larger than a photograph is kept; {_REMEDY}")
        picture = image.convert("RGB")
        header = _header_of(image)
    picture.info = {}  # Pillow would write the profile, which earlier versions kept, into copies
    if header.digest != pixels_sha256(picture.tobytes()):
        raise StoreError(f"{path}: its pixels are not those that were kept; {_REMEDY}")
    return picture, header


def _read_header(path: Path) -> _Header | None:
    """The header of a kept photograph; None if it is not there, or is none."""
    with suppress(StoreError), open_picture(path, "PNG", MOST_BYTES, _REMEDY) as image:
        header = _header_of(image)
        return header if header.digest else None
    return None


def _header_of(image: Image.Image) -> _Header:
    info = image.info
    is_srgb = info.get(_COLOURS) == COLOURS
    return _Header((image.height, image.width), info.get(_KEY), info.get("icc_profile"), is_srgb)


def _is_settled(path: Path, is_here: bool) -> bool:
    """Whether a photograph is whole, and kept as this version would keep it."""
    with suppress(StoreError):
        _, kept = _read_kept(path)
        return kept.profile is None and (kept.is_srgb or not is_here)
    return False


def _decode(file: Path, data: bytes, say: Say) -> tuple[Photo, Image.Image]:
    decoded = decode(data, file)
    picture = _reduce(decoded.picture)
    if picture.size != decoded.size:
        was, now = (f"{width:,} × {height:,} px" for width, height in (decoded.size, picture.size))
        say(f"{file}: {was}, resized to {now}: the shorter side may have {LARGEST_SIDE:,} px")
    return Photo(sha256_of(data), (picture.height, picture.width), decoded.is_converted), picture


def _open_earlier(store: Path, photo: Photo) -> Image.Image | None:
    """A photograph as an earlier version kept it; None if that is not there, or cannot be converted as it should."""
    with suppress(StoreError):
        picture, kept = _read_kept(_earlier_path(store, photo))
        return convert_to_srgb(picture, kept.profile) if photo.is_converted else picture
    return None


def _remove_earlier(store: Path, photo: Photo) -> None:
    """Remove a photograph that an earlier version kept with its profile, which may name its maker."""
    path = _earlier_path(store, photo)
    if (kept := _read_header(path)) and kept.profile:
        with suppress(OSError):
            path.unlink()


def _earlier_path(store: Path, photo: Photo) -> Path:
    return photo_path(store, replace(photo, is_converted=False))


def _reduce(picture: Image.Image) -> Image.Image:
    """Resize a picture so that its shorter side is at most `LARGEST_SIDE`."""
    if min(picture.size) <= LARGEST_SIDE:
        return picture
    height, width = octave_size((picture.height, picture.width), Octave(LARGEST_SIDE, 1, (0, 0)))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _png(picture: Image.Image, *, is_srgb: bool) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(_KEY, pixels_sha256(picture.tobytes()))
    if is_srgb:
        info.add_itxt(_COLOURS, COLOURS)
    return encoded(picture, "PNG", pnginfo=info, icc_profile=None)


def _find_noted(store: Path, named: StartPhoto) -> Photo | None:
    """The photograph whose file had this name, by the store's notes.

    Raises:
        ConfigError: there are several.
    """
    photos: dict[str, Photo] = {}  # by hash: an earlier version may have kept the same file with other pixels
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
    """The photograph of a note, if it has this name and the store still has it."""
    try:
        note = read_json(read_file(path, MOST_JSON), _Note)
    except (OSError, StoreError):
        return None
    photo = Photo(note.sha256, note.size, note.is_converted)
    if note.file != given or not has_photo(store, photo):
        return None
    converted = replace(photo, is_converted=True)
    return converted if _open_earlier(store, converted) else photo
