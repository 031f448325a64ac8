"""Gradient descent on the input: a batch of targets, a recipe and a start → images. No files, no global state.

From top to bottom: the octaves of a recipe (`descend`), one step of all rows (`step`), its gradient, and its update.
What moves are the parameters of the images (`parameterization`). The state of a batch lies on the device, the number of
the step included, so that no step waits for the host and a step can be captured as a CUDA graph.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Self

import torch
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.inception.targets import Target
from atlas.plan.recipes import Octave, Optimizer, Recipe, octave_size
from atlas.rendering.cuda_graphs import CudaGraphs
from atlas.rendering.model import Network
from atlas.rendering.objectives import Objective, compile_objective, losses, scores
from atlas.rendering.parameterization import Parameterization, Phases, make_parameterization
from atlas.rendering.transforms import View, make_views, resample, see
from atlas.rendering.updates import ADAM_MEANS, adam, blur_by, blur_kernel
from atlas.store.records import FailedStep, OctaveScores, Status, finite

Watch = Callable[[Tensor], None]


@dataclass(frozen=True)
class Descent:
    """The result of a descent for one row.

    Scores are in the descent's own precision and of unclipped images; see `judge` for the shown ones.
    """

    image: Tensor  # [3, H, W] on the CPU; not clipped
    octaves: tuple[OctaveScores, ...]
    gradient_norm: float | None  # L2 norm of the first step's gradient by the image, the one that was followed
    had_gradient: bool  # whether any step of any octave followed a gradient other than exactly 0
    failed_at: FailedStep | None
    importance: Tensor | None = None  # [H, W] on the CPU: sum of the gradient's magnitudes by pixel; of phases alone

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

    params: Tensor  # [B, 3, …]: parameters of the images, or the images themselves
    moments: tuple[Tensor, ...]  # Adam's means of the gradient and of its square, shapes as of `params`; else none
    alive: Tensor  # [B] bool: not yet non-finite
    failed_octave: Tensor  # [B] int64, -1 while alive
    failed_step: Tensor  # [B] int64, -1 while alive
    had_gradient: Tensor  # [B] bool: at any step of any octave so far
    gradient_norm: Tensor  # [B]: L2 norm at the very first step
    importance: tuple[Tensor, ...]  # [B, H, W]: sum of the gradient's magnitudes in this octave; none but of phases
    step: Tensor  # [] int64: of the octave, from 0

    @classmethod
    def first(cls, params: Tensor) -> Self:
        """The state before the first step of the first octave; `params` is [B, 3, …]."""
        batch, device = len(params), params.device
        none = torch.full((batch,), -1, device=device)
        return cls(
            params=params,
            moments=(),
            alive=torch.ones(batch, dtype=torch.bool, device=device),
            failed_octave=none,
            failed_step=none,
            had_gradient=torch.zeros(batch, dtype=torch.bool, device=device),
            gradient_norm=torch.zeros(batch, dtype=params.dtype, device=device),
            importance=(),
            step=torch.zeros((), dtype=torch.int64, device=device),
        )

    def at_octave(self, params: Tensor, form: Parameterization, optimizer: Optimizer) -> Self:
        """The state before the first step of an octave, whose images have these parameters."""
        moments = (torch.zeros_like(params),) * 2 if optimizer == "adam" else ()
        importance = (params.new_zeros(len(params), *form.size),) if isinstance(form, Phases) else ()
        return replace(self, params=params, moments=moments, importance=importance, step=self.step * 0)


@dataclass(frozen=True)
class Schedule:
    """What an octave does at its steps, as tensors."""

    octave: Tensor  # [] int64: its number, from 0
    is_first: bool  # whether it is octave 0
    form: Parameterization  # at the octave's size
    views: tuple[View, ...]  # what the network sees of the images
    rates: Tensor  # [steps, B, 1, 1, 1]: learning rate, over what each row's gradient is divided by
    roots: Tensor | None  # [steps]: what Adam's root of the mean square is divided by; None: no Adam
    kernels: Tensor | None  # [steps, 2]: the blur's centre and side; None: no blur
    epsilon: float  # of Adam
    is_rms: bool  # divide by each row's root mean square


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
        recipe: what moves, and how.
        start: first images, [B, 3, H, W] in the type of the descent.
        seed: of all rows, from which a recipe that `is_random` draws; others need none.
        graphs: replays steps that are alike; None: the kernels of each are launched one by one. The bits are equal.
        after_step: called after each step with its images [B, 3, H, W]; no step is replayed then.
        after_octave: called after each octave with its images, which must be copied to be kept.

    Returns:
        One result a row.

    Raises:
        ValueError: the recipe is random, and there is no seed.
    """
    if recipe.is_random and seed is None:
        raise ValueError(f'recipe "{recipe.name}" is random, and needs the seed of its rows')
    drawn_from = seed or 0
    start = start.to(network.device)
    size = first_size = _size(start)
    form = make_parameterization(recipe, size, drawn_from, start)
    rows = Rows.first(form.params(start))
    ends = []  # scores at the start and at the end of each octave, [B] each
    for number, octave in enumerate(recipe.octaves):
        params = rows.params
        if number:
            size = octave_size(first_size, octave)
            larger = make_parameterization(recipe, size, drawn_from, start)
            params, form = form.enlarge(params, larger), larger
        rows = rows.at_octave(params, form, recipe.optimizer)
        objective_at = cache(partial(compile_objective, targets, first_size, device=network.device, dtype=start.dtype))
        objective = objective_at(size)
        views = make_views(recipe, number, drawn_from, size, start)
        schedule = make_schedule(octave, number, targets, recipe, form, views, start)
        rescues = (recipe.rescue_steps or 0) if schedule.is_first else 0
        ends.append(_scores(network, objective, form.images(rows.params)))
        replayed = max(0, octave.steps - rescues) if graphs and not recipe.resize and not after_step else 0
        for at in range(octave.steps - replayed):
            seen = objective_at(recipe.size_seen(size, drawn_from, number, at))
            rows = step(network, recipe, rows, (seen, schedule), rescues_rows=at < rescues)
            if after_step:
                after_step(form.images(rows.params))
        if graphs and replayed:
            one = partial(step, network, recipe)
            rows = graphs.repeat(one, rows, (objective, schedule), replayed, key=(network, recipe))
        images = form.images(rows.params)
        ends.append(_scores(network, objective, images))
        if after_octave:
            after_octave(images)
    return _results(rows, images, recipe, ends)


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
    params = rows.params.detach().requires_grad_()
    images = schedule.form.images(params)
    look = partial(see, views=schedule.views, step=rows.step)
    gradient = gradient_at(network, objective, recipe, images, look)
    if rescues_rows:
        gradient = rescue(network, objective, recipe, images, look, gradient)
    (by_params,) = torch.autograd.grad(images, params, gradient)
    return take_step(rows, gradient, by_params, schedule)


def gradient_at(
    network: Network,
    objective: Objective,
    recipe: Recipe,
    images: Tensor,
    look: Callable[[Tensor], Tensor] = lambda images: images,
    *,
    straight: bool = False,
) -> Tensor:
    """Gradient of each row's loss at its image.

    Args:
        network: frozen network.
        objective: the targets, at the size that the network sees.
        recipe: its metric and constant.
        images: [B, 3, H, W], of that or another size.
        look: what the network sees of images, in place of them; differentiable.
        straight: let the last ReLU of each target pass the gradient as if it were linear.

    Returns:
        [B, 3, H, W].
    """
    leaf = images.detach().requires_grad_()
    seen = resample(look(leaf), objective.size)
    run = network.straight_activations if straight else network.activations
    activations = run(seen, objective.taps, objective.wanted)
    loss = losses(objective, activations, recipe.metric, recipe.constant)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return gradient


def rescue(
    network: Network,
    objective: Objective,
    recipe: Recipe,
    images: Tensor,
    look: Callable[[Tensor], Tensor],
    gradient: Tensor,
) -> Tensor:
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
    passed = gradient_at(network, objective, recipe, images, look, straight=True)
    return torch.where(is_dead[:, None, None, None], passed, gradient)


def make_schedule(
    octave: Octave,
    number: int,
    targets: Sequence[Target],
    recipe: Recipe,
    form: Parameterization,
    views: tuple[View, ...],
    like: Tensor,
) -> Schedule:
    """Put an octave into tensors of the type and on the device of another tensor."""
    steps = range(octave.steps)
    counts = [target.features_summed if recipe.gradient == "per_feature" else 1 for target in targets]
    rates = [[octave.lr_at(step) / count for count in counts] for step in steps]
    roots = None
    if recipe.optimizer == "adam":  # whose means begin at 0 and are divided by what they have seen so far
        first, second = ADAM_MEANS
        rates = [[rate / (1 - first ** (step + 1)) for rate in row] for step, row in enumerate(rates)]
        roots = like.new_tensor([math.sqrt(1 - second ** (step + 1)) for step in steps])
    sigmas = [octave.sigma_at(step) for step in steps]
    kernels = [blur_kernel(sigma) for sigma in sigmas if sigma is not None]
    return Schedule(
        octave=torch.tensor(number, device=like.device),
        is_first=number == 0,
        form=form,
        views=views,
        rates=like.new_tensor(rates)[:, :, None, None, None],
        roots=roots,
        kernels=like.new_tensor(kernels) if kernels else None,
        epsilon=recipe.epsilon,
        is_rms=recipe.gradient == "rms",
    )


def take_step(rows: Rows, gradient: Tensor, by_params: Tensor, schedule: Schedule) -> Rows:
    """Update, blur, and keep what is finite.

    Args:
        rows: the state.
        gradient: of each row's loss by its image, [B, 3, H, W].
        by_params: the same by the parameters; the shape of these.
        schedule: of the octave.
    """
    norm, had_gradient = rows.gradient_norm, rows.had_gradient | (_largest(gradient) != 0)
    if schedule.is_first:
        norm = torch.where(rows.step == 0, torch.linalg.vector_norm(gradient, dim=(1, 2, 3)), norm)
    if schedule.is_rms:
        rms = by_params.square().mean((1, 2, 3), keepdim=True).sqrt()  # [B, 1, 1, 1]
        by_params = by_params / (rms + (rms == 0))
    at = rows.step[None]
    rate, moments = schedule.rates.index_select(0, at)[0], rows.moments
    if schedule.roots is None:
        moved = torch.addcmul(rows.params, by_params, rate, value=-1)
    else:
        direction, moments = adam(moments, by_params, schedule.roots.index_select(0, at), schedule.epsilon)
        moved = torch.addcmul(rows.params, direction, rate, value=-1)
    if schedule.kernels is not None:
        centre, side = schedule.kernels.index_select(0, at)[0].unbind()
        moved = blur_by(moved, centre, side)
    is_finite = _largest(moved).isfinite()
    fails = rows.alive & ~is_finite
    alive = rows.alive & is_finite
    return Rows(
        params=torch.where(alive[:, None, None, None], moved, rows.params),
        moments=moments,  # those of a row that failed are read no more
        alive=alive,
        failed_octave=torch.where(fails, schedule.octave, rows.failed_octave),
        failed_step=torch.where(fails, rows.step, rows.failed_step),
        had_gradient=had_gradient,
        gradient_norm=norm,
        # [B, 3, H, W] -> [B, H, W]; that of a row that failed stays, as its image does
        importance=tuple(
            torch.where(alive[:, None, None], one + gradient.abs().sum(1), one) for one in rows.importance
        ),
        step=rows.step + 1,
    )


def to_pixels(images: Tensor) -> Tensor:
    """Clip to [0, 1] and round to 8 bits: float [..., 3, H, W] -> uint8 of the same shape."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def to_grey(importance: Tensor) -> Tensor:
    """An importance map [H, W] as a grey picture, uint8: white from its 99th percentile on, and black at 0."""
    values = importance.flatten()
    white = values.kthvalue(math.ceil(0.99 * len(values))).values  # torch.quantile takes no picture of 4096 px
    return to_pixels(importance / (white + (white == 0)))


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


def _results(rows: Rows, images: Tensor, recipe: Recipe, ends: list[Tensor]) -> list[Descent]:
    """The result of each row; images leave the device in one copy, and all numbers in another.

    Args:
        rows: the state after the last octave.
        images: of that state, [B, 3, H, W].
        recipe: its octaves.
        ends: scores at the start and at the end of each octave, [B] each.
    """
    images = images.contiguous().cpu()
    importance = rows.importance[0].cpu() if rows.importance else [None] * len(images)
    numbers = [rows.failed_octave, rows.failed_step, rows.had_gradient, rows.gradient_norm, *ends]
    # n tensors of [B] -> [n, B] -> [B, n]; the type of the images holds all step numbers exactly
    table = torch.stack([one.to(images.dtype) for one in numbers]).T.tolist()
    results = []
    for image, counts, (octave, at, had_gradient, gradient_norm, *found) in zip(images, importance, table, strict=True):
        octaves = tuple(
            OctaveScores(settings.size, finite(first), finite(last))
            for settings, first, last in zip(recipe.octaves, found[::2], found[1::2], strict=True)
        )
        failed_at = FailedStep(int(octave), int(at)) if octave >= 0 else None
        results.append(Descent(image, octaves, finite(gradient_norm), bool(had_gradient), failed_at, counts))
    return results


def _largest(maps: Tensor) -> Tensor:
    """Greatest magnitude in each row, [B, 3, H, W] -> [B]; not a number if there is one that is not."""
    return maps.abs().amax((1, 2, 3))


def _size(images: Tensor) -> Size:
    return images.shape[-2], images.shape[-1]
