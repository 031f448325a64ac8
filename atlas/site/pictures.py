"""Which web copies a site has: masters → AVIF and JPEG files, and sheets of them; only what changed is made.

Of thumbnails the dominant colours are measured, and noted in the site's manifest.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median_low

from PIL import Image

from atlas.site.catalogue import Atlas, Colours, LayerEntry, PlannedRendering, RegionEntry
from atlas.site.colour import main_hue, strong_colours
from atlas.site.copies import (
    FINE_QUALITY,
    JPEG,
    QUALITY,
    SHEET_GREYS,
    SMALL_JPEG,
    THUMB_QUALITY,
    Encoder,
    SpoiltError,
    Work,
    avif_encoder,
    draw_master,
    draw_sheet,
    is_fine,
    make_all,
    make_work,
)
from atlas.site.models import REGION_COLUMNS, THUMB, Picture
from atlas.site.output import Output

_SHEET_QUALITY = 40  # of a layer's, which is a map of many small pictures
_BATCH = 512  # pictures between two saves of the manifest
REGION_TILE = 96
LAYER_TILES = ((64, 96), (256, 64), (768, 48), (2048, 32))  # up to so many features, pixels of each one's picture
NARROW, WIDE, MANY = 16, 32, 256  # pictures in a row, and features from which a row is wide

COLOUR_METHOD = "2"  # another one measures the dominant colours of all pictures again
_SIDE = 40  # pixels of the side at which a picture is measured
_LEVELS = 0xFC  # the bits of a channel that count, so that few colours are measured, and each once

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Encoded:
    """The web copies of a site."""

    paths: tuple[str, ...]  # of all copies in the site
    count: int  # encoded this time
    spoilt: dict[Path, str]  # damaged files, and what is wrong with them; their copies and sheets are not made


def encode_all(atlas: Atlas, output: Output, on_progress: Progress | None, *, fine: bool) -> Encoded:
    """Make the web copies that are missing or whose pictures changed.

    Args:
        atlas: what is shown.
        output: where to.
        on_progress: called with the number of copies made so far and how many there are to make.
        fine: encode slower, and so smaller.

    Raises:
        StoreError: a copy cannot be encoded or written. What was made before is kept, also after an interruption.
    """
    works = list(_works(atlas, fine)), list(_study_works(atlas, fine))
    turns = [[work for work in (_only_stale(work, output) for work in turn) if work.copies] for turn in works]
    todo = list(chain(*turns))
    total = sum(len(work.copies) for work in todo)
    output.claim(copy.path for work in todo for copy in work.copies)
    count = 0
    spoilt: dict[Path, str] = {}
    with closing(_make_in_turn(turns)) as results:
        try:
            for at, (work, result) in enumerate(zip(todo, results, strict=True), 1):
                if isinstance(result, SpoiltError):
                    spoilt[result.file] = result.why
                    continue
                for copy, data in zip(work.copies, result, strict=True):
                    output.write(copy.path, data, copy.source)
                count += len(result)
                if on_progress:
                    on_progress(count, total)
                if at % _BATCH == 0:
                    output.save()
        finally:
            output.save()
    return Encoded(tuple(copy.path for work in chain(*works) for copy in work.copies), count, spoilt)


@dataclass(frozen=True)
class Sheet:
    """Renderings of features in rows."""

    rows: tuple[tuple[PlannedRendering, ...], ...]
    tile: int  # pixels of a picture's side
    gap: int  # pixels between two

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        step = self.tile + self.gap
        return max(len(row) for row in self.rows) * step + self.gap, len(self.rows) * step + self.gap


def region_sheet(region: RegionEntry) -> Sheet:
    """The first features of each layer, a row for each, by the pictures that stand for them, as on their tiles."""
    # as many as most layers have, so that rows are full: studies add features to some layers
    columns = min(REGION_COLUMNS, median_low(len(entry.features) for entry in region.planned))
    rows = (entry.features[:columns] for entry in region.planned)
    return Sheet(tuple(tuple(feature.face for feature in row) for row in rows), tile=REGION_TILE, gap=4)


def layer_sheet(entry: LayerEntry) -> Sheet:
    """All features of a layer, in their order; the more there are, the smaller, so that the file stays below 300 KB."""
    columns = WIDE if len(entry.features) > MANY else NARROW
    faces = tuple(feature.face for feature in entry.features)
    rows = tuple(faces[at : at + columns] for at in range(0, len(faces), columns))
    return Sheet(rows, tile=next(tile for most, tile in LAYER_TILES if len(entry.features) <= most), gap=2)


def sheet_copy(region: RegionEntry) -> Picture | None:
    """A region's sheet in the site; None where there is nothing to show in it."""
    if not any(entry.shown for entry in region.layers):
        return None
    path = f"region/{region.region.slug}/sheet"
    return Picture(f"{path}.avif", f"{path}.jpg", *region_sheet(region).size)


def layer_sheet_path(entry: LayerEntry) -> str:
    """Path of a layer's sheet in the site."""
    return f"{entry.layer.name}/sheet.avif"


def _works(atlas: Atlas, fine: bool) -> Iterator[Work]:
    """All copies of renderings and their sheets, whether they are there or not."""
    for rendering in atlas.shown_or_pending:
        if rendering.has_copies:
            yield _rendering_work(atlas, rendering, fine)
    for region in atlas.regions:
        if sheet := sheet_copy(region):
            copies = [(sheet.avif, avif_encoder(fine)), (sheet.jpeg, JPEG)]
            yield _sheet_work(atlas, region_sheet(region), copies)
    small = avif_encoder(fine, _SHEET_QUALITY)
    for entry in atlas.layers:
        if entry.shown:
            yield _sheet_work(atlas, layer_sheet(entry), [(layer_sheet_path(entry), small)])


def _study_works(atlas: Atlas, fine: bool) -> Iterator[Work]:
    """All copies of pictures of studies."""
    return (work for study in atlas.studies for work in study.pictures(atlas, avif_encoder(fine)))


def _make_in_turn(turns: Iterable[Sequence[Work]]) -> Generator[Sequence[bytes] | SpoiltError, None, None]:
    """As `make_all`, but what is of a later turn may be drawn from files of earlier ones."""
    for turn in turns:
        yield from make_all(turn)


def _rendering_work(atlas: Atlas, rendering: PlannedRendering, fine: bool) -> Work:
    record = rendering.record
    assert record, "only what is rendered has web copies"
    avif = avif_encoder(fine, FINE_QUALITY if is_fine(rendering.job) else QUALITY)
    wanted = [
        ("thumb.avif", avif if is_fine(rendering.job) else avif_encoder(fine, THUMB_QUALITY), THUMB),
        ("thumb.jpg", SMALL_JPEG if "jpeg" in atlas.left_out else JPEG, THUMB),
    ]
    if rendering.largest != THUMB:
        wanted.insert(0, ("picture.avif", avif, rendering.largest or max(record.width, record.height)))
    copies = ((f"{rendering.folder}/{name}", how, largest) for name, how, largest in wanted)
    return make_work(partial(draw_master, atlas.master(rendering)), record.pixels_sha256, copies)


def _sheet_work(atlas: Atlas, sheet: Sheet, copies: Iterable[tuple[str, Encoder]]) -> Work:
    pixels = ";".join(",".join(f.record.pixels_sha256 if f.record else "-" for f in row) for row in sheet.rows)
    files = tuple(tuple(atlas.master(f) if f.record else None for f in row) for row in sheet.rows)
    draw = partial(draw_sheet, files, sheet.tile, sheet.gap, sheet.size)
    wanted = ((path, encoder, max(sheet.size)) for path, encoder in copies)
    return make_work(draw, pixels, wanted, layout=f"{sheet.tile} {sheet.gap} {SHEET_GREYS}")


def _only_stale(work: Work, output: Output) -> Work:
    return replace(work, copies=tuple(copy for copy in work.copies if not output.has_copy(copy.path, copy.source)))


def measure_colours(atlas: Atlas, site: Path, output: Output) -> tuple[Colours, Mapping[str, int]]:
    """The colours of the pictures that stand for features, and their main hues, from the thumbnails in the site."""
    folders = (feature.face.folder for feature in atlas.features if feature.record)
    found = {folder: _colours_of(folder, site, output) for folder in folders}
    hues = {folder: hue for folder, (_, hue) in found.items() if hue is not None}
    return {folder: names for folder, (names, _) in found.items()}, hues


def _colours_of(folder: str, site: Path, output: Output) -> tuple[tuple[str, ...], int | None]:
    path = f"{folder}/thumb.jpg"
    method, *noted = (output.seen(path) or "none").split()
    if method != COLOUR_METHOD:
        names, hue = picture_colours(site / path)
        noted = ["-" if hue is None else str(hue), *names]
        output.note_seen(path, " ".join((COLOUR_METHOD, *noted)))
    return tuple(noted[1:]), None if noted[0] == "-" else int(noted[0])


def picture_colours(file: Path) -> tuple[tuple[str, ...], int | None]:
    """Names of the strong colours of a picture, and its main hue in degrees; None of a grey one."""
    with Image.open(file) as image:
        small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX).point(lambda value: value & _LEVELS)
    data = small.tobytes()
    counts = Counter(zip(data[::3], data[1::3], data[2::3], strict=True))
    scaled = [((r / _LEVELS, g / _LEVELS, b / _LEVELS), count) for (r, g, b), count in counts.items()]
    return strong_colours(scaled), main_hue(scaled)
