"""Photographs that a descent may start from: what they are, wherever they lie."""

from dataclasses import dataclass

from atlas.plan.blocks import Size

LARGEST_SIDE = 1200  # pixels: the shorter side of a photograph as it is kept, and of a dream


@dataclass(frozen=True)
class Photo:
    """A photograph as a start: a job and its path follow from this alone, and the pixels lie in the store."""

    sha256: str  # of the file's bytes
    size: Size  # (height, width) in pixels as it is kept: upright, its shorter side at most `LARGEST_SIDE`


DRAWN = "drawn"  # says a configuration instead of a path: what the project draws itself
DRAWN_PHOTO = Photo("6e9cff2fed4a06aa2ec3e436dd20bdb162d9214b855c4741bbc8a25ff271b23b", (460, 690))  # by its script
