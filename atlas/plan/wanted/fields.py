"""Neurons whose effective receptive field is measured: `Config` → jobs."""

from dataclasses import dataclass

from atlas.plan import layers
from atlas.plan.blocks import Size
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.targets import Neuron, Target, Term
from atlas.plan.wanted.places import middle_of


@dataclass(frozen=True)
class FieldProbe:
    """The neuron in the middle of a feature's map, whose effective field is measured."""

    layer: str
    feature: int
    neuron: Size
    job: Job


def field_probes(config: Config) -> tuple[FieldProbe, ...]:
    """Neurons whose effective field is measured: of some features of each branch, evenly spread over its range."""
    wanted = config.lists.fields
    recipe = config.get_recipe(wanted.recipe)
    found = []
    for name in wanted.layers:
        if name not in config.layers:
            continue
        row, col = middle_of(name, recipe)
        for branch in layers.get_layer(name).branches:
            count = min(wanted.features, branch.features)
            for at in range(count):
                feature = branch.first + at * branch.features // count
                target = Target((Term(name, feature, Neuron(row, col)),))
                found.append(FieldProbe(name, feature, (row, col), Job(target, recipe, config.seed)))
    return tuple(found)
