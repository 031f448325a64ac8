"""Two targets alone and together, and a layer's pictures before all of its features (needs the network).

The article's longer version: the sum of two features' losses, such as that of Mixed_6a 199 and Mixed_6b 201, is far
from linear. Were the network linear, descent on the sum would change the noise by a mixture of what it does for either
target alone, whatever the noise, since resizing and blur are linear themselves. (Nearly, by a recipe of several octaves
that divides gradients by their size: each octave has a size of its own.)
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from atlas.inception.targets import Target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.rendering.descent import judge
from atlas.rendering.transforms import resize
from atlas.studies.interactions.jobs import Interaction, interactions, matrix_jobs
from atlas.studies.interactions.result import INTERACTIONS, Interactions, Matrix, Mixed, PairInteraction, matrix_spec
from atlas.studies.interactions.settings import Settings
from atlas.studies.shared.context import MeasureContext, Measurement, to_tensor
from atlas.studies.shared.maps import Array
from atlas.studies.shared.places import feature_of

MIDDLE = 0.5  # the weight of either in a sum of both
DECIMALS = 4  # of a share, of which 0 is an end


def measurements(config: Config) -> Iterator[Measurement]:
    """The pairs, and the matrix of each layer."""
    yield Measurement(INTERACTIONS, measure_interactions)
    for layer in config.study(Settings).layers:
        yield Measurement(matrix_spec(layer), partial(measure_matrix, layer=layer))


def outside(changed: Array, first: Array, second: Array) -> float | None:
    """How much of a change is no mixture of two others.

    Args:
        changed: [H, W, 3], as the others: a picture's difference from what its recipe leaves of the noise.
        first: the change for the first target.
        second: and for the second.

    Returns:
        The root of the share of its squares that the best mixture a·first + b·second leaves: 0 if it is one, 1 if it
        has nothing of either. None: nothing changed.
    """
    whole = float(np.linalg.norm(changed))
    if not whole:
        return None
    pair = np.stack([first.ravel(), second.ravel()], axis=1)  # [H·W·3, 2]
    weights = np.linalg.lstsq(pair, changed.ravel(), rcond=None)[0]
    return float(np.linalg.norm(changed.ravel() - pair @ weights)) / whole


def measure_interactions(context: MeasureContext) -> Interactions:
    """Measure the pairs of a configuration."""
    return Interactions(tuple(_pair(context, pair) for pair in interactions(context.config)))


def measure_matrix(context: MeasureContext, layer: str) -> Matrix:
    """Score the picture of each of a layer's first features for all of them."""
    jobs = matrix_jobs(context.config, layer)
    features = [feature_of(job.target)[1] for job in jobs]
    pictures = torch.stack([to_tensor(context.picture(job)) for job in jobs])  # [n, 3, H, W]
    noise = resize(to_tensor(context.start(jobs[0]))[None], (pictures.shape[-2], pictures.shape[-1]))  # [1, 3, H, W]
    images = torch.cat([pictures, noise])
    scores = context.activations(layer, images, jobs[0].recipe.input, lambda maps: maps[:, features].mean((2, 3)))
    *rows, last = (tuple(row) for row in _finite(scores).tolist())
    return Matrix(layer, tuple(features), tuple(rows), last)


def _pair(context: MeasureContext, pair: Interaction) -> PairInteraction:
    first, second = (_changed(context, job) for job in (pair.first, pair.second))

    def beside(job: Job) -> float | None:
        share = outside(_changed(context, job), first, second)
        return None if share is None else round(share, DECIMALS)

    def mixed(job: Job, weight: float) -> Mixed:
        scores = _scores(context, pair.first.target, pair.second.target, job)
        return Mixed(str(job.target), weight, *scores, beside(job))

    joint = str(pair.joint.target)
    needed = {
        str(pair.first.target): pair.first,
        str(pair.second.target): pair.second,
        joint: pair.joint,
        f"{joint} from other noise": pair.again,
    }
    return PairInteraction(
        first=str(pair.first.target),
        second=str(pair.second.target),
        joint=mixed(pair.joint, MIDDLE),
        again=beside(pair.again),
        walk=tuple(mixed(step.job, step.weight) for step in pair.walk),
        unraised=tuple(name for name, job in needed.items() if not context.results.is_raised(job)),
    )


def _changed(context: MeasureContext, job: Job) -> Array:
    """A picture's difference from what its recipe leaves of the noise, [H, W, 3]."""
    return context.picture(job) - context.untouched(job)


def _scores(context: MeasureContext, first: Target, second: Target, job: Job) -> tuple[float, float]:
    """The scores of one picture for two targets."""
    images = to_tensor(context.picture(job)).expand(2, -1, -1, -1)  # [3, H, W] -> [2, 3, H, W]
    with context.float32(2):
        network = context.renderer.network("fp32", job.recipe.input)
        one, other = _finite(judge(network, (first, second), images, job.recipe.first_size)).tolist()
    return one, other


def _finite(scores: Tensor) -> Tensor:
    """Scores, and 0 where weights are so large that one overflows."""
    return scores.nan_to_num(0.0, posinf=0.0, neginf=0.0)
