"""Pictures of `crisp` against those of torch-lucent: scores, how much of them survives small moves, and seconds.

The same features, weights, size and number of steps. Lucent's spectrum, colours, transforms and optimizer are its
defaults; both programs give the network 2x - 1. Needs torch-lucent, which this project does not install.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import nn

from atlas.inception.targets import feature_target
from atlas.plan.jobs import DEFAULT_SEED, Job
from atlas.rendering import numerics as arithmetic
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import load_weights
from atlas.studies import load_config
from bench_peers import article_model
from compare_recipes import pick_features, robustness, scores_of, tensor_of

TILE = 224  # pixels of a picture in the sheet


def lucent_picture(model: nn.Module, layer: str, feature: int, size: int, steps: int) -> Image.Image:
    """Lucent's picture, from its seed."""
    from lucent.optvis import objectives, param, render, transform

    torch.manual_seed(DEFAULT_SEED)
    np.random.seed(DEFAULT_SEED)  # noqa: NPY002, from which lucent draws
    pictures = render.render_vis(
        model,
        objectives.channel(layer, feature),
        lambda: param.image(size),
        transforms=[*transform.standard_transforms, lambda image: 2 * image - 1],
        preprocess=False,
        thresholds=(steps,),
        show_image=False,
        progress=False,
        fixed_image_size=size,
    )
    for module in model.modules():  # lucent leaves its hooks behind, and would be slower with every picture
        module._forward_hooks.clear()
    return Image.fromarray((pictures[-1][0] * 255).round().clip(0, 255).astype("uint8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for results")
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--moves", type=int, default=32, help="of each picture")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    device = torch.device("cpu")
    numerics = arithmetic.resolve_numerics(device, "fp32", options.threads)
    torch.set_num_threads(numerics.threads)
    weights = load_weights(options.weights)
    model = article_model(weights.tensors, device).requires_grad_(requires_grad=False)
    renderer = Renderer(weights, device, numerics)
    recipe = load_config().get_recipe("crisp").scaled(options.size, octave=-1)
    steps = sum(octave.steps for octave in recipe.octaves)
    rows: list[dict[str, float | str]] = []
    sheet = Image.new("RGB", (2 * TILE, options.features * TILE))
    options.out.mkdir(parents=True, exist_ok=True)
    for at, (layer, feature) in enumerate(track(pick_features(options.features))):
        job = Job(feature_target(layer, feature), recipe, DEFAULT_SEED)
        row: dict[str, float | str] = {"target": str(job.target)}
        for column, name in enumerate(("ours", "lucent")):
            began = time.monotonic()
            if name == "ours":
                picture = renderer.render([job], 1)[0].image
            else:
                picture = lucent_picture(model, layer, feature, options.size, steps)
            row[f"{name}_seconds"] = time.monotonic() - began
            with arithmetic.applied(numerics):
                row[f"{name}_score"] = scores_of(renderer, job, tensor_of(picture)[None]).item()
                row[f"{name}_robust"] = robustness(renderer, job, picture, options.moves) or 0.0
            sheet.paste(picture.resize((TILE, TILE)), (column * TILE, at * TILE))
        rows.append(row)
        sheet.save(options.out / "lucent.jpg", quality=90)
    figures = {key: statistics.median(float(row[key]) for row in rows) for key in rows[0] if key != "target"}
    ratios = [float(row["ours_score"]) / max(float(row["lucent_score"]), 1e-6) for row in rows]
    figures["score_ratio"] = statistics.median(ratios)
    speeds = [float(row["lucent_seconds"]) / float(row["ours_seconds"]) for row in rows]
    figures["speed_ratio"] = statistics.median(speeds)
    (options.out / "lucent.json").write_text(json.dumps({"summary": figures, "rows": rows}, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
