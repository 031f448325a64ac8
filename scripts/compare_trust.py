"""Which recipe's pictures can be believed: features by several recipes, and how many pass each check of `trust`.

Renders eight features of each of eight layers, drawn by lot, by each recipe from several noises, and holds them against
a folder of photographs. What is in the store already is not rendered again.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from atlas import pipeline
from atlas.cli.console import RunConsole
from atlas.inception import layers
from atlas.inception.targets import feature_target
from atlas.plan.config import Config
from atlas.plan.jobs import DEFAULT_SEED, Job
from atlas.runs import RunOptions
from atlas.site.words import whole_percent
from atlas.store.crops import examples_folder, remove_crops
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.examples.find import scan_renderings
from atlas.studies.examples.pictures import walk_folder
from atlas.studies.examples.result import NATURAL, Examples, crop_files, read_examples
from atlas.studies.examples.settings import Settings as ExamplesSettings
from atlas.studies.seeds.measure import layer_seeds
from atlas.studies.seeds.result import LayerSeeds
from atlas.studies.shared.context import MeasureContext
from atlas.studies.trust.shares import Share, share_of

LAYERS = (
    "Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5b", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6d", "Mixed_7a",
)  # fmt: skip
EACH = 8
ROWS = 8  # pictures that run through the network together
Features = Sequence[tuple[str, int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, help="folder of the renderings")
    parser.add_argument("photographs", type=Path, help="folder of photographs")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--config", default="article", help="file or preset with the recipes (default: article)")
    parser.add_argument("--recipes", nargs="+", default=["octaves", "crisp", "natural", "raw"])
    parser.add_argument("--seeds", type=int, default=4, help="noises of each feature (default: 4)")
    parser.add_argument("--size", type=int, default=299, help="pixels of a photograph's square (default: 299)")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    config = replace(load_config(given.config), weights=given.weights, store=given.store)
    config = config.with_study(replace(config.study(ExamplesSettings), size=given.size))
    options = RunOptions(device=given.device, fit_batches=True)
    features = pick_features()
    with RunConsole() as console:
        for seed in range(DEFAULT_SEED, DEFAULT_SEED + given.seeds):
            for name in given.recipes:
                pipeline.render(config, jobs_of(config, name, features, seed), options, console)
        renderer = pipeline.make_renderer(config, replace(options, precision="fp32"))
        context = MeasureContext(Results(config, renderer.weights.id), renderer)
        source = walk_folder(given.photographs, console.skips)
        owns = [job for name in given.recipes for job in jobs_of(config, name, features, DEFAULT_SEED)]
        rendered = {job: pixels for job in owns if (pixels := context.results.pixels(job))}
        examples = scan_renderings(context, source, rendered, console, ROWS)
        remove_crops(examples_folder(config.store, renderer.weights.id), kept_crops(config, context))
        agreements = {name: seeds_of(context, name, features, given.seeds) for name in given.recipes}
    print(report(context, examples, agreements))


def pick_features() -> Features:
    """The same ones at each call."""
    drawn = {name: random.Random(name).sample(range(layers.get_layer(name).features), EACH) for name in LAYERS}
    return [(name, number) for name in LAYERS for number in sorted(drawn[name])]


def jobs_of(config: Config, recipe: str, features: Features, seed: int) -> tuple[Job, ...]:
    """The features by one recipe, from one noise."""
    return tuple(Job(feature_target(*one), config.get_recipe(recipe), seed) for one in features)


def seeds_of(context: MeasureContext, recipe: str, features: Features, count: int) -> list[LayerSeeds]:
    """How alike the renderings by a recipe are, layer by layer."""
    found = []
    for name in LAYERS:
        mine = [one for one in features if one[0] == name]
        by_seed = [jobs_of(context.config, recipe, mine, DEFAULT_SEED + step) for step in range(count)]
        seeds = {number: [jobs[at] for jobs in by_seed] for at, (_, number) in enumerate(mine)}
        found.append(layer_seeds(context, name, by_seed[0], seeds))
    return found


def kept_crops(config: Config, context: MeasureContext) -> frozenset[str]:
    """The crops that are the store's own: those of the photographs here do not stay."""
    known = read_examples(config.store, context.results.weights)
    return crop_files(known.features) if known else frozenset()


def report(context: MeasureContext, examples: Examples, agreements: dict[str, list[LayerSeeds]]) -> str:
    """Tables in Markdown: how many pass each check, of those raised, and of the features raised by every recipe."""
    raised: dict[str, dict[str, bool]] = {}  # by recipe and target
    for name in agreements:
        jobs = jobs_of(context.config, name, pick_features(), DEFAULT_SEED)
        raised[name] = {str(job.target): context.results.is_raised(job) for job in jobs}
    everywhere = {one.target for one in examples.features if all(some[one.target] for some in raised.values())}
    told = [one.crop_natural for one in examples.features if one.crop_natural is not None]
    passing = sum(share >= NATURAL for share in told)
    passes = f"a top crop itself passes the last check for {passing} of {len(told)} features"
    lines = [f"{examples.compared} photographs; {passes}", ""]
    for title, targets in (("raised", None), ("raised by all", everywhere)):
        lines += [f"| recipe | {title} | seeds agree | beats photographs | natural path |", "|---|---|---|---|---|"]
        for name, by_layer in agreements.items():
            kept = {target for target, is_raised in raised[name].items() if is_raised}
            kept &= kept if targets is None else targets
            lines.append(row(name, kept, by_layer, examples))
        lines.append("")
    return "\n".join(lines)


def row(recipe: str, targets: Collection[str], by_layer: Sequence[LayerSeeds], examples: Examples) -> str:
    """A recipe and how many of some features pass each check by it."""
    agreed = (
        one.agrees(layer.pairs)
        for layer in by_layer
        for number, one in layer.features.items()
        if f"{layer.layer}[{number}]" in targets
    )
    renderings = [
        (feature, one)
        for feature in examples.features
        for one in feature.renderings
        if feature.target in targets and one.recipe == recipe
    ]
    shares = (
        share_of(agreed),
        share_of(one.beats_pictures for _, one in renderings),
        share_of(feature.is_natural(one) for feature, one in renderings),
    )
    return f"| `{recipe}` | {len(targets)} | " + " | ".join(map(cell, shares)) + " |"


def cell(share: Share) -> str:
    """How many pass, of how many, with the interval."""
    if not share.told:
        return f"{share.undecided} undecided" if share.undecided else "–"
    low, high = map(whole_percent, share.limits)
    undecided = f", {share.undecided} undecided" if share.undecided else ""
    passed = whole_percent(share.passed / share.told)
    return f"{share.passed} of {share.told}{undecided}: {passed} ({low} to {high})"


if __name__ == "__main__":
    main()
