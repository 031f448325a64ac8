"""Fields by branch: the gradient of one neuron at the noise and at its picture, and its change (needs the network).

The article finds that optimising an interior feature of a block (415) changes more of the input than an exterior one
(654), "likely" because of the concatenated branches. So the picture's own change is measured beside the gradient;
effective fields follow Luo et al. 2016, Understanding the Effective Receptive Field.
"""

from atlas.inception.layers import get_layer
from atlas.studies.fields.jobs import field_probes
from atlas.studies.fields.result import FieldPoint, Fields
from atlas.studies.shared.context import Desk
from atlas.studies.shared.maps import change, smallest_disc


def measure_fields(desk: Desk, layer: str) -> Fields:
    """Measure the probes of a layer.

    Raises:
        StoreError: a master is missing or damaged.
    """
    probes = [probe for probe in field_probes(desk.source.config) if probe.layer == layer]
    first = probes[0]
    size, given = first.job.recipe.first_size, first.job.recipe.input
    targets = [probe.job.target for probe in probes]
    at_start = desk.gradients(targets, [desk.start(probe.job) for probe in probes], size, given)
    pictures = [desk.picture(probe.job) for probe in probes]
    at_end = desk.gradients(targets, pictures, size, given)
    untouched = desk.untouched(first.job)  # of all: recipe and noise are the same
    points = (
        FieldPoint(
            feature=probe.feature,
            branch=get_layer(layer).branch_of(probe.feature).name,
            is_spread=probe.is_spread,
            is_named=probe.is_named,
            start=smallest_disc(start),
            end=smallest_disc(end),
            change=smallest_disc(change(picture, untouched)) if desk.source.is_raised(probe.job) else None,
        )
        for probe, start, end, picture in zip(probes, at_start, at_end, pictures, strict=True)
    )
    return Fields(layer, first.neuron, size[0], tuple(points))
