"""Photographs that a descent may start from: those that a configuration names, and what they are, wherever they lie."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from atlas.inception.architecture import Size

LONGEST_NAME = 40  # characters of a file's name in paths
_JOINERS = "\u200c\u200d"  # between letters of some scripts
_CONVERTED = "-srgb"
LARGEST_SIDE = 1200  # pixels: the shorter side of a photograph as it is kept, and of a dream


@dataclass(frozen=True)
class Photo:
    """A photograph as a start: a job and its path follow from this alone, and the pixels lie in the store."""

    sha256: str  # of the file's bytes
    size: Size  # (height, width) in pixels as it is kept: upright, its shorter side at most `LARGEST_SIDE`
    is_converted: bool = False  # whether its colour profile changed its pixels

    @property
    def id(self) -> str:
        """What tells its pixels from all others, in records: they follow from the file and from how it is read.

        Earlier versions took the pixels of every file as sRGB, so what they rendered from others has another id.
        """
        return self.sha256 + _CONVERTED if self.is_converted else self.sha256


def shorten(photo_id: str) -> str:
    """A photograph's id in paths of masters: 8 digits of its hash."""
    return photo_id[:8] + photo_id[64:]


DRAWN: Literal["drawn"] = "drawn"  # in a configuration, instead of a path: the pictures that ship with the project
DRAWN_PHOTO = Photo("6e9cff2fed4a06aa2ec3e436dd20bdb162d9214b855c4741bbc8a25ff271b23b", (460, 690))  # by its script


@dataclass(frozen=True)
class StartPhoto:
    """A photograph that a configuration names."""

    file: Path | None  # None: the picture that ships with the project
    photo: Photo | None  # which one; None until its file is read

    @property
    def given(self) -> str:
        """What `atlas dream` takes for it: the file's name, since its folder is this machine's."""
        return self.file.name if self.file else DRAWN

    @property
    def title(self) -> str:
        """What people read: the file's name. What cannot be shown, or would turn the text around it, is replaced."""
        return "".join(char if char.isprintable() or char in _JOINERS else "\ufffd" for char in self.given)

    @property
    def slug(self) -> str:
        """The file's name without ending, cut, in characters that every file system takes; empty if none is left."""
        return self._whole_slug[:LONGEST_NAME].strip(".-")

    @property
    def is_slug_whole(self) -> bool:
        """Whether the slug was not cut."""
        return len(self._whole_slug) <= LONGEST_NAME

    @property
    def _whole_slug(self) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.file.stem if self.file else DRAWN)
