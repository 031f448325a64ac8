"""Gradient descent on the input: a batch of targets, a recipe and a start → images. No files, no global state.

From top to bottom: the octaves of a recipe (`descend`), one step of all rows (`step`), its gradient, its update and
blur, and the ways to resize an image. The state of a batch lies on the device, the number of the step included, so that
no step waits for the host and a step can be captured as a CUDA graph.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.inception.targets import Target
from atlas.plan.recipes import Gradient, Octave, Recipe, octave_size
from atlas.rendering.cuda_graphs import CudaGraphs
from atlas.rendering.model import Network
from atlas.rendering.objectives import Objective, compile_objective, losses, scores
from atlas.store.records import FailedStep, OctaveScores, Status, finite

Watch = Callable[[Tensor], None]


@dataclass(frozen=True)
class Descent:
    """The result of a descent for one row.

    Scores are in the descent's own precision and of unclipped images; see `judge` for the shown ones.
    """

    image: Tensor  # [3, H, W] on the CPU; not clipped
    octaves: tuple[OctaveScores, ...]
    gradient_norm: float | None  # L2 norm of the first step's gradient, the one that was followed
    had_gradient: bool  # whether any step of any octave followed a gradient other than exactly 0
    failed_at: FailedStep | None

    def status(self, score_start: float, score_shown: float) -> Status:
        """The status of a rendering.

        Args:
            score_start: of the start at the last size.
            score_shown: of the stored 8-bit picture.
        """
        if self.failed_at:
            return "failed"
        if not self.had_gradient:
            return "no_gradient"
        return "ok" if score_shown > score_start else "not_raised"


@dataclass(frozen=True)
class Rows:
    """The state of a batch."""

    images: Tensor  # [B, 3, H, W]
    alive: Tensor  # [B] bool: not yet non-finite
    failed_octave: Tensor  # [B] int64, -1 while alive
    failed_step: Tensor  # [B] int64, -1 while alive
    had_gradient: Tensor  # [B] bool: at any step of any octave so far
    gradient_norm: Tensor  # [B]: L2 norm at the very first step
    step: Tensor  # [] int64: of the octave, from 0

    @classmethod
    def first(cls, start: Tensor) -> Self:
        """The state before the first step; `start` is [B, 3, H, W]."""
        batch, device = len(start), start.device
        none = torch.full((batch,), -1, device=device)
        return cls(
            images=start.contiguous(memory_format=torch.channels_last),  # as the convolutions want and return them
            alive=torch.ones(batch, dtype=torch.bool, device=device),
            failed_octave=none,
            failed_step=none,
            had_gradient=torch.zeros(batch, dtype=torch.bool, device=device),
            gradient_norm=torch.zeros(batch, dtype=start.dtype, device=device),
            step=torch.zeros((), dtype=torch.int64, device=device),
        )


@dataclass(frozen=True)
class Schedule:
    """An octave's rates and blurs as tensors."""

    octave: Tensor  # [] int64: its number, from 0
    is_first: bool  # whether it is octave 0
    rates: Tensor  # [steps, B, 1, 1, 1]: learning rate, over what each row's gradient is divided by
    kernels: Tensor | None  # [steps, 2]: the blur's centre and side; None: no blur
    is_rms: bool  # divide by each row's root mean square


def start_noise(seed: int, size: Size) -> Tensor:
    """The article's first image: grey with faint uniform noise.

    Args:
        seed: of a generator of its own, so that every rendering starts from the same noise.
        size: (height, width) in pixels.

    Returns:
        [3, height, width] float32 in [0.5, 0.6), drawn on the CPU whatever device follows.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, *size, generator=generator)[0] / 10 + 0.5


def descend(
    network: Network,
    targets: Sequence[Target],
    recipe: Recipe,
    start: Tensor,
    *,
    seed: int | None = None,
    graphs: CudaGraphs | None = None,
    after_step: Watch | None = None,
    after_octave: Watch | None = None,
) -> list[Descent]:
    """Descend on a batch of images, each towards its own target.

    In eval mode the network couples no rows, so the gradient of the summed loss is every row's own gradient. A row
    whose image goes non-finite keeps its last finite image and stays there; the others go on.

    Args:
        network: frozen network.
        targets: one a row, B of them; positions belong to the feature maps at the size of `start`.
        recipe: octaves, metric and gradient scaling.
        start: first images, [B, 3, H, W] in the type of the descent.
        seed: of all rows, from which a recipe with `resize` draws the sizes that the network sees; others need none.
        graphs: replays steps that are alike; None: the kernels of each are launched one by one. The bits are equal.
        after_step: called after each step with its images [B, 3, H, W]; no step is replayed then.
        after_octave: called after each octave with its images, which must be copied to be kept.

    Returns:
        One result a row.

    Raises:
        ValueError: the recipe has `resize`, and there is no seed.
    """
    if recipe.resize and seed is None:
        raise ValueError(f'recipe "{recipe.name}" resizes at random and needs the seed of its rows')
    first_size, rows = _size(start), Rows.first(start.to(network.device))
    ends = []  # scores at the start and at the end of each octave, [B] each
    for number, octave in enumerate(recipe.octaves):
        if number:
            images = resize(rows.images, octave_size(first_size, octave)).contiguous(memory_format=torch.channels_last)
            rows = replace(rows, images=images, step=rows.step * 0)
        objective_at = cache(partial(compile_objective, targets, first_size, device=network.device, dtype=start.dtype))
        size = _size(rows.images)
        objective = objective_at(size)
        schedule = make_schedule(octave, number, targets, recipe.gradient, rows.images)
        rescues = (recipe.rescue_steps or 0) if schedule.is_first else 0
        ends.append(_scores(network, objective, rows.images))
        if graphs and not recipe.resize and not rescues and not after_step:
            one = partial(step, network, recipe)
            rows = graphs.repeat(one, rows, (objective, schedule), octave.steps, key=(network, recipe))
        else:
            for at in range(octave.steps):
                seen = objective_at(recipe.size_seen(size, seed or 0, number, at))
                rows = step(network, recipe, rows, (seen, schedule), rescues_rows=at < rescues)
                if after_step:
                    after_step(rows.images)
        ends.append(_scores(network, objective, rows.images))
        if after_octave:
            after_octave(rows.images)
    return _results(rows, recipe, ends)


def step(
    network: Network,
    recipe: Recipe,
    rows: Rows,
    inputs: tuple[Objective, Schedule],
    *,
    rescues_rows: bool = False,
) -> Rows:
    """One step of all rows: the gradient of each row's loss, and the update.

    Args:
        network: frozen network.
        recipe: its metric and constant.
        rows: the state.
        inputs: the targets at the size that the network sees, and the schedule of the octave.
        rescues_rows: replace gradients that are 0 everywhere; see `rescue`.
    """
    objective, schedule = inputs
    gradient = gradient_at(network, objective, recipe, rows.images)
    if rescues_rows:
        gradient = rescue(network, objective, recipe, rows.images, gradient)
    return take_step(rows, gradient, schedule)


def gradient_at(
    network: Network, objective: Objective, recipe: Recipe, images: Tensor, *, straight: bool = False
) -> Tensor:
    """Gradient of each row's loss at its image.

    Args:
        network: frozen network.
        objective: the targets, at the size that the network sees.
        recipe: its metric and constant.
        images: [B, 3, H, W], of that or another size.
        straight: let the last ReLU of each target pass the gradient as if it were linear.

    Returns:
        [B, 3, H, W].
    """
    leaf = images.detach().requires_grad_()
    seen = resample(leaf, objective.size)
    run = network.straight_activations if straight else network.activations
    activations = run(seen, objective.taps, objective.wanted)
    loss = losses(objective, activations, recipe.metric, recipe.constant)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return gradient


def rescue(network: Network, objective: Objective, recipe: Recipe, images: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with those rows replaced in which it is 0 everywhere; arguments and shapes as of `gradient_at`.

    Where every neuron of a target has its ReLU closed, no gradient reaches the image, though the image could open it.
    In such a row the last ReLU on the target's path passes the gradient as if it were linear. (Lucid redirects it at
    every ReLU where a row's whole gradient ends, for the same reason: its issue 68.) All rows are computed again and
    the others dropped, so that a row's bits do not depend on how many of its neighbours are rescued. The search for
    such rows makes the host wait for the device.
    """
    is_dead = (gradient == 0).flatten(1).all(1)  # [B, 3, H, W] -> [B]
    if not is_dead.any():
        return gradient
    passed = gradient_at(network, objective, recipe, images, straight=True)
    return torch.where(is_dead[:, None, None, None], passed, gradient)


def make_schedule(
    octave: Octave, number: int, targets: Sequence[Target], scaling: Gradient, images: Tensor
) -> Schedule:
    """Put an octave into tensors of the type and on the device of the images [B, 3, H, W]."""
    counts = [target.features_summed if scaling == "per_feature" else 1 for target in targets]
    rates = [[octave.lr_at(step) / count for count in counts] for step in range(octave.steps)]
    sigmas = [octave.sigma_at(step) for step in range(octave.steps)]
    kernels = [blur_kernel(sigma) for sigma in sigmas if sigma is not None]
    dtype, device = images.dtype, images.device
    return Schedule(
        octave=torch.tensor(number, device=device),
        is_first=number == 0,
        rates=torch.tensor(rates, dtype=dtype, device=device)[:, :, None, None, None],
        kernels=torch.tensor(kernels, dtype=dtype, device=device) if kernels else None,
        is_rms=scaling == "rms",
    )


def take_step(rows: Rows, gradient: Tensor, schedule: Schedule) -> Rows:
    """Update, blur, and keep what is finite.

    Args:
        rows: the state.
        gradient: of each row's loss, [B, 3, H, W].
        schedule: of the octave.
    """
    norm, had_gradient = rows.gradient_norm, rows.had_gradient | (_largest(gradient) != 0)
    if schedule.is_first:
        norm = torch.where(rows.step == 0, torch.linalg.vector_norm(gradient, dim=(1, 2, 3)), norm)
    if schedule.is_rms:
        rms = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()  # [B, 1, 1, 1]
        gradient = gradient / (rms + (rms == 0))
    at = rows.step[None]
    moved = torch.addcmul(rows.images, gradient, schedule.rates.index_select(0, at)[0], value=-1)
    if schedule.kernels is not None:
        centre, side = schedule.kernels.index_select(0, at)[0].unbind()
        moved = blur_by(moved, centre, side)
    is_finite = _largest(moved).isfinite()
    fails = rows.alive & ~is_finite
    alive = rows.alive & is_finite
    return Rows(
        images=torch.where(alive[:, None, None, None], moved, rows.images),
        alive=alive,
        failed_octave=torch.where(fails, schedule.octave, rows.failed_octave),
        failed_step=torch.where(fails, rows.step, rows.failed_step),
        had_gradient=had_gradient,
        gradient_norm=norm,
        step=rows.step + 1,
    )


def blur(images: Tensor, sigma: float) -> Tensor:
    """3×3 Gaussian blur with reflected borders, as torchvision's `gaussian_blur(images, 3, sigma)`.

    Args:
        images: [B, 3, H, W].
        sigma: pixels, above 0.
    """
    return blur_by(images, *torch.tensor(blur_kernel(sigma), dtype=images.dtype, device=images.device))


def blur_kernel(sigma: float) -> tuple[float, float]:
    """Weights of the middle pixel and of either neighbour; the two-dimensional kernel is their outer product."""
    side = math.exp(-0.5 / sigma / sigma)
    centre = 1 / (1 + 2 * side)
    return centre, side * centre


def blur_by(images: Tensor, centre: Tensor, side: Tensor) -> Tensor:
    """Blur by a kernel (side, centre, side) in both directions; [B, 3, H, W] and two scalars."""
    return _blur_along(_blur_along(images, centre, side, 2), centre, side, 3)


def _blur_along(images: Tensor, centre: Tensor, side: Tensor, dim: int) -> Tensor:
    length = images.shape[dim]
    # torch's own reflection padding is six times slower than joining slices
    padded = torch.cat([images.narrow(dim, 1, 1), images, images.narrow(dim, length - 2, 1)], dim)
    before, after = padded.narrow(dim, 0, length), padded.narrow(dim, 2, length)
    return (before + after).mul_(side).addcmul_(images, centre)


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


def to_pixels(images: Tensor) -> Tensor:
    """Clip to [0, 1] and round to 8 bits: float [..., 3, H, W] -> uint8 of the same shape."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def judge(network: Network, targets: Sequence[Target], images: Tensor, first_size: Size) -> Tensor:
    """Scores of finished pictures.

    Args:
        network: in float32, whatever precision the descent had.
        targets: one a row.
        images: [B, 3, H, W] float32 in [0, 1].
        first_size: (height, width) in pixels to which positions belong.

    Returns:
        [B] float32.
    """
    objective = compile_objective(targets, first_size, _size(images), network.device, images.dtype)
    return _scores(network, objective, images.to(network.device))


def _scores(network: Network, objective: Objective, images: Tensor) -> Tensor:
    """Scores of images [B, 3, H, W] at their own size, [B]."""
    with torch.inference_mode():
        return scores(objective, network.activations(images, objective.taps, objective.wanted))


def _results(rows: Rows, recipe: Recipe, ends: list[Tensor]) -> list[Descent]:
    """The result of each row; images leave the device in one copy, and all numbers in another.

    Args:
        rows: the state after the last octave.
        recipe: its octaves.
        ends: scores at the start and at the end of each octave, [B] each.
    """
    images = rows.images.contiguous().cpu()
    numbers = [rows.failed_octave, rows.failed_step, rows.had_gradient, rows.gradient_norm, *ends]
    # n tensors of [B] -> [n, B] -> [B, n]; the type of the images holds all step numbers exactly
    table = torch.stack([one.to(images.dtype) for one in numbers]).T.tolist()
    results = []
    for image, (octave, at, had_gradient, gradient_norm, *found) in zip(images, table, strict=True):
        octaves = tuple(
            OctaveScores(settings.size, finite(first), finite(last))
            for settings, first, last in zip(recipe.octaves, found[::2], found[1::2], strict=True)
        )
        failed_at = FailedStep(int(octave), int(at)) if octave >= 0 else None
        results.append(Descent(image, octaves, finite(gradient_norm), bool(had_gradient), failed_at))
    return results


def _largest(maps: Tensor) -> Tensor:
    """Greatest magnitude in each row, [B, 3, H, W] -> [B]; not a number if there is one that is not."""
    return maps.abs().amax((1, 2, 3))


def _size(images: Tensor) -> Size:
    return images.shape[-2], images.shape[-1]
