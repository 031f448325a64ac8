"""Drawn stimuli: pictures whose every property is known, as neurophysiology shows them. Deterministic, antialiased.

Whatever is not periodic lies in the middle of a grey picture. For angles and lengths see `Stimulus`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import torch

from atlas.demo.objects import OBJECTS
from atlas.demo.pictures import draw_class
from atlas.demo.textures import TEXTURES
from atlas.studies.shared.maps import Array
from atlas.studies.tuning.result import HUES, ORIENTATIONS, PERIODS, Family, Stimulus

COLOUR_PERIODS = (7.0, 16.0)
PHASES = (0.0, 90.0)
ANGLES = tuple(180 * at / ORIENTATIONS for at in range(ORIENTATIONS))  # of lines
DIRECTIONS = tuple(2 * angle for angle in ANGLES)
SIDES = (*ANGLES, *(angle + 180 for angle in ANGLES))  # of edges, so that their lines have all orientations
HUE_ANGLES = tuple(360 * at / HUES for at in range(HUES))
AXES = HUE_ANGLES[: HUES // 2 : 2]  # the six colour directions: each hue against the opposite one
CHROMAS = (0.04, 0.07, 0.1)
GREYS = tuple(at / 8 for at in range(9))
WIDTHS = (2.0, 5.0, 12.0)  # of lines
SOFTNESS = (1.0, 6.0)  # pixels over which an edge goes from dark to bright
RADII = (6.0, 12.0, 22.0, 38.0)  # of arcs
SPOTS = (2.0, 4.0, 7.0, 12.0, 20.0, 32.0)  # radii
OPENINGS = (45.0, 90.0, 135.0)  # of corners

GROUND = 0.5  # the grey around everything that has no colour
BRIGHT, DARK = 0.95, 0.05
CONTRAST = 0.32  # of what has two tones throughout: as much, root mean square, as a grating from dark to bright
LIGHTNESS, COLOUR_GROUND = 0.704, 0.625  # of colours, in OKLCH, and the grey of that lightness
SEED = 0  # of the drawn textures and things

STROKES: dict[
    str, tuple[str, ...]
] = {  # of letters: pairs of points of a grid of 3 × 3, numbered row by row from the top left
    "A": ("61", "18", "35"),
    "E": ("06", "02", "34", "68"),
    "F": ("06", "02", "34"),
    "H": ("06", "28", "35"),
    "K": ("06", "23", "38"),
    "L": ("06", "68"),
    "M": ("06", "04", "42", "28"),
    "N": ("06", "08", "28"),
    "T": ("02", "17"),
    "V": ("07", "27"),
    "X": ("08", "26"),
    "Y": ("04", "24", "47"),
    "Z": ("02", "26", "68"),
}

Distance = Array  # [size, size] signed, pixels, negative inside
Point = tuple[float, float]


@cache
def all_stimuli() -> tuple[Stimulus, ...]:
    """Every stimulus once, family by family."""
    return (*_everywhere(), *_bright_or_dark(bright=True), *_bright_or_dark(bright=False), *_coloured(), *_rich())


def _everywhere() -> Iterator[Stimulus]:
    """What fills a picture, without colour."""
    yield from (Stimulus("grey", level=level) for level in GREYS)
    for angle, period, phase in product(ANGLES, PERIODS, PHASES):
        yield Stimulus("grating", angle=angle, size=period, phase=phase)
    for angle, softness in product(SIDES, SOFTNESS):
        yield Stimulus("edge", angle=angle, size=softness)
    for angle, period in product(ANGLES[: ORIENTATIONS // 2 : 2], PERIODS[1:]):
        yield Stimulus("plaid", angle=angle, size=period)
    for angle, period in product((0.0, 45.0), PERIODS[1:]):
        yield Stimulus("checks", angle=angle, size=period)
    for angle, period in product(DIRECTIONS[::2], (4.0, 7.0)):
        yield Stimulus("border", angle=angle, size=period)


def _bright_or_dark(*, bright: bool) -> Iterator[Stimulus]:
    """What comes brighter and darker than the ground."""
    for angle, width in product(ANGLES, WIDTHS):
        yield Stimulus("bar", angle=angle, size=width, bright=bright)
    for angle, opening in product(DIRECTIONS[::2], OPENINGS):
        yield Stimulus("corner", angle=angle, opening=opening, bright=bright)
    for name, angle in (*product("TY", DIRECTIONS[::4]), ("X", 0.0), ("X", 45.0)):
        yield Stimulus("junction", angle=angle, bright=bright, name=name)
    for angle, radius in product(DIRECTIONS[::2], RADII):
        yield Stimulus("arc", angle=angle, size=radius, bright=bright)
    for radius in SPOTS:
        yield Stimulus("spot", size=radius, bright=bright)
        yield Stimulus("ring", size=radius + 2, bright=bright)
    for radius in SPOTS[:4]:
        yield Stimulus("dots", size=radius, bright=bright)
    for radius in (8.0, 16.0, 30.0):
        yield Stimulus("eye", size=radius, bright=bright)
        yield Stimulus("face", size=radius + 8, bright=bright)
    for name in STROKES:
        yield Stimulus("letter", size=20.0, bright=bright, name=name)


def _coloured() -> Iterator[Stimulus]:
    for hue, chroma in product(HUE_ANGLES, CHROMAS):
        yield Stimulus("hue", hue=hue, chroma=chroma)
    for hue, radius, is_opposed in product(HUE_ANGLES, (6.0, 16.0), (False, True)):
        yield Stimulus("colour spot", size=radius, hue=hue, other_hue=(hue + 180) % 360 if is_opposed else None)
    for angle, hue, period in product(ANGLES, AXES, COLOUR_PERIODS):
        yield Stimulus("colour grating", angle=angle, size=period, hue=hue, other_hue=hue + 180)
    for angle, hue in product(DIRECTIONS, AXES):
        yield Stimulus("colour edge", angle=angle, hue=hue, other_hue=hue + 180)
    for hue, radius in product(HUE_ANGLES[2::6], (12.0, 24.0)):
        yield Stimulus("eye", size=radius, hue=hue, bright=False)


def _rich() -> Iterator[Stimulus]:
    """What the demo weights were trained on."""
    yield from (Stimulus("texture", name=name) for name in TEXTURES)
    yield from (Stimulus("thing", name=name) for name in OBJECTS)


def draw(stimulus: Stimulus, size: int) -> Array:
    """Draw a stimulus.

    Args:
        stimulus: by its properties.
        size: pixels a side.

    Returns:
        [size, size, 3] in [0, 1].
    """
    places = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(places, -places)
    picture = _DRAWINGS[stimulus.family](_Canvas(stimulus, x, y))
    return np.clip(picture if picture.ndim == 3 else picture[:, :, None].repeat(3, 2), 0, 1)


def colour(lightness: float, chroma: float, hue: float) -> Array:
    """OKLCH -> sRGB, [3], clipped to [0, 1]; the inverse of `site.colour.oklch`."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    linear = np.clip(_TO_RGB @ (_TO_ROOTS @ [lightness, a, b]) ** 3, 0, 1)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


# matrices of Ottosson 2020: from OKLab to the cube roots of cone responses, and from these, cubed, to linear sRGB
_TO_ROOTS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@dataclass(frozen=True)
class _Canvas:
    """A stimulus and the places of pixels, from the middle; drawings return [size, size] or [size, size, 3]."""

    stimulus: Stimulus
    x: Array  # rightwards
    y: Array  # upwards

    @property
    def angle(self) -> float:
        return self.stimulus.angle or 0.0

    @property
    def size(self) -> float:
        return self.stimulus.size or 1.0

    def along(self, angle: float) -> Array:
        """How far each pixel lies in a direction."""
        return self.x * math.cos(math.radians(angle)) + self.y * math.sin(math.radians(angle))

    def across(self, angle: float) -> Array:
        """How far each pixel lies to the left of a direction."""
        return self.along(angle + 90)

    def away(self) -> Array:
        """How far each pixel lies from the middle."""
        return np.asarray(np.hypot(self.x, self.y))

    def moved(self, angle: float, length: float) -> "_Canvas":
        """A canvas whose middle lies elsewhere."""
        x, y = length * math.cos(math.radians(angle)), length * math.sin(math.radians(angle))
        return replace(self, x=self.x - x, y=self.y - y)

    def wave(self, angle: float, period: float, phase: float = 0.0) -> Array:
        """A sine with lines at an angle, from −1 to 1."""
        return np.asarray(np.sin(2 * math.pi * self.across(angle) / period + math.radians(phase)))

    def stroke(self, start: Point, end: Point, width: float) -> Distance:
        """A line from one place to another, with round ends."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        share = np.clip(((self.x - start[0]) * dx + (self.y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
        return np.asarray(np.hypot(self.x - start[0] - share * dx, self.y - start[1] - share * dy) - width / 2)

    def on_ground(self, cover: Array) -> Array:
        """Bright or dark where it is covered, and the ground elsewhere."""
        return GROUND + cover * ((BRIGHT if self.stimulus.bright else DARK) - GROUND)

    def in_colours(self, cover: Array, ground: float | None = None) -> Array:
        """The stimulus's hue where it is covered, and elsewhere the other one, or a grey."""
        first = vivid(self.stimulus.hue or 0.0)
        other = np.full(3, ground) if self.stimulus.other_hue is None else vivid(self.stimulus.other_hue)
        return np.asarray(other + cover[:, :, None] * (first - other))


Drawing = Callable[[_Canvas], Array]


def vivid(hue: float) -> Array:
    """The colour of a hue in all stimuli but `hue`, [3]."""
    return colour(LIGHTNESS, CHROMAS[-1], hue)


def _inside(distance: Distance) -> Array:
    """1 inside, 0 outside, with an edge one pixel wide."""
    return np.clip(0.5 - distance, 0, 1)


def _grey(c: _Canvas) -> Array:
    return np.full_like(c.x, c.stimulus.level)


def _hue(c: _Canvas) -> Array:
    return np.zeros((*c.x.shape, 3)) + colour(LIGHTNESS, c.stimulus.chroma or 0.0, c.stimulus.hue or 0.0)


def _grating(c: _Canvas) -> Array:
    return GROUND + (BRIGHT - GROUND) * c.wave(c.angle, c.size, c.stimulus.phase or 0.0)


def _colour_grating(c: _Canvas) -> Array:
    return c.in_colours((1 + c.wave(c.angle, c.size)) / 2)


def _plaid(c: _Canvas) -> Array:
    """Two gratings at right angles."""
    return GROUND + (BRIGHT - GROUND) * (c.wave(c.angle, c.size) + c.wave(c.angle + 90, c.size)) / 2


def _checks(c: _Canvas) -> Array:
    return GROUND + CONTRAST * _two_tones(c, c.angle, c.size)


def _two_tones(c: _Canvas, angle: float, period: float) -> Array:
    """A chessboard of −1 and 1, with edges about a pixel wide."""
    return np.clip(c.wave(angle, period) * c.wave(angle + 90, period) * period / 2, -1, 1)


def _border(c: _Canvas) -> Array:
    """Fine checks on the side of a direction, coarse ones on the other."""
    fine, coarse = (_two_tones(c, 0, period) for period in (c.size, 4 * c.size))
    return GROUND + CONTRAST * np.where(c.along(c.angle) > 0, fine, coarse)


def _edge(c: _Canvas) -> Array:
    return DARK + (BRIGHT - DARK) * np.clip(0.5 + c.along(c.angle) / c.size, 0, 1)


def _colour_edge(c: _Canvas) -> Array:
    return c.in_colours(_inside(-c.along(c.angle)))


def _bar(c: _Canvas) -> Array:
    return c.on_ground(_inside(np.abs(c.across(c.angle)) - c.size / 2))


def _corner(c: _Canvas) -> Array:
    half = (c.stimulus.opening or 0.0) / 2
    return c.on_ground(_inside(np.maximum(c.across(c.angle + half), -c.across(c.angle - half))))


def _junction(c: _Canvas) -> Array:
    """Lines that meet in the middle."""
    turns = {"T": (0, 90, 180), "X": (0, 90, 180, 270), "Y": (0, 120, 240)}[c.stimulus.name or "X"]
    ends = [(30 * math.cos(math.radians(c.angle + t)), 30 * math.sin(math.radians(c.angle + t))) for t in turns]
    return c.on_ground(_inside(np.minimum.reduce([c.stroke((0, 0), end, 4) for end in ends])))


def _arc(c: _Canvas) -> Array:
    """Half a circle, open in a direction, with the middle of the arc near that of the picture."""
    c = c.moved(c.angle, c.size / 2)
    circle = np.abs(c.away() - c.size) - 1.5
    return c.on_ground(_inside(np.maximum(circle, c.along(c.angle))))


def _spot(c: _Canvas) -> Array:
    return c.on_ground(_inside(c.away() - c.size))


def _ring(c: _Canvas) -> Array:
    return c.on_ground(_inside(np.abs(c.away() - c.size) - max(1.0, c.size / 8)))


def _dots(c: _Canvas) -> Array:
    """Spots on a hexagonal lattice, three radii apart."""
    step, rise = 3 * c.size, 3 * c.size * math.sqrt(3)
    lattices = [
        np.hypot((c.x - dx + step / 2) % step - step / 2, (c.y - dy + rise / 2) % rise - rise / 2)
        for dx, dy in ((0, 0), (step / 2, rise / 2))
    ]
    return c.on_ground(_inside(np.minimum(*lattices) - c.size))


def _colour_spot(c: _Canvas) -> Array:
    return c.in_colours(_inside(c.away() - c.size), COLOUR_GROUND)


def _eye(c: _Canvas) -> Array:
    """A pupil in an iris in a ring, of which pupil and ring differ in brightness."""
    pupil, ring = (BRIGHT, DARK) if c.stimulus.bright else (DARK, BRIGHT)
    iris = np.full(3, GROUND) if c.stimulus.hue is None else vivid(c.stimulus.hue)
    picture = np.full((*c.x.shape, 3), GROUND)
    for share, tone in ((1.0, np.full(3, ring)), (0.7, iris), (0.35, np.full(3, pupil))):
        picture += _inside(c.away() - share * c.size)[:, :, None] * (tone - picture)
    return picture


def _face(c: _Canvas) -> Array:
    """An oval in which two eyes, a nose and a mouth are left out."""
    unit = replace(c, x=c.x / c.size, y=c.y / c.size)
    oval = (np.hypot(unit.x / 0.8, unit.y) - 1) * 0.8
    eyes = np.hypot(np.abs(unit.x) - 0.32, unit.y - 0.25) - 0.13
    nose, mouth = unit.stroke((0, 0.15), (0, -0.15), 0.1), unit.stroke((-0.3, -0.45), (0.3, -0.45), 0.12)
    parts = np.minimum.reduce([eyes, nose, mouth])
    return c.on_ground(_inside(oval * c.size) * (1 - _inside(parts * c.size)))


def _letter(c: _Canvas) -> Array:
    def place(point: str) -> Point:
        row, column = divmod(int(point), 3)
        return 0.7 * (column - 1) * c.size, (1 - row) * c.size

    strokes = [c.stroke(place(ends[0]), place(ends[1]), 5) for ends in STROKES[c.stimulus.name or "X"]]
    return c.on_ground(_inside(np.minimum.reduce(strokes)))


def _of_class(c: _Canvas) -> Array:
    return _drawn(c.stimulus.name or "", len(c.x))


@cache
def _drawn(name: str, size: int) -> Array:
    """A picture of a class of the demo, in colours of its own."""
    picture = draw_class(name, 1, size, torch.Generator().manual_seed(SEED))[0]  # [3, size, size]
    return np.asarray(picture.permute(1, 2, 0).double().numpy())


_DRAWINGS: dict[Family, Drawing] = {
    "grey": _grey,
    "hue": _hue,
    "grating": _grating,
    "colour grating": _colour_grating,
    "bar": _bar,
    "edge": _edge,
    "colour edge": _colour_edge,
    "spot": _spot,
    "dots": _dots,
    "ring": _ring,
    "eye": _eye,
    "colour spot": _colour_spot,
    "arc": _arc,
    "corner": _corner,
    "junction": _junction,
    "letter": _letter,
    "face": _face,
    "checks": _checks,
    "plaid": _plaid,
    "border": _border,
    "texture": _of_class,
    "thing": _of_class,
}
