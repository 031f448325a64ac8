"""A picture → its web copies: what it is drawn from, and how it is encoded. Equal input, equal bytes.

A picture is named by its file and opened where it is encoded, so that few are in memory at once.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL import Image, features

from atlas.common.cores import count_cores
from atlas.common.errors import StoreError
from atlas.plan.jobs import Job
from atlas.site.models import fit
from atlas.store.masters import open_master
from atlas.store.media import encoded

QUALITY = 60  # of AVIF
THUMB_QUALITY = 50  # of a thumbnail, in which no difference is seen, and which a page has dozens of
FINE_QUALITY = 75  # for the palette of the first layer, and for the fine grid of what is rendered without blur
_SPEED = 9
_FINE_SPEED = 6  # takes ten times as long, and files are a seventh smaller
_AHEAD = 32  # works for each core that are begun together
GROUND, _PENDING_GROUND = (20, 20, 20), (72, 72, 72)
SHEET_GREYS = f"{GROUND} {_PENDING_GROUND}"  # what the pixels of a sheet depend on beside its pictures and its layout


@dataclass(frozen=True)
class Encoder:
    """How a web copy is encoded, without chroma subsampling."""

    format: Literal["AVIF", "JPEG"]
    quality: int
    speed: int | None = None  # of AVIF, 0 to 10: a slower one makes smaller files

    @cached_property
    def identity(self) -> str:
        """Settings and versions: all that the bytes depend on besides the pixels."""
        library = features.version("avif" if self.format == "AVIF" else "libjpeg_turbo")
        speed = "" if self.speed is None else f"speed {self.speed} "
        return f"{self.format} q{self.quality} 4:4:4 {speed}{library}"

    def encode(self, image: Image.Image) -> bytes:
        """The picture as a file."""
        # one thread for each AVIF: the bytes depend on the number, and pictures are encoded side by side anyway
        settings = {"quality": self.quality, "subsampling": "4:4:4", "speed": self.speed, "max_threads": 1}
        return encoded(image, self.format, icc_profile=None, **settings)


JPEG = Encoder("JPEG", 82)
SMALL_JPEG = Encoder("JPEG", 35)  # for a site that is to be small
_FINE_LAYER = "Conv2d_1a_3x3"


def is_fine(job: Job) -> bool:
    """Whether a rendering has details of one pixel, and so web copies of higher quality."""
    return job.target.deepest == _FINE_LAYER or job.recipe.is_sharp


def avif_encoder(fine: bool, quality: int = QUALITY) -> Encoder:
    """The encoder of AVIF files; a fine one is slower, and its files are smaller."""
    return Encoder("AVIF", quality, _FINE_SPEED if fine else _SPEED)


@dataclass(frozen=True)
class Copy:
    """One web copy of a picture."""

    path: str  # in the site
    encoder: Encoder
    largest: int  # pixels of the longer side at most
    source: str  # digest of all that the bytes depend on


@dataclass(frozen=True)
class Work:
    """The copies that are made from one picture."""

    copies: tuple[Copy, ...]
    draw: Callable[[], Image.Image]  # raises SpoiltError where the pixels of a file are damaged


class SpoiltError(Exception):
    """The pixels of a file are damaged."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(why)
        self.file, self.why = file, why


def make_work(
    draw: Callable[[], Image.Image], pixels: str, copies: Iterable[tuple[str, Encoder, int]], layout: str = ""
) -> Work:
    """Describe the copies of a picture.

    Args:
        draw: makes the picture.
        pixels: names the pixels of its files, such as by their hash.
        copies: path in the site, encoder and largest side of each.
        layout: what else the picture depends on.
    """

    def digest(encoder: Encoder, largest: int) -> str:
        return hashlib.sha256(f"{pixels}|{layout or largest}|{encoder.identity}".encode()).hexdigest()[:24]

    return Work(tuple(Copy(path, how, largest, digest(how, largest)) for path, how, largest in copies), draw)


def open_picture(file: Path, open_file: Callable[[Path], Image.Image]) -> Image.Image:
    """Open a file of the store for a web copy.

    Raises:
        SpoiltError: its pixels are damaged.
    """
    try:
        return open_file(file)
    except StoreError as error:
        raise SpoiltError(file, str(error)) from None


def draw_master(file: Path) -> Image.Image:
    """A master's picture."""
    return open_picture(file, lambda path: open_master(path)[0])


def draw_sheet(rows: Sequence[Sequence[Path | None]], tile: int, gap: int, size: tuple[int, int]) -> Image.Image:
    """Masters in rows.

    Args:
        rows: files; None draws a grey square for one that is pending.
        tile: pixels of a picture's side.
        gap: pixels between two.
        size: (width, height) of the sheet in pixels.
    """
    sheet = Image.new("RGB", size, GROUND)
    pending = Image.new("RGB", (tile, tile), _PENDING_GROUND)
    for row, files in enumerate(rows):
        for column, file in enumerate(files):
            picture = _shrink(draw_master(file), tile) if file else pending
            sheet.paste(picture, (gap + column * (tile + gap), gap + row * (tile + gap)))
    return sheet


def make_all(works: Sequence[Work]) -> Generator[Sequence[bytes] | SpoiltError, None, None]:
    """What `make_copies` returns for each work, in their order, in a thread for each core.

    Threads are enough: Pillow decodes, resizes and encodes without Python's lock, which is held for some hundredths of
    the time. A few works at a time are begun, so that memory does not grow with their number.

    Raises:
        StoreError: a picture cannot be encoded.
    """
    cores = count_cores()
    pool = ThreadPoolExecutor(cores)
    try:
        for at in range(0, len(works), _AHEAD * cores):
            yield from pool.map(make_copies, works[at : at + _AHEAD * cores])
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or an interruption, do not wait for what is not begun


def make_copies(work: Work) -> Sequence[bytes] | SpoiltError:
    """The files of a picture's copies, in their order, or what is wrong with the picture.

    Raises:
        StoreError: the picture is whole, and cannot be encoded.
    """
    try:
        image = work.draw()
    except SpoiltError as error:
        return error
    try:
        return [copy.encoder.encode(_shrink(image, copy.largest)) for copy in work.copies]
    except (OSError, MemoryError) as error:
        raise StoreError(f"{work.copies[0].path}: the web copy cannot be encoded: {error}") from None


def _shrink(image: Image.Image, largest: int) -> Image.Image:
    size = fit(image.size, largest)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
