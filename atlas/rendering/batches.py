"""Batches → attempts: what an executor is, and batches that do not fit into memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from atlas.common import log
from atlas.inception.architecture import Size
from atlas.plan.jobs import Batch, Job
from atlas.plan.recipes import Recipe
from atlas.rendering.memory import free_memory, is_out_of_memory, may_be_out_of_memory
from atlas.rendering.pace import Pace
from atlas.rendering.renderer import OpenPhoto, Renderer, Rendering
from atlas.rendering.weights import Weights
from atlas.store.records import Numerics

OUT_OF_MEMORY = "out of memory even alone; nothing was stored, and the next run tries again"


@dataclass(frozen=True)
class Attempt:
    """The result of one job: a rendering, or why there is none."""

    job: Job
    rendering: Rendering | None
    failure: str | None = None


# Attempts at batches, a list for each group that was rendered together, as soon as they are there.
RenderBatches = Callable[[Sequence[Batch]], Iterator[list[Attempt]]]


class Executor(Protocol):
    """Where batches are rendered, whatever the weights."""

    @property
    def device(self) -> torch.device:
        """The kind of device, on which the size of a batch depends."""

    @property
    def device_name(self) -> str:
        """The device in words."""

    @property
    def numerics(self) -> Numerics:
        """Precision and threads; each batch has its own size."""

    @property
    def memory(self) -> int | None:
        """Bytes of the GPU in all, on which the size of a batch depends too; None: unknown, or no GPU."""

    def measure_pace(self, recipes: Iterable[Recipe]) -> Pace:
        """How fast descents by these recipes may be expected to go on all of it."""

    def load(self, weights: Weights, open_photo: OpenPhoto) -> RenderBatches:
        """Load weights.

        Args:
            weights: of the network.
            open_photo: gives the photographs that jobs start from.

        Returns:
            What renders batches with them; equal numerics give equal bytes, wherever it renders.
        """


# How many rows fit into memory, by what the memory of a row depends on: the deepest layer and the sizes of the images.
BatchLimits = dict[tuple[str, tuple[Size, ...]], int]


def render_batches(batches: Iterable[Batch], renderer: Renderer, limits: BatchLimits) -> Iterator[list[Attempt]]:
    """Render batches one after the other; a batch that does not fit into memory is halved, down to one row.

    Args:
        batches: what to render.
        renderer: what renders them.
        limits: of the run, so that later batches of the same kind start at the size that fits.

    Yields:
        The attempts at the jobs of each batch, or of each part of it, in their order.
    """
    for batch in batches:
        kind = batch.deepest, batch.jobs[0].sizes
        most = min(batch.size, limits.get(kind, batch.size))
        rows, left, why = most, batch.jobs, ""
        while left:
            attempts, failure = _try(left[:rows], rows, renderer)
            if failure:
                free_memory()  # outside the except block, whose traceback keeps the batch's tensors alive
                why = why or failure
                if rows > 1:
                    rows //= 2
                    continue
                attempts = [Attempt(left[0], None, failure)]
            yield attempts
            left = left[rows:]
        if rows < most:
            limits[kind] = rows
            size = "×".join(str(side) for side in kind[1][-1])
            log.notice(f"{batch.deepest} at {size} px is tried in batches of {rows} for the rest of this run: {why}")


def _try(jobs: Sequence[Job], rows: int, renderer: Renderer) -> tuple[list[Attempt], str]:
    """Render jobs together.

    Returns:
        The attempts, and why there are none where fewer jobs might succeed.
    """
    try:
        return [Attempt(one.job, one) for one in renderer.render(jobs, rows)], ""
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return [], "out of memory" if rows > 1 else OUT_OF_MEMORY
        if may_be_out_of_memory(error):
            return [], f"{str(error).strip().splitlines()[0]} (with a batch of {rows})"
        raise
