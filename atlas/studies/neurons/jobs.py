"""Single neurons, and features beside one of their rows and neurons: `Config` → jobs."""

from atlas.inception.architecture import Size
from atlas.inception.targets import Neuron, Row, Target, Term
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.neurons.settings import Settings
from atlas.studies.shared.places import feature_of, middle_of


def jobs(config: Config) -> tuple[Job, ...]:
    """The single neurons, and the features beside their rows and neurons."""
    beside = (job for row in beside_jobs(config) for job in row)
    return (*neuron_jobs(config), *beside)


def neuron_jobs(config: Config) -> tuple[Job, ...]:
    """The single neurons that have a page."""
    recipe = config.get_recipe(config.study(Settings).recipe)
    return tuple(Job(target, recipe, config.seed) for target in config.within(config.study(Settings).targets))


def place_of(job: Job) -> Size:
    """(row, col) of the neuron that a job is for."""
    position = job.target.terms[0].position
    assert isinstance(position, Neuron)  # the configuration lists single neurons
    return position.row, position.col


def beside_jobs(config: Config) -> tuple[tuple[Job, ...], ...]:
    """The features that are shown beside one of their rows and neurons: a feature, its row and its neuron.

    The neuron is the first of the layer that the configuration lists, or the one in the middle.
    """
    wanted = config.study(Settings)
    recipe = config.get_recipe(wanted.recipe)
    found = []
    for target in config.within(wanted.beside):
        layer, feature = feature_of(target)
        listed = (term.position for one in wanted.targets for term in one.terms if term.layer == layer)
        neuron = next((one for one in listed if isinstance(one, Neuron)), Neuron(*middle_of(layer, recipe)))
        row, one = (Target((Term(layer, feature, position),)) for position in (Row(neuron.row), neuron))
        found.append(tuple(Job(each, recipe, config.seed) for each in (target, row, one)))
    return tuple(found)
