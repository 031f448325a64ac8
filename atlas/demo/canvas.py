"""What pictures are drawn on: a seed → coordinates that are turned, scaled, moved and warped, and random numbers."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Canvas:
    """Coordinates of n pictures at once, each with its own view, and a generator for their random choices.

    All fields are [n, H, W]. Without a view the picture spans −1 to 1.
    """

    x: Tensor  # rightwards
    y: Tensor  # downwards
    pixel: Tensor  # [n, 1, 1]: width of a pixel in these coordinates
    generator: torch.Generator

    def uniform(self, low: float, high: float) -> Tensor:
        """A number for each picture, [n, 1, 1]."""
        return low + (high - low) * torch.rand(len(self.x), 1, 1, generator=self.generator)

    def whole(self, low: int, high: int) -> Tensor:
        """A whole number for each picture, low to high, [n, 1, 1] float."""
        return torch.randint(low, high + 1, (len(self.x), 1, 1), generator=self.generator).float()

    def noise(self, cells: int) -> Tensor:
        """Smooth noise with so many cells a side, in [0, 1]; it follows the picture, not the view."""
        return smooth_noise(len(self.x), cells, self.x.shape[-1], self.generator)

    def fractal(self, cells: int, octaves: int = 4) -> Tensor:
        """Noise of several coarsenesses, each half as strong as the one before, in [0, 1]."""
        parts = [self.noise(min(cells * 2**k, self.x.shape[-1])) * 0.5**k for k in range(octaves)]
        return torch.stack(parts).sum(0) / sum(0.5**k for k in range(octaves))

    def inside(self, distance: Tensor) -> Tensor:
        """1 where a signed distance is negative, 0 where it is positive, with an edge one pixel wide."""
        return (0.5 - distance / (1.5 * self.pixel)).clamp(0, 1)

    def line(self, distance: Tensor, width: Tensor | float) -> Tensor:
        """1 on a line of a width around distance 0."""
        return self.inside(distance.abs() - width / 2)

    def polar(self) -> tuple[Tensor, Tensor]:
        """Radius and angle (−π to π)."""
        return torch.hypot(self.x, self.y), torch.atan2(self.y, self.x)


def smooth_noise(n: int, cells: int, size: int, generator: torch.Generator) -> Tensor:
    """Noise between random values on a coarse grid, [n, size, size] in [0, 1]."""
    coarse = torch.rand(n, 1, cells + 2, cells + 2, generator=generator)
    return F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)[:, 0].clamp(0, 1)


def make_canvas(n: int, size: int, generator: torch.Generator, *, zoom: tuple[float, float], move: float) -> Canvas:
    """A canvas with a random view for each picture.

    Args:
        n: pictures.
        size: pixels a side.
        generator: of all random numbers that follow.
        zoom: smallest and largest extent of the picture in coordinates; 1 spans −1 to 1.
        move: how far the middle may be from the origin, in coordinates.
    """
    low, high = math.log(zoom[0]), math.log(zoom[1])
    scale = torch.exp(low + (high - low) * torch.rand(n, 1, 1, generator=generator))
    stretch = torch.exp(0.25 * (torch.rand(n, 1, 1, generator=generator) * 2 - 1))
    angle = torch.rand(n, 1, 1, generator=generator) * 2 * math.pi
    shift = _shift(n, generator, move)
    warp = 0.3 * torch.rand(n, 1, 1, generator=generator)
    x, y = _turned(n, size, generator, angle, warp)
    return Canvas(x * scale * stretch + shift[0], y * scale / stretch + shift[1], scale * 2 / size, generator)


def upright(
    n: int, size: int, generator: torch.Generator, *, zoom: tuple[float, float], move: float, tilt: float
) -> Canvas:
    """A canvas for things that have an up and a down: turned by at most `tilt` radians, often mirrored."""
    scale = zoom[0] + (zoom[1] - zoom[0]) * torch.rand(n, 1, 1, generator=generator)
    angle = (torch.rand(n, 1, 1, generator=generator) * 2 - 1) * tilt
    mirror = torch.randint(0, 2, (n, 1, 1), generator=generator) * 2 - 1
    shift = _shift(n, generator, move)
    x, y = _turned(n, size, generator, angle, 0.2)
    return Canvas((x * scale + shift[0]) * mirror, y * scale + shift[1], scale * 2 / size, generator)


def _shift(n: int, generator: torch.Generator, most: float) -> Tensor:
    """Rightwards and downwards, at most so far, [2, n, 1, 1]."""
    return torch.stack([(torch.rand(n, 1, 1, generator=generator) * 2 - 1) * most for _ in range(2)])


def _turned(
    n: int, size: int, generator: torch.Generator, angle: Tensor, warp: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Coordinates −1 to 1 of n pictures, turned by an angle and warped, [n, size, size] each."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    warp_x, warp_y = ((smooth_noise(n, 2, size, generator) - 0.5) * warp for _ in range(2))
    cos, sin = torch.cos(angle), torch.sin(angle)
    return cos * x - sin * y + warp_x, sin * x + cos * y + warp_y
