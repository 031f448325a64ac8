"""Pictures and videos as files: written, opened without trust, and checked."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from PIL.ImageFile import ImageFile

from atlas.common.errors import StoreError
from atlas.common.paths import open_file, read_file

MOST_BYTES = 2**30  # of a picture or a video; a site of more cannot be published
MEDIA = (".avif", ".jpg", ".png", ".mp4")
_JPEG_END = b"\xff\xd9"


@contextmanager
def open_picture(path: Path, kind: str, most: int, remedy: str) -> Iterator[ImageFile]:
    """Open a picture of a store. Only its header is read; its pixels are decoded when they are used.

    Args:
        path: of the file.
        kind: a format of Pillow's.
        most: bytes that the file may have.
        remedy: what to do, for the error's message.

    Raises:
        StoreError: not there, too large, of another kind, or damaged. Decoding in the context raises it too.
    """
    with damage_refused(path, remedy), open_file(path, most) as file, Image.open(file, formats=[kind]) as image:
        yield image


@contextmanager
def damage_refused(path: Path, remedy: str) -> Iterator[None]:
    """Raise the errors of Pillow's readers as a `StoreError`. On damaged files they raise many kinds.

    A file that may not be read need not be damaged, so that its error advises nothing.
    """
    try:
        yield
    except (StoreError, MemoryError):  # too little memory is no fault of the file
        raise
    except Exception as error:
        is_closed = getattr(error, "errno", None) in (errno.EACCES, errno.EPERM)
        why = f"{error}" if is_closed else f"missing or damaged: {error}; {remedy}"
        raise StoreError(f"{path}: {why}") from None


def encoded(picture: Image.Image, kind: str, **settings: object) -> bytes:
    """Encode a picture as a file of a kind; settings are those of `Image.save`."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def media_fault(path: Path, *, is_copy: bool = False) -> str | None:
    """Check whether a picture or a video is whole.

    Args:
        path: of the file.
        is_copy: whether it is a copy for the web. Then it must decode, and have no colour profile.

    Returns:
        What is wrong with it; None if nothing is.
    """
    return _video_fault(path) if path.suffix == ".mp4" else _picture_fault(path, is_copy)


def _picture_fault(path: Path, is_copy: bool) -> str | None:
    try:
        with damage_refused(path, ""):
            data = read_file(path, MOST_BYTES)
            with Image.open(io.BytesIO(data)) as image:
                has_profile = "icc_profile" in image.info
                if is_copy:  # browsers must decode it
                    image.load()
    except StoreError:
        return "not a picture"
    if is_copy and has_profile:
        return "has a colour profile, and of an AVIF whose profile is not one of RGB browsers show nothing"
    is_whole = data.endswith(_JPEG_END) if path.suffix == ".jpg" else path.suffix != ".avif" or has_all_boxes(data)
    return None if is_whole else "cut off"


def _video_fault(path: Path) -> str | None:
    try:
        data = read_file(path, MOST_BYTES)
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
    """Whether the last box of an AVIF or MP4 file ends where the file does."""
    ends = [end for _, end in _boxes(data)]
    return ends[-1:] == [len(data)]


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The kind and the end of each box of an AVIF or MP4 file."""
    at = 0
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        at += int.from_bytes(data[at : at + 4]) or len(data)
        yield kind, at
