"""One step of descent: the state of a batch, its gradient and what differs from step to step → the next state.

All of it lies on the device, the number of the step included, so that no step waits for the host and a recorded step
can be replayed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from atlas.inception.targets import Target
from atlas.plan.recipes import Gradient, Octave


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
        """The state before anything is done; `start` is [B, 3, H, W]."""
        batch = start.shape[0]
        nobody = torch.full((batch,), -1, device=start.device)
        return cls(
            images=start.contiguous(memory_format=torch.channels_last),  # as the convolutions want and return them
            alive=torch.ones(batch, dtype=torch.bool, device=start.device),
            failed_octave=nobody,
            failed_step=nobody,
            had_gradient=torch.zeros(batch, dtype=torch.bool, device=start.device),
            gradient_norm=torch.zeros(batch, dtype=start.dtype, device=start.device),
            step=torch.zeros((), dtype=torch.int64, device=start.device),
        )

    def at_size(self, images: Tensor) -> Self:
        """The state at the start of the next octave, with its images [B, 3, H', W']."""
        return replace(self, images=images.contiguous(memory_format=torch.channels_last), step=self.step * 0)


@dataclass(frozen=True)
class Schedule:
    """An octave's rates and blurs as tensors."""

    octave: Tensor  # [] int64: its number, from 0
    rates: Tensor  # [steps, B, 1, 1, 1]: learning rate, over what each row's gradient is divided by
    kernels: Tensor | None  # [steps, 2]: the blur's centre and side; None: no blur
    is_rms: bool  # divide by each row's root mean square


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
        torch.tensor(number, device=device),
        torch.tensor(rates, dtype=dtype, device=device)[:, :, None, None, None],
        torch.tensor(kernels, dtype=dtype, device=device) if kernels else None,
        scaling == "rms",
    )


def take_step(rows: Rows, gradient: Tensor, schedule: Schedule) -> Rows:
    """Update, blur, and keep what is finite.

    A row whose image goes non-finite keeps its last finite image and stays there; the others go on.

    Args:
        rows: the state.
        gradient: of each row's loss, [B, 3, H, W].
        schedule: of the octave.
    """
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
    return replace(
        rows,
        images=torch.where(alive[:, None, None, None], moved, rows.images),
        alive=alive,
        failed_octave=torch.where(fails, schedule.octave, rows.failed_octave),
        failed_step=torch.where(fails, rows.step, rows.failed_step),
        step=rows.step + 1,
    )


def note_gradient(rows: Rows, gradient: Tensor, *, is_first_octave: bool) -> Rows:
    """Remember the norm of the very first gradient, and which rows had a gradient other than exactly 0.

    Args:
        rows: the state.
        gradient: of each row's loss, [B, 3, H, W].
        is_first_octave: whether its first step is the very first.
    """
    rows = replace(rows, had_gradient=rows.had_gradient | (_largest(gradient) != 0))
    if not is_first_octave:
        return rows
    norm = torch.linalg.vector_norm(gradient, dim=(1, 2, 3))
    return replace(rows, gradient_norm=torch.where(rows.step == 0, norm, rows.gradient_norm))


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


def _largest(maps: Tensor) -> Tensor:
    """Greatest magnitude in each row, [B, 3, H, W] -> [B]; not a number if there is one that is not."""
    return maps.abs().amax((1, 2, 3))
