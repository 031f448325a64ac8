"""Batches → attempts, in this process on one device: the plain executor, and what every executor is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch

from atlas.plan.jobs import Batch, Job
from atlas.render import numerics as arithmetic
from atlas.render.hardware import hardware_of
from atlas.render.memory import free_memory, is_out_of_memory
from atlas.render.renderer import OpenPhoto, Renderer, Rendering
from atlas.render.weights import Weights
from atlas.store.records import Numerics

OUT_OF_MEMORY = "out of memory even alone; nothing was stored, and the next run tries again"


@dataclass(frozen=True)
class Attempt:
    """What rendering one job came to."""

    job: Job
    rendering: Rendering | None
    failure: str | None = None  # why there is no rendering


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

    def measure_speed(self) -> float:
        """Floating-point operations a second that may be expected of all of it."""

    def why_no_gpu(self) -> str:
        """Why no GPU is used, in words."""

    def load(self, weights: Weights, open_photo: OpenPhoto) -> RenderBatches:
        """Load weights.

        Args:
            weights: what to look into.
            open_photo: gives the photographs that jobs start from.

        Returns:
            What renders batches with them; equal numerics give equal bytes, wherever it renders.
        """


class PlainExecutor:
    """Renders on a device of this machine, one batch after the other, in their order."""

    def __init__(self, device: torch.device, numerics: Numerics) -> None:
        self.device = device
        self.numerics = numerics

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)} ({self.device})"
        return "Apple GPU (mps)" if self.device.type == "mps" else "CPU"

    @property
    def memory(self) -> int | None:
        """Bytes of the GPU in all; None: no GPU."""
        return hardware_of(self.device).memory

    def measure_speed(self) -> float:
        """Floating-point operations a second, from half a second of measurement."""
        return arithmetic.measure_speed(self.device, self.numerics)

    def why_no_gpu(self) -> str:
        """Why no GPU is used, in words."""
        return arithmetic.why_no_gpu()

    def load(self, weights: Weights, open_photo: OpenPhoto) -> RenderBatches:
        """Load weights; they are folded when the first batch comes."""

        @cache
        def renderer() -> Renderer:
            return Renderer(weights, self.device, self.numerics, open_photo)

        return lambda batches: render_batches(batches, renderer())


def render_batches(batches: Iterable[Batch], renderer: Renderer) -> Iterator[list[Attempt]]:
    """Render batches one after the other; out of memory, in halves, down to one.

    Args:
        batches: what to render.
        renderer: what renders them.

    Yields:
        The attempts at the jobs of each batch, or of each part of it, in their order.
    """
    for batch in batches:
        yield from _attempts(batch.jobs, batch.size, renderer)


def _attempts(jobs: Sequence[Job], size: int, renderer: Renderer) -> Iterator[list[Attempt]]:
    for start in range(0, len(jobs), size):
        chunk = jobs[start : start + size]
        try:
            renderings = renderer.render(chunk, size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            renderings = None
        if renderings is not None:
            yield [Attempt(rendering.job, rendering) for rendering in renderings]
            continue
        free_memory()  # outside the except block, whose traceback keeps the batch's tensors alive
        if size > 1:
            yield from _attempts(chunk, size // 2, renderer)
        else:
            yield [Attempt(job, None, OUT_OF_MEMORY) for job in chunk]
