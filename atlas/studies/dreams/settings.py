"""The list of deep dreams: photographs, and what each is changed towards."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from atlas.common.errors import ConfigError
from atlas.inception import layers
from atlas.inception.targets import Target, Term
from atlas.plan.reading import Reader
from atlas.plan.starts import DRAWN, DRAWN_PHOTO, LARGEST_SIDE, StartPhoto
from atlas.plan.tables import read_path


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
