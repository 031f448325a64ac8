"""The pictures of which a feature's strongest crops are kept, and whether the site shows them."""

from dataclasses import dataclass, replace
from pathlib import Path

from atlas.common.errors import ConfigError
from atlas.inception import layers
from atlas.inception.targets import Term
from atlas.plan.reading import Reader
from atlas.plan.starts import DRAWN
from atlas.plan.tables import read_path

LARGEST_SIZE = 1200  # pixels


@dataclass(frozen=True)
class ExampleList:
    """A folder of pictures to look at, and what the site says of them."""

    folder: Path | None  # None: drawn pictures, or nothing
    drawn: bool  # whether the pictures are those that the project draws
    size: int  # pixels of the square that the network sees of each
    show: bool  # whether crops enter the site
    title: str  # where the pictures come from, in words for pages

    @property
    def terms(self) -> tuple[Term, ...]:
        """None: examples are of features that have pages anyway."""
        return ()

    def emptied(self) -> "ExampleList":
        """The same settings with nothing asked and nothing shown."""
        return replace(self, folder=None, drawn=False, show=False)


def read_examples(reader: Reader, base: ExampleList | None) -> ExampleList:
    """Read the table [examples]."""
    table = reader.table
    folder, drawn = (base.folder, base.drawn) if base else (None, False)
    if table.has("folder") or not base:
        text = table.text("folder")
        drawn = text == DRAWN
        try:
            folder = read_path(text, reader.folder) if text and not drawn else None
        except ConfigError as error:
            table.fail("folder", f'must be the path of a folder, "drawn", or "" for none: {error}')
    title = table.text("title", base.title if base else None)
    if not title.strip():
        table.fail("title", "must say in words where the pictures come from")
    return ExampleList(
        folder=folder,
        drawn=drawn,
        size=table.integer("size", base.size if base else None, least=layers.MIN_SIZE, most=LARGEST_SIZE),
        show=table.boolean("show", base.show if base else False),
        title=title,
    )
