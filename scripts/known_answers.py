"""Does a rendering excite its feature more than any real picture does, and is that of a class seen as it?

Prints tables in Markdown. For the first features of each layer: the score of the stored rendering, in the shipped
weights as float32, against the best of many held-out pictures that the project draws, at the rendered size. For all
classes, by two recipes: the class that the network finds most probable in the rendering, and in copies that are moved
and scaled.
"""

import argparse
from pathlib import Path

import torch
from rich.progress import track

from atlas.demo.pictures import draw
from atlas.inception.layers import FC, LAYERS
from atlas.inception.targets import feature_target
from atlas.plan.config import Config, override
from atlas.plan.jobs import Job, feature_jobs, rounds
from atlas.rendering.batches import BatchLimits, render_batches
from atlas.rendering.model import Network
from atlas.rendering.numerics import hardware_of, resolve_device, resolve_numerics
from atlas.rendering.outcomes import Report, keep_attempts, split_fresh
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import load_weights
from atlas.store.results import Results
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from atlas.studies.shared.context import MeasureContext
from atlas.studies.votes.measure import votes_of_class
from atlas.studies.votes.result import COPIES

HELD_OUT_SEED = 2 * 10**9  # neither training nor the test of accuracy draws with it
CHUNK = 20  # pictures that run through the network together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--features", default="16")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--store", type=Path, default=Path("renders/demo"))
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    config = override(load_config("demo"), weights=options.weights, features=options.features, store=options.store)
    jobs = feature_jobs(config)
    renderer = make_renderer(config.weights, options.device)
    records = render_all(jobs, renderer, config.store)
    best = best_of_pictures(renderer, jobs, options.pictures)
    print(table(jobs, records, best, options.pictures))
    print()
    print(class_table(config, renderer))


def make_renderer(weights: str, device: str) -> Renderer:
    where = resolve_device(device)
    return Renderer(load_weights(weights), where, resolve_numerics(where, "auto", None))


def render_all(jobs: tuple[Job, ...], renderer: Renderer, store: Path) -> dict[Job, tuple[str, float]]:
    """Status and score of each job's rendering."""
    write_weights_id(store, renderer.weights.id)
    fresh, pending = split_fresh(jobs, renderer.weights.id, renderer.numerics.precision, store)
    report = Report(list(fresh))
    memory = hardware_of(renderer.device).memory
    batches = [batch for column in rounds(pending, renderer.device.type, memory=memory) for batch in column]
    attempts = render_batches(track(batches, "rendering"), renderer, BatchLimits())
    keep_attempts(attempts, renderer.weights.id, store, report, lambda _: None)
    return {o.job: (o.record.status, o.record.score_shown or 0.0) for o in report.outcomes if o.record}


@torch.inference_mode()
def best_of_pictures(renderer: Renderer, jobs: tuple[Job, ...], count: int) -> dict[str, torch.Tensor]:
    """For each layer, the best score that any picture reaches, [features]."""
    size = jobs[0].recipe.octaves[-1].size
    device = resolve_device(renderer.numerics.device)
    network = Network(renderer.weights, device, torch.float32)
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    best: dict[str, torch.Tensor] = {}
    for _ in track(range(count // CHUNK), "looking at pictures"):
        pictures, _labels = draw(CHUNK, size, generator, group=4)
        for name, maps in network.activations(pictures.to(device), {layer.name for layer in LAYERS}).items():
            scores = maps.mean((2, 3)).amax(0).cpu()  # [pictures, features, rows, cols] -> [features]
            best[name] = torch.maximum(best[name], scores) if name in best else scores
    return best


def table(
    jobs: tuple[Job, ...], records: dict[Job, tuple[str, float]], best: dict[str, torch.Tensor], count: int
) -> str:
    lines = [
        f"| layer | with gradient | beat the best of {count:,} pictures | median ratio |",
        "|---|---|---|---|",
    ]
    all_alive, all_won = 0, 0
    for layer in LAYERS:
        ratios = []
        for job in jobs:
            status, score = records[job]
            term = job.target.terms[0]
            if term.layer == layer.name and term.feature is not None and status != "no_gradient":
                ratios.append(score / max(best[layer.name][term.feature].item(), 1e-12))
        won = sum(ratio > 1 for ratio in ratios)
        all_alive, all_won = all_alive + len(ratios), all_won + won
        middle = sorted(ratios)[len(ratios) // 2] if ratios else float("nan")
        lines.append(f"| {layer.name} | {len(ratios)} | {won} | {middle:.2f} |")
    share = all_won / max(1, all_alive)
    return "\n".join([*lines, f"| all | {all_alive} | {all_won} ({share:.1%}) | |"])


def class_table(config: Config, renderer: Renderer) -> str:
    """How many classes are recognised, by the recipes of the demo."""
    count = len(renderer.weights.id.classes)
    lines = ["| recipe | classes | seen as the class | copies seen as the class |", "|---|---|---|---|"]
    context = MeasureContext(Results(config, renderer.weights.id), renderer)
    for recipe in (config.face_recipe, config.get_recipe(config.recipe)):
        jobs = tuple(Job(feature_target(FC, number), recipe, config.seed) for number in range(count))
        render_all(jobs, renderer, config.store)
        found = [votes_of_class(context, job) for job in track(jobs, recipe.name)]
        right = sum(one.seen[0][0] == number for number, one in enumerate(found))
        held = sum(one.held for one in found) / (COPIES * count)
        lines.append(f"| {recipe.name} | {count} | {right} ({right / count:.1%}) | {held:.1%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
