"""Gradient descent on the input: a batch of targets, a recipe and a start → renderings. No files, no global state."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.plan.blocks import Size
from atlas.plan.recipes import Gradient, Recipe, octave_size
from atlas.plan.targets import Target
from atlas.render.gradients import gradient_at, rescue
from atlas.render.network import Network
from atlas.render.objectives import Objective, compile_objective, scores
from atlas.store.records import FailedStep, OctaveScores, Status, finite

Watch = Callable[[int, int, Tensor], None]


@dataclass(frozen=True)
class Descent:
    """What descent made of one row.

    Scores are in the descent's own precision and of unclipped images; see `judge` for the shown ones.
    """

    image: Tensor  # [3, H, W] on the CPU; not clipped
    octaves: tuple[OctaveScores, ...]
    gradient_norm: float | None  # L2 norm of the first step's gradient, the one that was followed
    had_gradient: bool  # whether any step of the first octave followed a gradient other than exactly 0
    failed_at: FailedStep | None


@dataclass
class _Rows:
    """The state of a batch, all tensors on the network's device so that no step waits for the host."""

    images: Tensor  # [B, 3, H, W]
    alive: Tensor  # [B] bool: not yet non-finite
    failed_octave: Tensor  # [B] int64, -1 while alive
    failed_step: Tensor  # [B] int64, -1 while alive
    had_gradient: Tensor  # [B] bool
    gradient_norm: Tensor  # [B]


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
    watch: Watch | None = None,
    seed: int | None = None,
) -> list[Descent]:
    """Descend on a batch of images, each towards its own target.

    In eval mode the network couples no rows, so the gradient of the summed loss is every row's own gradient. A row
    whose image goes non-finite keeps its last finite image and stays there; the others go on.

    Args:
        network: frozen network.
        targets: one a row, B of them; positions belong to the feature maps at the size of `start`.
        recipe: octaves, metric and gradient scaling.
        start: first images, [B, 3, H, W] in the type of the descent.
        watch: called after each step with the octave, the step and the images [B, 3, H, W]; None: nobody.
        seed: of all rows, from which a recipe with `resize` draws the sizes that the network sees; others need none.

    Returns:
        One result a row.

    Raises:
        ValueError: the recipe has `resize`, and there is no seed.
    """
    if recipe.resize and seed is None:
        raise ValueError(f'recipe "{recipe.name}" resizes at random and needs the seed of its rows')
    rows = _first_rows(start.to(network.device))
    first_size = _size(start)
    per_octave = []
    for number, octave in enumerate(recipe.octaves):
        if number:
            rows.images = resize(rows.images, octave_size(first_size, octave))
        per_octave.append(_run_octave(network, targets, recipe, number, rows, first_size, watch, seed or 0))
    return [_result(rows, recipe, per_octave, b) for b in range(len(targets))]


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
    with torch.inference_mode():
        return scores(objective, network.activations(images.to(network.device), objective.taps))


def to_pixels(images: Tensor) -> Tensor:
    """Clip to [0, 1] and round to 8 bits: float [..., 3, H, W] -> uint8 of the same shape."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def resize(images: Tensor, size: Size) -> Tensor:
    """Bilinear, antialiased, as torchvision's `Resize` does it: [B, 3, H, W] -> [B, 3, *size]."""
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def blur(images: Tensor, sigma: float) -> Tensor:
    """3×3 Gaussian blur with reflected borders, as torchvision's `gaussian_blur(images, 3, sigma)`.

    Args:
        images: [B, 3, H, W].
        sigma: pixels, above 0.
    """
    # e^(-1/2σ²) either side of 1, normalised; the two-dimensional kernel is its outer product with itself
    side = math.exp(-0.5 / sigma / sigma)
    centre = 1 / (1 + 2 * side)
    side *= centre
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")  # [B, 3, H + 2, W + 2]
    tall = padded[:, :, 1:-1] * centre + (padded[:, :, :-2] + padded[:, :, 2:]) * side  # [B, 3, H, W + 2]
    return tall[..., 1:-1] * centre + (tall[..., :-2] + tall[..., 2:]) * side  # [B, 3, H, W]


def status_of(descent: Descent, score_start: float, score_shown: float) -> Status:
    """What became of a rendering.

    Args:
        descent: its descent.
        score_start: of the start at the last size.
        score_shown: of the stored 8-bit picture.
    """
    if descent.failed_at:
        return "failed"
    if not descent.had_gradient:
        return "no_gradient"
    return "ok" if score_shown > score_start else "not_raised"


def _first_rows(start: Tensor) -> _Rows:
    batch = start.shape[0]
    nobody = torch.full((batch,), -1, device=start.device)
    return _Rows(
        images=start,
        alive=torch.ones(batch, dtype=torch.bool, device=start.device),
        failed_octave=nobody,
        failed_step=nobody,
        had_gradient=torch.zeros(batch, dtype=torch.bool, device=start.device),
        gradient_norm=torch.zeros(batch, dtype=start.dtype, device=start.device),
    )


def _run_octave(
    network: Network,
    targets: Sequence[Target],
    recipe: Recipe,
    number: int,
    rows: _Rows,
    first_size: Size,
    watch: Watch | None,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Run one octave; returns its scores at the start and at the end, [B] each, both at the octave's own size."""

    @cache
    def objective_at(size: Size) -> Objective:
        return compile_objective(targets, first_size, size, network.device, rows.images.dtype)

    octave, size = recipe.octaves[number], _size(rows.images)
    divisors = _divisors(targets, recipe.gradient, rows.images)
    first_scores = _scores(network, objective_at(size), rows.images) if recipe.resize else None
    for step in range(octave.steps):
        seen = recipe.size_seen(size, seed, number, step)
        gradient, step_scores = gradient_at(network, objective_at(seen), recipe, rows.images, seen)
        if first_scores is None:
            first_scores = step_scores
        if number == 0 and step < (recipe.rescue_steps or 0):
            gradient = rescue(network, objective_at(seen), recipe, rows.images, seen, gradient)
        if number == 0:
            _note_gradient(rows, gradient, step)
        update = octave.lr_at(step) * _scaled(gradient, recipe.gradient, divisors)
        _advance(rows, rows.images - update, octave.sigma_at(step), number, step)
        if watch:
            watch(number, step, rows.images)
    assert first_scores is not None, "an octave has at least one step"
    return first_scores, _scores(network, objective_at(size), rows.images)


def _scores(network: Network, objective: Objective, images: Tensor) -> Tensor:
    """Scores of images [B, 3, H, W] at their own size, [B]."""
    with torch.inference_mode():
        return scores(objective, network.activations(images, objective.taps))


def _note_gradient(rows: _Rows, gradient: Tensor, step: int) -> None:
    if step == 0:
        rows.gradient_norm = gradient.flatten(1).norm(dim=1)  # [B, 3, H, W] -> [B]
    rows.had_gradient = rows.had_gradient | (gradient != 0).flatten(1).any(1)


def _divisors(targets: Sequence[Target], scaling: Gradient, images: Tensor) -> Tensor:
    """What each row's gradient is divided by, [B, 1, 1, 1]; `rms` divides by its own and not by this."""
    counts = [target.features_summed if scaling == "per_feature" else 1 for target in targets]
    return torch.tensor(counts, device=images.device, dtype=images.dtype)[:, None, None, None]


def _scaled(gradient: Tensor, scaling: Gradient, divisors: Tensor) -> Tensor:
    if scaling != "rms":
        return gradient / divisors
    rms = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()  # [B, 1, 1, 1]
    return gradient / torch.where(rms == 0, 1.0, rms)


def _advance(rows: _Rows, moved: Tensor, sigma: float | None, octave: int, step: int) -> None:
    """Blur what moved and take it over where it is finite; the other rows stay where they were, for good."""
    if sigma is not None:
        moved = blur(moved, sigma)
    is_finite = moved.isfinite().flatten(1).all(1)  # [B, 3, H, W] -> [B]
    fails = rows.alive & ~is_finite
    rows.failed_octave = torch.where(fails, octave, rows.failed_octave)
    rows.failed_step = torch.where(fails, step, rows.failed_step)
    rows.alive = rows.alive & is_finite
    rows.images = torch.where(rows.alive[:, None, None, None], moved, rows.images)


def _result(rows: _Rows, recipe: Recipe, per_octave: list[tuple[Tensor, Tensor]], b: int) -> Descent:
    octave, step = int(rows.failed_octave[b]), int(rows.failed_step[b])
    return Descent(
        image=rows.images[b].cpu(),
        octaves=tuple(
            OctaveScores(o.size, finite(first[b].item()), finite(last[b].item()))
            for o, (first, last) in zip(recipe.octaves, per_octave, strict=True)
        ),
        gradient_norm=finite(rows.gradient_norm[b].item()),
        had_gradient=bool(rows.had_gradient[b]),
        failed_at=FailedStep(octave, step) if octave >= 0 else None,
    )


def _size(images: Tensor) -> Size:
    return images.shape[-2], images.shape[-1]
