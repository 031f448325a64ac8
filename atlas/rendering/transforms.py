"""What the network sees instead of the image: moved, scaled, turned, cropped and noisy, anew at each step.

A picture that only holds for one pixel grid is a trick on the network; one that also holds a little moved is a picture
(Olah et al., "Feature Visualization", Distill 2017). What is drawn depends on the seed, the octave and the step alone,
on the CPU, and is the same for all rows; a step reads it from tensors, so that it can be captured as a CUDA graph.

torch's `grid_sample` adds its gradient up atomically on CUDA, in no fixed order. Here both the resampling and its
transpose are sums over a few neighbours of each pixel, and so have one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from random import Random
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.plan.recipes import Recipe, Transform


class View(Protocol):
    """A transform of an octave, with what is drawn for each of its steps."""

    def see(self, images: Tensor, step: Tensor) -> Tensor:
        """What the network sees: [B, 3, H, W] -> [B, 3, H, W], differentiable.

        Args:
            images: of the octave's size.
            step: [1] int64, of the octave.
        """


@dataclass(frozen=True)
class Motion:
    """Moves, scales and turns the image, which goes on at the opposite side where it ends."""

    shifts: Tensor  # [steps, 2] int64: whole pixels down and right from the middle of the image to what is seen
    maps: Tensor  # [steps, 2, 3]: from a pixel seen (x, y, 1) to its place in the shifted image, both from the centre
    inverses: Tensor  # [steps, 2, 3]: from a place in the shifted image to the pixel seen
    margins: tuple[int, ...]  # by step: pixels that are seen beyond any border of the shifted image
    reach: int  # pixels seen, on either side of its own place, that a pixel of the image gives to

    def see(self, images: Tensor, step: Tensor) -> Tensor:
        """Bilinear; [B, 3, H, W] -> [B, 3, H, W]."""
        size = images.shape[-2], images.shape[-1]
        shift, at, inverse = (one.index_select(0, step)[0] for one in (self.shifts, self.maps, self.inverses))
        # on a GPU steps are replayed, so that all need one size; most see little beyond the border
        margin = self.margins[int(step)] if images.device.type == "cpu" else max(self.margins)
        canvas = size[0] + 2 * margin, size[1] + 2 * margin
        taken, given = _taken(at, size, canvas), _given(at, inverse, size, canvas, self.reach)
        seen: Tensor = _Resampling.apply(images, shift, margin, taken, given)
        return seen.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Crop:
    """Shows a part of the image, enlarged to the image's size."""

    shares: Tensor  # [steps]: of each side
    places: Tensor  # [steps, 2]: of the part, down and right, from -1 at one border to 1 at the other

    def see(self, images: Tensor, step: Tensor) -> Tensor:
        """Bilinear; [B, 3, H, W] -> [B, 3, H, W]."""
        share, (down, right) = self.shares.index_select(0, step), self.places.index_select(0, step)[0]
        batch, channels, height, width = images.shape
        tall = _enlarging(height, share, down).expand(batch * channels, -1, -1)  # [B·3, H, H]
        wide = _enlarging(width, share, right).expand(batch * channels, -1, -1)  # [B·3, W, W]
        # a product for each row and channel, as in `resample`
        return torch.bmm(tall, torch.bmm(images.flatten(0, 1), wide.transpose(1, 2))).view(images.shape)


@dataclass(frozen=True)
class Noise:
    """Adds normal noise: one field, moved around by another distance at each step."""

    field: Tensor  # [3, H, W]
    shifts: Tensor  # [steps, 2] int64: down and right

    def see(self, images: Tensor, step: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W]."""
        down, right = self.shifts.index_select(0, step)[0]
        height, width = images.shape[-2:]
        rows = (torch.arange(height, device=images.device) + down) % height
        cols = (torch.arange(width, device=images.device) + right) % width
        return images + self.field.index_select(1, rows).index_select(2, cols)


def make_views(recipe: Recipe, octave: int, seed: int, size: Size, like: Tensor) -> tuple[View, ...]:
    """What a recipe's transforms show in each step of an octave.

    Args:
        recipe: its transforms, in the order in which they apply.
        octave: its number, from 0.
        seed: of the rows.
        size: (height, width) of the images in pixels.
        like: a tensor of the type and on the device of the images.
    """
    steps = range(recipe.octaves[octave].steps)
    views: list[View] = []
    numbered = enumerate(recipe.transforms)
    for is_motion, group in groupby(numbered, key=lambda one: one[1].is_motion):
        members = [(transform, [Random(f"{seed} {octave} {step} {at}") for step in steps]) for at, transform in group]
        if is_motion:
            views.append(_make_motion(members, size, like))
            continue
        views += [_make_still(transform, draws, seed, size, like) for transform, draws in members]
    return tuple(views)


def see(images: Tensor, views: Sequence[View], step: Tensor) -> Tensor:
    """What the network sees of images [B, 3, H, W] at a step, a scalar."""
    for view in views:
        images = view.see(images, step[None])
    return images


def _make_motion(members: Sequence[tuple[Transform, list[Random]]], size: Size, like: Tensor) -> Motion:
    """Several transforms as one affine map: what the last one shows is looked up in what those before it show."""
    per_step = zip(*([_motion(transform, one) for one in draws] for transform, draws in members), strict=True)
    maps = torch.stack([_product(matrices) for matrices in per_step])  # [steps, 3, 3] float64
    shifts = maps[:, :2, 2].round()  # [steps, 2], right and down
    maps[:, :2, 2] -= shifts
    inverses = torch.linalg.inv(maps)
    height, width = size
    half = torch.tensor([width / 2, height / 2], dtype=torch.float64)
    corners = maps[:, :2, :2].abs() @ half - half  # [steps, 2]: how far beyond the border the farthest pixel seen lies
    beyond = corners.amax(1).clamp(min=0).ceil() + 2  # for the neighbours of that pixel, and the rest of the shift
    farthest = inverses[:, :2, :2].abs().sum(2).max().item()  # pixels seen, of a pixel's neighbourhood of 1
    return Motion(
        shifts.flip(1).long().to(like.device),
        like.new_tensor(maps[:, :2].tolist()),
        like.new_tensor(inverses[:, :2].tolist()),
        tuple(int(margin) for margin in beyond),
        reach=math.ceil(farthest + 0.5) - 1,
    )


def _motion(transform: Transform, draw: Random) -> Tensor:
    """A map from a pixel seen to its place in the image, [3, 3] float64, with numbers drawn for one step."""
    if transform.jitter is not None:
        right, down = (draw.randint(-transform.jitter, transform.jitter) for _ in range(2))
        return torch.tensor([[1, 0, right], [0, 1, down], [0, 0, 1]], dtype=torch.float64)
    if transform.scale is not None:
        step = 1 / draw.uniform(*transform.scale)
        return torch.tensor([[step, 0, 0], [0, step, 0], [0, 0, 1]], dtype=torch.float64)
    assert transform.rotate is not None
    angle = math.radians(draw.uniform(-transform.rotate, transform.rotate))
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)


def _product(matrices: Sequence[Tensor]) -> Tensor:
    product = matrices[0]
    for matrix in matrices[1:]:
        product = product @ matrix
    return product


def _make_still(transform: Transform, draws: list[Random], seed: int, size: Size, like: Tensor) -> View:
    """A crop, or noise."""
    if transform.crop is not None:
        shares = [draw.uniform(*transform.crop) for draw in draws]
        places = [[draw.uniform(-1, 1), draw.uniform(-1, 1)] for draw in draws]
        return Crop(like.new_tensor(shares), like.new_tensor(places))
    assert transform.noise is not None
    generator = torch.Generator().manual_seed(seed)
    field = torch.randn(3, *size, generator=generator) * transform.noise
    shifts = [[draw.randrange(side) for side in size] for draw in draws]
    return Noise(field.to(like), torch.tensor(shifts, device=like.device))


def resize(images: Tensor, size: Size) -> Tensor:
    """Bilinear, antialiased, as torchvision's `Resize` does it: [B, 3, H, W] -> [B, 3, *size]."""
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def resample(images: Tensor, size: Size) -> Tensor:
    """`resize` with a gradient, equal but for rounding.

    A product with two matrices, because the backward pass of antialiased `F.interpolate` adds atomically on CUDA and
    so refuses to run among deterministic algorithms. One product for each row and channel: that of all rows at once
    might round a row by its place in the batch.

    Args:
        images: [B, 3, H, W]; the gradient flows back to them.
        size: (height, width) in pixels; that of the images gives them back.

    Returns:
        [B, 3, *size].
    """
    if images.shape[-2:] == size:
        return images
    tall, wide = (
        _resizing(old, new).to(images.dtype).to(images.device).expand(images.shape[0] * images.shape[1], -1, -1)
        for old, new in zip(images.shape[-2:], size, strict=True)
    )  # [B·3, height, H] and [B·3, width, W]
    flat = torch.bmm(tall, torch.bmm(images.flatten(0, 1), wide.transpose(1, 2)))  # [B·3, height, width]
    return flat.reshape(*images.shape[:2], *size)


@lru_cache(maxsize=256)  # a recipe sees some 60 sizes over and over
def _resizing(old: int, new: int) -> Tensor:
    """What each of `new` pixels takes from each of `old`, [new, old] float64: pictures of single pixels, resized."""
    single = torch.eye(old, dtype=torch.float64)[None, None]  # [1, 1, old, old]
    return resize(single, (new, old))[0, 0]


class _Resampling(torch.autograd.Function):
    """Images continued around and resampled, with the transpose of that as the gradient.

    Between, all values of a pixel lie side by side, so that they are copied and summed together.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, shift: Tensor, margin: int, taken: "_Sums", given: "_Sums") -> Tensor:
        ctx.save_for_backward(shift)
        ctx.margin, ctx.given = margin, given
        seen: Tensor = taken.of(_wrapped(_to_table(images), shift, margin))
        return _to_images(seen, len(images))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (shift,), gradient = ctx.saved_tensors, gradients[0]
        folded = _folded(ctx.given.of(_to_table(gradient)), shift, ctx.margin)
        return _to_images(folded, len(gradient)).contiguous(), None, None, None, None


def _to_table(images: Tensor) -> Tensor:
    """[B, 3, H, W] -> [H, W, B·3]."""
    return images.permute(2, 3, 0, 1).flatten(2)


def _to_images(table: Tensor, batch: int) -> Tensor:
    """[H, W, B·3] -> [B, 3, H, W]."""
    return table.view(*table.shape[:2], batch, 3).permute(2, 3, 0, 1)


def _wrapped(table: Tensor, shift: Tensor, margin: int) -> Tensor:
    """Pixels moved by whole ones and continued around: [H, W, n] -> [H + 2·margin, W + 2·margin, n]."""
    for dim in (0, 1):
        side = table.shape[dim]
        places = torch.arange(-margin, side + margin, device=table.device) + shift[dim]
        table = table.index_select(dim, places % side)
    return table


def _folded(table: Tensor, shift: Tensor, margin: int) -> Tensor:
    """The transpose of `_wrapped`: [H + 2·margin, W + 2·margin, n] -> [H, W, n]."""
    for dim in (0, 1):
        side = table.shape[dim] - 2 * margin
        folded = table.narrow(dim, margin, side).clone()
        folded.narrow(dim, 0, margin).add_(table.narrow(dim, margin + side, margin))
        folded.narrow(dim, side - margin, margin).add_(table.narrow(dim, 0, margin))
        places = torch.arange(side, device=table.device) - shift[dim]
        table = folded.index_select(dim, places % side)
    return table


@dataclass(frozen=True)
class _Sums:
    """For each of some pixels a weighted sum of others, which may lie up to `margin` pixels outside of their image."""

    size: Size  # (height, width) of the sums
    places: Tensor  # [H·W, n] int32: of the pixels that are summed, in reading order, the margin included
    weights: Tensor  # [H·W, n]
    margin: int

    def of(self, table: Tensor) -> Tensor:
        """The sums of pixels [H', W', n], where those outside are 0: [H, W, n]."""
        margin = self.margin
        padded = F.pad(table, (0, 0, margin, margin, margin, margin)).flatten(0, 1)
        sums = F.embedding_bag(self.places, padded, per_sample_weights=self.weights, mode="sum")  # [H·W, n]
        return sums.view(*self.size, -1)


def _taken(at: Tensor, size: Size, canvas: Size) -> _Sums:
    """What each pixel seen takes: from the four pixels of a canvas between which it lies.

    Args:
        at: map to the canvas, [2, 3].
        size: (height, width) that is seen.
        canvas: (height, width).
    """
    x, y = _moved(at, *_pixels(size, at))  # [H·W] each
    col, row = (x + _middle(canvas[1])).floor(), (y + _middle(canvas[0])).floor()
    right, down = _square(0, 1, at)  # [4, 1] each
    weights = _closeness(right + (col - _middle(canvas[1]) - x), down + (row - _middle(canvas[0]) - y))
    return _sums(size, col, row, (0, 1), weights, canvas)


def _given(at: Tensor, inverse: Tensor, size: Size, canvas: Size, reach: int) -> _Sums:
    """What each pixel of a canvas gives: to the pixels seen that lie around its own place; arguments as above."""
    x, y = _pixels(canvas, at)  # [H'·W'] each
    seen_x, seen_y = _moved(inverse, x, y)
    col, row = (seen_x + _middle(size[1])).round(), (seen_y + _middle(size[0])).round()
    middle_x, middle_y = _moved(at, col - _middle(size[1]), row - _middle(size[0]))
    right, down = _square(-reach, reach, at)  # [n, 1] each
    (xx, xy, _), (yx, yy, _) = at
    weights = _closeness((xx * right + xy * down) + (middle_x - x), (yx * right + yy * down) + (middle_y - y))
    return _sums(canvas, col, row, (-reach, reach), weights, size)


def _middle(side: int) -> float:
    return (side - 1) / 2


def _pixels(size: Size, like: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row of each pixel in reading order, from the centre, [H·W] each."""
    rows, cols = (torch.arange(side, device=like.device, dtype=like.dtype) - _middle(side) for side in size)
    return cols.repeat(len(rows)), rows.repeat_interleave(len(cols))


def _moved(affine: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where a map [2, 3] takes places; shapes as given."""
    (xx, xy, right), (yx, yy, down) = affine
    return xx * x + xy * y + right, yx * x + yy * y + down


def _square(first: int, last: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Steps right and down to the pixels of a square in reading order, [n, 1] each."""
    steps = torch.arange(first, last + 1, device=like.device, dtype=like.dtype)[:, None]
    return steps.repeat(len(steps), 1), steps.repeat_interleave(len(steps), 0)


def _closeness(x: Tensor, y: Tensor) -> Tensor:
    """The bilinear weight of a pixel at a distance: 1 at 0, and 0 from 1 on; writes to its arguments."""
    wide, tall = ((1 - side.abs_()).relu_() for side in (x, y))
    return wide.mul_(tall)


def _sums(size: Size, col: Tensor, row: Tensor, ends: tuple[int, int], weights: Tensor, source: Size) -> _Sums:
    """Sums over a square around a pixel for each of some others.

    Args:
        size: (height, width) of the sums.
        col: of the pixel in the middle, [H·W].
        row: of that pixel, [H·W].
        ends: first and last pixel of the square in both directions, from the middle.
        weights: [n, H·W].
        source: (height, width) of the images that are summed.
    """
    first, last = ends
    margin = 1 + last - first
    # a square that misses the image is moved to where it just misses it, so that the margin holds all squares
    row, col = (at.clamp(-1 - last, side - first).int() + margin for at, side in zip((row, col), source, strict=True))
    right, down = _square(first, last, col)
    stride = source[1] + 2 * margin
    places = (row * stride + col) + (down * stride + right)  # [n, H·W]
    return _Sums(size, places.T.contiguous(), weights.T.contiguous(), margin)


def _enlarging(side: int, share: Tensor, place: Tensor) -> Tensor:
    """What each pixel seen takes from each pixel of a side of the image, [side, side].

    Args:
        side: in pixels.
        share: of the side that is seen, [1].
        place: of that part, a scalar from -1 to 1.
    """
    pixels = torch.arange(side, device=share.device, dtype=share.dtype)
    middle = (side - 1) / 2
    at = middle + share * (pixels - middle) + (1 - share) * place * middle  # of each pixel seen, in the image
    return (1 - (at[:, None] - pixels).abs()).clamp(min=0)
