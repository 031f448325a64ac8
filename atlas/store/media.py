"""Pictures and videos of a store and a site: opened without trusting them; whole, or what is wrong with them."""

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
    """Open a picture of a store; its header is read, and its pixels when somebody asks for them.

    Args:
        path: of the file.
        kind: of Pillow's formats.
        most: bytes that the file may have.
        remedy: the end of the error's message.

    Raises:
        StoreError: not there, too large, of another kind, or damaged, which also comes out while the context lasts.
    """
    with damage_refused(path, remedy), open_file(path, most) as file, Image.open(file, formats=[kind]) as image:
        yield image


@contextmanager
def damage_refused(path: Path, remedy: str) -> Iterator[None]:
    """Raise whatever a damaged file leads Pillow's readers to as a `StoreError`."""
    try:
        yield
    except (StoreError, MemoryError):  # the latter is no fault of the file
        raise
    except Exception as error:
        raise StoreError(f"{path}: missing or damaged: {error}; {remedy}") from None


def encoded(picture: Image.Image, kind: str, **settings: object) -> bytes:
    """The bytes of a picture's file; arguments as of `Image.save`."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


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
