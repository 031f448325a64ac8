"""The palette's explanation put to the test: kernels and measured colours → predicted corners, agreement and causes.

The summed map of one convolution is linear in the image wherever its ReLU is open. So descent drives each colour to
the sign of its slope, which is the sum of that colour's weights if positions are mixed, and clipping leaves a corner.
With a stride of 2 a pixel's own slope is the sum of the weights that reach its row and column, even or odd.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean

from atlas.common.text import count_of
from atlas.site.colour import CORNERS, Corner, nearest_corner
from atlas.site.words import percent, whole_percent
from atlas.studies.palette.result import Palette, PaletteFeature, Peak, Slopes

HOLDS = 3 / 4  # share of the features from which on the explanation is said to hold
CHANCE = 1 / len(CORNERS)  # share that a corner drawn at random would meet
ERRORS = 2  # standard errors from which a share counts as more than chance
FEWEST = 5  # renderings with a gradient that it takes to judge the explanation
BALANCED = 0.05  # a colour's weights are nearly balanced if their sum is below this share of the sum of their sizes
CLOSED = 0.01  # a ReLU counts as closed if less than this share of its neurons is open at the start
FINEST = 0.5  # cycles per pixel: a period of 2 pixels
PEAK = 30  # a grid stands out if its peak has so many times the median power
COLOURS = ("red", "green", "blue")
PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))  # even and odd rows, and columns


@dataclass(frozen=True)
class Reading:
    """What is predicted of a feature, and what came."""

    found: PaletteFeature
    predicted: Corner
    came: Corner  # nearest to the mean colour
    came_dominant: Corner  # nearest to the colour of the largest share
    tile: tuple[Corner, ...]  # predicted at each of the four positions, as in PHASES
    tile_asked: int  # of the twelve values of the tile, those of colours that should differ from position to position
    tile_met: int  # how many of these lie on the predicted side
    causes: tuple[str, ...]  # kinds of causes why the corners differ, or why nothing moved
    cause: str  # the same in words, with their numbers; "" where the corners agree, or none is known

    @property
    def agrees(self) -> bool:
        """Whether the mean colour is nearest to the predicted corner."""
        return self.came == self.predicted


def read_feature(found: PaletteFeature) -> Reading:
    """Predict a feature's corners and hold them against what came."""
    sums = [_total(kernel) for kernel in found.kernel]
    predicted, came = nearest_corner(sums, 0), nearest_corner(found.mean)
    tile = tuple(nearest_corner(slopes_at(found, *phase), 0) for phase in PHASES)
    came_tile = [nearest_corner(found.phases[row][col]) for row, col in PHASES]
    # a colour whose four slopes have one sign asks for no grid, and so tells nothing about one
    split = [at for at in range(3) if len({corner[at] for corner in tile}) > 1]
    met = [wanted[at] == got[at] for wanted, got in zip(tile, came_tile, strict=True) for at in split]
    causes = _causes(found, predicted, came)
    return Reading(
        found=found,
        predicted=predicted,
        came=came,
        came_dominant=nearest_corner(found.dominant[0].colour),
        tile=tile,
        tile_asked=len(met),
        tile_met=sum(met),
        causes=tuple(dict.fromkeys(kind for kind, _ in causes)),
        cause="; ".join(words for _, words in causes),
    )


def slopes_at(found: PaletteFeature, row: int, col: int) -> tuple[float, ...]:
    """The slope of each colour at pixels of even (0) or odd (1) row and column, under a 3×3 kernel of stride 2."""
    return tuple(sum(weight for line in kernel[row::2] for weight in line[col::2]) for kernel in found.kernel)


def balance(kernel: Slopes) -> float:
    """Size of the sum of some weights over the sum of their sizes: 0 balanced, 1 all of one sign."""
    sizes = sum(abs(weight) for row in kernel for weight in row)
    return abs(_total(kernel)) / sizes if sizes else 0.0


def contrast(found: Palette) -> float:
    """How far the four positions differ: largest less smallest of their means, over colours and features.

    Features without a gradient are left out; 0 if there are no others.
    """
    spans = [
        max(values) - min(values)
        for feature in found.features
        if feature.had_gradient
        for values in ([feature.phases[row][col][at] for row, col in PHASES] for at in range(3))
    ]
    return mean(spans) if spans else 0.0


def palette_summary(readings: Sequence[Reading]) -> str:
    """Whether three signs of each kernel predict the palette, judged by the renderings that had a gradient."""
    judged = _judged(readings)
    total, met = len(judged), sum(reading.agrees for reading in judged)
    left_out = _left_out_sentence(len(readings) - total)
    if total < FEWEST:
        return (
            f"For this recipe the explanation cannot be judged: {count_of(total, 'rendering')} had a gradient, and at "
            f"least {FEWEST} are needed.{left_out}"
        )
    dominant = sum(reading.came_dominant == reading.predicted for reading in judged)
    words = (
        f"The mean colour is nearest to the predicted corner in {met} of {total} renderings, the largest dominant "
        f"colour in {dominant}.{left_out}"
    )
    if met >= HOLDS * total:
        return f"{words} For this recipe the explanation holds: three signs of each kernel predict its colour."
    if met > total * CHANCE + ERRORS * sqrt(total * CHANCE * (1 - CHANCE)):
        return (
            f"{words} That is less than three quarters, and more than chance, which is one in {len(CORNERS)}: for "
            "this recipe the explanation holds in part."
        )
    return f"{words} That is no more than chance, which is one in {len(CORNERS)}: the explanation does not hold."


def exceptions_sentence(readings: Iterable[Reading]) -> str:
    """How many exceptions have which cause, of the renderings that had a gradient; "" if there is none."""
    others = [reading for reading in _judged(readings) if not reading.agrees]
    if not others:
        return ""
    counts = Counter(kind for reading in others for kind in reading.causes)
    parts = [f"{CAUSES[kind]}: {counts[kind]}" for kind in CAUSES if counts[kind]]
    who = f"{len(others)} {'exception' if len(others) == 1 else 'exceptions'}"
    more = ", some of which have more than one cause" if counts.total() > len(others) else ""
    return f"What is measured of the {who}{more}: {'; '.join(parts)}."


def positions_summary(readings: Sequence[Reading], peak: Peak | None) -> str:
    """Whether the four positions under the stride make a grid: those that should differ do, and a grid stands out."""
    judged = _judged(readings)
    asked, met = (sum(getattr(reading, name) for reading in judged) for name in ("tile_asked", "tile_met"))
    if not asked:
        return "No colour’s slopes differ in sign between the four positions, so the stride predicts no grid here."
    words = (
        f"Where the slopes of a colour differ in sign between the positions, {met} of {asked} values "
        f"({whole_percent(met / asked)}) lie on the side that the slope of their own position predicts."
    )
    if met < HOLDS * asked:
        return f"{words} That is less than three quarters: the stride does not explain the pattern."
    if peak is None or peak.strength < PEAK or {peak.rows, peak.cols} - {0.0, FINEST}:
        return f"{words} But no grid of 2 pixels stands out in the spectrum."
    return f"{words} So what looks like a grid is the pattern of 2 × 2 pixels that kernel and stride predict."


def _judged(readings: Iterable[Reading]) -> list[Reading]:
    """Those that can speak for or against the explanation."""
    return [reading for reading in readings if reading.found.had_gradient]


def _left_out_sentence(still: int) -> str:
    if not still:
        return ""
    others, are = ("other", "is") if still == 1 else ("others", "are")
    return f" The {still} {others} had no gradient and {are} left out: such pictures are no evidence."


def grid_summary(found: Palette) -> str:
    """Whether there is a grid, and of which period."""
    peak = found.peak
    if peak is None:
        return "The mean spectrum of the luminance has no peak: it falls without a local maximum."
    if peak.strength < PEAK:
        return (
            f"No grid stands out: the strongest local maximum has {peak.strength:.3g} times the median power, and "
            f"{PEAK} are required."
        )
    frequency = (peak.rows**2 + peak.cols**2) ** 0.5
    where = f"{peak.rows:.3g} downwards and {peak.cols:.3g} to the right"
    return (
        f"The strongest peak lies at {frequency:.3g} cycles per pixel ({where}), a period of {1 / frequency:.3g} "
        f"pixels, with {peak.strength:,.0f} times the median power."
    )


CAUSES = {
    "closed": "ReLU closed at the start",
    "balanced": "a colour nearly balanced",
    "stride": "positions under the stride that differ",
    "border": "the border alone",
    "unknown": "none of these",
}


def _causes(found: PaletteFeature, predicted: Corner, came: Corner) -> list[tuple[str, str]]:
    """Kind and words of each cause why the corners differ or nothing moved, for all colours or colour by colour."""
    wrong = [at for at in range(3) if predicted[at] != came[at]]
    if found.open < CLOSED and (wrong or not found.had_gradient):
        where = "everywhere" if not found.open else f"in all but {percent(found.open)} of the neurons"
        return [("closed", f"its ReLU is closed {where} at the start")]
    return [_cause_of(found, at, predicted[at]) for at in wrong] if found.had_gradient else []


def _cause_of(found: PaletteFeature, at: int, predicted: int) -> tuple[str, str]:
    name, share = COLOURS[at], balance(found.kernel[at])
    if share < BALANCED:
        return "balanced", f"{name} is nearly balanced ({percent(share)})"
    against = sum(int(slopes_at(found, *phase)[at] > 0) != predicted for phase in PHASES)
    if against:
        return "stride", f"{against} of the 4 positions have the other sign for {name}"
    if nearest_corner(found.inner)[at] == predicted:
        return "border", f"{name} is as predicted away from the border"
    return "unknown", f"no cause found for {name}"


def _total(kernel: Slopes) -> float:
    return sum(weight for row in kernel for weight in row)
