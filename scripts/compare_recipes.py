"""Do the pictures of some recipes show more than those of another? Recipes held against a baseline.

For each feature: whether the picture was raised, its score, how much of it survives small shifts, scales and rotations,
and how far its colours are from those of photographs. The baseline is rendered a second time with the input of
training, so that both scores are of one network.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from rich.progress import track
from torch import Tensor

from atlas.inception import layers
from atlas.inception.targets import feature_target
from atlas.plan import jobs as planning
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe
from atlas.rendering import numerics as arithmetic
from atlas.rendering.descent import judge
from atlas.rendering.renderer import Renderer, Rendering
from atlas.rendering.weights import load_weights
from atlas.studies import load_config

LAYERS = tuple(layer.name for layer in layers.LAYERS if "Conv2d_4a" <= layer.name < "Mixed_7b")
SHIFT, SCALE, ROTATION = 0.05, 0.08, 6.0  # shares of a side, share, degrees: the most, either way
# Of ImageNet's photographs: the mean that torchvision subtracts, and lucid's square root of the covariance of colours.
PHOTO_MEAN = (0.485, 0.456, 0.406)
PHOTO_COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


@dataclass(frozen=True)
class Found:
    """A feature by one recipe."""

    target: str
    is_raised: bool
    score: float
    robust: float | None  # mean score of the moved picture over that of the picture; None: it has none
    colour_distance: float


def pick_features(count: int) -> list[tuple[str, int]]:
    """So many features, spread over layers and over the branches of each."""
    picked = []
    for number in range(count):
        layer = layers.get_layer(LAYERS[number % len(LAYERS)])
        turn, turns = number // len(LAYERS), math.ceil(count / len(LAYERS))
        picked.append((layer.name, turn * layer.features // turns))
    return picked


def render(renderer: Renderer, recipe: Recipe, features: Sequence[tuple[str, int]]) -> dict[Job, Rendering]:
    """The pictures, a batch for each layer; prints how long they took."""
    jobs = [Job(feature_target(layer, feature), recipe, planning.DEFAULT_SEED) for layer, feature in features]
    made: dict[Job, Rendering] = {}
    began = time.monotonic()
    used = [layer for layer in LAYERS if any(job.target.deepest == layer for job in jobs)]
    for layer in track(used, f"{recipe.name} ({recipe.input})"):
        batch = [job for job in jobs if job.target.deepest == layer]
        made.update((one.job, one) for one in renderer.render(batch, len(batch)))
    print(f"{recipe.name} ({recipe.input}): {time.monotonic() - began:.0f} s")
    return {job: made[job] for job in jobs}


def moves(count: int) -> Tensor:
    """Small affine maps as `affine_grid` takes them, [count, 2, 3]; always the same ones."""
    generator = torch.Generator().manual_seed(planning.DEFAULT_SEED)
    maps = []
    for right, down, size, turn in (torch.rand(count, 4, generator=generator) * 2 - 1).tolist():
        step, angle = 1 / (1 + SCALE * size), math.radians(ROTATION * turn)
        cos, sin = step * math.cos(angle), step * math.sin(angle)
        maps.append([[cos, -sin, 2 * SHIFT * right], [sin, cos, 2 * SHIFT * down]])
    return torch.tensor(maps)


def tensor_of(image: Image.Image) -> Tensor:
    """[3, H, W] float32 in [0, 1]."""
    data = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return data.view(image.height, image.width, 3).permute(2, 0, 1).float() / 255


def scores_of(renderer: Renderer, job: Job, images: Tensor) -> Tensor:
    """Scores of images [n, 3, H, W] by the input of the job's recipe, [n]."""
    network = renderer.network("fp32", job.recipe.input)
    parts = [judge(network, [job.target] * len(part), part, job.first_size) for part in images.split(8)]
    return torch.cat(parts)


def robustness(renderer: Renderer, job: Job, picture: Image.Image, count: int) -> float | None:
    """Mean score of a picture moved so many times, over that of the picture; None if that is 0."""
    image = tensor_of(picture)[None]
    score = scores_of(renderer, job, image).item()
    if score <= 0:
        return None
    images = image.to(renderer.device).expand(count, -1, -1, -1)
    grid = F.affine_grid(moves(count).to(images.device), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False, padding_mode="reflection")
    return scores_of(renderer, job, moved).mean().item() / score


def colours(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [3] and covariance [3, 3] of an image's colours, where those of photographs are 0 and the identity."""
    centred = image.double().flatten(1) - torch.tensor(PHOTO_MEAN, dtype=torch.float64)[:, None]
    decorrelated = torch.linalg.inv(torch.tensor(PHOTO_COLOURS, dtype=torch.float64)) @ centred
    return decorrelated.mean(1), torch.cov(decorrelated)


def colour_distance(image: Tensor) -> float:
    """Fréchet's distance of an image's colours from those of photographs, both as normal distributions."""
    mean, covariance = colours(image)
    roots = torch.linalg.eigvalsh(covariance).clamp(min=0).sqrt()
    return math.sqrt(mean.square().sum().item() + (roots - 1).square().sum().item())


def measure(renderer: Renderer, rendering: Rendering, count: int) -> Found:
    record = rendering.record
    return Found(
        target=record.target,
        is_raised=record.status == "ok",
        score=max(0.0, record.score_shown or 0.0) if record.status == "ok" else 0.0,
        robust=robustness(renderer, rendering.job, rendering.image, count),
        colour_distance=colour_distance(tensor_of(rendering.image)),
    )


def summary(base: Sequence[Found], trained: Sequence[Found], found: Sequence[Found]) -> dict[str, float]:
    """The figures; features that the recipe did not raise count as 0."""
    pairs = list(zip(base, found, strict=True))
    robust = [(one.robust or 0.0, other.robust or 0.0) for one, other in pairs]
    ratios: dict[bool, list[float]] = {False: [], True: []}
    for one, other in zip(trained, found, strict=True):
        is_late = other.target.startswith(("Mixed_6", "Mixed_7"))
        ratios[is_late].append(other.score / one.score if one.score else math.inf if other.score else 1.0)
    return {
        "raised": statistics.mean(one.is_raised for one in found),
        "raised_base": statistics.mean(one.is_raised for one in base),
        "robust": statistics.median(other for _, other in robust),
        "robust_base": statistics.median(one for one, _ in robust),
        "more_robust": statistics.mean(other > one for one, other in robust),
        "score_ratio_late": statistics.median(ratios[True]),
        "score_ratio_early": statistics.median(ratios[False]),
        "nearer_colours": statistics.mean(other.colour_distance < one.colour_distance for one, other in pairs),
    }


def sheet(columns: Sequence[Sequence[Rendering]], tile: int) -> Image.Image:
    """A row for each feature and a column for each recipe, two features side by side."""
    width, half = len(columns), math.ceil(len(columns[0]) / 2)
    image = Image.new("RGB", (2 * width * tile, half * tile), "white")
    for col, renderings in enumerate(columns):
        for row, rendering in enumerate(renderings):
            x = (col + (row // half) * width) * tile
            image.paste(rendering.image.resize((tile - 4, tile - 4), Image.Resampling.LANCZOS), (x, row % half * tile))
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for results")
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--recipes", nargs="+", default=["crisp"])
    parser.add_argument("--baseline", default="octaves")
    parser.add_argument("--config", help="with the recipes; default: the article's")
    parser.add_argument("--features", type=int, default=64, help="from Conv2d_4a to Mixed_7a")
    parser.add_argument("--moves", type=int, default=32, help="of each picture")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    device = arithmetic.resolve_device(options.device)
    numerics = arithmetic.resolve_numerics(device, options.precision, options.threads)
    renderer = Renderer(load_weights(options.weights), device, numerics)
    config = load_config(*([options.config] if options.config else []))
    baseline = config.get_recipe(options.baseline)
    by_trained_input = replace(baseline, name=f"{baseline.name}, trained input", input="trained")
    features = pick_features(options.features)
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Found]] = {}
    pictures = []
    for recipe in (baseline, by_trained_input, *map(config.get_recipe, options.recipes)):
        made = list(render(renderer, recipe, features).values())
        with arithmetic.applied(arithmetic.in_float32(numerics)):
            found[recipe.name] = [measure(renderer, rendering, options.moves) for rendering in track(made, "measure")]
        if recipe != by_trained_input:
            pictures.append(made)
            sheet(pictures, 200).save(options.out / "sheet.jpg", quality=90)
        text = json.dumps({name: [asdict(row) for row in rows] for name, rows in found.items()}, indent=1)
        (options.out / "features.json").write_text(text + "\n")
    base, trained, *others = found.values()
    figures = {name: summary(base, trained, other) for name, other in zip(options.recipes, others, strict=True)}
    (options.out / "summary.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
