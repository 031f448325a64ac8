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

from atlas.site.colour import CORNERS, Corner, nearest_corner
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
class Cause:
    """Why the corners differ, or why nothing moved."""

    kind: str  # "closed" ReLU, "balanced" colour, positions under the "stride", the "border", or "unknown"
    amount: float = 0.0  # share of open neurons, balance, or how many of the four positions have the other sign
    colour: str = ""  # that is not as predicted; "": all


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
    causes: tuple[Cause, ...]  # none where the corners agree, or, if nothing moved, none is known

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
    return Reading(
        found=found,
        predicted=predicted,
        came=came,
        came_dominant=nearest_corner(found.dominant[0].colour),
        tile=tile,
        tile_asked=len(met),
        tile_met=sum(met),
        causes=tuple(_causes(found, predicted, came)),
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


@dataclass(frozen=True)
class Judgement:
    """How far three signs of each kernel predict the palette, by the renderings that had a gradient."""

    total: int  # renderings that had one
    left_out: int
    met: int  # whose mean colour is nearest to the predicted corner
    dominant: int  # whose largest dominant colour is
    causes: dict[str, int]  # why the others are not: how many exceptions have each kind

    @property
    def answer(self) -> str:
        """Whether the explanation "holds", "holds in part" or is no better than "chance"; or there are "too few"."""
        if self.total < FEWEST:
            return "too few"
        if self.met >= HOLDS * self.total:
            return "holds"
        by_chance = self.total * CHANCE + ERRORS * sqrt(self.total * CHANCE * (1 - CHANCE))
        return "holds in part" if self.met > by_chance else "chance"


def judge_palette(readings: Sequence[Reading]) -> Judgement:
    """Count the corners that came as predicted, and the causes of the others."""
    judged = _judged(readings)
    kinds = Counter(kind for reading in judged for kind in {cause.kind for cause in reading.causes})
    return Judgement(
        total=len(judged),
        left_out=len(readings) - len(judged),
        met=sum(reading.agrees for reading in judged),
        dominant=sum(reading.came_dominant == reading.predicted for reading in judged),
        causes=dict(kinds),
    )


@dataclass(frozen=True)
class Positions:
    """Whether the four positions under the stride make a grid."""

    asked: int  # values of colours whose slopes differ in sign between the positions
    met: int  # those on the side that the slope of their own position predicts
    peak: Peak | None

    @property
    def answer(self) -> str:
        """Whether the stride explains a grid.

        Returns:
            "none predicted", "not met" (too few values lie where they should), "none seen" in the spectrum, or
            "explained".
        """
        if not self.asked:
            return "none predicted"
        if self.met < HOLDS * self.asked:
            return "not met"
        if self.peak is None or self.peak.strength < PEAK or {self.peak.rows, self.peak.cols} - {0.0, FINEST}:
            return "none seen"
        return "explained"


def judge_positions(readings: Sequence[Reading], peak: Peak | None) -> Positions:
    """Count the values that should differ between the positions, and those that do."""
    judged = _judged(readings)
    return Positions(sum(one.tile_asked for one in judged), sum(one.tile_met for one in judged), peak)


def _judged(readings: Iterable[Reading]) -> list[Reading]:
    """Those that can speak for or against the explanation."""
    return [reading for reading in readings if reading.found.had_gradient]


def _causes(found: PaletteFeature, predicted: Corner, came: Corner) -> list[Cause]:
    """Each cause why the corners differ or nothing moved, for all colours or colour by colour."""
    wrong = [at for at in range(3) if predicted[at] != came[at]]
    if found.open < CLOSED and (wrong or not found.had_gradient):
        return [Cause("closed", found.open)]
    return [_cause_of(found, at, predicted[at]) for at in wrong] if found.had_gradient else []


def _cause_of(found: PaletteFeature, at: int, predicted: int) -> Cause:
    name, share = COLOURS[at], balance(found.kernel[at])
    if share < BALANCED:
        return Cause("balanced", share, name)
    against = sum(int(slopes_at(found, *phase)[at] > 0) != predicted for phase in PHASES)
    if against:
        return Cause("stride", against, name)
    is_border = nearest_corner(found.inner)[at] == predicted
    return Cause("border" if is_border else "unknown", colour=name)


def _total(kernel: Slopes) -> float:
    return sum(weight for row in kernel for weight in row)
