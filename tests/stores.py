"""Small synthetic stores: procedural pictures and made-up records, without torch."""

import colorsys
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs
from atlas.store.masters import master_path, pixels_sha256, write_master
from atlas.store.records import FailedStep, Numerics, OctaveScores, Record, Status, WeightsId
from atlas.store.weights_ids import write_weights_id

WEIGHTS = WeightsId("demo", hashlib.sha256(b"demo").hexdigest(), "Seeded, untrained weights: patterns, not objects.")


def picture(seed: str, size: int, height: int | None = None) -> bytes:
    """RGB bytes of a colour grating, size × size or as high as asked for, that looks like nothing else's."""
    digest = hashlib.sha256(seed.encode()).digest()
    hue, angle, waves, bend = (byte / 255 for byte in digest[:4])
    small = max(16, size // 4)
    image = Image.new("RGB", (small, small))
    for row in range(small):
        for col in range(small):
            x, y = col / small - 0.5, row / small - 0.5
            along = x * math.cos(angle * math.pi) + y * math.sin(angle * math.pi)
            value = math.sin((3 + 9 * waves) * 2 * math.pi * along + 9 * bend * math.hypot(x, y))
            other = math.cos((2 + 6 * bend) * 2 * math.pi * (y - x * waves))
            rgb = colorsys.hsv_to_rgb(
                (hue + 0.12 * value + 0.3 * (other > 0.4)) % 1, 0.55 + 0.3 * other, 0.6 + 0.35 * value
            )
            image.putpixel((col, row), tuple(int(255 * channel) for channel in rgb))
    return image.resize((size, height or size), Image.Resampling.BICUBIC).tobytes()


def record(job: Job, pixels: bytes, *, status: Status = "ok", weights: WeightsId = WEIGHTS) -> Record:
    """A made-up record of a job."""
    octaves = [OctaveScores(o.size, 0.1 + n, 1.1 + n) for n, o in enumerate(job.recipe.octaves)]
    if status == "no_gradient":
        octaves = [OctaveScores(octave.size, 0.0, 0.0) for octave in octaves]
    height, width = job.sizes[-1]
    failed = FailedStep(1, 12) if status == "failed" else None
    return Record(
        target=str(job.target),
        recipe_name=job.recipe.name,
        recipe=job.recipe.as_dict(),
        recipe_digest=job.recipe.digest,
        start=job.start.id if job.start else "noise",
        seed=job.seed,
        weights=weights,
        input="x",
        torch="2.15.0",
        torchvision="0.29.2",
        numerics=Numerics("cpu", "fp32", 4, 2),
        status=status,
        failed_at=failed,
        octaves=tuple(octaves),
        score_start=0.0123456,
        score_shown=0.0 if status == "no_gradient" else 3.14159,
        gradient_norm=0.0 if status == "no_gradient" else 12.5,
        width=width,
        height=height,
        pixels_sha256=pixels_sha256(pixels),
    )


def put(store: Path, job: Job, *, status: Status = "ok", weights: WeightsId = WEIGHTS, seed: str = "") -> Path:
    """Write the master of a job; returns its path."""
    height, width = job.sizes[-1]
    pixels = picture(f"{job.target}{seed}", width, height)
    path = master_path(store, weights, job)
    write_master(path, pixels, record(job, pixels, status=status, weights=weights))
    return path


def fill(config: Config, *, weights: WeightsId = WEIGHTS, statuses: Sequence[Status | None] = ("ok",)) -> list[Path]:
    """Write masters for the features of a configuration, statuses in turn; None leaves a feature pending."""
    write_weights_id(config.store, weights)
    paths = []
    for at, job in enumerate(feature_jobs(config)):
        status = statuses[at % len(statuses)]
        if status:
            paths.append(put(config.store, job, status=status, weights=weights))
    return paths
