"""What measurements work with: the store's pictures as arrays, and the network's activations and gradients."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atlas.common.cores import count_cores
from atlas.inception.architecture import Size
from atlas.inception.targets import Target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import Input, octave_size
from atlas.rendering import numerics as arithmetic
from atlas.rendering.descent import to_pixels
from atlas.rendering.memory import may_be_out_of_memory
from atlas.rendering.objectives import compile_objective, scores
from atlas.rendering.parameterization import make_parameterization, start_image
from atlas.rendering.renderer import Renderer
from atlas.rendering.updates import blur
from atlas.store.masters import master_path, open_master
from atlas.store.records import Numerics
from atlas.store.results import Results, ResultSpec
from atlas.studies.shared.maps import Array

ROWS = 4  # pictures that run through the network together

Found = TypeVar("Found")
Pixels = NDArray[np.uint8]  # [H, W, 3]


@dataclass(frozen=True)
class MeasureContext:
    """The store of a configuration and a renderer with its weights."""

    results: Results
    renderer: Renderer

    @property
    def config(self) -> Config:
        """The configuration whose results are measured."""
        return self.results.config

    def raised(self, spec: ResultSpec[Any]) -> list[Job]:
        """The renderings of a result that are there and were raised."""
        return [job for job in self.results.jobs(spec) or () if self.results.is_raised(job)]

    def image(self, job: Job) -> Image.Image:
        """A rendering as it is stored, RGB in 8 bits.

        Raises:
            StoreError: the master is missing or damaged.
        """
        return open_master(master_path(self.config.store, self.results.weights, job))[0]

    def picture(self, job: Job) -> Array:
        """A rendering, [H, W, 3] in [0, 1].

        Raises:
            StoreError: the master is missing or damaged.
        """
        return np.asarray(self.image(job), dtype=np.float64) / 255

    def raised_picture(self, job: Job) -> Array | None:
        """A rendering, [H, W, 3] in [0, 1]; None if it is not there or was not raised."""
        return self.picture(job) if self.results.is_raised(job) else None

    def for_each(self, jobs: Iterable[Job], measure: Callable[[Job], Found]) -> list[Found]:
        """What `measure` returns for each job, on as many threads as there are cores."""
        with ThreadPoolExecutor(count_cores()) as pool:
            return list(pool.map(measure, jobs))

    def start(self, job: Job) -> Array:
        """The noise that a job starts from, [H, W, 3] in [0, 1]."""
        return to_array(start_image(job.recipe, job.seed, job.recipe.first_size))

    def untouched(self, job: Job) -> Array:
        """What a recipe leaves of the noise where no gradient arrives, [H, W, 3] in 256 steps.

        Blur and octaves alone change the noise everywhere. What differs from this is the change that a target made.
        """
        recipe, size = job.recipe, job.recipe.first_size
        image = start_image(recipe, job.seed, size)[None]  # [1, 3, H, W]
        form = make_parameterization(recipe, size, job.seed, image)
        params = form.params(image)
        for octave in recipe.octaves:
            larger = make_parameterization(recipe, octave_size(size, octave), job.seed, image)
            params, form = params if larger.size == form.size else form.enlarge(params, larger), larger
            for step in range(octave.steps):
                sigma = octave.sigma_at(step)  # of pixels alone
                params = params if sigma is None else blur(params, sigma)
        return to_array(to_pixels(form.images(params)[0])) / 255

    def float32(self, rows: int) -> AbstractContextManager[None]:
        """Inside, torch computes by `float32_numerics`."""
        return arithmetic.applied(self.float32_numerics(rows))

    def float32_numerics(self, rows: int) -> Numerics:
        """The renderer's numerics in plain float32, for batches of so many rows."""
        return replace(arithmetic.in_float32(self.renderer.numerics), batch_size=rows)

    def activations(
        self, layer: str, images: Tensor, given: Input, measure: Callable[[Tensor], Tensor] = lambda maps: maps
    ) -> Tensor:
        """What `measure` makes of the activations of a layer: [n, 3, H, W] -> [n, …] on the CPU.

        Args:
            layer: of the network.
            images: float32 in [0, 1].
            given: the input convention, as the recipe of the images has it.
            measure: from [B, features, rows, cols] to [B, …]; a few images are taken at a time.
        """
        network = self.renderer.network("fp32", given)
        with self.float32(ROWS), torch.inference_mode():
            maps = (network.activations(part.to(network.device), [layer])[layer] for part in images.split(ROWS))
            return torch.cat([measure(some).cpu() for some in maps])

    def gradients(
        self, targets: Sequence[Target], pictures: Sequence[Array], first_size: Size, given: Input
    ) -> list[Array]:
        """Magnitude of the score's gradient at each pixel, summed over channels.

        Args:
            targets: one a picture.
            pictures: [H, W, 3] each, of one size.
            first_size: (height, width) in pixels to which positions belong.
            given: the input convention, as the recipe of the pictures has it.

        Returns:
            [H, W] each. If memory runs out, fewer are taken together, down to one.
        """
        found: list[Array] = []

        def run(rows: int) -> list[Array]:
            while len(found) < len(targets):  # those that were found before memory ran out are kept
                part = slice(len(found), len(found) + rows)
                found.extend(self._gradients(targets[part], pictures[part], first_size, given))
            return found

        return in_fewer_rows(ROWS, run)

    def _gradients(
        self, targets: Sequence[Target], pictures: Sequence[Array], first_size: Size, given: Input
    ) -> list[Array]:
        network = self.renderer.network("fp32", given)
        leaf = torch.stack([to_tensor(picture) for picture in pictures]).to(network.device).requires_grad_()
        objective = compile_objective(targets, first_size, (leaf.shape[-2], leaf.shape[-1]), leaf.device, leaf.dtype)
        with self.float32(len(targets)):
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
        names_features: whether features that it names get pages (`StudyPage.names`).
    """

    spec: ResultSpec[Any]
    measure: Callable[[MeasureContext], object]
    after: tuple[ResultSpec[Any], ...] = ()
    names_features: bool = False


def in_fewer_rows(rows: int, run: Callable[[int], Found]) -> Found:
    """What `run` returns for so many rows, or for half as many each time that memory runs out, down to one."""
    while True:
        try:
            return run(rows)
        except (RuntimeError, MemoryError) as error:
            if rows == 1 or not may_be_out_of_memory(error):
                raise
            rows //= 2


def to_array(image: Tensor) -> Array:
    """[3, H, W] -> [H, W, 3] float64."""
    return np.asarray(image.permute(1, 2, 0).double().numpy())


def to_tensor(picture: Array) -> Tensor:
    """[H, W, 3] -> [3, H, W] float32."""
    return torch.from_numpy(picture).permute(2, 0, 1).float()


def stacked(pictures: Sequence[Pixels], rows: int) -> Tensor:
    """Pictures as images for the network: [H, W, 3] each -> [rows, 3, H, W] float32 in [0, 1].

    The last one is repeated if there are fewer than `rows`, so that a picture's score does not depend on how many there
    are.
    """
    padded = [*pictures, *[pictures[-1]] * (rows - len(pictures))]
    return torch.from_numpy(np.stack(padded)).permute(0, 3, 1, 2).float() / 255
