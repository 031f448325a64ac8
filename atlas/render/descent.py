"""Gradient descent on the input: a batch of targets, a recipe and a start → renderings. No files, no global state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.inception.targets import Target
from atlas.plan.recipes import Recipe, octave_size
from atlas.render.cuda_graphs import Recorder
from atlas.render.gradients import gradient_at, rescue
from atlas.render.network import Network
from atlas.render.objectives import Objective, compile_objective, scores
from atlas.render.steps import Rows, Schedule, make_schedule, note_gradient, take_step
from atlas.store.records import FailedStep, OctaveScores, Status, finite

Watch = Callable[[int, int, Tensor], None]
AfterOctave = Callable[[Tensor], None]


@dataclass(frozen=True)
class Descent:
    """What descent made of one row.

    Scores are in the descent's own precision and of unclipped images; see `judge` for the shown ones.
    """

    image: Tensor  # [3, H, W] on the CPU; not clipped
    octaves: tuple[OctaveScores, ...]
    gradient_norm: float | None  # L2 norm of the first step's gradient, the one that was followed
    had_gradient: bool  # whether any step of any octave followed a gradient other than exactly 0
    failed_at: FailedStep | None


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
    recorder: Recorder | None = None,
    after_octave: AfterOctave | None = None,
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
        recorder: replays steps that are alike; None: each is launched by itself. Equal bits either way.
        after_octave: called after each octave with its images [B, 3, H, W], which are not to be kept; None: nobody.

    Returns:
        One result a row.

    Raises:
        ValueError: the recipe has `resize`, and there is no seed.
    """
    if recipe.resize and seed is None:
        raise ValueError(f'recipe "{recipe.name}" resizes at random and needs the seed of its rows')
    rows = Rows.first(start.to(network.device))
    first_size = _size(start)
    per_octave = []
    for number, settings in enumerate(recipe.octaves):
        if number:
            rows = rows.at_size(resize(rows.images, octave_size(first_size, settings)))
        octave = _Octave(network, targets, recipe, number, first_size)
        rows, *ends = _run_octave(octave, rows, seed or 0, watch, recorder)
        per_octave.append(ends)
        if after_octave:
            after_octave(rows.images)
    images = rows.images.contiguous().cpu()  # one copy for all rows
    return _results(rows, images, recipe, per_octave)


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
        return scores(objective, network.activations(images.to(network.device), objective.taps, objective.wanted))


def to_pixels(images: Tensor) -> Tensor:
    """Clip to [0, 1] and round to 8 bits: float [..., 3, H, W] -> uint8 of the same shape."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def resize(images: Tensor, size: Size) -> Tensor:
    """Bilinear, antialiased, as torchvision's `Resize` does it: [B, 3, H, W] -> [B, 3, *size]."""
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


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


@dataclass(frozen=True)
class _Octave:
    """An octave of a batch's descent."""

    network: Network
    targets: Sequence[Target]
    recipe: Recipe
    number: int  # from 0
    first_size: Size  # to which positions belong

    @property
    def steps(self) -> int:
        """How many."""
        return self.recipe.octaves[self.number].steps

    @property
    def is_first(self) -> bool:
        """Whether the descent begins with it."""
        return self.number == 0

    @property
    def rescues(self) -> int:
        """In how many of its steps dead rows are rescued."""
        return (self.recipe.rescue_steps or 0) if self.is_first else 0

    @property
    def is_alike(self) -> bool:
        """Whether all its steps do the same, so that one can be recorded for all."""
        return self.recipe.resize is None and not self.rescues

    def objective(self, size: Size, dtype: torch.dtype) -> Objective:
        """The targets at a size that the network sees."""
        return compile_objective(self.targets, self.first_size, size, self.network.device, dtype)


def _run_octave(
    octave: _Octave, rows: Rows, seed: int, watch: Watch | None, recorder: Recorder | None
) -> tuple[Rows, Tensor, Tensor]:
    """Run one octave; returns its scores at the start and at the end too, [B] each, both at the octave's own size."""
    network, recipe = octave.network, octave.recipe
    settings = recipe.octaves[octave.number]
    schedule = make_schedule(settings, octave.number, octave.targets, recipe.gradient, rows.images)
    objective = octave.objective(_size(rows.images), rows.images.dtype)
    first_scores = _scores(network, objective, rows.images)
    if recorder and watch is None and octave.is_alike:
        step, key = partial(_step, network, recipe, octave.is_first), (network, recipe, octave.is_first)
        rows = recorder.repeat(step, rows, (objective, schedule), octave.steps, key)
    else:
        rows = _walk(octave, rows, schedule, seed, watch)
    return rows, first_scores, _scores(network, objective, rows.images)


def _walk(octave: _Octave, rows: Rows, schedule: Schedule, seed: int, watch: Watch | None) -> Rows:
    """Take the steps of an octave one by one."""
    network, recipe = octave.network, octave.recipe
    size, objective_at = _size(rows.images), cache(partial(octave.objective, dtype=rows.images.dtype))
    for at in range(octave.steps):
        seen = recipe.size_seen(size, seed, octave.number, at)
        objective = objective_at(seen)
        gradient = gradient_at(network, objective, recipe, rows.images, seen)
        if at < octave.rescues:
            gradient = rescue(network, objective, recipe, rows.images, seen, gradient)
        rows = _follow(rows, gradient, schedule, is_first=octave.is_first)
        if watch:
            watch(octave.number, at, rows.images)
    return rows


def _step(network: Network, recipe: Recipe, is_first: bool, rows: Rows, inputs: tuple[Objective, Schedule]) -> Rows:
    """One step of an octave whose steps are alike."""
    objective, schedule = inputs
    gradient = gradient_at(network, objective, recipe, rows.images, _size(rows.images))
    return _follow(rows, gradient, schedule, is_first=is_first)


def _follow(rows: Rows, gradient: Tensor, schedule: Schedule, *, is_first: bool) -> Rows:
    return take_step(note_gradient(rows, gradient, is_first_octave=is_first), gradient, schedule)


def _scores(network: Network, objective: Objective, images: Tensor) -> Tensor:
    """Scores of images [B, 3, H, W] at their own size, [B]."""
    with torch.inference_mode():
        return scores(objective, network.activations(images, objective.taps, objective.wanted))


def _results(rows: Rows, images: Tensor, recipe: Recipe, per_octave: list[list[Tensor]]) -> list[Descent]:
    """Put what is known of each row into numbers; all of it leaves the device in one copy.

    Args:
        rows: the state after the last octave.
        images: of it, on the CPU, [B, 3, H, W].
        recipe: its octaves.
        per_octave: scores at the start and at the end of each octave, [B] each.
    """
    state = [rows.failed_octave, rows.failed_step, rows.had_gradient, rows.gradient_norm]
    scores_by_octave = [ends for octave in per_octave for ends in octave]
    # n tensors of [B] -> [n, B] -> [B, n]; the type of the images holds all step numbers exactly
    table = torch.stack([one.to(images.dtype) for one in (*state, *scores_by_octave)]).T.tolist()
    return [_result(image, row, recipe) for image, row in zip(images, table, strict=True)]


def _result(image: Tensor, numbers: list[float], recipe: Recipe) -> Descent:
    octave, step, had_gradient, gradient_norm, *ends = numbers
    return Descent(
        image=image,
        octaves=tuple(
            OctaveScores(settings.size, finite(first), finite(last))
            for settings, first, last in zip(recipe.octaves, ends[::2], ends[1::2], strict=True)
        ),
        gradient_norm=finite(gradient_norm),
        had_gradient=bool(had_gradient),
        failed_at=FailedStep(int(octave), int(step)) if octave >= 0 else None,
    )


def _size(images: Tensor) -> Size:
    return images.shape[-2], images.shape[-1]
