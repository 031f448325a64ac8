"""Labelled pictures: a generator and a size → (pictures, labels), drawn from random colours, views, light and noise.

There are textures, objects, and a few classes that differ by colour alone.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.demo.canvas import make_canvas, smooth_noise, upright
from atlas.demo.objects import OBJECTS
from atlas.demo.textures import TEXTURES

COLOURS = {  # hue in turns of the colour wheel
    f"{colour} blobs": at / 6 for at, colour in enumerate(("red", "yellow", "green", "cyan", "blue", "magenta"))
}
CLASSES = (*TEXTURES, *OBJECTS, *COLOURS)


def draw(n: int, size: int, generator: torch.Generator, *, group: int = 8) -> tuple[Tensor, Tensor]:
    """Draw pictures of random classes.

    Args:
        n: how many; a multiple of `group`.
        size: pixels a side.
        generator: decides everything.
        group: pictures of one class that are drawn together, for speed.

    Returns:
        Pictures [n, 3, size, size] float32 in [0, 1], and labels [n] int64, indices into `CLASSES`.
    """
    labels = torch.randint(len(CLASSES), (n // group,), generator=generator)
    pictures = torch.cat([draw_class(CLASSES[label], group, size, generator) for label in labels.tolist()])
    return pictures, labels.repeat_interleave(group)


def draw_class(name: str, n: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw n pictures of a class, [n, 3, size, size] in [0, 1]."""
    if name in TEXTURES:
        canvas = make_canvas(n, size, generator, zoom=(0.55, 1.3), move=1.0)
        pictures = _mix(TEXTURES[name](canvas), *_two_colours(n, generator))
    elif name in OBJECTS:
        pictures = _object(name, n, size, generator)
    else:
        pictures = _coloured(COLOURS[name], n, size, generator)
    return _photograph(pictures, generator)


def _object(name: str, n: int, size: int, generator: torch.Generator) -> Tensor:
    canvas = upright(n, size, generator, zoom=(0.9, 1.7), move=0.35, tilt=0.45)
    cover, tone = OBJECTS[name](canvas)
    first, second = _two_colours(n, generator)
    near, far = _two_colours(n, generator, contrast=0.1)
    ground = _mix(smooth_noise(n, 3, size, generator), near, far)
    # a ground as light as the thing would hide it
    gap = (_lightness(first) - _lightness(ground).mean((2, 3), keepdim=True)).abs()
    away = torch.where(_lightness(first) > 0.5, ground * 0.35, 1 - (1 - ground) * 0.35)
    ground = torch.where(gap < 0.3, away, ground)
    return _mix(cover, ground, _mix(tone, first, second))


def _coloured(hue: float, n: int, size: int, generator: torch.Generator) -> Tensor:
    canvas = make_canvas(n, size, generator, zoom=(0.6, 1.2), move=1.0)
    colours = []
    for _ in range(2):
        turn = hue + (torch.rand(n, generator=generator) - 0.5) * 0.09
        strength = 0.55 + 0.45 * torch.rand(n, generator=generator)
        value = 0.35 + 0.65 * torch.rand(n, generator=generator)
        colours.append(_hsv(turn, strength, value))
    patches = ((canvas.noise(2) - 0.5) * 1.2 + 0.5).clamp(0, 1)  # soft, out of focus
    return _mix(patches, *colours)


def _two_colours(n: int, generator: torch.Generator, contrast: float = 0.25) -> tuple[Tensor, Tensor]:
    """Two colours [n, 3, 1, 1] each, whose lightness differs by at least `contrast`."""
    first, second = torch.rand(2, n, 3, 1, 1, generator=generator)
    too_close = (_lightness(first) - _lightness(second)).abs() < contrast
    away = torch.where(_lightness(first) > 0.5, second * 0.3, 1 - (1 - second) * 0.3)
    return first, torch.where(too_close, away, second)


def _lightness(colours: Tensor) -> Tensor:
    """[n, 3, H, W] -> [n, 1, H, W]."""
    return (colours * torch.tensor([0.3, 0.59, 0.11])[:, None, None]).sum(1, keepdim=True)


def _mix(tone: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """From the first picture to the second: tone [n, H, W] -> [n, 3, H, W]."""
    return first + (second - first) * tone[:, None]


def _photograph(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Light from a side, contrast, blur and grain, as a camera would have them."""
    n, _, size, _ = pictures.shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)

    axis = torch.linspace(-1, 1, size)
    angle = uniform(0, 2 * math.pi)
    light = 1 + uniform(0, 0.35) * (torch.cos(angle) * axis + torch.sin(angle) * axis[:, None])
    pictures = (pictures * light - 0.5) * uniform(0.65, 1.1) + 0.5 + uniform(-0.08, 0.08)
    soft = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="reflect"), 3, 1)
    pictures = torch.lerp(pictures, soft, uniform(0, 1))
    grain = torch.randn(pictures.shape, generator=generator) * uniform(0, 0.07)
    return (pictures + grain).clamp(0, 1)


def _hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Colours [n, 3, 1, 1] from hue in turns, saturation and value, [n] each."""
    offsets = torch.tensor([5.0, 3.0, 1.0])
    k = (offsets + hue[:, None] * 6) % 6
    reach = torch.minimum(k, 4 - k).clamp(0, 1)
    return (value[:, None] * (1 - saturation[:, None] * reach))[:, :, None, None]
