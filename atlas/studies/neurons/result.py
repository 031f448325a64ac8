"""Where single neurons changed their pictures."""

from dataclasses import dataclass

from atlas.store.results import ResultSpec
from atlas.studies.neurons.jobs import neuron_jobs


@dataclass(frozen=True)
class NeuronChange:
    """What differs between a neuron's picture and noise that was only blurred as the recipe blurs.

    Places are in pixels from the corner of the image.
    """

    target: str
    centre: tuple[float, float] | None  # (row, col) of the centre of mass; None: nothing changed
    spread: float | None  # root mean square distance from there
    inside: float | None  # share of the change inside the theoretical receptive field


@dataclass(frozen=True)
class NeuronChanges:
    """All neurons of a configuration."""

    neurons: tuple[NeuronChange, ...]


NEURONS = ResultSpec("neurons", 1, NeuronChanges, neuron_jobs)
