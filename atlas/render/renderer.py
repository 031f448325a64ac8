"""Jobs → renderings: pixels and their record, by way of a start, a descent and a last look in float32."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version

import torch
from PIL import Image
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.plan.jobs import Job
from atlas.plan.recipes import Input, InputMap
from atlas.plan.starts import Photo
from atlas.render import numerics as arithmetic
from atlas.render.cuda_graphs import Recorder, cuda_capture
from atlas.render.descent import Descent, descend, judge, resize, start_noise, status_of, to_pixels
from atlas.render.device_check import check_network
from atlas.render.hardware import hardware_of
from atlas.render.memory import free_memory, keep_freed_memory, may_be_out_of_memory
from atlas.render.network import Network
from atlas.render.stages import Stages
from atlas.render.weights import Weights
from atlas.store.masters import pixels_sha256
from atlas.store.records import NOISE, Numerics, Record, finite

OpenPhoto = Callable[[Photo], Image.Image]


def no_photos(photo: Photo) -> Image.Image:
    """Has no photograph, for renderers of noise alone."""
    raise LookupError(f"no photograph {photo.sha256}: this renderer was given none")


@dataclass(frozen=True)
class Rendering:
    """A picture and where it comes from."""

    job: Job
    pixels: bytes  # RGB, row by row
    record: Record
    stages: tuple[Image.Image, ...] = ()  # at the start and after each octave; none if they are not kept


class Renderer:
    """Weights on a device, ready to render batches."""

    def __init__(
        self, weights: Weights, device: torch.device, numerics: Numerics, open_photo: OpenPhoto = no_photos
    ) -> None:
        """Fold the weights and put them on the device.

        Args:
            weights: what to look into.
            device: where.
            numerics: precision and threads; the renderer adds what its device is, and each call of `render` sets the
                batch size.
            open_photo: gives the photographs that jobs start from, upright and in RGB.

        Raises:
            ConfigError: on Apple's GPU, torch computes other gradients than on the CPU.
        """
        self._weights = weights
        self._device = device
        hardware = hardware_of(device)
        self._numerics = replace(numerics, model=hardware.model, cudnn=hardware.cudnn)
        self._open_photo = open_photo
        if device.type == "cpu":
            keep_freed_memory()
        self._networks: dict[tuple[torch.dtype, InputMap], Network] = {}
        if device.type == "mps":
            with arithmetic.applied(arithmetic.in_float32(self._numerics)):
                check_network(self.network("fp32"), Network(weights, torch.device("cpu"), torch.float32))
        self._recorder = Recorder(cuda_capture(device)) if device.type == "cuda" else None

    @property
    def numerics(self) -> Numerics:
        """Device, precision, threads and builds."""
        return self._numerics

    @property
    def weights(self) -> Weights:
        """What is looked into."""
        return self._weights

    @property
    def device(self) -> torch.device:
        """Where it renders."""
        return self._device

    def network(self, precision: str, given: Input = "raw") -> Network:
        """The network in a precision; each is folded once.

        Args:
            precision: one of `PRECISIONS`.
            given: "raw": pixels as they are, as the article has it. "trained": mapped as in the weights' training,
                which is what counts for photographs.
        """
        key = arithmetic.dtype_of(precision), "x" if given == "raw" else self._weights.id.trained_input
        if key not in self._networks:
            dtype, input_map = key
            self._networks[key] = Network(self._weights, self._device, dtype, input_map)
        return self._networks[key]

    def render(self, jobs: Sequence[Job], batch_size: int) -> list[Rendering]:
        """Render jobs of one recipe together.

        Args:
            jobs: at most `batch_size` of them, all of one recipe and first size, with any targets; seeds may differ
                unless the recipe resizes at random, by a factor drawn from the seed for all rows together.
            batch_size: rows; those without a job repeat the last one, so that numerics do not depend on how many
                jobs there are.

        Returns:
            One rendering a job, in their order.
        """
        try:
            return self._render(jobs, batch_size)
        except RuntimeError as error:
            if not (may_be_out_of_memory(error) and self._recorder and self._recorder.clear()):
                raise
        # Recordings held memory, those of other batches too: what a picture looks like must not depend on them.
        free_memory()  # outside the except block, whose traceback keeps the batch's tensors alive
        return self._render(jobs, batch_size)

    def _render(self, jobs: Sequence[Job], batch_size: int) -> list[Rendering]:
        padded = [*jobs, *[jobs[-1]] * (batch_size - len(jobs))]
        targets = [job.target for job in padded]
        recipe = jobs[0].recipe
        numerics = replace(self._numerics, batch_size=batch_size)
        network, in_float32 = (self.network(name, recipe.input) for name in (numerics.precision, "fp32"))
        start = torch.stack([self._start(job) for job in padded])  # [B, 3, H, W]
        stages = Stages(jobs, start)
        with arithmetic.applied(numerics):
            images, seed = start.to(self._image_type), _common_seed(jobs)
            descents = descend(
                network,
                targets,
                recipe,
                images,
                seed=seed,
                recorder=self._recorder,
                after_octave=stages.after_octave,
            )
        pixels = to_pixels(torch.stack([descent.image for descent in descents]))  # [B, 3, H', W'] uint8
        size = pixels.shape[-2], pixels.shape[-1]
        with arithmetic.applied(arithmetic.in_float32(numerics)):
            shown = judge(in_float32, targets, pixels.float() / 255, jobs[0].first_size).tolist()
            last = torch.stack([self._start(job, size) for job in padded])  # [B, 3, H', W']
            before = judge(in_float32, targets, last, jobs[0].first_size).tolist()
        renderings = (
            self._rendering(job, numerics, descents[b], pixels[b], before[b], shown[b]) for b, job in enumerate(jobs)
        )
        return [replace(rendering, stages=stages.of(b)) for b, rendering in enumerate(renderings)]

    def _start(self, job: Job, size: Size | None = None) -> Tensor:
        """What a job starts from, [3, H, W] float32, at its first size or, to be scored, at another.

        A photograph is resized from all of its pixels to either, as a reader sees it beside the dream.
        """
        if job.start:
            return resize(_to_tensor(self._open_photo(job.start))[None], size or job.first_size)[0]
        return _noise(job.seed, job.recipe.first_size, size or job.recipe.first_size)

    @property
    def _image_type(self) -> torch.dtype:
        return torch.float64 if self._numerics.precision == "fp64" else torch.float32

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
            start=job.start.id if job.start else NOISE,
            seed=job.seed,
            weights=self._weights.id,
            input=job.recipe.input_map(self._weights.id.trained_input),
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


@lru_cache(maxsize=16)  # nearly all renderings start from the same noise
def _noise(seed: int, first_size: Size, size: Size) -> Tensor:
    """The start noise of a seed, drawn at one size and seen at another, [3, H, W]; not to be written to."""
    noise = start_noise(seed, first_size)
    return noise if size == first_size else resize(noise[None], size)[0]


def _to_tensor(picture: Image.Image) -> Tensor:
    """An RGB picture as [3, H, W] float32 in [0, 1]."""
    data = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return data.view(picture.height, picture.width, 3).permute(2, 0, 1).float() / 255  # [H, W, 3] -> [3, H, W]


def _common_seed(jobs: Sequence[Job]) -> int | None:
    """The seed of all jobs; None if they differ."""
    seeds = {job.seed for job in jobs}
    return seeds.pop() if len(seeds) == 1 else None
