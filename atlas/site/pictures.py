"""Which web copies a site has: masters → AVIF and JPEG files, and sheets of them; only what changed is made."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from atlas.site.catalogue import Atlas, Exhibit, LayerEntry, RegionEntry
from atlas.site.copies import CROP, Copy, CropSource, Encoder, MasterSource, PhotoSource, SheetSource, Spoilt, Work
from atlas.site.output import Output
from atlas.site.sheets import Sheet, layer_sheet, region_sheet
from atlas.site.workers import make_all
from atlas.studies.examples.shown import ShownExamples

THUMB = 160  # pixels of a thumbnail's longer side
JPEG = Encoder("JPEG", 90)
_QUALITY = 60
_SHEET_QUALITY = 40  # of a layer's, which is a map of many small pictures
_FINE_QUALITY = 75  # for the palette of the first layer, and for the fine grid of what is rendered without blur
_FINE_LAYER = "Conv2d_1a_3x3"
_SPEED = 9
_FINE_SPEED = 6  # ten times as long, and a seventh smaller
_BATCH = 512  # pictures between two saves of the manifest

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CopySettings:
    """How the copies of a site are made."""

    fine: bool = False  # slower and smaller
    processes: int | None = None  # None: as suits the number of pictures and of cores; changes no byte

    def avif(self, quality: int = _QUALITY) -> Encoder:
        """The encoder of AVIF files."""
        return Encoder("AVIF", quality, _FINE_SPEED if self.fine else _SPEED)


@dataclass(frozen=True)
class Encoded:
    """What came of encoding."""

    paths: tuple[str, ...]  # of all copies in the site
    count: int  # encoded this time
    spoilt: dict[Path, str]  # damaged files, and what is wrong with them; their copies and sheets are not made


def encode_all(atlas: Atlas, output: Output, settings: CopySettings, on_progress: Progress | None) -> Encoded:
    """Make the web copies that are missing or whose pictures changed.

    Args:
        atlas: what is shown.
        output: where to.
        settings: how.
        on_progress: called with the number of copies made so far and how many there are to make; None: nobody.

    Raises:
        StoreError: a copy cannot be encoded or written. What was made before is kept, also after an interruption.
    """
    works = list(_works(atlas, settings))
    todo = [work for work in (_only_stale(work, output) for work in works) if work.copies]
    total = sum(len(work.copies) for work in todo)
    output.claim(copy.path for work in todo for copy in work.copies)
    count = 0
    spoilt: dict[Path, str] = {}
    with closing(make_all(todo, settings.processes)) as results:
        try:
            for at, (work, result) in enumerate(zip(todo, results, strict=True), 1):
                if isinstance(result, Spoilt):
                    spoilt[result.file] = result.why
                    continue
                for copy, data in zip(work.copies, result, strict=True):
                    output.write_copy(copy.path, data, copy.source)
                count += len(result)
                if on_progress:
                    on_progress(count, total)
                if at % _BATCH == 0:
                    output.save()
        finally:
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


def crop_path(file: str) -> str:
    """Where the copies of a crop lie in the site, without ending: one place, whichever features share it."""
    return f"examples/{Path(file).stem}"


def _works(atlas: Atlas, settings: CopySettings) -> Iterator[Work]:
    """All copies of the site, whether they are there or not."""
    for exhibit in atlas.shown_or_pending:
        if exhibit.record:
            yield _exhibit_work(exhibit, settings)
    for exhibit in atlas.exhibits.values():
        if exhibit.photo:
            yield _before_work(exhibit, exhibit.photo, settings)
    for region in atlas.regions:
        if has_sheet(region):
            yield _region_sheet_work(region, settings)
    for entry in atlas.layers:
        if entry.shown:
            yield _sheet_work(layer_sheet(entry), [(layer_sheet_path(entry), settings.avif(_SHEET_QUALITY))])
    if atlas.examples:
        yield from _crop_works(atlas.examples, settings)


def _exhibit_work(exhibit: Exhibit, settings: CopySettings) -> Work:
    record, master = exhibit.record, exhibit.master
    assert record  # asked for what is shown
    assert master  # with a record there is one
    is_fine = exhibit.job.target.deepest == _FINE_LAYER or exhibit.job.recipe.is_sharp
    avif = settings.avif(_FINE_QUALITY if is_fine else _QUALITY)
    size = max(record.width, record.height)
    wanted = (("picture.avif", avif, size), ("thumb.avif", avif, THUMB), ("thumb.jpg", JPEG, THUMB))
    copies = (
        Copy(f"{exhibit.folder}/{name}", encoder, largest, _digest(record.pixels_sha256, str(largest), encoder))
        for name, encoder, largest in wanted
    )
    return Work(tuple(copies), MasterSource(master))


def _before_work(exhibit: Exhibit, photo: Path, settings: CopySettings) -> Work:
    """Copies of the photograph that a rendering starts from, at the rendering's size."""
    record = exhibit.record
    assert record  # asked for what is shown
    size = record.width, record.height
    wanted = (("before.avif", settings.avif(), max(size)), ("before.jpg", JPEG, THUMB))
    copies = (
        Copy(f"{exhibit.folder}/{name}", encoder, largest, _digest(record.start, f"{size} {largest} sRGB", encoder))
        for name, encoder, largest in wanted
    )
    return Work(tuple(copies), PhotoSource(photo, size))


def _crop_works(examples: ShownExamples, settings: CopySettings) -> Iterator[Work]:
    for file in examples.files:
        copies = (
            Copy(f"{crop_path(file)}.{ending}", encoder, THUMB, _digest(file, f"{CROP} {THUMB}", encoder))
            for ending, encoder in (("avif", settings.avif()), ("jpg", JPEG))
        )
        yield Work(tuple(copies), CropSource(examples.folder / file))


def _region_sheet_work(region: RegionEntry, settings: CopySettings) -> Work:
    folder = sheet_folder(region)
    return _sheet_work(region_sheet(region), [(f"{folder}/sheet.avif", settings.avif()), (f"{folder}/sheet.jpg", JPEG)])


def _sheet_work(sheet: Sheet, copies: Iterable[tuple[str, Encoder]]) -> Work:
    what = ";".join(",".join(f.record.pixels_sha256 if f.record else "-" for f in row) for row in sheet.rows)
    source = SheetSource(tuple(tuple(f.master for f in row) for row in sheet.rows), sheet.tile, sheet.gap, sheet.size)
    made = (Copy(path, encoder, max(sheet.size), _digest(what, source.layout, encoder)) for path, encoder in copies)
    return Work(tuple(made), source)


def _digest(what: str, layout: str, encoder: Encoder) -> str:
    return hashlib.sha256(f"{what}|{layout}|{encoder.identity}".encode()).hexdigest()[:24]


def _only_stale(work: Work, output: Output) -> Work:
    return replace(work, copies=tuple(copy for copy in work.copies if not output.has_copy(copy.path, copy.source)))
