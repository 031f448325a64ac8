"""Colours as people see them: sRGB → OKLab → OKLCH, and the corners of the RGB cube. Pure functions.

OKLab is Björn Ottosson's, 2020: "A perceptual color space for image processing".
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

Rgb = tuple[float, float, float]  # in [0, 1]

GREY = 0.02  # chroma below which a colour has no hue worth naming
Corner = tuple[int, ...]  # 0 or 1 for red, green and blue
CORNERS: dict[Corner, str] = {
    (0, 0, 0): "black",
    (1, 0, 0): "red",
    (0, 1, 0): "green",
    (0, 0, 1): "blue",
    (0, 1, 1): "cyan",
    (1, 0, 1): "magenta",
    (1, 1, 0): "yellow",
    (1, 1, 1): "white",
}
HUES = (  # names of hues, and where in OKLCH each begins, in degrees
    ("red", 10),
    ("orange", 45),
    ("yellow", 88),
    ("green", 122),
    ("cyan", 168),
    ("blue", 225),
    ("purple", 286),
    ("pink", 332),
)
GREYS = (("black", 0.0), ("grey", 0.2), ("white", 0.9))  # and the mean lightness at which each begins
COLOUR_NAMES = (*(name for name, _ in HUES), *(name for name, _ in GREYS))
COLOURFUL = 0.03  # mean chroma from which a picture is more than grey
ARC = 30  # degrees to either side of a hue that count as near it
STRONG = 0.3  # share of a picture's chroma from which a hue is named; eight even shares would be 0.125 each
_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


@dataclass(frozen=True)
class Oklch:
    """A colour in OKLCH."""

    lightness: float  # 0 black to 1 white
    chroma: float  # 0 grey; at most about 0.32 in sRGB
    hue: float  # degrees, 0 ≤ hue < 360; of a grey it means nothing

    @property
    def has_hue(self) -> bool:
        """Whether it is more than grey."""
        return self.chroma >= GREY


def oklab(colour: Rgb) -> tuple[float, float, float]:
    """Lightness, green to red, and blue to yellow of an sRGB colour in [0, 1]."""
    linear = [_linear(value) for value in colour]
    roots = [math.cbrt(_dot(row, linear)) for row in _TO_LMS]
    return _dot(_TO_LAB[0], roots), _dot(_TO_LAB[1], roots), _dot(_TO_LAB[2], roots)


@cache
def oklch(colour: Rgb) -> Oklch:
    """Lightness, chroma and hue of an sRGB colour in [0, 1]."""
    lightness, a, b = oklab(colour)
    return Oklch(lightness, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360)


def hex_of(colour: Sequence[float]) -> str:
    """An sRGB colour, held inside [0, 1], as `#rrggbb`."""
    return "#" + "".join(f"{round(255 * min(max(value, 0.0), 1.0)):02x}" for value in colour)


def strong_colours(counts: Iterable[tuple[Rgb, int]]) -> tuple[str, ...]:
    """The names of the hues that hold a picture's colour.

    A pixel counts by its chroma, so that grey ones do not count.

    Args:
        counts: colours in [0, 1], and how many pixels have each; at least one pixel.

    Returns:
        The hues with at least `STRONG` of all chroma, the strongest first; black, grey or white where there is little
        chroma, and nothing where the picture is colourful and no hue is strong.
    """
    shares: dict[str, float] = dict.fromkeys((name for name, _ in HUES), 0.0)
    pixels, light = 0, 0.0
    for colour, count in counts:
        seen = oklch(colour)
        shares[_name_at(seen.hue, HUES)] += count * seen.chroma
        light += count * seen.lightness
        pixels += count
    total = sum(shares.values())
    if total < COLOURFUL * pixels:
        return (_name_at(light / pixels, GREYS),)
    return tuple(sorted((name for name in shares if shares[name] >= STRONG * total), key=lambda name: -shares[name]))


def main_hue(counts: Iterable[tuple[Rgb, int]]) -> int | None:
    """The mean hue of the arc, `ARC` to either side of its middle, that holds most of a picture's chroma.

    Args:
        counts: colours in [0, 1], and how many pixels have each; at least one pixel.

    Returns:
        Whole degrees, 0 ≤ hue < 360; None where there is little chroma.
    """
    chroma, pixels = [0.0] * 360, 0  # by whole degrees
    for colour, count in counts:
        seen = oklch(colour)
        chroma[int(seen.hue) % 360] += count * seen.chroma
        pixels += count
    if sum(chroma) < COLOURFUL * pixels:
        return None
    sums = [0.0, *accumulate(chroma * 3)]
    near = [sums[360 + hue + ARC + 1] - sums[360 + hue - ARC] for hue in range(360)]
    middle = near.index(max(near))
    arc = range(middle - ARC, middle + ARC + 1)
    return round(sum(hue * chroma[hue % 360] for hue in arc) / near[middle]) % 360


def _name_at(value: float, scale: Sequence[tuple[str, float]]) -> str:
    """The name that a value has on a scale; one before the first name has the last, as on a circle."""
    return next((name for name, begin in reversed(scale) if begin <= value), scale[-1][0])


def hue_name(hue: float) -> str:
    """The name of a hue in OKLCH, degrees."""
    return _name_at(hue % 360, HUES)


def nearest_corner(colour: Iterable[float], middle: float = 0.5) -> Corner:
    """The corner of the RGB cube that is nearest to a colour."""
    return tuple(int(value > middle) for value in colour)


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
