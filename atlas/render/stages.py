"""The stages of a batch: its images at the start and after each octave, as they come by."""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from atlas.plan.jobs import Job
from atlas.render.descent import AfterOctave, to_pixels
from atlas.store.stages import has_stages


class Stages:
    """Looks on while a batch descends; images leave the device once an octave, and only if they are kept."""

    def __init__(self, jobs: Sequence[Job], start: Tensor) -> None:
        """Note the start.

        Args:
            jobs: of one recipe.
            start: their first images, [B, 3, H, W], with B ≥ the number of jobs.
        """
        self._rows: dict[int, list[Image.Image]] = {b: [] for b, job in enumerate(jobs) if has_stages(job)}
        self._take(start)

    @property
    def after_octave(self) -> AfterOctave | None:
        """What a descent is to call after each octave; None if no stage of this batch is kept."""
        return self._take if self._rows else None

    def of(self, b: int) -> tuple[Image.Image, ...]:
        """The stages of a row, in order; none if they are not kept."""
        return tuple(self._rows.get(b, ()))

    def _take(self, images: Tensor) -> None:
        pixels = to_pixels(images.cpu()) if self._rows else images  # [B, 3, H, W] uint8
        for b, stages in self._rows.items():
            stages.append(_to_image(pixels[b]))


def _to_image(pixels: Tensor) -> Image.Image:
    """[3, H, W] uint8 -> an RGB picture."""
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
