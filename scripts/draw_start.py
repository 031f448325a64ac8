"""Draw the start picture that ships with the project, atlas/demo/start.jpg, from the textures and objects there.

The same machine draws the same bytes again; on another the last bits may differ, so that the file is kept and its hash
stands in atlas/plan/starts.py.
"""

import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from atlas.demo import objects, textures
from atlas.demo.canvas import Canvas

FILE = Path(__file__).parent.parent / "atlas" / "demo" / "start.jpg"
HEIGHT, WIDTH = 460, 690
FINER = 3  # times as many pixels while drawing
SEED = 1
QUALITY = 88
HORIZON = 0.47

Colour = tuple[float, float, float]


@dataclass
class Scene:
    """A picture being painted: coordinates from 0 at the top left, 1 at the bottom, and 1.5 at the right."""

    pixels: Tensor  # [3, H, W]
    x: Tensor  # [1, H, W]
    y: Tensor
    generator: torch.Generator

    def paint(self, cover: Tensor, colour: Tensor | Colour) -> None:
        """Lay a colour [3, …] over the picture where cover [1, H, W] says."""
        paint = colour if isinstance(colour, Tensor) else torch.tensor(colour)[:, None, None]
        self.pixels = self.pixels + (paint - self.pixels) * cover

    def canvas(self, x: float, y: float, scale: float, tilt: float = 0.0, squash: float = 1.0) -> Canvas:
        """Coordinates of a thing in the middle of which lies (x, y); −1 to 1 is 2·scale wide."""
        cos, sin = math.cos(tilt), math.sin(tilt)
        dx, dy = (self.x - x) / scale, (self.y - y) / scale / squash
        return Canvas(
            cos * dx - sin * dy, sin * dx + cos * dy, torch.full((1, 1, 1), 1 / HEIGHT / FINER / scale), self.generator
        )

    def noise(self, across: int, down: int) -> Tensor:
        """Smooth noise with so many cells, [1, H, W] in [0, 1]."""
        coarse = torch.rand(1, 1, down, across, generator=self.generator)
        return F.interpolate(coarse, self.x.shape[-2:], mode="bicubic", align_corners=False)[0].clamp(0, 1)

    def fractal(self, across: int, down: int, octaves: int = 5) -> Tensor:
        """Noise of several coarsenesses, in [0, 1]."""
        total = sum(self.noise(across * 2**k, down * 2**k) * 0.5**k for k in range(octaves))
        assert isinstance(total, Tensor)
        return total / sum(0.5**k for k in range(octaves))

    def below(self, ridge: Tensor) -> Tensor:
        """1 below a ridge [1, 1, W] of heights, with an edge one pixel wide."""
        return ((self.y - ridge) * HEIGHT * FINER + 0.5).clamp(0, 1)

    def ridge(self, base: float, height: float, bumps: int, octaves: int) -> Tensor:
        """A line of hills, [1, 1, W]."""
        line = sum(
            F.interpolate(
                torch.rand(1, 1, bumps * 2**k + 3, generator=self.generator)[:, :, None],
                (1, self.x.shape[-1]),
                mode="bicubic",
            )[0]
            * 0.5**k
            for k in range(octaves)
        )
        assert isinstance(line, Tensor)
        return base - height * (line - 0.6)

    def put(
        self,
        thing: Callable[[Canvas], objects.Drawing],
        at: tuple[float, float, float],
        first: Colour,
        second: Colour,
        *,
        tilt: float = 0.0,
    ) -> None:
        """Put an object at (x, y, scale), lit from the left."""
        canvas = self.canvas(*at, tilt)
        cover, tone = thing(canvas)
        mixed = mix(tone, first, second)
        light = 1.12 - 0.3 * (canvas.x * 0.8 + canvas.y * 0.5 + 0.5).clamp(0, 1)
        self.paint(cover, (mixed * light).clamp(0, 1))

    def shadow(self, x: float, y: float, wide: float, high: float, strength: float = 0.5) -> None:
        """A soft dark patch on the ground."""
        distance = ((self.x - x) / wide) ** 2 + ((self.y - y) / high) ** 2
        self.paint(strength * torch.exp(-2.5 * distance), (0.06, 0.1, 0.07))


def mix(tone: Tensor, first: Colour, second: Colour) -> Tensor:
    """From the first colour to the second: [1, H, W] -> [3, H, W]."""
    one, other = (torch.tensor(colour)[:, None, None] for colour in (first, second))
    return one + (other - one) * tone


def blank(seed: int) -> Scene:
    """Nothing painted yet."""
    height, width = HEIGHT * FINER, WIDTH * FINER
    y = ((torch.arange(height) + 0.5) / height)[None, :, None].expand(1, height, width)
    x = ((torch.arange(width) + 0.5) / height)[None, None, :].expand(1, height, width)
    return Scene(torch.zeros(3, height, width), x, y, torch.Generator().manual_seed(seed))


def paint_sky(scene: Scene) -> None:
    """From blue to a warm horizon, a low sun, and clouds."""
    up = (1 - scene.y / HORIZON).clamp(0, 1)
    scene.paint(torch.ones_like(scene.x), mix(up**0.8, (0.99, 0.84, 0.62), (0.2, 0.42, 0.74)))
    away = torch.hypot(scene.x - 1.08, scene.y - 0.3)
    scene.paint((0.9 * torch.exp(-((away / 0.16) ** 2))).clamp(0, 1), (1.0, 0.9, 0.6))
    scene.paint(scene.canvas(1.08, 0.3, 1.0).inside(away - 0.05), (1.0, 0.97, 0.82))
    puffs = ((scene.fractal(5, 7) - 0.5) * 6).clamp(0, 1) * (up * 3).clamp(0, 1) * 0.85
    shade = scene.fractal(9, 12)
    scene.paint(puffs, mix(((shade - 0.3) * 2).clamp(0, 1), (0.86, 0.75, 0.78), (1.0, 0.98, 0.94)))


def paint_hills(scene: Scene) -> None:
    """Mountains with snow, and fields of several textures before them."""
    far = scene.ridge(0.36, 0.26, 4, 7)
    rock = scene.fractal(24, 10)
    snow = ((rock - 0.5) * 14 + (0.25 - scene.y) * 14).clamp(0, 1)
    scene.paint(scene.below(far), mix(snow, (0.36, 0.42, 0.58), (0.95, 0.96, 1.0)))
    woods = scene.ridge(0.45, 0.1, 5, 6)
    scene.paint(scene.below(woods), mix(scene.fractal(60, 40, 3), (0.1, 0.26, 0.26), (0.28, 0.46, 0.4)))
    left, right = scene.ridge(0.51, 0.1, 2, 2), scene.ridge(0.56, 0.13, 2, 2)
    rows = textures.stripes(scene.canvas(0.3, 0.2, 0.16, tilt=0.45, squash=0.8))
    scene.paint(scene.below(left), mix(rows, (0.76, 0.62, 0.24), (0.95, 0.83, 0.42)))
    orchard = textures.dots(scene.canvas(0.9, 0.6, 0.14, squash=0.42))
    scene.paint(scene.below(right), mix(orchard, (0.5, 0.68, 0.28), (0.16, 0.4, 0.16)))


def paint_water(scene: Scene) -> None:
    """A lake that mirrors the sky, with ripples."""
    shore = 0.62 + 0.012 * torch.sin(scene.x * 9) + 0.02 * (scene.x - 0.6)
    inside = ((scene.y - shore) * HEIGHT * FINER).clamp(0, 1)
    depth = ((scene.y - 0.6) / 0.22).clamp(0, 1)
    ripples = (torch.sin((scene.y**2 * 160) + 5 * scene.fractal(6, 24, 3) + 2 * scene.x) * 0.5 + 0.5) ** 3
    scene.paint(inside, mix(depth, (0.78, 0.78, 0.72), (0.12, 0.34, 0.52)))
    scene.paint(inside * ripples * 0.5, (0.96, 0.93, 0.82))
    glint = torch.exp(-(((scene.x - 1.08) / 0.07) ** 2)) * (ripples > 0.3)
    scene.paint(inside * glint * 0.75, (1.0, 0.93, 0.68))


def paint_shore(scene: Scene) -> None:
    """A house among trees on the far side."""
    scene.shadow(0.40, 0.625, 0.12, 0.02)
    scene.put(objects.house, (0.38, 0.545, 0.105), (0.97, 0.93, 0.84), (0.66, 0.22, 0.16))
    for x, y, size in ((0.09, 0.53, 0.12), (0.2, 0.55, 0.1), (0.56, 0.56, 0.085), (0.7, 0.575, 0.075)):
        scene.shadow(x + 0.03, y + size * 0.85, size * 0.7, 0.014)
        scene.put(objects.fir, (x, y, size), (0.08, 0.3, 0.22), (0.24, 0.3, 0.16))
    scene.put(objects.tree, (1.33, 0.5, 0.15), (0.2, 0.5, 0.16), (0.36, 0.22, 0.12))
    scene.put(objects.tree, (1.18, 0.55, 0.1), (0.82, 0.46, 0.14), (0.36, 0.22, 0.12))


def paint_meadow(scene: Scene) -> None:
    """The near shore: grass, a stone, mushrooms and flowers, and butterflies above."""
    bank = scene.ridge(0.83, 0.1, 3, 4)
    blades = (torch.sin(scene.x * 260 + 9 * scene.noise(30, 12)) * 0.5 + 0.5) * scene.fractal(70, 14, 3)
    scene.paint(scene.below(bank), mix((blades * 1.6).clamp(0, 1), (0.12, 0.3, 0.1), (0.5, 0.68, 0.22)))
    cobble = scene.canvas(1.12, 0.9, 0.13, squash=0.62)
    scene.shadow(1.15, 0.965, 0.2, 0.03)
    round_, shade = objects.ball(cobble)
    veins = textures.cells(scene.canvas(1.12, 0.9, 0.1))
    scene.paint(round_, mix((0.4 + 0.6 * veins) * (1 - 0.75 * shade), (0.16, 0.16, 0.18), (0.86, 0.84, 0.78)))
    for x, y, size, tilt in ((0.22, 0.86, 0.13, -0.08), (0.36, 0.92, 0.08, 0.15), (0.1, 0.93, 0.07, -0.2)):
        scene.shadow(x + 0.02, y + size * 0.85, size * 0.7, 0.016)
        scene.put(objects.mushroom, (x, y, size), (0.8, 0.13, 0.1), (0.98, 0.95, 0.88), tilt=tilt)
    flowers = (
        (0.55, 0.88, 0.055, (0.95, 0.6, 0.1)),
        (0.66, 0.94, 0.06, (0.86, 0.25, 0.5)),
        (0.76, 0.87, 0.04, (0.98, 0.95, 0.9)),
        (0.87, 0.94, 0.055, (0.58, 0.36, 0.82)),
        (1.34, 0.9, 0.06, (0.95, 0.75, 0.16)),
        (1.43, 0.95, 0.05, (0.9, 0.3, 0.3)),
        (0.47, 0.96, 0.04, (0.98, 0.95, 0.9)),
        (1.27, 0.97, 0.035, (0.58, 0.36, 0.82)),
    )
    for x, y, size, colour in flowers:
        stalk = scene.canvas(x, y + size, size)
        scene.paint(stalk.line(stalk.x + 0.1 * stalk.y**2, 0.12) * (stalk.y.abs() < 1.2), (0.14, 0.36, 0.12))
        scene.put(objects.flower, (x, y, size), colour, (0.98, 0.85, 0.2), tilt=x * 9)
    scene.put(objects.butterfly, (0.83, 0.72, 0.05), (0.93, 0.5, 0.1), (0.15, 0.08, 0.08), tilt=0.5)
    scene.put(objects.butterfly, (0.5, 0.77, 0.035), (0.35, 0.5, 0.9), (0.08, 0.1, 0.2), tilt=-0.4)


def draw(seed: int = SEED) -> Image.Image:
    """The whole picture."""
    scene = blank(seed)
    for paint in (paint_sky, paint_hills, paint_water, paint_shore, paint_meadow):
        paint(scene)
    small = F.interpolate(scene.pixels[None], (HEIGHT, WIDTH), mode="bicubic", antialias=True)[0]
    grain = torch.randn(1, HEIGHT, WIDTH, generator=scene.generator) * 0.012
    pixels = ((small + grain).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def main() -> None:
    """Draw it, and say what atlas/plan/starts.py must say."""
    buffer = io.BytesIO()
    draw().save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    FILE.write_bytes(buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    print(f'{FILE}: {len(buffer.getvalue()):,} bytes, DRAWN_PHOTO = Photo("{digest}", ({HEIGHT}, {WIDTH}))')


if __name__ == "__main__":
    main()
