"""Neurons whose effective receptive field is measured: `Config` → jobs."""

from collections.abc import Iterator
from dataclasses import dataclass

from atlas.inception import layers
from atlas.inception.architecture import Size
from atlas.inception.targets import Neuron, Target, Term
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.fields.settings import Settings
from atlas.studies.shared.places import middle_of


@dataclass(frozen=True)
class FieldProbe:
    """The neuron in the middle of a feature's map, whose effective field is measured."""

    feature: int
    is_spread: bool  # one of those that are spread evenly over their branch
    is_named: bool  # named by a list of the configuration
    neuron: Size
    job: Job


def jobs(config: Config) -> tuple[Job, ...]:
    """The renderings of all probes."""
    return tuple(probe.job for layer in config.study(Settings).layers for probe in field_probes(config, layer))


def field_probes(config: Config, layer: str) -> tuple[FieldProbe, ...]:
    """Neurons of a layer whose effective field is measured, by feature; none if the configuration leaves it out.

    They are of some features of each branch, evenly spread over its range, and of those that a list names.
    """
    wanted = config.study(Settings)
    if layer not in wanted.layers or layer not in config.layers:
        return ()
    recipe = config.get_recipe(wanted.recipe)
    row, col = middle_of(layer, recipe)
    spread = {feature for branch in layers.get_layer(layer).branches for feature in _spread(branch, wanted.features)}
    named = {term.feature for term in config.terms if term.layer == layer and term.feature is not None}
    found = []
    for feature in sorted(spread | named):
        job = Job(Target((Term(layer, feature, Neuron(row, col)),)), recipe, config.seed)
        found.append(FieldProbe(feature, feature in spread, feature in named, (row, col), job))
    return tuple(found)


def _spread(branch: layers.Branch, wanted: int) -> Iterator[int]:
    count = min(wanted, branch.features)
    return (branch.first + at * branch.features // count for at in range(count))
