"""Strips of stages in the site: copied from the store as they are, since they are small and AVIF already."""

import hashlib
from pathlib import Path

from atlas.common.errors import StoreError
from atlas.common.paths import read_file
from atlas.site.catalogue import Atlas, Exhibit
from atlas.site.output import Output
from atlas.store.stages import MOST_BYTES


def stages_copy(exhibit: Exhibit) -> str:
    """Where the strip of an exhibit lies in the site."""
    return f"{exhibit.folder}/stages.avif"


def copy_stages(atlas: Atlas, output: Output) -> tuple[str, ...]:
    """Copy the strips of all features that are missing in the site or changed.

    Returns:
        The paths of all of them, old and new.

    Raises:
        StoreError: a file cannot be read or written.
    """
    strips = {stages_copy(feature): feature.stages for feature in atlas.features if feature.stages}
    stale = [path for path, file in strips.items() if not output.has_copy(path, _digest(_read(file)))]
    output.claim(stale)
    for path in stale:  # read once more, since all together are too much for the memory
        data = _read(strips[path])
        output.write_copy(path, data, _digest(data))
    return tuple(strips)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _read(file: Path) -> bytes:
    try:
        return read_file(file, MOST_BYTES)
    except OSError as error:
        raise StoreError(f"{file}: {error}; allow this user to read it") from None
