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
    """A folder of pictures from which crops are taken, and whether the site shows them.

    Attributes:
        folder: A folder, subfolders included; "drawn" for pictures that the project draws; "" for none.
        size: Pixels of the square in the middle of each picture that the network sees.
        show: Whether crops enter the site. Numbers do anyway.
        title: Where the pictures come from, in words for pages.
        credits: Who made them and their licences, a line each.
    """

    folder: Annotated[Path | Literal["drawn"] | None, PlainValidator(_read_folder)]
    size: Annotated[int, Whole(layers.MIN_SIZE, LARGEST_SIZE)]
    show: Flag
    title: Title
    credits: tuple[Title, ...] = ()

    def emptied(self) -> Self:
        """The same settings without pictures."""
        return replace(self, folder=None, show=False)
