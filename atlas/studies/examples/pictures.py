"""Pictures to look at: a person's folder, or what the project draws → a list of hashes, each of which can be opened."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image, ImageOps

from atlas.common import paths
from atlas.common.errors import ConfigError, StoreError
from atlas.demo.pictures import CLASSES, draw_class
from atlas.plan.starts import DRAWN
from atlas.store.picture_files import HEAD, LARGEST_FILE, decode, read_bytes, sha256_of, unsupported_kind
from atlas.store.weights_ids import file_sha256
from atlas.studies.examples.settings import Settings

DRAWN_EACH = 2  # pictures of each class
DRAWN_SEED = 3 * 10**9  # neither training nor a test draws with it

Skip = Callable[[str], None]


class PictureSource(Protocol):
    """Pictures that can be opened again and again."""

    @property
    def folder(self) -> Path | None:
        """Where they lie; None: nowhere, they are drawn."""

    @property
    def unread(self) -> int:
        """Files that could not even be hashed."""

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each picture, all different; the order means nothing."""

    def open(self, sha256: str) -> Image.Image:
        """A picture, upright and in RGB.

        Raises:
            ConfigError: it cannot be read as a picture, or is no longer the one of that hash.
        """


@dataclass(frozen=True)
class Folder:
    """The files of a folder."""

    folder: Path
    files: dict[str, Path]  # by hash
    unread: int = 0

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each file."""
        return tuple(self.files)

    def open(self, sha256: str) -> Image.Image:
        """Decode a file."""
        file = self.files[sha256]
        data = read_bytes(file)
        if sha256_of(data) != sha256:
            raise ConfigError(f"{file}: changed while the pictures were looked at; run the same command again")
        return decode(data, file).picture


@dataclass(frozen=True)
class Drawn:
    """Pictures that the project draws itself, kept in memory."""

    pictures: dict[str, Image.Image]  # by the hash of their pixels
    unread: int = 0
    folder: None = None

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each picture's pixels."""
        return tuple(self.pictures)

    def open(self, sha256: str) -> Image.Image:
        """A picture."""
        return self.pictures[sha256]


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


def walk_folder(folder: Path, on_skip: Skip) -> Folder:
    """List a folder and those inside it, by name; a file that lies there twice counts once.

    Args:
        folder: where the pictures are; names that begin with a dot are passed over.
        on_skip: told of each file that cannot be read, and why.

    Raises:
        ConfigError: no such folder, or not readable.
    """
    check_pictures(folder)
    files: dict[str, Path] = {}
    unread = 0

    def skip(why: str) -> None:
        nonlocal unread
        unread += 1
        on_skip(why)

    for path in _walk(folder, skip):
        if kind := _foreign_kind(path):
            skip(f"{path}: {kind}")
            continue
        try:
            paths.check_file(path, LARGEST_FILE)
            files.setdefault(file_sha256(path), path)
        except paths.PathError as error:
            skip(f"{path}: {error}")
        except StoreError as error:
            skip(str(error))
    return Folder(folder, files, unread)


def draw_pictures(size: int) -> Drawn:
    """A few pictures of every class that the project draws, size × size pixels."""
    generator = torch.Generator().manual_seed(DRAWN_SEED)
    found = {}
    for name in CLASSES:
        pictures = (draw_class(name, DRAWN_EACH, size, generator) * 255).round().to(torch.uint8)  # [n, 3, H, W]
        for pixels in pictures.permute(0, 2, 3, 1).numpy():  # [n, H, W, 3]
            image = Image.fromarray(pixels)
            found[hashlib.sha256(image.tobytes()).hexdigest()] = image
    return Drawn(found)


def square_of(image: Image.Image, size: int) -> Image.Image:
    """The square in the middle of a picture, brought to so many pixels: what the network sees of it."""
    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def _foreign_kind(path: Path) -> str | None:
    """What a file is that is not read, before all of it is hashed; None if it may be a picture, or cannot be opened."""
    with suppress(OSError), paths.open_file(path, sys.maxsize) as file:
        return unsupported_kind(file.read(HEAD))
    return None


def _walk(folder: Path, on_skip: Skip) -> Iterator[Path]:
    """What is no folder, sorted by name within its own; no link to a folder is followed, lest one goes in a circle."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        on_skip(f"{folder}: cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = Path(entry)
        is_folder = paths.is_folder(path)
        if is_folder and not entry.is_symlink():
            yield from _walk(path, on_skip)
        elif not is_folder:
            yield path
