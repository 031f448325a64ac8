"""Strips of stages in the site: copied from the store as they are, since they are small and AVIF already."""

import hashlib
from pathlib import Path

from atlas.errors import StoreError
from atlas.site.catalogue import Atlas, Exhibit
from atlas.site.output import Output


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
    strips = [(stages_copy(feature), _read(feature.stages)) for feature in atlas.features if feature.stages]
    stale = [(path, data) for path, data in strips if not output.has_copy(path, _digest(data))]
    output.claim(path for path, _ in stale)
    for path, data in stale:
        output.write_copy(path, data, _digest(data))
    return tuple(path for path, _ in strips)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror}; allow this user to read it") from None
