"""Web copies: masters → AVIF and JPEG bytes without chroma subsampling, and sheets. Equal input, equal bytes."""

import hashlib
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count
from pathlib import Path
from typing import Literal

from PIL import Image, features

from atlas.errors import StoreError
from atlas.site.catalogue import Atlas, Exhibit, LayerEntry, RegionEntry
from atlas.site.crops import ShownExamples
from atlas.site.output import Output
from atlas.site.sheets import Sheet, layer_sheet, region_sheet
from atlas.store.crops import open_crop
from atlas.store.masters import open_master
from atlas.store.photos import open_kept

THUMB = 160  # pixels of a thumbnail's longer side
CROP = 96  # pixels up to which a small crop is enlarged, by a whole number
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
    """The copies that are made from one picture: a master, a photograph, or a sheet."""

    copies: tuple[Copy, ...]
    draw: Callable[[], Image.Image]


class SpoiltError(Exception):
    """The pixels of a master or of a photograph are damaged."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(why)
        self.file = file


@dataclass(frozen=True)
class Encoded:
    """What came of encoding."""

    paths: tuple[str, ...]  # of all copies in the site
    count: int  # encoded this time
    spoilt: dict[Path, str]  # damaged files, and what is wrong with them; their copies and sheets are not made


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
    works = [_exhibit_work(exhibit) for exhibit in atlas.shown_or_pending if exhibit.record]
    works += [_before_work(exhibit, exhibit.photo) for exhibit in atlas.exhibits.values() if exhibit.photo]
    works += [_region_sheet_work(region) for region in atlas.regions if has_sheet(region)]
    works += [_layer_sheet_work(entry) for entry in atlas.layers if entry.shown]
    works += _crop_works(atlas.examples) if atlas.examples else []
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
                    spoilt[result.file] = str(result)
                    continue
                for copy, data in zip(work.copies, result, strict=True):
                    output.write_copy(copy.path, data, copy.source)
                count += len(result)
                if on_progress:
                    on_progress(count, total)
            output.save()
    return Encoded(tuple(copy.path for work in works for copy in work.copies), count, spoilt)


def has_sheet(region: RegionEntry) -> bool:
    """Whether there is anything to show in a sheet."""
    return any(entry.shown for entry in region.layers)


def sheet_folder(region: RegionEntry) -> str:
    """Where a region's sheet lies in the site."""
    return f"region/{region.region.slug}"


def layer_sheet_path(entry: LayerEntry) -> str:
    """Path of a layer's sheet in the site."""
    return f"{entry.layer.name}/sheet.avif"


def _exhibit_work(exhibit: Exhibit) -> Work:
    record = exhibit.record
    assert record  # asked for what is shown
    is_fine = exhibit.job.target.deepest == _FINE_LAYER or record.recipe_name == _FINE_RECIPE
    avif = Encoder("AVIF", 75 if is_fine else 60)
    size = max(record.width, record.height)
    wanted = (("picture.avif", avif, size), ("thumb.avif", avif, THUMB), ("thumb.jpg", JPEG, THUMB))
    copies = (
        Copy(f"{exhibit.folder}/{name}", encoder, largest, _digest(record.pixels_sha256, str(largest), encoder))
        for name, encoder, largest in wanted
    )
    return Work(tuple(copies), lambda: _open(exhibit))


def _before_work(exhibit: Exhibit, photo: Path) -> Work:
    """Copies of the photograph that a rendering starts from, at the rendering's size."""
    record = exhibit.record
    assert record  # asked for what is shown
    size = record.width, record.height
    wanted = (("before.avif", Encoder("AVIF", 60), max(size)), ("before.jpg", JPEG, THUMB))
    copies = (
        Copy(f"{exhibit.folder}/{name}", encoder, largest, _digest(record.start, f"{size} {largest}", encoder))
        for name, encoder, largest in wanted
    )
    return Work(tuple(copies), lambda: _open_photo(photo).resize(size, Image.Resampling.LANCZOS))


def crop_path(file: str) -> str:
    """Where the copies of a crop lie in the site, without ending: one place, whichever features share it."""
    return f"examples/{Path(file).stem}"


def crop_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a crop in the site: one of a few pixels is enlarged, so that they can be told apart."""
    times = max(1, CROP // max(size))
    return size[0] * times, size[1] * times


def _crop_works(examples: ShownExamples) -> list[Work]:
    return [_crop_work(examples.folder / file) for file in examples.files]


def _crop_work(crop: Path) -> Work:
    copies = (
        Copy(f"{crop_path(crop.name)}.{ending}", encoder, THUMB, _digest(crop.name, f"{CROP} {THUMB}", encoder))
        for ending, encoder in (("avif", Encoder("AVIF", 60)), ("jpg", JPEG))
    )
    return Work(tuple(copies), lambda: _open_crop(crop))


def _sheet_work(sheet: Sheet, copies: Iterable[tuple[str, Encoder]]) -> Work:
    what = ";".join(",".join(f.record.pixels_sha256 if f.record else "-" for f in row) for row in sheet.rows)
    layout = f"{sheet.tile} {sheet.gap} {_GROUND} {_PENDING_GROUND}"
    made = (Copy(path, encoder, max(sheet.size), _digest(what, layout, encoder)) for path, encoder in copies)
    return Work(tuple(made), lambda: _draw_sheet(sheet))


def _region_sheet_work(region: RegionEntry) -> Work:
    folder = sheet_folder(region)
    copies = ((f"{folder}/sheet.avif", Encoder("AVIF", 60)), (f"{folder}/sheet.jpg", JPEG))
    return _sheet_work(region_sheet(region), copies)


def _layer_sheet_work(entry: LayerEntry) -> Work:
    return _sheet_work(layer_sheet(entry), [(layer_sheet_path(entry), Encoder("AVIF", 40))])


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


def _open(exhibit: Exhibit) -> Image.Image:
    assert exhibit.master  # with a record there is one
    try:
        return open_master(exhibit.master)[0]
    except StoreError as error:
        raise SpoiltError(exhibit.master, str(error)) from None


def _open_photo(photo: Path) -> Image.Image:
    try:
        return open_kept(photo)
    except StoreError as error:
        raise SpoiltError(photo, str(error)) from None


def _open_crop(crop: Path) -> Image.Image:
    try:
        image = open_crop(crop)
    except StoreError as error:
        raise SpoiltError(crop, str(error)) from None
    return image.resize(crop_size(image.size), Image.Resampling.NEAREST)


def _draw_sheet(sheet: Sheet) -> Image.Image:
    drawn = Image.new("RGB", sheet.size, _GROUND)
    pending = Image.new("RGB", (sheet.tile, sheet.tile), _PENDING_GROUND)
    step = sheet.tile + sheet.gap
    for row, members in enumerate(sheet.rows):
        for column, feature in enumerate(members):
            tile = _shrink(_open(feature), sheet.tile) if feature.record else pending
            drawn.paste(tile, (sheet.gap + column * step, sheet.gap + row * step))
    return drawn
