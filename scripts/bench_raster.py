"""Does a frame of a raster video cost more than a feature? Prints seconds of each, in full batches, in turns.

A batch of frames of one feature is timed against a batch of features of the same layer, by the same recipe and on the
same device; the median of several rounds counts, and the batch that comes first changes from round to round. A video
ends in a batch that may not be full: what that adds is printed too.
"""

import argparse
import statistics
import time
from dataclasses import replace

import torch

from atlas.inception import targets
from atlas.inception.layers import get_layer
from atlas.plan.clips import Clip, make_clip
from atlas.plan.jobs import Job, batch_size
from atlas.rendering.numerics import hardware_of, resolve_device, resolve_numerics
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import load_weights
from atlas.studies import load_config
from atlas.studies.raster.settings import Settings as RasterSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", default="Mixed_6b[654]", help="a whole feature")
    parser.add_argument("--config", default="article")
    parser.add_argument("--recipe", help="default: that of the configuration's videos")
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--size", type=int, help="pixels; default: the recipe's")
    parser.add_argument("--steps", type=int, help="of each octave; default: the recipe's. A frame's time goes with it")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, help="default: the table's")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    config = load_config(options.config)
    recipe = config.get_recipe(options.recipe or config.study(RasterSettings).recipe)
    if options.steps:
        recipe = replace(recipe, octaves=tuple(replace(octave, steps=options.steps) for octave in recipe.octaves))
    clip = make_clip(targets.parse(options.target), recipe, config.seed, stride=None, fps=None, size=options.size)
    device = resolve_device(options.device)
    renderer = Renderer(load_weights(options.weights), device, resolve_numerics(device, "auto", options.threads))
    rows = options.batch_size or batch_size(clip.layer, device.type, hardware_of(device).memory)
    times = measure(
        renderer, {"frame": middle_frames(clip, rows), "feature": first_features(clip, rows)}, options.rounds
    )
    report(clip, rows, renderer, times)


def middle_frames(clip: Clip, rows: int) -> list[Job]:
    """A full batch out of the middle of a video."""
    start = max(0, (len(clip.frames) - rows) // 2)
    return [frame.job for frame in clip.frames[start : start + rows]]


def first_features(clip: Clip, rows: int) -> list[Job]:
    """A full batch of features of the same layer and branch, each over its whole map."""
    branch = get_layer(clip.layer).branch_of(clip.feature)
    features = [branch.range[at % branch.features] for at in range(rows)]
    return [Job(targets.feature_target(clip.layer, feature), clip.recipe, clip.seed) for feature in features]


def measure(renderer: Renderer, batches: dict[str, list[Job]], rounds: int) -> dict[str, list[float]]:
    """Seconds a rendering, round by round; an additional first round warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in batches}
    for at in range(rounds + 1):
        names = list(batches)[:: 1 if at % 2 else -1]
        for name in names:
            began = time.perf_counter()
            renderer.render(batches[name], len(batches[name]))
            if at:
                times[name].append((time.perf_counter() - began) / len(batches[name]))
    return times


def report(clip: Clip, rows: int, renderer: Renderer, times: dict[str, list[float]]) -> None:
    octaves = ", ".join(f"{octave.size} px, {octave.steps} steps" for octave in clip.recipe.octaves)
    numerics = renderer.numerics
    where = (
        torch.cuda.get_device_name() if numerics.device == "cuda" else f"{numerics.device}, {numerics.threads} threads"
    )
    print(f"{clip.layer}[{clip.feature}], {octaves}, batches of {rows}, {numerics.precision}, {where}")
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in times.items():
        print(
            f"a {name}: {middle[name]:.4f} s, median of {len(seconds)} (from {min(seconds):.4f} to {max(seconds):.4f})"
        )
    print(f"a frame costs {middle['frame'] / middle['feature']:.3f} times what a feature costs")
    frames = len(clip.frames)
    padded = -(-frames // rows) * rows
    print(f"{frames} frames alone fill {padded // rows} batches, whose padding adds {padded / frames - 1:.1%}")


if __name__ == "__main__":
    main()
