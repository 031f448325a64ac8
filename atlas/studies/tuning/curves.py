"""Responses of F features to n stimuli → tuning: curves, what they prefer, and how strongly. Pure functions.

A preference is the direction of a mean vector: for orientations by the doubled angle, since 0 and 180 degrees are one
orientation (Swindale 1998, "Orientation tuning curves"). Selectivity is 1 − circular variance.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from atlas.studies.shared.maps import Array
from atlas.studies.tuning.result import GROUPS, PERIODS, SHAPES, STRONGEST, Curve, Family, Limits, Stimulus, Tuning
from atlas.studies.tuning.stimuli import ANGLES, COLOUR_GROUND, GROUND, PHASES, WIDTHS, all_stimuli

COLOURED = ("hue", "colour spot", "colour grating", "colour edge")  # families on the grey of the colours' lightness
RICH = 0.7  # what a rich stimulus counts for among shapes: it has something for every feature
ONE_SIDED = 0.25  # selectivity for the bright side of an edge from which that side is named
NULL_SHARES = (0.0046, 0.0008, 0.0016, 0.001)  # of features with shuffled weights that may have each of `Limits`
SILENT = 1e-6  # share of the layer's median response that is none

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Responses:
    """What F features of a layer make of all stimuli.

    Attributes:
        strongest: [n, F] activation of the strongest neuron in the middle half of the map.
        mean: [n, F] mean activation there.
    """

    strongest: Array
    mean: Array

    @cached_property
    def relative(self) -> Array:
        """[n, F] percent of the strongest response, each above that to grey; the mean over both activations."""
        return self.relative_to(np.arange(len(self.strongest)))

    def relative_to(self, stimuli: "Numbers") -> Array:
        """[n, F] likewise, percent of the strongest response to some stimuli; 0 where none excites a feature."""
        tops = (above[stimuli].max(0) for above in self._above)
        shares = (
            np.divide(above, top, out=np.zeros_like(above), where=top > 0)
            for above, top in zip(self._above, tops, strict=True)
        )
        return np.asarray(50 * sum(shares))

    @cached_property
    def drive(self) -> Array:
        """[F] the strongest response as a share of the layer's median one, at most 1: little if nothing excites it."""
        top = self._above[0].max(0)
        median = np.median(top[top > 0]) if (top > 0).any() else 1.0
        return np.asarray(np.minimum(1, top / median))

    @cached_property
    def _above(self) -> tuple[Array, Array]:
        strongest, mean = (np.maximum(0, some - some[_grounds()]) for some in (self.strongest, self.mean))
        return strongest, mean


@dataclass(frozen=True)
class Circular:
    """Tuning curves over a circle of angles.

    Attributes:
        values: [angles, F] response at even steps.
        circle: degrees: 180 for orientations, 360 for hues.
    """

    values: Array
    circle: int

    @cached_property
    def vector(self) -> NDArray[np.complex128]:
        """[F] the mean vector; its length is the curve's amplitude if that is a sine."""
        turns = np.arange(len(self.values)) / len(self.values)
        return np.asarray(2 * np.exp(2j * np.pi * turns) @ self.values / len(self.values))

    @cached_property
    def selectivity(self) -> Array:
        """[F] 1 − circular variance, from 0 to 1."""
        sums = 2 * self.values.mean(0)
        return np.asarray(np.abs(self.vector) / np.maximum(sums, np.finfo(np.float64).tiny))

    @cached_property
    def preferred(self) -> Array:
        """[F] degrees, at least 0 and below `circle`."""
        return np.asarray(np.angle(self.vector) / (2 * np.pi) % 1 * self.circle)

    def curve(self, at: int, strength: float, limit: float) -> Curve:
        """That of a feature."""
        preferred, selectivity = float(self.preferred[at]), float(self.selectivity[at])
        return Curve(_whole(self.values[:, at]), preferred, selectivity, strength, beats_null=strength > limit)


def orientations(responses: Responses) -> Circular:
    """The response to lines: the mean over sets of stimuli, each of which has all orientations."""
    return Circular(_curves(responses, _line_sets()).mean(0), 180)


def hues(responses: Responses) -> Circular:
    """The response to hues: the mean over even colours and coloured spots."""
    return Circular(_curves(responses, _hue_sets()).mean(0), 360)


def shapes(responses: Responses) -> tuple[Array, Numbers]:
    """By how much each feature's strongest stimulus is ahead of those of other groups, if it is a shape.

    Returns:
        [F] from 0 (it is no shape) to 1 (no other group excites it at all), and the number of the stimulus.
    """
    tops = np.stack([responses.relative[_of_group(name)].max(0) for name in GROUPS])  # [groups, F]
    tops[list(GROUPS).index("rich")] *= RICH
    second, first = np.sort(tops, axis=0)[-2:]
    is_shape = np.isin(tops.argmax(0), [list(GROUPS).index(name) for name in SHAPES])
    lead = np.where(is_shape, (first - second) / np.maximum(first, np.finfo(np.float64).tiny), 0)
    members = np.concatenate([_of_group(name) for name in SHAPES])
    return lead, members[responses.relative[members].argmax(0)]


def strengths(responses: Responses) -> Array:
    """How strongly each feature is tuned: [4, F] to orientation, to hue, to a shape, and to colour in lines.

    To the first two, selectivity times the length of the mean vector, without what all features of the layer have in
    common (a bias of the first layers is everywhere), by the square of how well sets of stimuli agree. To a shape and
    to colour, the lead. All are less where nothing excites a feature much: a lone weak response is as selective as can
    be.
    """
    lead, _ = shapes(responses)
    circular = []
    for sets, circle in ((_line_sets(), 180), (_hue_sets(), 360)):
        curves = _curves(responses, sets)
        own = _own_strength(Circular(curves.mean(0), circle))
        circular.append(own * agreement(curves) ** 2 * np.sqrt(responses.drive))
    return np.stack([*circular, lead * responses.drive**2, _colour_lead(responses) * responses.drive**2])


def agreement(curves: Array) -> Array:
    """How well tuning curves by sets of stimuli agree on what is preferred.

    Args:
        curves: [sets, angles, F].

    Returns:
        [F] from 0 to 1: the mean cosine of their vectors with the mean vector.
    """
    whole = Circular(curves.mean(0), 360).vector
    parts = np.stack([Circular(one, 360).vector for one in curves])  # [sets, F]
    return np.asarray(np.where(parts == 0, 0, np.maximum(0, np.cos(np.angle(parts * whole.conj())))).mean(0))


def _colour_lead(responses: Responses) -> Array:
    """[F] by how much the strongest coloured line is ahead of the strongest grey one, from 0 to 1."""
    coloured = np.isin(_lines(), np.flatnonzero([one.hue is not None for one in all_stimuli()]))
    best, grey = (responses.relative[_lines()[some]].max(0) for some in (coloured, ~coloured))
    return np.asarray(np.maximum(0, best - grey) / np.maximum(best, np.finfo(np.float64).tiny))


def _own_strength(curves: Circular) -> Array:
    """[F] selectivity times the length of the mean vector, without the layer's mean selectivity."""
    sums = 2 * curves.values.mean(0)
    if not sums.any():
        return np.zeros(sums.shape)
    own = np.abs(curves.vector - curves.vector.sum() / sums.sum() * sums)
    return np.asarray(own**2 / np.maximum(sums, np.finfo(np.float64).tiny))


def limits_of(null: Array) -> Limits:
    """The strengths, [4, features with shuffled weights], above which only few of these are.

    The shares add up to 0.8 %, so that of another shuffle, which differs from these, at most 1 % have words.
    """
    ends = zip(null, NULL_SHARES, strict=True)
    return Limits(*(float(np.quantile(one, 1 - share, method="higher")) for one, share in ends))


def strongest_groups(responses: Responses) -> list[str | None]:
    """The group of each feature's strongest stimulus; None where nothing excites it."""
    names = list(GROUPS)
    best = np.stack([responses.relative[_of_group(name)].max(0) for name in names]).argmax(0)
    return [names[at] if drive > SILENT else None for at, drive in zip(best, responses.drive, strict=True)]


def tunings(responses: Responses, limits: Limits, features: Iterable[int]) -> dict[int, Tuning]:
    """The tuning of some features, by number."""
    strong = strengths(responses)
    lines, colours, (_, shape) = orientations(responses), hues(responses), shapes(responses)
    line = _lines()[responses.relative[_lines()].argmax(0)]
    found = {}
    for at in features:
        relative = responses.relative[:, at]
        nearest = round(float(lines.preferred[at]) / 180 * len(ANGLES)) % len(ANGLES)
        frequency = relative[_gratings()[nearest]].mean(1)
        found[at] = Tuning(
            orientation=lines.curve(at, float(strong[0, at]), limits.orientation),
            width=half_width(lines.values[:, at], 180 / len(ANGLES)),
            frequency=_whole(frequency),
            period=peak_period(frequency),
            band=band(frequency),
            hue=colours.curve(at, float(strong[1, at]), limits.hue),
            side=_side(relative),
            polarity=_polarity(relative),
            line=int(line[at]),
            spot=_best_of(relative, ("spot", "colour spot")),
            arc=_best_of(relative, ("arc",)),
            is_coloured=bool(strong[3, at] > limits.colour),
            shape=int(shape[at]) if strong[2, at] > limits.shape else None,
            strongest=_strongest(relative),
        )
    return found


def half_width(values: Array, step: float) -> float | None:
    """Half of the range around the peak of a circular curve in which it is above half its height.

    Args:
        values: [n] at even steps.
        step: between two of them, degrees.

    Returns:
        Degrees; None if it never falls below half.
    """
    n, peak = len(values), int(values.argmax())
    height = values[peak] / 2
    if values.min() > height or not height:
        return None
    widths = []
    for way in (1, -1):
        around = values[(peak + way * np.arange(n)) % n]
        below = int((around <= height).argmax())
        widths.append(below - (height - around[below]) / (around[below - 1] - around[below]))
    return float(step * sum(widths) / 2)


def peak_period(frequency: Array) -> float | None:
    """The period of the peak of a frequency curve, by a parabola through it and its neighbours.

    Args:
        frequency: [periods] response by period of gratings.

    Returns:
        Pixels; None without a response.
    """
    at = int(frequency.argmax())
    if not frequency[at] > 0:
        return None
    if at in (0, len(PERIODS) - 1):
        return PERIODS[at]
    logs = np.log(PERIODS[at - 1 : at + 2])
    bend, slope, _ = np.polyfit(logs - logs[1], frequency[at - 1 : at + 2], 2)
    return float(np.exp(logs[1] - slope / (2 * bend)))


def band(frequency: Array) -> tuple[float | None, float | None]:
    """Where a frequency curve falls to half of its peak.

    Args:
        frequency: [periods] response by period of gratings.

    Returns:
        The shorter and the longer period, pixels, between two measured ones by logarithm; None where it stays above.
        Without the longer one the feature is low-pass, without the shorter one high-pass.
    """
    at, logs = int(frequency.argmax()), np.log(PERIODS)
    half = frequency[at] / 2

    def crossing(values: Array, places: Array) -> float | None:
        below = np.flatnonzero(values <= half)  # outwards from the peak
        if not half or not below.size:
            return None
        first = int(below[0])
        share = (values[first - 1] - half) / (values[first - 1] - values[first])
        return float(np.exp(places[first - 1] + share * (places[first] - places[first - 1])))

    return crossing(frequency[at::-1], logs[at::-1]), crossing(frequency[at:], logs[at:])


def _best_of(relative: Array, families: tuple[Family, ...]) -> int | None:
    """The strongest stimulus of some families; None where none excites the feature."""
    members = [at for at, one in enumerate(all_stimuli()) if one.family in families]
    best = members[int(relative[members].argmax())]
    return best if relative[best] > 0 else None


def _side(relative: Array) -> float | None:
    """Direction of the bright side of edges, degrees; None if none is preferred."""
    found = Circular(relative[_by_side()].mean(1)[:, None], 360)
    return float(found.preferred[0]) if found.selectivity[0] >= ONE_SIDED else None


def _polarity(relative: Array) -> float:
    """From −1, only dark lines and spots excite it, to 1, only bright ones do."""
    bright, dark = (float(relative[_of_polarity(bright)].max()) for bright in (True, False))
    return (bright - dark) / (bright + dark) if bright + dark else 0.0


def _strongest(relative: Array) -> tuple[int, ...]:
    """Numbers of the strongest stimuli, of gratings that differ by phase alone the first."""
    found: dict[object, int] = {}
    stimuli = all_stimuli()
    for at in np.argsort(-relative, kind="stable").tolist():
        one = stimuli[at]
        if len(found) == STRONGEST or not relative[at] > 0:
            break
        found.setdefault((one.family, one.angle, one.size) if one.family == "grating" else at, at)
    return tuple(found.values())


def _whole(values: Array) -> tuple[int, ...]:
    return tuple(round(value) for value in values.tolist())


def _curves(responses: Responses, sets: Sequence[Numbers]) -> Array:
    """The tuning curve by each of some sets of stimuli, in percent of the strongest response to any of them.

    Args:
        responses: of F features.
        sets: [angles, some] numbers of stimuli each.

    Returns:
        [sets, angles, F].
    """
    relative = responses.relative_to(np.concatenate([one.ravel() for one in sets]))
    return np.stack([relative[one].mean(1) for one in sets])


@cache
def _grounds() -> Numbers:
    """[n] the number of the even grey that each stimulus is compared with."""
    levels = {stimulus.level: at for at, stimulus in enumerate(all_stimuli()) if stimulus.family == "grey"}
    return np.array([levels[COLOUR_GROUND if one.family in COLOURED else GROUND] for one in all_stimuli()])


@cache
def _line_sets() -> tuple[Numbers, ...]:
    """Sets of lines, [ANGLES, some] each: gratings, coloured gratings, edges, and bars of each width and polarity."""
    bars = (_by_angle("bar", bright=bright) for bright in (True, False))  # [ANGLES, WIDTHS]
    widths = (one[:, [at]] for one in bars for at in range(len(WIDTHS)))
    return _by_angle("grating"), _by_angle("colour grating"), _by_angle("edge"), *widths


def _grouped(key: Callable[[Stimulus], float | None]) -> Numbers:
    """[keys, some] the numbers of stimuli with the same key, in the order of their keys; None leaves one out."""
    found: dict[float, list[int]] = {}
    for at, stimulus in enumerate(all_stimuli()):
        if (value := key(stimulus)) is not None:
            found.setdefault(value, []).append(at)
    return np.array([found[value] for value in sorted(found)])


@cache
def _by_angle(family: Family, *, bright: bool | None = None) -> Numbers:
    """[ANGLES, some] stimuli of a family by the angle of their lines; those of edges are across their bright side."""
    turn = 90 if family == "edge" else 0
    return _grouped(
        lambda one: ((one.angle or 0) + turn) % 180 if one.family == family and one.bright is bright else None
    )


@cache
def _hue_sets() -> tuple[Numbers, ...]:
    """Sets of colours, [HUES, 1] each: even ones of each chroma, and spots of each size on either ground."""
    sets: dict[object, list[int]] = {}
    for at, one in enumerate(all_stimuli()):  # by hue
        if one.family in ("hue", "colour spot"):
            sets.setdefault((one.family, one.chroma, one.size, one.other_hue is None), []).append(at)
    return tuple(np.array(some)[:, None] for some in sets.values())


@cache
def _by_side() -> Numbers:
    """[2 · ANGLES, some] edges by their bright side."""
    return _grouped(lambda one: one.angle if one.family == "edge" else None)


@cache
def _gratings() -> Numbers:
    """[ANGLES, PERIODS, PHASES] gratings."""
    return _by_angle("grating").reshape(len(ANGLES), len(PERIODS), len(PHASES))


@cache
def _lines() -> Numbers:
    return _of_group("lines")


@cache
def _of_group(name: str) -> Numbers:
    return np.array([at for at, one in enumerate(all_stimuli()) if one.family in GROUPS[name]])


@cache
def _of_polarity(bright: bool) -> Numbers:
    """Lines and spots that are brighter, or darker, than the ground."""
    return np.array(
        [at for at, one in enumerate(all_stimuli()) if one.family in ("bar", "spot") and one.bright is bright]
    )
