"""How alike renderings of a feature from several noises are, beside renderings of different features."""

from collections.abc import Mapping
from dataclasses import dataclass

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.results import ResultSpec
from atlas.studies.seeds.jobs import face_job, jobs
from atlas.studies.seeds.settings import Settings

LAYERS = 3  # a feature's own and those before it
MOST_OTHERS = 256  # features of a layer with which others are compared
AGREED = 0.95  # of the pairs of features that must agree less, and of the other features that must be less alike
LEAST_PAIRS = 20  # of features, without which a share of 95 % cannot be told


@dataclass(frozen=True)
class Agreement:
    """How alike the renderings of a feature are: cosines of channel means."""

    seeds: int  # renderings that were raised
    mean: float  # over their pairs
    above: float  # share of the pairs of different features that are less alike
    others: int  # other features
    alike: int  # of them, those whose rendering is as much like these as these are like one another

    def agrees(self, pairs: int) -> bool | None:
        """Whether they are more alike than renderings of different features; None: there are too few of these.

        Args:
            pairs: of different features in the layer.
        """
        if pairs < LEAST_PAIRS:
            return None
        return self.above >= AGREED and self.alike <= (1 - AGREED) * self.others


@dataclass(frozen=True)
class LayerSeeds:
    """The features of a layer, and the pairs of different features there."""

    layer: str
    pairs: int  # of different features
    features: Mapping[int, Agreement]


@dataclass(frozen=True)
class Seeds:
    """All layers in which features are rendered from several noises."""

    layers: tuple[LayerSeeds, ...]


def _jobs(config: Config) -> tuple[Job, ...]:
    """The renderings from several noises, and those of the other features of their layers."""
    wanted = jobs(config)
    names = dict.fromkeys(job.target.deepest for job in wanted)
    others = (face_job(config, name, number) for name in names for number in config.features_of(name)[:MOST_OTHERS])
    return tuple(dict.fromkeys((*wanted, *others)))


SEEDS = ResultSpec(
    "seeds",
    1,
    Seeds,
    lambda config: _jobs(config) if jobs(config) else (),
    lambda config: (config.study(Settings).count, config.study(Settings).features) if jobs(config) else (),
    needs_all=False,
)
