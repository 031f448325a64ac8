"""Two targets alone, together and in between, and the pictures of a layer's first features: `Config` → jobs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from atlas.inception.targets import Target
from atlas.plan.config import Config
from atlas.plan.jobs import Job, layer_jobs
from atlas.studies.interactions.settings import Settings

DECIMALS = 4  # of a weight on the walk, so that a target can be read


@dataclass(frozen=True)
class Step:
    """A picture on the walk from one target to another."""

    weight: float  # of the second target; the first has the rest
    job: Job


@dataclass(frozen=True)
class Interaction:
    """Two targets: each alone, their sum, and a walk of weights from the first to the second."""

    first: Job
    second: Job
    joint: Job
    again: Job  # the sum once more, from other noise: how far chance alone moves the picture
    walk: tuple[Step, ...]  # its ends are the first and the second alone

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All renderings, each once."""
        walk = (step.job for step in self.walk)
        return tuple(dict.fromkeys((self.first, self.second, self.joint, self.again, *walk)))


def jobs(config: Config) -> tuple[Job, ...]:
    """The renderings of all pairs, each once."""
    return tuple(dict.fromkeys(job for pair in interactions(config) for job in pair.jobs))


def interactions(config: Config) -> tuple[Interaction, ...]:
    """The pairs whose layers the configuration has, in its order."""
    wanted = config.study(Settings)
    recipe = config.get_recipe(wanted.recipe)
    found = []
    for first, second in wanted.pairs:
        if not {first.deepest, second.deepest} <= set(config.layers):
            continue
        joint = Job(Target((*first.terms, *second.terms)), recipe, config.seed)
        steps = (Step(weight, Job(target, recipe, config.seed)) for weight, target in _walk(first, second, wanted.walk))
        one, other = (Job(target, recipe, config.seed) for target in (first, second))
        found.append(Interaction(one, other, joint, replace(joint, seed=config.seed + 1), tuple(steps)))
    return tuple(found)


def matrix_jobs(config: Config, layer: str) -> tuple[Job, ...]:
    """The renderings of the first features of a layer, by the configuration's own recipe."""
    first = config.first_features(layer, config.study(Settings).features)
    return tuple(job for job in layer_jobs(config, layer) if job.target.terms[0].feature in first)


def _walk(first: Target, second: Target, count: int) -> Iterator[tuple[float, Target]]:
    """Weights of the second target, evenly from 0 to 1, and the target at each."""
    yield 0.0, first
    for at in range(1, count - 1):
        weight = round(at / (count - 1), DECIMALS)
        shares = (round(1 - weight, DECIMALS), weight)
        terms = (replace(term, coefficient=c) for term, c in zip((*first.terms, *second.terms), shares, strict=True))
        yield weight, Target(tuple(terms))
    yield 1.0, second
