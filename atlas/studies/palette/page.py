"""The palette of the first layer: what colours its features draw, and whether their kernels' signs predict them."""

from collections.abc import Iterator

from atlas.plan.jobs import Job
from atlas.site.catalogue import Atlas
from atlas.site.colour import CORNERS, hex_of, oklch
from atlas.site.models import Page
from atlas.site.pages.parts import feature_page
from atlas.site.study_page import StudyCard, StudyPage
from atlas.studies.palette import corners
from atlas.studies.palette.corners import Reading, read_feature
from atlas.studies.palette.jobs import jobs, palette_jobs
from atlas.studies.palette.result import Palette, PaletteFeature, Slopes, palette_spec
from atlas.studies.palette.settings import LAYER, Settings

CARD = StudyCard(
    "palette", "The palette", "The colours of the first layer, and whether three signs of each kernel predict them."
)
Square = tuple[float, float, float, float, str]  # x, y, width, height and fill of a rectangle
BAR = 12  # width of the bar of dominant colours, in the units of its drawing


def palette_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if something is measured."""
    found = [one for name in atlas.config.study(Settings).recipes if (one := atlas.result(palette_spec(name)))]
    if not found:
        return
    yield CARD.page(
        f"The colours of {LAYER} in InceptionV3, beside its kernels, and how far their signs predict them.",
        layer=LAYER,
        parts=[_part(atlas, one) for one in found],
        bar=BAR,
        balanced=corners.BALANCED,
        closed=corners.CLOSED,
        fewest=corners.FEWEST,
        least_peak=corners.PEAK,
    )


def draw_weights(kernel: tuple[Slopes, Slopes, Slopes]) -> tuple[Square, ...]:
    """A kernel as nine squares in 3 × 3 units: grey is 0, and the scale is the same either side of it.

    The largest weight of the kernel, by size, reaches the end of its colour's range.
    """
    largest = max(abs(weight) for slopes in kernel for row in slopes for weight in row) or 1.0
    return tuple(
        (col, row, 1, 1, hex_of([0.5 + slopes[row][col] / largest / 2 for slopes in kernel]))
        for row in range(3)
        for col in range(3)
    )


def draw_colours(found: PaletteFeature) -> tuple[Square, ...]:
    """The mean colour above the dominant ones, each as wide as its share, in BAR × BAR units."""
    squares: list[Square] = [(0, 0, BAR, BAR / 2, hex_of(found.mean))]
    at, total = 0.0, sum(swatch.share for swatch in found.dominant)
    for swatch in found.dominant:
        width = BAR * swatch.share / total
        squares.append((round(at, 2), BAR / 2, round(width, 2), BAR / 2, hex_of(swatch.colour)))
        at += width
    return tuple(squares)


def _part(atlas: Atlas, found: Palette) -> dict[str, object]:
    """The palette by one recipe."""
    is_sharp = atlas.config.get_recipe(found.recipe).is_sharp
    readings = [read_feature(feature) for feature in found.features]
    pairs = zip(readings, palette_jobs(atlas.config, found.recipe), strict=True)
    by_hue = sorted(pairs, key=lambda pair: _by_hue(pair[0].found))
    return {
        "found": found,
        "judgement": corners.judge_palette(readings),
        "entries": [_entry(atlas, reading, job, is_sharp=is_sharp) for reading, job in by_hue],
        "is_sharp": is_sharp,  # nothing is blurred, so that positions under the stride stay apart
        "positions": corners.judge_positions(readings, found.peak),
        "contrast": corners.contrast(found),
    }


def _entry(atlas: Atlas, reading: Reading, job: Job, *, is_sharp: bool) -> dict[str, object]:
    """A feature of the palette."""
    found = reading.found
    has_page = found.feature in atlas.config.features_of(LAYER)
    came = [found.phases[row][col] for row, col in corners.PHASES]
    return {
        "reading": reading,
        "page": feature_page(LAYER, found.feature) if has_page else None,
        "rendering": atlas.renderings[job],
        "weights": draw_weights(found.kernel),  # in 3 × 3 units
        "predicted": CORNERS[reading.predicted],
        "predicted_fill": hex_of(reading.predicted),
        "came": CORNERS[reading.came],
        "mean": oklch(found.mean),
        "colours": draw_colours(found),  # in BAR × BAR units: the mean above the dominant ones
        "tile": _tile([hex_of(corner) for corner in reading.tile]) if is_sharp else (),  # in 2 × 2 units
        "tile_came": _tile([hex_of(colour) for colour in came]) if is_sharp else (),
    }


def _tile(fills: list[str]) -> tuple[Square, ...]:
    return tuple((col, row, 1, 1, fill) for (row, col), fill in zip(corners.PHASES, fills, strict=True))


def _by_hue(found: PaletteFeature) -> tuple[bool, bool, float, int]:
    """By the hue of the mean colour; then those without chroma, the dark ones first; then those without a gradient."""
    colour = oklch(found.mean)
    along = colour.hue if colour.has_hue else colour.lightness
    return not found.had_gradient, not colour.has_hue, along, found.feature


PAGE = StudyPage(card=CARD, pages=palette_pages, mentions=CARD.mentions(Settings), jobs=jobs)
