"""Where a neuron changes the picture: its picture against noise that was only blurred → centre and spread."""

from collections.abc import Iterator

from atlas.inception.layers import receptive_field
from atlas.inception.targets import Neuron
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.neurons.jobs import neuron_jobs
from atlas.studies.neurons.result import NEURONS, NeuronChange, NeuronChanges
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.maps import Box, centre_of_mass, change, share_in_box, spread


def measurements(_: Config) -> Iterator[Measurement]:
    """All neurons together."""
    yield Measurement(NEURONS, measure_neurons)


def measure_neurons(context: MeasureContext) -> NeuronChanges:
    """Measure the neurons of a configuration."""
    return NeuronChanges(tuple(_measure(context, job) for job in neuron_jobs(context.config)))


def _measure(context: MeasureContext, job: Job) -> NeuronChange:
    changed = change(context.picture(job), context.untouched(job))
    centre = centre_of_mass(changed)
    distance = spread(changed, centre) if centre else None
    return NeuronChange(str(job.target), centre, distance, share_in_box(changed, field_box(job)))


def field_box(job: Job) -> Box:
    """The theoretical receptive field of a single neuron's job, in pixels of the image."""
    term = job.target.terms[0]
    assert isinstance(term.position, Neuron)
    return receptive_field(term.layer, term.feature).box(term.position.row, term.position.col)
