"""Pictures and videos as files: is one whole? Path → what is wrong with it."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from atlas.common.paths import read_whole

MOST_BYTES = 2**30  # of a picture or a video; a site of more cannot be published
MEDIA = (".avif", ".jpg", ".png", ".mp4")
# Pillow's readers raise whatever a damaged file leads them to, so this names all but want of memory and Ctrl-C;
# a warning of a bomb is an error only where a person or a test says so.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_JPEG_END = b"\xff\xd9"


def media_fault(path: Path, *, is_copy: bool = False) -> str | None:
    """Find out whether a picture or a video is whole.

    Args:
        path: of the file.
        is_copy: whether this program made it for the web: in sRGB, without a colour profile. Then it is decoded, as
            browsers must.

    Returns:
        What is wrong with it; None if nothing is.
    """
    return _video_fault(path) if path.suffix == ".mp4" else _picture_fault(path, is_copy)


def _picture_fault(path: Path, is_copy: bool) -> str | None:
    try:
        data = read_whole(path, MOST_BYTES)
        with Image.open(io.BytesIO(data)) as image:
            has_profile = "icc_profile" in image.info
            if is_copy:  # browsers must decode it
                image.load()
    except DAMAGE:
        return "not a picture"
    if is_copy and has_profile:
        return "has a colour profile, and of an AVIF whose profile is not one of RGB browsers show nothing"
    is_whole = data.endswith(_JPEG_END) if path.suffix == ".jpg" else path.suffix != ".avif" or has_all_boxes(data)
    return None if is_whole else "cut off"


def _video_fault(path: Path) -> str | None:
    try:
        data = read_whole(path, MOST_BYTES)
    except OSError:
        return "not a video"
    kinds = [kind for kind, _ in _boxes(data)]
    if kinds[:1] != [b"ftyp"] or not {b"moov", b"mdat"} <= set(kinds):
        return "not a video"
    if not has_all_boxes(data):
        return "cut off"
    if kinds.index(b"moov") > kinds.index(b"mdat"):
        return "its index is at its end, so that a browser must load all of it before it plays"
    return None


def has_all_boxes(data: bytes) -> bool:
    """Whether the boxes that an AVIF or MP4 file is made of end where the file does."""
    ends = [end for _, end in _boxes(data)]
    return ends[-1:] == [len(data)]


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The kind of each box of an AVIF or MP4 file, and where it ends."""
    at = 0
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        at += int.from_bytes(data[at : at + 4]) or len(data)
        yield kind, at
