"""Fields by branch: the gradient of one neuron at the noise and at its picture, and its change (needs the network).

The article finds that optimising an interior feature of a block (415) changes more of the input than an exterior one
(654), "likely" because of the concatenated branches. So the picture's own change is measured beside the gradient;
effective fields follow Luo et al. 2016, Understanding the Effective Receptive Field.
"""

from collections.abc import Iterator
from functools import partial

from atlas.inception.layers import get_layer
from atlas.plan.config import Config
from atlas.studies.fields.jobs import field_probes
from atlas.studies.fields.result import FieldPoint, Fields, fields_spec
from atlas.studies.fields.settings import Settings
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.maps import change, smallest_disc


def measurements(config: Config) -> Iterator[Measurement]:
    """The probes of each layer."""
    for layer in config.study(Settings).layers:
        yield Measurement(fields_spec(layer), partial(measure_fields, layer=layer))


def measure_fields(context: MeasureContext, layer: str) -> Fields:
    """Measure the probes of a layer."""
    probes = field_probes(context.config, layer)
    first = probes[0]
    size, given = first.job.recipe.first_size, first.job.recipe.input
    targets = [probe.job.target for probe in probes]
    at_start = context.gradients(targets, [context.start(probe.job) for probe in probes], size, given)
    pictures = [context.picture(probe.job) for probe in probes]
    at_end = context.gradients(targets, pictures, size, given)
    untouched = context.untouched(first.job)  # of all: recipe and noise are the same
    points = (
        FieldPoint(
            feature=probe.feature,
            branch=get_layer(layer).branch_of(probe.feature).name,
            is_spread=probe.is_spread,
            is_named=probe.is_named,
            start=smallest_disc(start),
            end=smallest_disc(end),
            change=smallest_disc(change(picture, untouched)) if context.results.is_raised(probe.job) else None,
        )
        for probe, start, end, picture in zip(probes, at_start, at_end, pictures, strict=True)
    )
    return Fields(layer, first.neuron, size[0], tuple(points))
