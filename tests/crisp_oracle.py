"""Parameterizations, transforms and Adam, written a second time: the judge of what `oracle` does not know.

Fourier transforms are sums of cosines, interpolation is the trigonometric polynomial, the resampling is torch's
`grid_sample`, and one gradient goes through all of it.
"""

import math
import random

import torch
from torch import Tensor, nn

from oracle import Cut, article_loss

COLORS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], dtype=torch.float64)
COLORS = COLORS / COLORS.norm(dim=0).max()
AMPLITUDE, POWER = 0.057, 1.37  # of the spectrum of photographs


def waves(points: Tensor, size: int) -> Tensor:
    """exp(2πi·k·p/size) of frequencies k = 0 … size − 1 at some points p, [points, size] complex."""
    return torch.exp(2j * math.pi * points[:, None] * torch.arange(size, dtype=torch.float64) / size)


def radius(height: int, width: int) -> Tensor:
    """Cycles per pixel, [H, W // 2 + 1], by the definition of a discrete Fourier transform."""
    rows = [(k if k < height / 2 else k - height) / height for k in range(height)]
    cols = [k / width for k in range(width // 2 + 1)]
    least = 1 / max(height, width)
    return torch.tensor([[max(math.hypot(y, x), least) for x in cols] for y in rows], dtype=torch.float64)


def synthesis(spectrum: Tensor, height: int, width: int) -> Tensor:
    """Half a spectrum [3, H, W // 2 + 1] as a sum of waves, [3, H, W]."""
    half = width // 2 + 1
    twice = torch.tensor([1 if k in (0, width / 2) else 2 for k in range(half)], dtype=torch.float64)
    down = waves(torch.arange(height, dtype=torch.float64), height)
    right = waves(torch.arange(width, dtype=torch.float64), width)[:, :half] * twice
    return (down @ spectrum @ right.T).real / math.sqrt(height * width)


def analysis(maps: Tensor) -> Tensor:
    """[3, H, W] -> [3, H, W // 2 + 1] complex."""
    height, width = maps.shape[-2:]
    down = waves(torch.arange(height, dtype=torch.float64), height).conj()
    right = waves(torch.arange(width, dtype=torch.float64), width).conj()[:, : width // 2 + 1]
    return (down.T @ maps.to(torch.complex128) @ right) / math.sqrt(height * width)


def interpolated(maps: Tensor, height: int, width: int) -> Tensor:
    """The trigonometric polynomial through maps [3, h, w], at [3, height, width] places."""

    def kernel(old: int, new: int) -> Tensor:
        rows = []
        for place in range(new):
            at = place * old / new
            row = []
            for pixel in range(old):
                angle = 2 * math.pi * (at - pixel) / old
                value = 1 + 2 * sum(math.cos(k * angle) for k in range(1, (old + 1) // 2))
                if old % 2 == 0:  # the highest frequency, which has a cosine alone
                    value += math.cos(math.pi * at) * math.cos(math.pi * pixel)
                row.append(value / old)
            rows.append(row)
        return torch.tensor(rows, dtype=torch.float64)

    return kernel(maps.shape[1], height) @ maps @ kernel(maps.shape[2], width).T


def image_of(maps: Tensor, recipe) -> Tensor:
    odds = torch.einsum("dc,chw->dhw", COLORS, maps) if recipe.color == "decorrelated" else maps
    return 1 / (1 + torch.exp(-odds))


def maps_of(image: Tensor, recipe) -> Tensor:
    clipped = image.clamp(1e-3, 1 - 1e-3)
    odds = torch.log(clipped / (1 - clipped))
    return torch.einsum("cd,dhw->chw", torch.linalg.inv(COLORS), odds) if recipe.color == "decorrelated" else odds


def place_before(transform, draw, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where a pixel seen, counted from the centre, lies before a transform."""
    if transform.jitter:
        right, down = (
            draw.randint(-transform.jitter, transform.jitter),
            draw.randint(-transform.jitter, transform.jitter),
        )
        return x + right, y + down
    if transform.scale:
        factor = draw.uniform(*transform.scale)
        return x / factor, y / factor
    angle = math.radians(draw.uniform(-transform.rotate, transform.rotate))
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)


def lookup(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear at places counted from the centre, in a plane that is tiled with the image; image [3, H, W]."""
    tiled = image.repeat(1, 7, 7)
    height, width = tiled.shape[-2:]
    grid = torch.stack([2 * x / width, 2 * y / height], -1)[None]
    return torch.nn.functional.grid_sample(tiled[None], grid, align_corners=False, padding_mode="zeros")[0]


def seen_of(image: Tensor, recipe, seed: int, octave: int, step: int) -> Tensor:
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float64) - (width - 1) / 2,
        indexing="ij",
    )
    draws = [random.Random(f"{seed} {octave} {step} {place}") for place in range(len(recipe.transforms))]
    pairs = list(zip(recipe.transforms, draws, strict=True))
    motions = [pair for pair in pairs if pair[0].crop is None and pair[0].noise is None]
    for transform, draw in reversed(motions):
        x, y = place_before(transform, draw, x, y)
    image = lookup(image, x, y) if motions else image
    for transform, draw in pairs:
        if transform.crop:
            share, down, right = draw.uniform(*transform.crop), draw.uniform(-1, 1), draw.uniform(-1, 1)
            tall = (torch.arange(height, dtype=torch.float64) - (height - 1) / 2) * share
            wide = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2) * share
            tall, wide = tall + (1 - share) * down * (height - 1) / 2, wide + (1 - share) * right * (width - 1) / 2
            image = lookup(image, *reversed(torch.meshgrid(tall, wide, indexing="ij")))
        if transform.noise:
            generator = torch.Generator().manual_seed(seed)
            field = torch.randn(3, height, width, generator=generator).to(image.dtype) * transform.noise
            shifts = draw.randrange(height), draw.randrange(width)
            image = image + torch.roll(field, [-shift for shift in shifts], (1, 2))
    return image


def render(model: nn.Module, layer: str, feature: int, recipe, start: Tensor, seed: int) -> Tensor:
    """Image [3, H, W] after a recipe by Adam or plain descent, from a start [3, H, W] in float64."""
    maps, size = maps_of(start, recipe), start.shape[-2:]
    form = _FORMS[recipe.parameterization]
    for number, octave in enumerate(recipe.octaves):
        if number:
            maps, size = interpolated(maps, octave.size, octave.size), (octave.size, octave.size)
        params, decode = form(maps, *size)
        params.requires_grad_()
        mean, square = torch.zeros_like(params), torch.zeros_like(params)
        for step in range(octave.steps):
            seen = seen_of(image_of(decode(params), recipe), recipe, seed, number, step)
            activations = Cut(model, [layer])(2 * seen[None] - 1 if recipe.input == "trained" else seen[None])[layer]
            loss = article_loss(activations[0, feature], recipe.metric, recipe.constant)
            (gradient,) = torch.autograd.grad(loss, params)
            rate = octave.lr[0] + (octave.lr[1] - octave.lr[0]) * step / octave.steps
            if recipe.gradient == "rms":
                gradient /= gradient.square().mean().sqrt()
            if recipe.optimizer == "adam":
                mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
                size = torch.sqrt(square / (1 - 0.999 ** (step + 1)))
                gradient = mean / (1 - 0.9 ** (step + 1)) / (size + recipe.epsilon * size.max())
            params = (params - rate * gradient).detach().requires_grad_()
        maps = decode(params).detach()
    return image_of(maps, recipe)


def _pixels(maps: Tensor, height: int, width: int):
    return maps.clone(), lambda params: params


def _fourier(maps: Tensor, height: int, width: int):
    scale = 0.53 / radius(height, width) ** 0.75
    params = torch.view_as_real(analysis(maps) / scale).clone()
    return params, lambda params: synthesis(torch.view_as_complex(params) * scale, height, width)


def _phase(maps: Tensor, height: int, width: int):
    magnitudes = AMPLITUDE / radius(height, width) ** POWER
    magnitudes[0, 0] = 0

    def decode(params: Tensor) -> Tensor:
        return synthesis(torch.polar(magnitudes, params), height, width)

    return torch.angle(analysis(maps)), decode


_FORMS = {"pixels": _pixels, "fourier": _fourier, "phase": _phase}
