"""The list of deep dreams: photographs, and what each is changed towards."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from atlas.errors import ConfigError
from atlas.plan import layers
from atlas.plan.lists.reading import Reader
from atlas.plan.starts import DRAWN, DRAWN_PHOTO, LARGEST_SIDE, Photo
from atlas.plan.tables import read_path
from atlas.plan.targets import Target, Term

LONGEST_NAME = 40  # characters of a file's name in paths


@dataclass(frozen=True)
class StartPhoto:
    """A photograph that a configuration names."""

    name: str  # in the paths of pages: its file's name without ending, in characters that every file system takes
    file: Path | None  # None: the picture that ships with the project
    photo: Photo | None  # what it is; None until somebody looks at the file

    @property
    def given(self) -> str:
        """What `atlas dream` takes for it: the file's name, since its folder is this machine's."""
        return self.file.name if self.file else DRAWN


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
        ConfigError: two different files have one name, and so would share a page.
    """
    found: dict[str, StartPhoto] = {}
    for text in dict.fromkeys(texts):
        photo = _name_photo(text, folder)
        other = found.setdefault(photo.name.lower(), photo)
        if other != photo:
            raise ConfigError(f'"{other.given}" and "{photo.given}" would share the name {photo.name}; rename one')
    return tuple(found.values())


def _name_photo(text: str, folder: Path) -> StartPhoto:
    if text == DRAWN:
        return StartPhoto(DRAWN, None, DRAWN_PHOTO)
    file = read_path(text, folder)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(text).stem)[:LONGEST_NAME].strip(".-")
    return StartPhoto(name or "photo", file, None)
