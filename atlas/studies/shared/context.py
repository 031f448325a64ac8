"""What a study works with: the store's pictures as arrays, and the network's gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.inception.targets import Target
from atlas.plan.jobs import Job
from atlas.plan.recipes import Input, octave_size
from atlas.render import numerics as arithmetic
from atlas.render.descent import blur, resize, start_noise, to_pixels
from atlas.render.memory import may_be_out_of_memory
from atlas.render.objectives import compile_objective, scores
from atlas.render.renderer import Renderer
from atlas.store.masters import master_path, open_master
from atlas.store.results import Results, ResultSpec
from atlas.studies.shared.maps import Array

ROWS = 4  # pictures whose gradients are taken together


@dataclass(frozen=True)
class MeasureContext:
    """The store of a configuration and a renderer with its weights."""

    results: Results
    renderer: Renderer

    def picture(self, job: Job) -> Array:
        """A rendering, [H, W, 3] in [0, 1].

        Raises:
            StoreError: the master is missing or damaged.
        """
        return np.asarray(self.image(job), dtype=np.float64) / 255

    def image(self, job: Job) -> Image.Image:
        """A rendering as it is stored, RGB in 8 bits.

        Raises:
            StoreError: the master is missing or damaged.
        """
        return open_master(master_path(self.results.config.store, self.results.weights, job))[0]

    def start(self, job: Job) -> Array:
        """The noise that a job starts from, [H, W, 3] in [0, 1]."""
        return to_array(start_noise(job.seed, job.recipe.first_size))

    def untouched(self, job: Job) -> Array:
        """What a recipe leaves of the noise where no gradient arrives, [H, W, 3] in 256 steps.

        Blur and octaves alone change the noise everywhere; a target's own change is what differs from this.
        """
        image = start_noise(job.seed, job.recipe.first_size)[None]  # [1, 3, H, W]
        for octave in job.recipe.octaves:
            size = octave_size(job.recipe.first_size, octave)
            image = image if image.shape[-2:] == size else resize(image, size)
            for step in range(octave.steps):
                sigma = octave.sigma_at(step)
                image = image if sigma is None else blur(image, sigma)
        return to_array(to_pixels(image[0])) / 255

    def gradients(
        self, targets: Sequence[Target], pictures: Sequence[Array], first_size: Size, given: Input
    ) -> list[Array]:
        """Magnitude of the score's gradient at each pixel, summed over channels.

        Args:
            targets: one a picture.
            pictures: [H, W, 3] each, of one size.
            first_size: (height, width) in pixels to which positions belong.
            given: as the recipe of the pictures says.

        Returns:
            [H, W] each. Where memory runs out, fewer are taken together, down to one.
        """
        found: list[Array] = []
        rows = ROWS
        while len(found) < len(targets):
            part = slice(len(found), len(found) + rows)
            try:
                images = torch.stack([to_tensor(picture) for picture in pictures[part]])  # [B, 3, H, W]
                found += self._gradients(targets[part], images, first_size, given)
            except (RuntimeError, MemoryError) as error:
                if rows == 1 or not may_be_out_of_memory(error):
                    raise
                rows //= 2
        return found

    def _gradients(self, targets: Sequence[Target], images: Tensor, first_size: Size, given: Input) -> list[Array]:
        network = self.renderer.network("fp32", given)
        leaf = images.to(network.device).requires_grad_()
        size = images.shape[-2], images.shape[-1]
        objective = compile_objective(targets, first_size, size, network.device, images.dtype)
        numerics = replace(arithmetic.in_float32(self.renderer.numerics), batch_size=len(targets))
        with arithmetic.applied(numerics):
            total = scores(objective, network.activations(leaf, objective.taps, objective.wanted)).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
        return list(gradient.abs().sum(1).cpu().double().numpy())  # [B, 3, H, W] -> [B, H, W]


@dataclass(frozen=True)
class Measurement:
    """How one result is measured.

    Attributes:
        spec: the result.
        measure: what returns it; may raise StoreError if a master is missing or damaged.
        after: results that it gathers, which must all be up to date before it is measured.
    """

    spec: ResultSpec[Any]
    measure: Callable[[MeasureContext], object]
    after: tuple[ResultSpec[Any], ...] = ()


def to_array(image: Tensor) -> Array:
    """[3, H, W] -> [H, W, 3] float64."""
    array: Array = image.permute(1, 2, 0).double().numpy()
    return array


def to_tensor(picture: Array) -> Tensor:
    """[H, W, 3] -> [3, H, W] float32."""
    return torch.from_numpy(picture).permute(2, 0, 1).float()
