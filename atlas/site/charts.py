"""Figures of numbers: series → `Chart`, its lines, dots and ticks in the units of an SVG view box. Pure functions."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

WIDTH = 480  # of the view box, so that words can be read on a phone
HEIGHT = 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 44  # margins for ticks and labels
MOST_TICKS = 6
LEAST_SPAN = 1e-9  # of an axis; values that differ by less are drawn as one
Point = tuple[float, float | None]  # x and y; None: a gap
Value = TypeVar("Value")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Series:
    """Points that belong together."""

    name: str
    points: tuple[Point, ...]
    mark: str = "line"  # "line", "dots" or "joined" (both)
    band: tuple[tuple[float, float] | None, ...] = ()  # low and high around each point; None: a gap; empty: no band


@dataclass(frozen=True)
class Drawn:
    """A series in the units of the view box."""

    name: str
    tone: int  # which of the stylesheet's tones, from 1
    paths: tuple[str, ...]  # of lines: one for each stretch without a gap
    dots: tuple[tuple[float, float], ...]
    bands: tuple[str, ...] = ()  # closed paths: one for each stretch of the band without a gap


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn."""

    alt: str
    x_label: str
    y_label: str
    series: tuple[Drawn, ...]
    x_ticks: tuple[tuple[float, str], ...]  # places on the axis, and their words
    y_ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Axis:
    """A scale from values to units of the view box."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, held inside the axis."""
        low, high, value = (math.log10(v) if self.is_log else v for v in (self.low, self.high, max(value, self.low)))
        share = (min(value, high) - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)


def make_chart(
    series: Sequence[Series],
    *,
    alt: str,
    x_label: str,
    y_label: str,
    log: bool = False,
    x_words: Sequence[tuple[float, str]] = (),
    floor: float = 0.0,
    height: int = HEIGHT,
) -> Chart:
    """Lay a chart out.

    Args:
        series: at least one, with at least one point that is no gap.
        alt: what the chart shows, for readers who cannot see it.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        log: a logarithmic vertical axis; values of 0 and below lie on its lower end.
        x_words: places and words for the horizontal axis, instead of numbers.
        floor: the lower end of a logarithmic axis, above 0; of a linear one, a value that it includes.
        height: of the view box.
    """
    xs = [x for one in series for x, _ in one.points] + [x for x, _ in x_words]
    ys = [y for one in series for _, y in one.points if y is not None]
    ys += [y for one in series for ends in one.band if ends for y in ends]
    x_axis = Axis(*_widened(min(xs), max(xs)), LEFT, WIDTH - RIGHT)
    y_axis = _vertical(ys, log=log, floor=floor, bottom=height - BOTTOM)
    x_ticks = x_words or [(value, _short(value)) for value in _round_values(x_axis.low, x_axis.high)]
    return Chart(
        alt=alt,
        x_label=x_label,
        y_label=y_label,
        series=tuple(_drawn(one, tone, x_axis, y_axis) for tone, one in enumerate(series, start=1)),
        x_ticks=tuple((x_axis.place(value), words) for value, words in x_ticks),
        y_ticks=tuple((y_axis.place(value), _short(value)) for value in _y_values(y_axis)),
        height=height,
        bottom=height - BOTTOM,
    )


def _vertical(values: Sequence[float], *, log: bool, floor: float, bottom: int) -> Axis:
    top, least = max(values, default=1.0), min(values, default=0.0)
    if log:
        high = 10 ** math.ceil(math.log10(max(top, floor * 10)))
        return Axis(floor, high, bottom, TOP, is_log=True)
    low, high = _widened(min(least, floor), max(top, floor))
    ticks = _round_values(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    return Axis(math.floor(low / step) * step, math.ceil(high / step) * step, bottom, TOP)


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high - low > LEAST_SPAN else (low - 0.5, high + 0.5)


def _y_values(axis: Axis) -> list[float]:
    if not axis.is_log:
        return _round_values(axis.low, axis.high)
    first, last = math.ceil(math.log10(axis.low) - 1e-9), math.floor(math.log10(axis.high) + 1e-9)
    every = max(1, -(-(last - first) // MOST_TICKS))
    return [10.0**power for power in range(first, last + 1, every)]


def _round_values(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two values."""
    rough = (high - low) / MOST_TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _drawn(series: Series, tone: int, x_axis: Axis, y_axis: Axis) -> Drawn:
    places = [(x_axis.place(x), None if y is None else y_axis.place(y)) for x, y in series.points]
    dots = tuple((x, y) for x, y in places if y is not None) if series.mark in ("dots", "joined") else ()
    paths = () if series.mark == "dots" else tuple(_path(run) for run in _runs(places))
    ends = [
        (x_axis.place(x), (y_axis.place(ends[0]), y_axis.place(ends[1])) if ends else None)
        for (x, _), ends in zip(series.points, series.band, strict=False)
    ]
    bands = []  # along the lower ends of a band and back along the upper ones
    for run in _runs(ends):
        there, back = ([(x, pair[side]) for x, pair in run] for side in (0, 1))
        bands.append(f"{_path([*there, *reversed(back)])}Z")
    return Drawn(series.name, tone, paths, dots, tuple(bands))


def _runs(places: Iterable[tuple[float, Value | None]]) -> Iterator[list[tuple[float, Value]]]:
    """Places between gaps."""
    for is_gap, run in groupby(places, key=lambda place: place[1] is None):
        if not is_gap:
            yield [(x, value) for x, value in run if value is not None]


def _path(places: Iterable[tuple[float, float]]) -> str:
    """An SVG path through places."""
    return f"M{'L'.join(f'{x:g} {y:g}' for x, y in places)}"


def _short(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, power = f"{value:.0e}".partition("e")
        times = "" if mantissa == "1" else f"{mantissa}·"
        return f"{times}10{str(int(power)).translate(_RAISED)}"
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
