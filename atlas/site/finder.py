"""What can be found: atlas and pages → the index of the search, as a script of some bytes a feature."""

import json
from collections.abc import Iterable, Mapping
from itertools import count, groupby
from typing import Any

from atlas.inception import layers
from atlas.site.catalogue import STATES, Atlas, LayerEntry
from atlas.site.models import Page

NAME = "atlasIndex"  # the variable that the script sets
_FIRST = "0"  # the character that stands for the first entry of a list; the others follow it


def index_script(atlas: Atlas, pages: Iterable[Page]) -> str:
    """The index as a script, which a page loads when a reader searches.

    A layer has its features' numbers as ranges, and of their states, colours and words a string with a character each.

    Args:
        atlas: whose features.
        pages: of which all but those of features are listed by title, address and description.
    """
    words = places(map(atlas.words_of, atlas.features))
    colours = sorted({atlas.colours.get(feature.face.folder, ()) for feature in atlas.features})
    index = {
        "states": STATES,
        "colours": [" ".join(names) for names in colours],
        "words": list(words),
        "layers": [_layer(entry, atlas, colours, words) for entry in atlas.layers if entry.features],
        "pages": [[page.title, page.path, page.description] for page in pages if _is_listed(page)],
    }
    return f"window.{NAME} = {json.dumps(index, ensure_ascii=False, separators=(',', ':'))};\n"


def _layer(entry: LayerEntry, atlas: Atlas, colours: list[tuple[str, ...]], words: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": entry.layer.name,
        "region": layers.get_region(entry.layer.region).title,
        "branches": [[branch.name, branch.first] for branch in entry.layer.branches],
        "numbers": ranges(feature.number for feature in entry.features),
        "state": letters(STATES.index(feature.status) for feature in entry.features),
        "colour": letters(colours.index(atlas.colours.get(feature.face.folder, ())) for feature in entry.features),
        "word": letters(words[atlas.words_of(feature)] for feature in entry.features),
        "faces": {feature.number: f"{feature.face.folder}/" for feature in entry.features if feature.rescued},
    }


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers in few characters, such as "0-15,654"."""
    steps = count()
    runs = [list(run) for _, run in groupby(numbers, key=lambda number: number - next(steps))]
    return ",".join(f"{run[0]}-{run[-1]}" if run[1:] else str(run[0]) for run in runs)


def places(words: Iterable[str]) -> dict[str, int]:
    """Words, each once and sorted, and the position of each."""
    return {word: at for at, word in enumerate(sorted(set(words)))}


def letters(positions: Iterable[int]) -> str:
    """Positions in a list, a character for each."""
    return "".join(chr(ord(_FIRST) + at) for at in positions)


def _is_listed(page: Page) -> bool:
    """Whether it is neither a feature's nor a further page of a layer, and has a title of its own."""
    return bool(page.title) and page.template != "feature.html" and "/page/" not in page.path
