"""The list of deep dreams: photographs, and what each is changed towards."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from atlas.common.errors import ConfigError
from atlas.inception import layers
from atlas.inception.targets import Target, Term
from atlas.plan.reading import Reader
from atlas.plan.starts import DRAWN, DRAWN_PHOTO, LARGEST_SIDE, Photo
from atlas.plan.tables import read_path

LONGEST_NAME = 40  # characters of a file's name in paths
_JOINERS = "\u200c\u200d"  # between letters of some scripts


@dataclass(frozen=True)
class StartPhoto:
    """A photograph that a configuration names."""

    file: Path | None  # None: the picture that ships with the project
    photo: Photo | None  # what it is; None until somebody looks at the file

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


@dataclass(frozen=True)
class DreamList:
    """Photographs and the targets that each is changed towards."""

    photos: tuple[StartPhoto, ...]
    targets: tuple[Target, ...]
    recipe: str
    size: int | None = None  # pixels of the finished dream's shorter side; None: the recipe's own

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names."""
        return tuple(term for target in self.targets for term in target.terms) if self.photos else ()

    def emptied(self) -> "DreamList":
        """The same settings with nothing listed."""
        return replace(self, photos=(), targets=())


def read_dream(reader: Reader, base: DreamList | None) -> DreamList:
    """Read the table [dream]."""
    photos = base.photos if base else ()
    if reader.table.has("photos") or not base:
        try:
            photos = name_photos(reader.table.texts("photos"), reader.folder)
        except ConfigError as error:
            reader.table.fail("photos", str(error))
    return DreamList(
        photos=photos,
        targets=reader.targets("targets", base.targets if base else None),
        recipe=reader.recipe(base.recipe if base else None),
        size=reader.optional("size", base.size if base else None, least=layers.MIN_SIZE, most=LARGEST_SIDE),
    )


def name_photos(texts: Iterable[str], folder: Path = Path()) -> tuple[StartPhoto, ...]:
    """Photographs by their paths, each once.

    Args:
        texts: paths, or "drawn" for the picture that ships with the project.
        folder: to which the paths are relative.

    Raises:
        ConfigError: a text is no path.
    """
    return tuple(dict.fromkeys(_name_photo(text, folder) for text in texts))


def _name_photo(text: str, folder: Path) -> StartPhoto:
    if text == DRAWN:
        return StartPhoto(None, DRAWN_PHOTO)
    return StartPhoto(read_path(text, folder), None)
