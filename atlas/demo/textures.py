"""Textures: a canvas → tones [n, H, W] in [0, 1], from which a picture mixes its colours. One function a class."""

import inspect
import math
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from atlas.demo.canvas import Canvas

TAU = 2 * math.pi


def _wave(phase: Tensor) -> Tensor:
    """A triangle wave of period 1, from −1 to 1."""
    return (phase - torch.floor(phase + 0.5)).abs() * 4 - 1


def _cell(canvas: Canvas, count: float) -> tuple[Tensor, Tensor]:
    """Coordinates −0.5 to 0.5 inside the cells of a square grid."""
    x, y = canvas.x * count, canvas.y * count
    return x - torch.round(x), y - torch.round(y)


def _hash(column: Tensor, row: Tensor, salt: Tensor | float) -> Tensor:
    """A number in [0, 1) for each cell of a grid."""
    value = torch.sin(column * 127.1 + row * 311.7 + salt * 74.7) * 43758.5
    return value - torch.floor(value)


def stripes(c: Canvas) -> Tensor:
    """Parallel bands, soft or hard."""
    return (0.5 + 0.5 * torch.sin(c.x * 3 * TAU) * c.uniform(1, 4)).clamp(0, 1)


def checks(c: Canvas) -> Tensor:
    """A chessboard."""
    product = torch.sin(c.x * 2 * TAU) * torch.sin(c.y * 2 * TAU)
    return (0.5 + product * 8).clamp(0, 1)


def dots(c: Canvas) -> Tensor:
    """Discs on a square grid."""
    x, y = _cell(c, 3)
    return c.inside((torch.hypot(x, y) - c.uniform(0.2, 0.36)) / 3)


def rings(c: Canvas) -> Tensor:
    """Circles with a hole on a square grid."""
    x, y = _cell(c, 2.4)
    return c.line((torch.hypot(x, y) - 0.32) / 2.4, c.uniform(0.05, 0.09))


def bricks(c: Canvas) -> Tensor:
    """Rows of bricks with mortar, every other row shifted."""
    y = c.y * 4
    row = torch.round(y)
    x = c.x * 2 + 0.5 * (row % 2)
    mortar = torch.minimum(0.5 - (x - torch.round(x)).abs(), (0.5 - (y - row).abs()) / 2) / 2
    tone = 0.15 * _hash(torch.round(x), row, 1.0)
    return (c.inside(0.03 - mortar) - tone).clamp(0, 1)


def hexagons(c: Canvas) -> Tensor:
    """A honeycomb."""
    x, y = c.x * 3, c.y * 3
    height = math.sqrt(3)
    ax, ay = x - torch.round(x), y - torch.round(y / height) * height
    bx = x - 0.5 - torch.round(x - 0.5)
    by = y - height / 2 - torch.round((y - height / 2) / height) * height
    near = (ax**2 + ay**2) < (bx**2 + by**2)
    hx, hy = torch.where(near, ax, bx).abs(), torch.where(near, ay, by).abs()
    edge = 0.5 - torch.maximum(hx, hx / 2 + hy * height / 2)
    return c.inside((c.uniform(0.05, 0.1) - edge) / 3)


def scales(c: Canvas) -> Tensor:
    """Overlapping half discs, as of a fish or a roof."""
    tone = torch.zeros_like(c.x)
    done = torch.zeros_like(c.x)
    for shift in (0.0, 0.5, 1.0):  # the row whose discs lie on top comes first
        row = torch.floor(c.y * 4) - 1 + 2 * shift
        x = c.x * 2.5 + 0.5 * (row % 2)
        radius = torch.hypot((x - torch.round(x)) * 1.6, c.y * 4 - row)
        covers = (radius < 1).float() * (1 - done)
        tone = tone + covers * (0.2 + 0.8 * radius**3)
        done = done + covers
    return tone


def waves(c: Canvas) -> Tensor:
    """Wavy bands."""
    bend = torch.sin(c.x * 1.5 * TAU) * c.uniform(0.1, 0.2)
    return (0.5 + torch.sin((c.y + bend) * 3 * TAU) * 1.5).clamp(0, 1)


def zigzag(c: Canvas) -> Tensor:
    """Bands that turn sharply."""
    bend = _wave(c.x * 1.8) * c.uniform(0.1, 0.16)
    return (0.5 + torch.sin((c.y + bend) * 3 * TAU) * 4).clamp(0, 1)


def clouds(c: Canvas) -> Tensor:
    """Fractal noise."""
    return ((c.fractal(3, 5) - 0.5) * 2.2 + 0.5).clamp(0, 1)


def zebra(c: Canvas) -> Tensor:
    """Stripes bent by noise."""
    return (0.5 + torch.sin((c.x * 2.5 + (c.noise(4) - 0.5) * 2.4) * TAU) * 5).clamp(0, 1)


def leopard(c: Canvas) -> Tensor:
    """Broken rings of random sizes around lighter spots."""
    distance, _ = _voronoi(c, 4.0)
    ring = torch.exp(-(((distance - 0.3) / 0.09) ** 2))
    return (ring * (0.3 + 1.5 * c.noise(14)) + 0.25 * (distance < 0.2)).clamp(0, 1)


def cells(c: Canvas) -> Tensor:
    """Voronoi cells with dark walls."""
    nearest, second = _voronoi(c, 3.0)
    return ((second - nearest) * 5).clamp(0, 1)


def _voronoi(c: Canvas, count: float) -> tuple[Tensor, Tensor]:
    """Distance to the nearest and second nearest of points scattered over a grid, in cells."""
    x, y = c.x * count, c.y * count
    salt = c.uniform(0, 9)
    distances = []
    for dx, dy in product((-1, 0, 1), repeat=2):
        column, row = torch.floor(x) + dx, torch.floor(y) + dy
        px = column + _hash(column, row, 1.0 + salt)
        py = row + _hash(column, row, 5.0 + salt)
        distances.append(torch.hypot(x - px, y - py))
    nearest, second = torch.stack(distances).topk(2, dim=0, largest=False).values
    return nearest, second


def moons(c: Canvas) -> Tensor:
    """Crescents on a square grid."""
    x, y = _cell(c, 2.2)
    whole = c.inside((torch.hypot(x, y) - 0.36) / 2.2)
    bite = c.inside((torch.hypot(x - 0.16, y) - 0.3) / 2.2)
    return whole * (1 - bite)


def crosses(c: Canvas) -> Tensor:
    """Plus signs on a square grid."""
    x, y = _cell(c, 2.4)
    x, y = x.abs(), y.abs()
    arm = torch.maximum(torch.minimum(x, y) - 0.09, torch.maximum(x, y) - 0.34)
    return c.inside(arm / 2.4)


def weave(c: Canvas) -> Tensor:
    """Bands that go over and under each other."""
    x, y = _cell(c, 3)
    over = (torch.round(c.x * 3) + torch.round(c.y * 3)) % 2
    band = torch.where(over > 0.5, x, y).abs()
    along = torch.where(over > 0.5, y, x).abs()
    return ((0.46 - band) * 9).clamp(0, 1) * (0.45 + 0.55 * over) * (1 - 1.2 * along**2)


def wood(c: Canvas) -> Tensor:
    """Year rings cut lengthwise."""
    radius = torch.hypot(c.x * 0.5 + 0.3, c.y * 2.2 + (c.noise(3) - 0.5) * 1.2)
    ring = radius * 4
    return ((ring - torch.floor(ring)) ** 2 * 0.8 + 0.2 * c.noise(40)).clamp(0, 1)


def marble(c: Canvas) -> Tensor:
    """Thin veins in a pale ground."""
    turbulence = (c.fractal(3, 5) - 0.5).abs()
    return (1 - turbulence * 9).clamp(0, 1) ** 1.5


def tartan(c: Canvas) -> Tensor:
    """Crossed bands of several widths."""
    total = torch.zeros_like(c.x)
    for axis in (c.x, c.y):
        wide = (torch.sin(axis * 1.6 * TAU) > 0.2).float()
        thin = (torch.sin(axis * 1.6 * TAU + 1.7) > 0.93).float()
        total = total + 0.32 * wide + 0.36 * thin
    return total.clamp(0, 1)


def triangles(c: Canvas) -> Tensor:
    """Triangles that point up and down."""
    x, y = c.x * 3, c.y * 3
    row = torch.floor(y)
    inside = y - row
    shifted = x + 0.5 * (row % 2)
    across = (shifted - torch.round(shifted)).abs() * 2
    return c.inside((across - inside) / 6)


def diamonds(c: Canvas) -> Tensor:
    """Tall diamonds with thin lines across, as on a jumper."""
    x, y = _cell(c, 1.8)
    body = c.inside((x.abs() * 1.2 + y.abs() - 0.5) / 2.4)
    line = c.line((x.abs() * 1.2 - y.abs()) / 2.4, 0.02)
    return (body * 0.7 + line * 0.6).clamp(0, 1)


def bullseye(c: Canvas) -> Tensor:
    """Concentric rings."""
    radius, _ = c.polar()
    return (0.5 + torch.sin(radius * 3 * TAU) * 3).clamp(0, 1)


def rays(c: Canvas) -> Tensor:
    """Wedges from a middle."""
    _, angle = c.polar()
    return (0.5 + torch.sin(angle * c.whole(6, 10)) * 4).clamp(0, 1)


def lattice(c: Canvas) -> Tensor:
    """Thin crossed lines."""
    x, y = _cell(c, 3)
    width = c.uniform(0.03, 0.07)
    return torch.maximum(c.line(x / 3, width), c.line(y / 3, width))


def speckle(c: Canvas) -> Tensor:
    """Fine grains."""
    return ((c.noise(48) - 0.62) * 7).clamp(0, 1)


def maze(c: Canvas) -> Tensor:
    """Winding bands of one width and every direction, as of a labyrinth or a fingerprint."""
    total = torch.zeros_like(c.x)
    for angle in (c.uniform(0, TAU) for _ in range(7)):
        total += torch.sin((torch.cos(angle) * c.x + torch.sin(angle) * c.y) * 2.6 * TAU + c.uniform(0, TAU))
    return (0.5 + total * 2).clamp(0, 1)


def bubbles(c: Canvas) -> Tensor:
    """Thin circles of random sizes at random places."""
    centres = (torch.hypot(c.x - c.uniform(-1.1, 1.1), c.y - c.uniform(-1.1, 1.1)) for _ in range(9))
    return torch.stack([c.line(radius - c.uniform(0.12, 0.4), 0.05) for radius in centres]).amax(0)


def confetti(c: Canvas) -> Tensor:
    """Small squares of several tones at random places."""
    x, y = c.x * 4, c.y * 4
    column, row = torch.floor(x), torch.floor(y)
    salt = c.uniform(0, 9)
    turn = _hash(column, row, salt + 3) * 3
    dx, dy = x - column - 0.3 - 0.4 * _hash(column, row, salt), y - row - 0.3 - 0.4 * _hash(column, row, salt + 7)
    square = torch.maximum(
        (torch.cos(turn) * dx - torch.sin(turn) * dy).abs(), (torch.sin(turn) * dx + torch.cos(turn) * dy).abs()
    )
    return c.inside((square - 0.2) / 4) * (0.35 + 0.65 * _hash(column, row, salt + 5))


TEXTURES: dict[str, Callable[[Canvas], Tensor]] = {  # every public function of this module
    name: value for name, value in globals().items() if inspect.isfunction(value) and not name.startswith("_")
}
