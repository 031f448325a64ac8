"""Objects: a canvas → (cover, tone), both [n, H, W] in [0, 1]: where the thing is, and which of its colours.

Tone 0 is the first colour of the thing, 1 the second. Coordinates are upright, with y downwards; a thing fills about
−0.8 to 0.8.
"""

import inspect
import math
from collections.abc import Callable

import torch
from torch import Tensor

from atlas.demo.canvas import Canvas

TAU = 2 * math.pi
Drawing = tuple[Tensor, Tensor]


def _disc(c: Canvas, x: float | Tensor, y: float | Tensor, radius: float | Tensor) -> Tensor:
    return c.inside(torch.hypot(c.x - x, c.y - y) - radius)


def _ellipse(c: Canvas, x: float, y: float, width: float | Tensor, height: float | Tensor) -> Tensor:
    """Half axes `width` and `height`."""
    radius = torch.hypot((c.x - x) / width, (c.y - y) / height)
    least = torch.minimum(torch.as_tensor(width), torch.as_tensor(height))
    return c.inside((radius - 1) * least)


def _box(c: Canvas, left: float, top: float, right: float, bottom: float) -> Tensor:
    outside = torch.maximum(torch.maximum(left - c.x, c.x - right), torch.maximum(top - c.y, c.y - bottom))
    return c.inside(outside)


def _triangle(c: Canvas, top: float, bottom: float, half: float | Tensor, x: float = 0.0) -> Tensor:
    """Point up, from `top` to `bottom`, half as wide as `half` says at the bottom."""
    along = (c.y - top) / (bottom - top)
    return c.inside(torch.maximum((c.x - x).abs() - half * along, c.y - bottom)) * (along > 0)


def _union(*parts: Tensor) -> Tensor:
    return torch.stack(parts).amax(0)


def _paint(*layers: tuple[Tensor, float]) -> Drawing:
    """Parts laid over each other, each with a tone."""
    cover = torch.zeros_like(layers[0][0])
    tone = torch.zeros_like(cover)
    for part, value in layers:
        tone = tone * (1 - part) + value * part
        cover = torch.maximum(cover, part)
    return cover, tone


def eye(c: Canvas) -> Drawing:
    """An almond with iris, pupil and a glint."""
    lid = c.uniform(0.75, 0.95)
    white = c.inside(torch.hypot(c.x, c.y.abs() + lid - 0.45) - lid)
    iris, pupil, glint = _disc(c, 0, 0, 0.36), _disc(c, 0, 0, 0.17), _disc(c, 0.1, -0.1, 0.06)
    return _paint((white, 1.0), (iris * white, 0.35), (pupil * white, 0.0), (glint, 1.0))


def flower(c: Canvas) -> Drawing:
    """Petals around a middle."""
    radius, angle = c.polar()
    petals = c.whole(5, 8)
    edge = 0.5 + 0.3 * torch.cos(angle * petals)
    return _paint((c.inside((radius - edge) * 0.7), 0.15), (_disc(c, 0, 0, 0.2), 1.0))


def star(c: Canvas) -> Drawing:
    """Five points."""
    radius, angle = c.polar()
    # fold the plane into half a point: from its tip, where the angle is 0, to the notch beside it
    fold = (torch.remainder(angle + TAU / 4 + TAU / 10, TAU / 5) - TAU / 10).abs()
    x, y = radius * torch.cos(fold), radius * torch.sin(fold)
    tip, notch = 0.85, c.uniform(0.32, 0.42)
    notch_x, notch_y = notch * math.cos(TAU / 10), notch * math.sin(TAU / 10)
    length = torch.hypot(tip - notch_x, notch_y)
    distance = (notch_y * (x - tip) + (tip - notch_x) * y) / length
    return _paint((c.inside(distance), 0.15))


def spiral(c: Canvas) -> Drawing:
    """One arm that winds outwards."""
    radius, angle = c.polar()
    turns = radius * 3.2 - angle / TAU
    arm = (turns - torch.round(turns)).abs() / 3.2
    return _paint((c.inside(arm - 0.07) * c.inside(radius - 0.85), 0.2))


def wheel(c: Canvas) -> Drawing:
    """Rim, hub and spokes."""
    radius, angle = c.polar()
    count = c.whole(6, 10)
    spoke = torch.sin(angle * count / 2).abs() * radius * 2 / count
    spokes = c.line(spoke, 0.07) * c.inside(radius - 0.7)
    return _paint((spokes, 0.6), (c.line(radius - 0.7, 0.17), 0.0), (_disc(c, 0, 0, 0.14), 0.0))


def leaf(c: Canvas) -> Drawing:
    """A pointed oval with veins."""
    body = c.inside(torch.hypot(c.x.abs() + 0.45, c.y) - 0.9)
    veins = c.line(torch.sin((c.y - c.x.abs() * 0.9) * 4 * TAU) * 0.04, 0.022)
    rib = c.line(c.x, 0.05)
    stalk = c.line(c.x, 0.06) * _box(c, -1, 0.6, 1, 0.98)
    return _paint((body, 0.1), (veins * body, 0.6), (rib * body, 1.0), (stalk, 1.0))


def face(c: Canvas) -> Drawing:
    """A round face with eyes, nose and a mouth."""
    head = _ellipse(c, 0, 0, c.uniform(0.6, 0.75), 0.78)
    eyes = _union(_disc(c, -0.27, -0.2, 0.1), _disc(c, 0.27, -0.2, 0.1))
    smile = c.uniform(0.1, 0.5)
    mouth = c.line(c.y - 0.4 + smile * (c.x**2 - 0.05), 0.09) * c.inside(c.x.abs() - 0.32)
    nose = c.line(c.x, 0.08) * _box(c, -1, -0.05, 1, 0.15)
    return _paint((head, 0.0), (eyes, 1.0), (nose, 0.55), (mouth, 1.0))


def tree(c: Canvas) -> Drawing:
    """A round crown on a trunk."""
    trunk = _box(c, -0.1, 0.1, 0.1, 0.85)
    places = (-0.32, -0.1), (0.32, -0.1), (-0.2, -0.52), (0.2, -0.52)
    crown = _union(_disc(c, 0, -0.3, 0.42), *(_disc(c, x, y, 0.3) for x, y in places))
    return _paint((trunk, 1.0), (crown, 0.1))


def fir(c: Canvas) -> Drawing:
    """Three triangles on a trunk."""
    trunk = _box(c, -0.09, 0.5, 0.09, 0.9)
    tiers = [_triangle(c, top, top + 0.6, half) for top, half in ((0.05, 0.62), (-0.35, 0.5), (-0.75, 0.36))]
    return _paint((trunk, 1.0), (tiers[0], 0.0), (tiers[1], 0.25), (tiers[2], 0.0))


def fish(c: Canvas) -> Drawing:
    """Body, tail, fin and an eye."""
    body = _ellipse(c, -0.15, 0, 0.6, c.uniform(0.28, 0.38))
    tail = c.inside(torch.maximum(c.y.abs() - (c.x - 0.3) * 0.75, c.x - 0.85))
    stripes = body * (torch.sin(c.x * 2.2 * TAU) > 0.3) * (c.x > -0.45)
    return _paint((tail, 0.5), (body, 0.0), (stripes, 0.5), (_disc(c, -0.5, -0.07, 0.07), 1.0))


def house(c: Canvas) -> Drawing:
    """Walls, roof, door and windows."""
    walls = _box(c, -0.55, -0.1, 0.55, 0.75)
    roof = _triangle(c, -0.75, -0.08, 0.75)
    door = _box(c, -0.12, 0.3, 0.12, 0.75)
    windows = _union(_box(c, -0.43, 0.05, -0.2, 0.28), _box(c, 0.2, 0.05, 0.43, 0.28))
    return _paint((walls, 0.15), (roof, 1.0), (door, 0.85), (windows, 0.7))


def heart(c: Canvas) -> Drawing:
    """Two round halves and a point."""
    x, y = c.x.abs(), -c.y + 0.15
    return _paint((c.inside((x**2 * 1.6 + (y - 0.75 * torch.sqrt(x + 1e-6)) ** 2 - 0.42) * 0.6), 0.1))


def mushroom(c: Canvas) -> Drawing:
    """A spotted cap on a stem."""
    stem = _ellipse(c, 0, 0.4, 0.2, 0.45)
    cap = _ellipse(c, 0, 0, 0.75, 0.7) * c.inside(c.y - 0.08)
    places = (-0.4, -0.15), (0.02, -0.38), (0.4, -0.17), (-0.08, -0.06)
    spots = _union(*(_disc(c, x, y, 0.11) for x, y in places))
    return _paint((stem, 0.8), (cap, 0.0), (spots * cap, 1.0))


def sun(c: Canvas) -> Drawing:
    """A disc with rays."""
    radius, angle = c.polar()
    beams = (torch.sin(angle * c.whole(8, 12)) > 0.35) * c.inside((radius - 0.62).abs() - 0.2)
    return _paint((_disc(c, 0, 0, 0.36), 0.0), (beams, 0.5))


def crescent(c: Canvas) -> Drawing:
    """One moon."""
    return _paint((_disc(c, 0, 0, 0.75) * (1 - _disc(c, 0.3, -0.05, 0.62)), 0.1))


def cup(c: Canvas) -> Drawing:
    """A mug with a handle."""
    handle = c.line(torch.hypot(c.x - 0.45, c.y - 0.05) - 0.27, 0.11)
    body = _box(c, -0.5, -0.45, 0.45, 0.6)
    rim = _ellipse(c, -0.025, -0.45, 0.475, 0.12)
    return _paint((handle, 0.2), (body, 0.1), (rim, 0.9))


def butterfly(c: Canvas) -> Drawing:
    """Four wings and a body."""
    mirrored = Canvas(c.x.abs(), c.y, c.pixel, c.generator)
    upper, lower = _ellipse(mirrored, 0.42, -0.3, 0.36, 0.42), _ellipse(mirrored, 0.34, 0.38, 0.27, 0.3)
    spot = _disc(mirrored, 0.45, -0.32, 0.15)
    return _paint((upper, 0.0), (lower, 0.35), (spot, 0.8), (_ellipse(c, 0, 0.02, 0.07, 0.55), 1.0))


def ball(c: Canvas) -> Drawing:
    """A sphere lit from a side."""
    cover = _disc(c, 0, 0, 0.72)
    shade = torch.hypot(c.x + c.uniform(0.15, 0.35), c.y + c.uniform(0.15, 0.35)) / 1.1
    return cover, shade.clamp(0, 1) * cover


def arrow(c: Canvas) -> Drawing:
    """A shaft and a head."""
    shaft = _box(c, -0.14, -0.2, 0.14, 0.8)
    return _paint((_union(shaft, _triangle(c, -0.8, -0.1, 0.55)), 0.1))


def umbrella(c: Canvas) -> Drawing:
    """A striped half disc on a stick with a hook."""
    radius, angle = c.polar()
    dome = c.inside(torch.maximum(radius - 0.78, c.y + 0.02 - 0.06 * torch.cos(c.x * 4 * TAU).abs()))
    stick = _union(
        c.line(c.x, 0.07) * _box(c, -1, -0.1, 1, 0.62),
        c.line(torch.hypot(c.x - 0.14, c.y - 0.62) - 0.14, 0.07) * c.inside(0.6 - c.y),
    )
    return _paint((stick, 1.0), (dome, 0.0), (dome * (torch.sin(angle * 8) > 0), 0.6))


def window(c: Canvas) -> Drawing:
    """A frame with four panes."""
    frame = _box(c, -0.6, -0.7, 0.6, 0.7)
    corners = (-0.5, -0.6), (0.05, -0.6), (-0.5, 0.05), (0.05, 0.05)
    panes = _union(*(_box(c, left, top, left + 0.45, top + 0.55) for left, top in corners))
    return _paint((frame, 0.0), (panes, 1.0))


OBJECTS: dict[str, Callable[[Canvas], Drawing]] = {  # every public function of this module
    name: value for name, value in globals().items() if inspect.isfunction(value) and not name.startswith("_")
}
