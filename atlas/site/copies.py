"""A picture → its web copies: what it is drawn from, and how it is encoded. Equal input, equal bytes.

Everything here can be sent to another process, so a picture is named by its file and opened where it is encoded.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL import Image, features

from atlas.common.errors import StoreError
from atlas.store.crops import open_crop
from atlas.store.masters import open_master
from atlas.store.photos import open_kept

CROP = 96  # pixels up to which a small crop is enlarged, by a whole number
_GROUND = (20, 20, 20)
_PENDING_GROUND = (72, 72, 72)

Format = Literal["AVIF", "JPEG"]


@dataclass(frozen=True)
class Encoder:
    """How a web copy is encoded, without chroma subsampling."""

    format: Format
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
        buffer = io.BytesIO()
        if self.format == "AVIF":
            # one thread for each picture: the bytes depend on the number, and pictures run side by side anyway
            settings = {"quality": self.quality, "subsampling": "4:4:4", "speed": self.speed, "max_threads": 1}
            image.save(buffer, "AVIF", icc_profile=None, **settings)
        else:
            image.save(buffer, "JPEG", icc_profile=None, quality=self.quality, subsampling=0)
        return buffer.getvalue()


@dataclass(frozen=True)
class MasterSource:
    """A master's picture."""

    file: Path

    def draw(self) -> Image.Image:
        """The picture.

        Raises:
            SpoiltError: its pixels are damaged.
        """
        try:
            return open_master(self.file)[0]
        except StoreError as error:
            raise SpoiltError(self.file, str(error)) from None


@dataclass(frozen=True)
class PhotoSource:
    """A photograph at the size of the rendering that starts from it."""

    file: Path
    size: tuple[int, int]  # (width, height) in pixels

    def draw(self) -> Image.Image:
        """The picture.

        Raises:
            SpoiltError: its pixels are damaged.
        """
        try:
            return open_kept(self.file).resize(self.size, Image.Resampling.LANCZOS)
        except StoreError as error:
            raise SpoiltError(self.file, str(error)) from None


@dataclass(frozen=True)
class CropSource:
    """A crop of a person's picture; one of a few pixels is enlarged."""

    file: Path

    def draw(self) -> Image.Image:
        """The picture.

        Raises:
            SpoiltError: its pixels are damaged.
        """
        try:
            image = open_crop(self.file)
        except StoreError as error:
            raise SpoiltError(self.file, str(error)) from None
        return image.resize(crop_size(image.size), Image.Resampling.NEAREST)


@dataclass(frozen=True)
class SheetSource:
    """Masters in rows; None is a grey square for one that is pending."""

    rows: tuple[tuple[Path | None, ...], ...]
    tile: int  # pixels of a picture's side
    gap: int  # pixels between two
    size: tuple[int, int]  # (width, height) in pixels

    @property
    def layout(self) -> str:
        """What its pixels depend on beside its pictures."""
        return f"{self.tile} {self.gap} {_GROUND} {_PENDING_GROUND}"

    def draw(self) -> Image.Image:
        """The picture.

        Raises:
            SpoiltError: the pixels of one of its masters are damaged.
        """
        sheet = Image.new("RGB", self.size, _GROUND)
        pending = Image.new("RGB", (self.tile, self.tile), _PENDING_GROUND)
        step = self.tile + self.gap
        for row, files in enumerate(self.rows):
            for column, file in enumerate(files):
                tile = _shrink(MasterSource(file).draw(), self.tile) if file else pending
                sheet.paste(tile, (self.gap + column * step, self.gap + row * step))
        return sheet


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
    source: MasterSource | PhotoSource | CropSource | SheetSource


@dataclass(frozen=True)
class Spoilt:
    """A file whose pixels are damaged."""

    file: Path
    why: str


class SpoiltError(Exception):
    """The pixels of a file are damaged."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(why)
        self.spoilt = Spoilt(file, why)


def make_copies(work: Work) -> Sequence[bytes] | Spoilt:
    """The files of a picture's copies, in their order, or what is wrong with the picture.

    Raises:
        StoreError: the picture is whole, and cannot be encoded.
    """
    try:
        image = work.source.draw()
    except SpoiltError as error:
        return error.spoilt
    try:
        return [copy.encoder.encode(_shrink(image, copy.largest)) for copy in work.copies]
    except (OSError, MemoryError) as error:
        raise StoreError(f"{work.copies[0].path}: the web copy cannot be encoded: {error}") from None


def fit(size: tuple[int, int], largest: int) -> tuple[int, int]:
    """(width, height) of a picture whose longer side may have so many pixels; a smaller one is not enlarged."""
    longer = max(size)
    if longer <= largest:
        return size
    return max(1, round(size[0] * largest / longer)), max(1, round(size[1] * largest / longer))


def crop_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a crop in the site: one of a few pixels is enlarged, so that they can be told apart."""
    times = max(1, CROP // max(size))
    return size[0] * times, size[1] * times


def _shrink(image: Image.Image, largest: int) -> Image.Image:
    size = fit(image.size, largest)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
