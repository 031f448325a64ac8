"""Pictures to scan: a person's folder, or what the project draws → hashes, each of which can be opened."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps

from atlas.common import paths
from atlas.common.errors import ConfigError
from atlas.demo.pictures import CLASSES, draw_class
from atlas.plan.starts import DRAWN
from atlas.store.picture_files import HEAD, LARGEST_FILE, decode, read_bytes, sha256_of, unsupported_kind
from atlas.studies.examples.settings import Settings

DRAWN_EACH = 2  # pictures of each class
DRAWN_SEED = 3 * 10**9  # neither training nor a test draws with it

Skip = Callable[[str], None]


@dataclass(frozen=True)
class PictureSource:
    """Pictures that can be opened again and again.

    Attributes:
        pictures: files, or drawn pictures, by the SHA-256 of the file or of the pixels; the order means nothing.
        folder: where the files are; None: they are drawn.
        unread: how many files could not even be hashed.
    """

    pictures: Mapping[str, Path | Image.Image]
    folder: Path | None = None
    unread: int = 0

    def open(self, sha256: str) -> Image.Image:
        """A picture, upright and in RGB.

        Raises:
            ConfigError: it cannot be read as a picture, or is no longer the one of that hash.
        """
        picture = self.pictures[sha256]
        if isinstance(picture, Image.Image):
            return picture
        data = read_bytes(picture)
        if sha256_of(data) != sha256:
            raise ConfigError(f"{picture}: changed during the scan; run the same command again")
        return decode(data, picture).picture


def open_pictures(wanted: Settings, on_skip: Skip) -> PictureSource | None:
    """The pictures that a configuration names; None if it names none.

    Raises:
        ConfigError: the folder is not there, or not readable.
    """
    if wanted.folder == DRAWN:
        return draw_pictures(wanted.size)
    return walk_folder(wanted.folder, on_skip) if isinstance(wanted.folder, Path) else None


def check_pictures(folder: Path | str | None) -> None:
    """Refuse a folder of pictures, if one is named, that is not there or cannot be listed.

    Raises:
        ConfigError: no such folder, or not readable.
    """
    try:
        if isinstance(folder, Path):
            paths.check_folder(folder)
    except paths.PathError as error:
        raise ConfigError(f"{folder}: {error}; name one of pictures") from None


def walk_folder(folder: Path, on_skip: Skip) -> PictureSource:
    """List a folder and those inside it, by name; a file that is there twice counts once.

    Args:
        folder: where the pictures are; names that begin with a dot are left out.
        on_skip: called for each file that cannot be read, with the reason.

    Raises:
        ConfigError: no such folder, or not readable.
    """
    check_pictures(folder)
    files: dict[str, Path] = {}
    unread: list[Path] = []

    def skip(path: Path, why: object) -> None:
        unread.append(path)
        on_skip(f"{path}: {why}")

    # links to folders, which may form a circle, are not followed
    walk = os.walk(folder, onerror=lambda error: skip(error.filename, f"cannot be read: {error.strerror}"))
    for parent, folders, names in walk:
        folders[:] = _shown(folders)
        for path in (Path(parent, name) for name in _shown(names)):
            try:
                if why := _unsupported_kind(path):
                    skip(path, why)
                else:
                    files.setdefault(paths.file_sha256(path, LARGEST_FILE), path)
            except paths.PathError as error:
                skip(path, error)
    return PictureSource(files, folder, len(unread))


def _shown(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def draw_pictures(size: int) -> PictureSource:
    """A few pictures of every class that the project draws, size × size pixels."""
    generator = torch.Generator().manual_seed(DRAWN_SEED)
    found = {}
    for name in CLASSES:
        pictures = (draw_class(name, DRAWN_EACH, size, generator) * 255).round().to(torch.uint8)  # [n, 3, H, W]
        for pixels in pictures.permute(0, 2, 3, 1).numpy():  # [n, H, W, 3]
            image = Image.fromarray(pixels)
            found[hashlib.sha256(image.tobytes()).hexdigest()] = image
    return PictureSource(found)


def square_of(image: Image.Image, size: int) -> Image.Image:
    """The square in the middle of a picture, resized to so many pixels: what the network sees of it."""
    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def _unsupported_kind(path: Path) -> str | None:
    """What a file is that is not read, before all of it is hashed; None if it may be a picture, or cannot be opened."""
    with suppress(OSError), paths.open_file(path, sys.maxsize) as file:
        return unsupported_kind(file.read(HEAD))
    return None
