"""Two targets alone and together, and a layer's pictures before all of its features (needs the network).

The article's longer version: the sum of two features' losses, such as that of Mixed_6a 199 and Mixed_6b 201, is far
from linear. Were the network linear, descent on the sum would change the noise by a mixture of what it does for either
target alone, whatever the noise, since resizing and blur are linear themselves. (Nearly, by a recipe of several octaves
that divides gradients by their size: each octave has a size of its own.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from atlas.inception.targets import Target
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.render import numerics as arithmetic
from atlas.render.descent import judge, resize
from atlas.render.model import Network
from atlas.store.result_files import rounded
from atlas.studies.interactions.jobs import Interaction, interactions, matrix_jobs
from atlas.studies.interactions.result import INTERACTIONS, Interactions, Matrix, Mixed, PairInteraction, matrix_spec
from atlas.studies.interactions.settings import Settings
from atlas.studies.shared.context import ROWS, MeasureContext, Measurement, to_tensor
from atlas.studies.shared.maps import Array

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
    """Measure the pairs of a configuration.

    Raises:
        StoreError: a master is missing or damaged.
    """
    return Interactions(tuple(_pair(context, pair) for pair in interactions(context.results.config)))


def measure_matrix(context: MeasureContext, layer: str) -> Matrix:
    """Show the picture of each of a layer's first features to all of them.

    Raises:
        StoreError: a master is missing or damaged.
    """
    jobs = matrix_jobs(context.results.config, layer)
    features = tuple(_feature(job.target) for job in jobs)
    pictures = torch.stack([to_tensor(context.picture(job)) for job in jobs])  # [n, 3, H, W]
    start = to_tensor(context.start(jobs[0]))[None]
    noise = resize(start, (pictures.shape[-2], pictures.shape[-1]))  # [1, 3, H, W]
    network = context.renderer.network("fp32", jobs[0].recipe.input)
    scores = _layer_scores(context, network, layer, features, torch.cat([pictures, noise])).tolist()
    rows = tuple(tuple(_known(value) for value in row) for row in scores)
    return Matrix(layer, features, rows[:-1], rows[-1])


def _pair(context: MeasureContext, pair: Interaction) -> PairInteraction:
    first, second = (_changed(context, job) for job in (pair.first, pair.second))

    def beside(job: Job) -> float | None:
        share = outside(_changed(context, job), first, second)
        return None if share is None else round(share, DECIMALS)

    def mixed(job: Job, weight: float) -> Mixed:
        one, other = _scores(context, (pair.first.target, pair.second.target), context.picture(job), job)
        return Mixed(str(job.target), weight, one, other, beside(job))

    return PairInteraction(
        first=str(pair.first.target),
        second=str(pair.second.target),
        joint=mixed(pair.joint, MIDDLE),
        again=beside(pair.again),
        walk=tuple(mixed(step.job, step.weight) for step in pair.walk),
        unraised=tuple(name for name, job in _needed(pair) if not context.results.is_raised(job)),
    )


def _needed(pair: Interaction) -> tuple[tuple[str, Job], ...]:
    """The pictures without which nothing can be said of a pair, and their names."""
    first, second, joint = (str(job.target) for job in (pair.first, pair.second, pair.joint))
    jobs = (pair.first, pair.second, pair.joint, pair.again)
    return tuple(zip((first, second, joint, f"{joint} from other noise"), jobs, strict=True))


def _changed(context: MeasureContext, job: Job) -> Array:
    """A picture's difference from what its recipe leaves of the noise, [H, W, 3]."""
    return context.picture(job) - context.untouched(job)


def _scores(context: MeasureContext, targets: Sequence[Target], picture: Array, job: Job) -> list[float]:
    """The scores of one picture for several targets."""
    images = to_tensor(picture).expand(len(targets), -1, -1, -1)  # [3, H, W] -> [B, 3, H, W]
    numerics = replace(arithmetic.in_float32(context.renderer.numerics), batch_size=len(targets))
    with arithmetic.applied(numerics):
        found = judge(context.renderer.network("fp32", job.recipe.input), targets, images, job.recipe.first_size)
    return [_known(value) for value in found.tolist()]


def _layer_scores(
    context: MeasureContext, network: Network, layer: str, features: Sequence[int], images: Tensor
) -> Tensor:
    """The mean activation of some features of a layer for each image: [n, 3, H, W] -> [n, features]."""
    numerics = replace(arithmetic.in_float32(context.renderer.numerics), batch_size=ROWS)
    found = []
    with arithmetic.applied(numerics), torch.inference_mode():
        for at in range(0, len(images), ROWS):
            chunk = images[at : at + ROWS]
            maps = network.activations(chunk.to(network.device), {layer})[layer]  # [B, all, rows, cols]
            found.append(maps[:, list(features)].mean((2, 3)).cpu())
    return torch.cat(found)


def _feature(target: Target) -> int:
    feature = target.terms[0].feature
    assert feature is not None  # a matrix is of features
    return feature


def _known(value: float) -> float:
    """A finite number as a finding keeps it; activations of finite pictures are finite."""
    return rounded(value) or 0.0
