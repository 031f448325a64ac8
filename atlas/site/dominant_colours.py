"""The dominant colours of pictures, by name: measured once on each web copy, and noted in the site's manifest."""

from collections import Counter
from pathlib import Path

from PIL import Image

from atlas.site.catalogue import Atlas, Colours
from atlas.site.colour import strong_colours
from atlas.site.output import Output

METHOD = "1"  # another one measures all pictures again
_SIDE = 40  # pixels of the side at which a picture is measured
_LEVELS = 0xFC  # the bits of a channel that count, so that few colours are measured, and each once


def measure_colours(atlas: Atlas, site: Path, output: Output) -> Colours:
    """The colours of the pictures of all features, own and rescued ones, from the thumbnails in the site."""
    folders = (one.folder for feature in atlas.features if feature.record for one in (feature, feature.face))
    return {folder: _colours_of(folder, site, output) for folder in folders}


def _colours_of(folder: str, site: Path, output: Output) -> tuple[str, ...]:
    path = f"{folder}/thumb.jpg"
    noted = (output.seen(path) or "").split()
    if noted[:1] != [METHOD]:
        noted = [METHOD, *picture_colours(site / path)]
        output.note_seen(path, " ".join(noted))
    return tuple(noted[1:])


def picture_colours(file: Path) -> tuple[str, ...]:
    """Names of the strong colours of a picture."""
    with Image.open(file) as image:
        small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX).point(lambda value: value & _LEVELS)
    data = small.tobytes()
    counts = Counter(zip(data[::3], data[1::3], data[2::3], strict=True))
    return strong_colours(((r / _LEVELS, g / _LEVELS, b / _LEVELS), count) for (r, g, b), count in counts.items())
