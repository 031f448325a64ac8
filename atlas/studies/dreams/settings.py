"""Settings of deep dreams: its table [dream]."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import PlainValidator

from atlas.common.errors import ConfigError, shorten
from atlas.inception import layers
from atlas.inception.targets import Term
from atlas.plan.settings import EachOnce, Info, RecipeName, StudySettings, Targets, Whole, read_path
from atlas.plan.starts import DRAWN, DRAWN_PHOTO, LARGEST_SIDE, StartPhoto


def _read_photo(value: object, info: Info) -> StartPhoto:
    return value if isinstance(value, StartPhoto) else _name_photo(value, info.context.folder)


def _name_photo(value: object, folder: Path) -> StartPhoto:
    return StartPhoto(None, DRAWN_PHOTO) if value == DRAWN else StartPhoto(read_path(value, folder), None)


@dataclass(frozen=True)
class Settings(StudySettings):
    """Photographs and the targets that each is changed towards.

    Attributes:
        photos: Files, or "drawn" for the picture that ships with the project. These pictures enter the site.
        targets: Each photograph is changed towards each of them.
        recipe: By which.
        size: Pixels of the shorter side. Default: the recipe’s.
    """

    photos: Annotated[tuple[Annotated[StartPhoto, PlainValidator(_read_photo)], ...], EachOnce]
    targets: Targets
    recipe: RecipeName
    size: Annotated[int, Whole(layers.MIN_SIZE, LARGEST_SIDE)] | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        """The features that it names."""
        return super().terms if self.photos else ()


def name_photos(texts: Iterable[str]) -> tuple[StartPhoto, ...]:
    """Photographs by their paths, or "drawn" for the picture that ships with the project; each once.

    Raises:
        ConfigError: a text is no path.
    """
    photos: dict[StartPhoto, None] = {}
    for text in texts:
        try:
            photos[_name_photo(text, Path())] = None
        except ConfigError as error:
            raise ConfigError(f'"{shorten(text)}": {error}') from None
    return tuple(photos)
