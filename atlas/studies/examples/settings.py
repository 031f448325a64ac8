"""Settings of the maximally activating crops: its table [examples]."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import PlainValidator

from atlas.common.errors import ConfigError
from atlas.inception import layers
from atlas.plan.settings import Flag, Info, StudySettings, Title, Whole, read_path, read_text
from atlas.plan.starts import DRAWN

LARGEST_SIZE = 1200  # pixels


def _read_folder(value: object, info: Info) -> Path | str | None:
    if value is None or isinstance(value, Path) or value == DRAWN:
        return value
    if not (text := read_text(value)):
        return None
    try:
        return read_path(text, info.context.folder)
    except ConfigError as error:
        raise ConfigError(f'{error}; "drawn" and "" for none are allowed too') from None


@dataclass(frozen=True)
class Settings(StudySettings):
    """A folder of pictures from which crops are taken, and whether the site shows them."""

    # "drawn": the pictures that the project draws; None: no pictures.
    folder: Annotated[Path | Literal["drawn"] | None, PlainValidator(_read_folder)]
    size: Annotated[int, Whole(layers.MIN_SIZE, LARGEST_SIZE)]  # pixels of the square that the network sees of each
    show: Flag  # whether crops enter the site
    title: Title  # where the pictures come from, in words for pages
    credits: tuple[Title, ...] = ()  # who made them and their licences, a line each, for the page

    def emptied(self) -> Self:
        """The same settings without pictures."""
        return replace(self, folder=None, show=False)
