"""This machine as executor: batches → attempts on one device, one batch after the other."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch

from atlas.plan.recipes import Recipe
from atlas.rendering import numerics as arithmetic
from atlas.rendering.batches import BatchLimits, RenderBatches, render_batches
from atlas.rendering.pace import Pace, measure_pace
from atlas.rendering.renderer import OpenPhoto, Renderer
from atlas.rendering.weights import Weights
from atlas.store.records import Numerics


@dataclass(frozen=True)
class LocalExecutor:
    """Renders on a device of this machine, one batch after the other, in their order."""

    device: torch.device
    numerics: Numerics

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)} ({self.device})"
        return "Apple GPU (mps)" if self.device.type == "mps" else "CPU"

    @property
    def memory(self) -> int | None:
        """Bytes of the GPU in all; None: no GPU."""
        return arithmetic.hardware_of(self.device).memory

    def measure_pace(self, recipes: Iterable[Recipe]) -> Pace:
        """How fast descents go, from some seconds of measurement."""
        return measure_pace(self.device, self.numerics, recipes)

    def load(self, weights: Weights, open_photo: OpenPhoto) -> RenderBatches:
        """Load weights, and fold them."""
        renderer = Renderer(weights, self.device, self.numerics, open_photo)
        return partial(render_batches, renderer=renderer, limits=BatchLimits())
