"""Does faster arithmetic change what is seen? A precision held against float32, over some features of every layer.

Single pictures cannot tell, since descent is chaotic: float32 with another batch size gives other pictures too. So
float32 is held against itself in the same way, and these count: the ratio of the scores, how much less alike the
pictures are than float32's own are to each other, and the direction of the first gradient.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import track
from skimage.metrics import structural_similarity
from torch import Tensor

from atlas.plan import jobs as planning
from atlas.plan.config import override
from atlas.plan.jobs import Job
from atlas.rendering import numerics as arithmetic
from atlas.rendering.descent import gradient_at
from atlas.rendering.objectives import compile_objective
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer, Rendering
from atlas.rendering.weights import load_weights
from atlas.studies import load_config

Spread = dict[str, float]


def spread(values: Sequence[float]) -> Spread:
    """Median and the range of the middle nine tenths."""
    ordered = sorted(values)
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.95))
    return {"median": statistics.median(ordered), "p5": low, "p95": high}


def render(renderer: Renderer, jobs: Sequence[Job], size: int, what: str) -> list[Rendering]:
    batches = [batch for part in planning.rounds(jobs, renderer.device.type, size) for batch in part]
    made = {}
    for batch in track(batches, what):
        made.update({one.job: one for one in renderer.render(batch.jobs, batch.size)})
    return [made[job] for job in jobs]


def likeness(one: Rendering, other: Rendering) -> float:
    a, b = (
        torch.frombuffer(bytearray(r.pixels), dtype=torch.uint8).view(r.record.height, r.record.width, 3).numpy()
        for r in (one, other)
    )
    return float(structural_similarity(a, b, channel_axis=2))


def first_gradient(renderer: Renderer, job: Job) -> Tensor:
    """Of the loss at the start, [3·H·W] float64."""
    network, size = renderer.network(renderer.numerics.precision), job.first_size
    start = start_noise(job.seed, size)[None].to(renderer.device)
    objective = compile_objective([job.target], size, size, renderer.device, start.dtype)
    with arithmetic.applied(renderer.numerics):
        return gradient_at(network, objective, job.recipe, start).double().cpu().flatten()


def cosine(one: Tensor, other: Tensor) -> float | None:
    """None where a gradient is 0."""
    lengths = one.norm() * other.norm()
    return float(one @ other / lengths) if lengths > 0 else None


def score_ratios(ones: Sequence[Rendering], others: Sequence[Rendering]) -> list[float]:
    pairs = ((a.record.score_shown, b.record.score_shown) for a, b in zip(ones, others, strict=True))
    return [a / b for a, b in pairs if a and b]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("precision", choices=arithmetic.PRECISIONS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--features", default="16", help="of each layer")
    parser.add_argument("--batch-size", type=int, default=4, help="default: 4; float32 is held against half of it")
    parser.add_argument("--out", type=Path, help="where to write JSON")
    options = parser.parse_args()
    device, weights = arithmetic.resolve_device(options.device), load_weights(options.weights)
    config = override(load_config(), features=options.features, features_only=True, recipe=options.recipe)
    jobs = planning.feature_jobs(config)
    fast, exact = (
        Renderer(weights, device, arithmetic.resolve_numerics(device, precision, options.threads))
        for precision in (options.precision, "fp32")
    )
    size = options.batch_size
    made = render(fast, jobs, size, options.precision)
    plain = render(exact, jobs, size, "fp32")
    again = render(exact, jobs, max(1, size // 2), "fp32, half the batch")
    cosines = [cosine(first_gradient(fast, job), first_gradient(exact, job)) for job in track(jobs, "gradients")]
    found = {
        "precision": options.precision,
        "device": device.type,
        "recipe": options.recipe,
        "features": len(jobs),
        "batch_size": size,
        "score_ratio": spread(score_ratios(made, plain)),
        "score_ratio_fp32": spread(score_ratios(again, plain)),
        "ssim": spread([likeness(a, b) for a, b in zip(made, plain, strict=True)]),
        "ssim_fp32": spread([likeness(a, b) for a, b in zip(again, plain, strict=True)]),
        "cosine": spread([value for value in cosines if value is not None]),
        "without_gradient": sum(value is None for value in cosines),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
