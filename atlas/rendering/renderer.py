"""Jobs → renderings: pixels and their record, from a start by a descent, and scored once more in float32."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from os import PathLike
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.plan.jobs import Job, rows_of
from atlas.plan.recipes import Input, InputMap, Recipe
from atlas.plan.starts import Photo
from atlas.rendering import numerics as arithmetic
from atlas.rendering.cuda_graphs import CudaGraphs, cuda_capture
from atlas.rendering.descent import Descent, descend, judge, to_grey, to_pixels
from atlas.rendering.device_check import check_network
from atlas.rendering.memory import free_memory, keep_freed_memory, may_be_out_of_memory
from atlas.rendering.model import Network
from atlas.rendering.numerics import hardware_of
from atlas.rendering.parameterization import start_image
from atlas.rendering.transforms import resize
from atlas.rendering.weights import Weights
from atlas.store.importance import has_importance
from atlas.store.masters import pixels_sha256, write_master
from atlas.store.media import encoded
from atlas.store.records import NOISE, Numerics, Record, finite
from atlas.store.stages import has_stages

OpenPhoto = Callable[[Photo], Image.Image]


def no_photos(photo: Photo) -> Image.Image:
    """Has no photograph, for renderers of noise alone."""
    raise LookupError(f"no photograph {photo.sha256}: this renderer was given none")


@dataclass(frozen=True, repr=False)
class Rendering:
    """A picture and its record; shows itself in a notebook."""

    job: Job
    pixels: bytes  # RGB, row by row
    record: Record
    stages: tuple[Image.Image, ...] = ()  # at the start and after each octave; none if they are not kept
    importance: Image.Image | None = None  # how much each pixel counted, grey; None: not kept, or not measured

    @property
    def image(self) -> Image.Image:
        """The picture, RGB in 8 bits."""
        return Image.frombytes("RGB", (self.record.width, self.record.height), self.pixels)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a PNG that carries the record, as those in a store do.

        Args:
            path: of the file.

        Raises:
            StoreError: it cannot be written.
        """
        write_master(Path(path), self.pixels, self.record)

    def __repr__(self) -> str:
        record = self.record
        scores = record.score_start, record.score_shown
        start, shown = ("unknown" if score is None else f"{score:.4g}" for score in scores)
        size = f"{record.width} × {record.height} px"
        return f"<Rendering {record.target} by {record.recipe_name}, {size}, {record.status}, score {start} → {shown}>"

    def _repr_png_(self) -> bytes:
        return encoded(self.image, "PNG")


class Renderer:
    """Weights on a device, ready to render batches."""

    def __init__(
        self, weights: Weights, device: torch.device, numerics: Numerics, open_photo: OpenPhoto = no_photos
    ) -> None:
        """Fold the weights and put them on the device.

        Args:
            weights: of the network.
            device: where.
            numerics: precision and threads; the renderer adds what its device is, and each call of `render` sets the
                batch size.
            open_photo: gives the photographs that jobs start from, upright and in RGB.

        Raises:
            ConfigError: on Apple's GPU, torch computes other gradients than on the CPU.
        """
        self.weights = weights
        self.device = device
        hardware = hardware_of(device)
        self.numerics = replace(numerics, model=hardware.model, cudnn=hardware.cudnn)
        self._open_photo = open_photo
        if device.type == "cpu":
            keep_freed_memory()
        self._networks: dict[tuple[torch.dtype, InputMap], Network] = {}
        if device.type == "mps":
            with arithmetic.applied(arithmetic.in_float32(self.numerics)):
                check_network(self.network("fp32"), Network(weights, torch.device("cpu"), torch.float32))
        self._graphs = CudaGraphs(cuda_capture(device)) if device.type == "cuda" else None

    def network(self, precision: str, given: Input = "raw") -> Network:
        """The network in a precision; each is folded once.

        Args:
            precision: one of `PRECISIONS`.
            given: "raw": pixels as they are, as the article has it. "trained": mapped as in the weights' training,
                which is what counts for photographs.
        """
        key = arithmetic.dtype_of(precision), "x" if given == "raw" else self.weights.id.trained_input
        if key not in self._networks:
            dtype, input_map = key
            self._networks[key] = Network(self.weights, self.device, dtype, input_map)
        return self._networks[key]

    def render(self, jobs: Sequence[Job], batch_size: int) -> list[Rendering]:
        """Render jobs of one recipe together.

        Args:
            jobs: at most `batch_size` of them, all of one recipe and first size, with any targets; seeds may differ
                unless the recipe resizes at random, by a factor drawn from the seed for all rows together.
            batch_size: rows; those without a job repeat the last one, so that numerics do not depend on how many
                jobs there are. Which row is whose, `rows_of` says.

        Returns:
            One rendering a job, in their order.
        """
        try:
            return self._render(jobs, batch_size)
        except RuntimeError as error:
            if not (may_be_out_of_memory(error) and self._graphs and self._graphs.clear()):
                raise
        # Graphs held memory, those of other batches too: what a picture looks like must not depend on them.
        free_memory()  # outside the except block, whose traceback keeps the batch's tensors alive
        return self._render(jobs, batch_size)

    def _render(self, jobs: Sequence[Job], batch_size: int) -> list[Rendering]:
        rows = rows_of(jobs, batch_size)
        padded = [jobs[-1]] * batch_size
        for row, job in zip(rows, jobs, strict=True):
            padded[row] = job
        targets = [job.target for job in padded]
        recipe, first_size = jobs[0].recipe, jobs[0].first_size
        numerics = replace(self.numerics, batch_size=batch_size)
        network, in_float32 = (self.network(name, recipe.input) for name in (numerics.precision, "fp32"))
        start = torch.stack([self._start(job, first_size) for job in padded])  # [B, 3, H, W]
        stages: list[Tensor] = []  # [B, 3, h, w] uint8 each: the start, and the images after each octave

        def keep_stage(images: Tensor) -> None:
            stages.append(to_pixels(images.cpu()))

        keeps_stages = [has_stages(job) for job in padded]
        if any(keeps_stages):
            keep_stage(start)
        with arithmetic.applied(numerics):
            descents = descend(
                network,
                targets,
                recipe,
                start.to(torch.float64 if numerics.precision == "fp64" else torch.float32),
                seed=_common_seed(jobs),
                graphs=self._graphs,
                after_octave=keep_stage if any(keeps_stages) else None,
            )
        pixels = to_pixels(torch.stack([descent.image for descent in descents]))  # [B, 3, H', W'] uint8
        size = pixels.shape[-2], pixels.shape[-1]
        with arithmetic.applied(arithmetic.in_float32(numerics)):
            shown = judge(in_float32, targets, pixels.float() / 255, first_size).tolist()
            last = torch.stack([self._start(job, size) for job in padded])  # [B, 3, H', W']
            before = judge(in_float32, targets, last, first_size).tolist()
        renderings = []
        for b, job in zip(rows, jobs, strict=True):
            kept = tuple(Image.fromarray(_rows_of(stage[b]).numpy()) for stage in stages) if keeps_stages[b] else ()
            data = _rows_of(pixels[b]).numpy().tobytes()
            record = self._record(job, numerics, descents[b], data, size, before[b], shown[b])
            renderings.append(Rendering(job, data, record, kept, _importance_of(job, descents[b])))
        return renderings

    def _start(self, job: Job, size: Size) -> Tensor:
        """What a job starts from, [3, H, W] float32, at its first size or, to be scored, at another.

        A photograph is resized from all of its pixels to either, as a reader sees it beside the dream.
        """
        if job.start:
            return resize(_to_tensor(self._open_photo(job.start))[None], size)[0]
        return _noise(job.recipe, job.seed, size)

    def _record(
        self, job: Job, numerics: Numerics, descent: Descent, pixels: bytes, size: Size, before: float, shown: float
    ) -> Record:
        return Record(
            target=str(job.target),
            recipe_name=job.recipe.name,
            recipe=job.recipe.as_dict(),
            recipe_digest=job.recipe.digest,
            start=job.start.id if job.start else NOISE,
            seed=job.seed,
            weights=self.weights.id,
            input=job.recipe.input_map(self.weights.id.trained_input),
            torch=str(torch.__version__),
            torchvision=version("torchvision"),
            numerics=numerics,
            status=descent.status(before, shown),
            failed_at=descent.failed_at,
            octaves=descent.octaves,
            score_start=finite(before),
            score_shown=finite(shown),
            gradient_norm=descent.gradient_norm,
            width=size[1],
            height=size[0],
            pixels_sha256=pixels_sha256(pixels),
        )


@lru_cache(maxsize=16)  # nearly all renderings start from the same noise
def _noise(recipe: Recipe, seed: int, size: Size) -> Tensor:
    """The start noise of a seed, drawn at the recipe's first size, [3, H, W]; not to be written to."""
    noise = start_image(recipe, seed, recipe.first_size)
    return noise if size == recipe.first_size else resize(noise[None], size)[0]


def _to_tensor(picture: Image.Image) -> Tensor:
    """An RGB picture as [3, H, W] float32 in [0, 1]."""
    data = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return data.view(picture.height, picture.width, 3).permute(2, 0, 1).float() / 255  # [H, W, 3] -> [3, H, W]


def _importance_of(job: Job, descent: Descent) -> Image.Image | None:
    if descent.importance is None or not has_importance(job):
        return None
    return Image.fromarray(to_grey(descent.importance).numpy())


def _rows_of(pixels: Tensor) -> Tensor:
    """[3, H, W] -> [H, W, 3], in one block of memory."""
    return pixels.permute(1, 2, 0).contiguous()


def _common_seed(jobs: Sequence[Job]) -> int | None:
    """The seed of all jobs; None if they differ."""
    seeds = {job.seed for job in jobs}
    return seeds.pop() if len(seeds) == 1 else None
