"""Tuning curves as paths and dots, in the units of a square view box from −100 to 100. Pure, without numpy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

RADIUS = 88  # of the largest value; labels lie outside


@dataclass(frozen=True)
class Polar:
    """A curve over directions or orientations.

    Attributes:
        path: its closed outline.
        dots: one for each value: x, y, and its angle in degrees.
        preferred: ends of a line through the middle along the preference: x1, y1, x2, y2.
        alt: the figure in words.
    """

    path: str
    dots: tuple[tuple[float, float, float], ...]
    preferred: tuple[float, float, float, float]
    alt: str


def polar(values: Sequence[float], preferred: float, circle: int, alt: str) -> Polar:
    """A curve around the middle, counterclockwise from the right.

    Args:
        values: at even angles, at least 0.
        preferred: degrees.
        circle: degrees that the values cover; of 180 each is drawn on both sides.
        alt: the figure in words.
    """
    most = max(values) or 1
    every = [*values] * (360 // circle)
    angles = [360 * at / len(every) for at in range(len(every))]
    dots = tuple((*_place(angle, RADIUS * value / most), angle) for angle, value in zip(angles, every, strict=True))
    end = _place(preferred, RADIUS)
    start = (-end[0], -end[1]) if circle == 180 else (0.0, 0.0)
    return Polar(f"M{'L'.join(f'{x:g} {y:g}' for x, y, _ in dots)}Z", dots, (*start, *end), alt)


def _place(angle: float, radius: float) -> tuple[float, float]:
    """The coordinates of a place around the middle, y downwards."""
    x, y = radius * math.cos(math.radians(angle)), -radius * math.sin(math.radians(angle))
    return round(x, 1) + 0.0, round(y, 1) + 0.0
