"""Web copies: masters → AVIF and JPEG bytes without chroma subsampling, and region sheets. Equal input, equal bytes."""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count
from pathlib import Path
from typing import Literal

from PIL import Image, features

from atlas.errors import StoreError
from atlas.site.catalogue import Atlas, Feature, RegionEntry
from atlas.site.output import Output
from atlas.store.masters import open_master

THUMB = 160  # pixels of a thumbnail's longer side
SHEET_TILE = 96  # pixels of a picture in a region sheet
SHEET_COLUMNS = 16
_GAP = 4  # pixels between pictures of a sheet
_GROUND = (20, 20, 20)
_PENDING_GROUND = (72, 72, 72)
_FINE_LAYER = "Conv2d_1a_3x3"  # its palette, and the fine grid of raw renderings, need a higher quality
_FINE_RECIPE = "raw"
_BATCH = 128  # pictures between two saves of the manifest

Format = Literal["AVIF", "JPEG"]


@dataclass(frozen=True)
class Encoder:
    """How a web copy is encoded."""

    format: Format
    quality: int

    @property
    def identity(self) -> str:
        """Settings and versions: all that the bytes depend on besides the pixels."""
        library = features.version("avif" if self.format == "AVIF" else "libjpeg_turbo")
        return f"{self.format} q{self.quality} 4:4:4 speed 6 {library}"

    def encode(self, image: Image.Image) -> bytes:
        """The picture as a file."""
        buffer = io.BytesIO()
        if self.format == "AVIF":
            # one thread for each picture: the bytes depend on the number, and pictures run side by side anyway
            image.save(buffer, "AVIF", quality=self.quality, subsampling="4:4:4", speed=6, max_threads=1)
        else:
            image.save(buffer, "JPEG", quality=self.quality, subsampling=0)
        return buffer.getvalue()


JPEG = Encoder("JPEG", 90)


@dataclass(frozen=True)
class Copy:
    """One web copy of a picture."""

    path: str  # in the site
    encoder: Encoder
    largest: int  # pixels of the longer side at most
    source: str  # digest of all that the bytes depend on


@dataclass(frozen=True)
class Work:
    """The copies that are made from one picture: a feature's master, or a region's sheet."""

    copies: tuple[Copy, ...]
    draw: Callable[[], Image.Image]


class SpoiltError(Exception):
    """A master's pixels are damaged."""

    def __init__(self, master: Path, why: str) -> None:
        super().__init__(why)
        self.master = master


@dataclass(frozen=True)
class Encoded:
    """What came of encoding."""

    paths: tuple[str, ...]  # of all copies in the site
    count: int  # encoded this time
    spoilt: dict[Path, str]  # damaged masters, and what is wrong with them; their copies and sheets are not made


def fit(size: tuple[int, int], largest: int) -> tuple[int, int]:
    """(width, height) of a picture whose longer side may have so many pixels; a smaller one is not enlarged."""
    longer = max(size)
    if longer <= largest:
        return size
    return max(1, round(size[0] * largest / longer)), max(1, round(size[1] * largest / longer))


def encode_all(atlas: Atlas, output: Output, on_progress: Callable[[int, int], None] | None) -> Encoded:
    """Make the web copies that are missing or whose pictures changed.

    Args:
        atlas: what is shown.
        output: where to.
        on_progress: called with the number of copies made so far and how many there are to make; None: nobody.

    Raises:
        StoreError: a copy cannot be written.
    """
    works = [_feature_work(feature) for feature in atlas.features if feature.record]
    works += [_sheet_work(region) for region in atlas.regions if has_sheet(region)]
    todo = [work for work in (_only_stale(work, output) for work in works) if work.copies]
    total = sum(len(work.copies) for work in todo)
    output.claim(copy.path for work in todo for copy in work.copies)
    count = 0
    spoilt: dict[Path, str] = {}
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        for start in range(0, len(todo), _BATCH):
            batch = todo[start : start + _BATCH]
            for work, result in zip(batch, pool.map(_encode, batch), strict=True):
                if isinstance(result, SpoiltError):
                    spoilt[result.master] = str(result)
                    continue
                for copy, data in zip(work.copies, result, strict=True):
                    output.write_copy(copy.path, data, copy.source)
                count += len(result)
                if on_progress:
                    on_progress(count, total)
            output.save()
    return Encoded(tuple(copy.path for work in works for copy in work.copies), count, spoilt)


def has_sheet(region: RegionEntry) -> bool:
    """Whether there is anything to show in a region's sheet."""
    return any(entry.shown for entry in region.layers)


def sheet_rows(region: RegionEntry) -> tuple[tuple[Feature, ...], ...]:
    """The features of a sheet: a row for each layer, at most 16 each."""
    return tuple(entry.features[:SHEET_COLUMNS] for entry in region.planned)


def sheet_size(region: RegionEntry) -> tuple[int, int]:
    """(width, height) of a region's sheet in pixels."""
    rows = sheet_rows(region)
    columns = max(len(row) for row in rows)
    return columns * (SHEET_TILE + _GAP) + _GAP, len(rows) * (SHEET_TILE + _GAP) + _GAP


def sheet_folder(region: RegionEntry) -> str:
    """Where a region's sheet lies in the site."""
    return f"region/{region.region.slug}"


def _feature_work(feature: Feature) -> Work:
    record = feature.record
    assert record  # asked for features that are shown
    is_fine = feature.layer == _FINE_LAYER or record.recipe_name == _FINE_RECIPE
    avif = Encoder("AVIF", 75 if is_fine else 60)
    size = max(record.width, record.height)
    wanted = (("picture.avif", avif, size), ("thumb.avif", avif, THUMB), ("thumb.jpg", JPEG, THUMB))
    copies = (
        Copy(f"{feature.folder}/{name}", encoder, largest, _digest(record.pixels_sha256, str(largest), encoder))
        for name, encoder, largest in wanted
    )
    return Work(tuple(copies), lambda: _open(feature))


def _sheet_work(region: RegionEntry) -> Work:
    rows = sheet_rows(region)
    what = ";".join(",".join(f.record.pixels_sha256 if f.record else "-" for f in row) for row in rows)
    layout = f"{SHEET_TILE} {_GAP} {_GROUND} {_PENDING_GROUND}"
    folder, largest = sheet_folder(region), max(sheet_size(region))
    copies = (
        Copy(f"{folder}/{name}", encoder, largest, _digest(what, layout, encoder))
        for name, encoder in (("sheet.avif", Encoder("AVIF", 60)), ("sheet.jpg", JPEG))
    )
    return Work(tuple(copies), lambda: _draw_sheet(region))


def _digest(what: str, layout: str, encoder: Encoder) -> str:
    return hashlib.sha256(f"{what}|{layout}|{encoder.identity}".encode()).hexdigest()[:24]


def _only_stale(work: Work, output: Output) -> Work:
    return replace(work, copies=tuple(copy for copy in work.copies if not output.has_copy(copy.path, copy.source)))


def _encode(work: Work) -> list[bytes] | SpoiltError:
    try:
        image = work.draw()
    except SpoiltError as spoilt:
        return spoilt
    return [copy.encoder.encode(_shrink(image, copy.largest)) for copy in work.copies]


def _shrink(image: Image.Image, largest: int) -> Image.Image:
    size = fit(image.size, largest)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _open(feature: Feature) -> Image.Image:
    assert feature.master  # a feature with a record has one
    try:
        return open_master(feature.master)[0]
    except StoreError as error:
        raise SpoiltError(feature.master, str(error)) from None


def _draw_sheet(region: RegionEntry) -> Image.Image:
    sheet = Image.new("RGB", sheet_size(region), _GROUND)
    pending = Image.new("RGB", (SHEET_TILE, SHEET_TILE), _PENDING_GROUND)
    for row, members in enumerate(sheet_rows(region)):
        for column, feature in enumerate(members):
            tile = _shrink(_open(feature), SHEET_TILE) if feature.record else pending
            at = (_GAP + column * (SHEET_TILE + _GAP), _GAP + row * (SHEET_TILE + _GAP))
            sheet.paste(tile, at)
    return sheet
