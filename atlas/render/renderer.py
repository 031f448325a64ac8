"""Jobs → renderings: pixels and their record, by way of a start, a descent and a last look in float32."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version

import torch
from torch import Tensor

from atlas.plan.jobs import Job
from atlas.render import numerics as arithmetic
from atlas.render.descent import Descent, descend, judge, resize, start_noise, status_of, to_pixels
from atlas.render.network import Network
from atlas.render.weights import Weights
from atlas.store.masters import pixels_sha256
from atlas.store.records import NOISE, Numerics, Record, finite


@dataclass(frozen=True)
class Rendering:
    """A picture and where it comes from."""

    job: Job
    pixels: bytes  # RGB, row by row
    record: Record


class Renderer:
    """Weights on a device, ready to render batches."""

    def __init__(self, weights: Weights, device: torch.device, numerics: Numerics) -> None:
        """Fold the weights and put them on the device.

        Args:
            weights: what to look into.
            device: where.
            numerics: precision and threads; each call of `render` sets the batch size.
        """
        self._weights = weights
        self._device = device
        self._numerics = numerics
        self._network = Network(weights, device, arithmetic.dtype_of(numerics.precision))

    @property
    def numerics(self) -> Numerics:
        """Device kind, precision and threads."""
        return self._numerics

    @property
    def weights(self) -> Weights:
        """What is looked into."""
        return self._weights

    def render(self, jobs: Sequence[Job], batch_size: int) -> list[Rendering]:
        """Render jobs of one recipe together.

        Args:
            jobs: at most `batch_size` of them, all of one recipe, with any targets and seeds.
            batch_size: rows; those without a job repeat the last one, so that numerics do not depend on how many
                jobs there are.

        Returns:
            One rendering a job, in their order.
        """
        padded = [*jobs, *[jobs[-1]] * (batch_size - len(jobs))]
        targets = [job.target for job in padded]
        recipe = jobs[0].recipe
        numerics = replace(self._numerics, batch_size=batch_size)
        start = torch.stack([start_noise(job.seed, recipe.first_size) for job in padded])  # [B, 3, H, W]
        with arithmetic.applied(numerics):
            descents = descend(self._network, targets, recipe, start.to(self._image_type))
        pixels = to_pixels(torch.stack([descent.image for descent in descents]))  # [B, 3, H', W'] uint8
        size = pixels.shape[-2], pixels.shape[-1]
        with arithmetic.applied(arithmetic.in_float32(numerics)):
            shown = judge(self._judge, targets, pixels.float() / 255, recipe.first_size).tolist()
            before = judge(self._judge, targets, resize(start, size), recipe.first_size).tolist()
        return [
            self._rendering(job, numerics, descents[b], pixels[b], before[b], shown[b]) for b, job in enumerate(jobs)
        ]

    @property
    def _image_type(self) -> torch.dtype:
        return torch.float64 if self._numerics.precision == "fp64" else torch.float32

    @cached_property
    def _judge(self) -> Network:
        """The network in float32, whatever the descent's precision."""
        if arithmetic.dtype_of(self._numerics.precision) == torch.float32:
            return self._network
        return Network(self._weights, self._device, torch.float32)

    def _rendering(
        self, job: Job, numerics: Numerics, descent: Descent, pixels: Tensor, before: float, shown: float
    ) -> Rendering:
        _, height, width = pixels.shape
        data = pixels.permute(1, 2, 0).contiguous().numpy().tobytes()  # [3, H, W] -> [H, W, 3]
        record = Record(
            target=str(job.target),
            recipe_name=job.recipe.name,
            recipe=job.recipe.as_dict(),
            recipe_digest=job.recipe.digest,
            start=NOISE,
            seed=job.seed,
            weights=self._weights.id,
            torch=str(torch.__version__),
            torchvision=version("torchvision"),
            numerics=numerics,
            status=status_of(descent, before, shown),
            failed_at=descent.failed_at,
            octaves=descent.octaves,
            score_start=finite(before),
            score_shown=finite(shown),
            gradient_norm=descent.gradient_norm,
            width=width,
            height=height,
            pixels_sha256=pixels_sha256(data),
        )
        return Rendering(job, data, record)
