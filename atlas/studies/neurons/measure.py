"""Where a neuron changes the picture: its picture against noise that was only blurred → centre and spread."""

from collections.abc import Iterator

from atlas.inception.layers import receptive_field
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.neurons.jobs import neuron_jobs, place_of
from atlas.studies.neurons.result import NEURONS, NeuronChange, NeuronChanges
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.maps import centre_of_mass, change, share_in_box, spread
from atlas.studies.shared.places import feature_of


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
    box = receptive_field(*feature_of(job.target)).box(*place_of(job))
    return NeuronChange(str(job.target), centre, distance, share_in_box(changed, box))
