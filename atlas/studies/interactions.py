"""Two features alone and together, and a layer's pictures before all of its features (needs the network).

The article's longer version: the sum of two features' losses, such as that of Mixed_6a 199 and Mixed_6b 201, is far
from linear.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from atlas.findings.files import rounded
from atlas.findings.interactions import Interactions, Matrix, Mixed, PairInteraction
from atlas.plan.jobs import Job
from atlas.plan.targets import Target
from atlas.plan.wanted.interactions import Interaction, interactions, matrix_jobs
from atlas.render import numerics as arithmetic
from atlas.render.descent import judge, resize
from atlas.studies.desk import ROWS, Desk, to_tensor
from atlas.studies.measures import Array

MIDDLE = 0.5  # the weight at which a straight mixture is the mean


def rms(one: Array, other: Array) -> float:
    """Root mean square difference of two pictures of one shape, over all their values."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def off_line(picture: Array, first: Array, second: Array, weight: float) -> float | None:
    """How far a picture is from a straight mixture of two others.

    Args:
        picture: [H, W, 3], as the others.
        first: the picture at weight 0.
        second: the picture at weight 1.
        weight: of the second in the mixture, from 0 to 1.

    Returns:
        The root mean square difference from (1 − weight)·first + weight·second, in units of half that between the first
        and the second: from the mean of the two, either of them is 1 away. None: the two are the same picture.
    """
    half = rms(first, second) / 2
    return rms(picture, (1 - weight) * first + weight * second) / half if half > 0 else None


def measure_interactions(desk: Desk) -> Interactions:
    """Measure the pairs of a configuration.

    Raises:
        StoreError: a master is missing or damaged.
    """
    return Interactions(tuple(_pair(desk, pair) for pair in interactions(desk.source.config)))


def measure_matrix(desk: Desk, layer: str) -> Matrix:
    """Show the picture of each of a layer's first features to all of them.

    Raises:
        StoreError: a master is missing or damaged.
    """
    jobs = matrix_jobs(desk.source.config, layer)
    features = tuple(_feature(job.target) for job in jobs)
    pictures = torch.stack([to_tensor(desk.picture(job)) for job in jobs])  # [n, 3, H, W]
    start = to_tensor(desk.start(jobs[0]))[None]
    noise = resize(start, (pictures.shape[-2], pictures.shape[-1]))  # [1, 3, H, W]
    scores = _layer_scores(desk, layer, features, torch.cat([pictures, noise])).tolist()
    rows = tuple(tuple(_known(value) for value in row) for row in scores)
    return Matrix(layer, features, rows[:-1], rows[-1])


def _pair(desk: Desk, pair: Interaction) -> PairInteraction:
    pictures = {job: desk.picture(job) for job in pair.jobs}
    first, second = pictures[pair.first], pictures[pair.second]

    def mixed(job: Job, weight: float) -> Mixed:
        one, other = _scores(desk, (pair.first.target, pair.second.target), pictures[job], job)
        off = off_line(pictures[job], first, second, weight)
        return Mixed(str(job.target), weight, one, other, None if off is None else rounded(off))

    half = rms(first, second) / 2
    return PairInteraction(
        first=str(pair.first.target),
        second=str(pair.second.target),
        apart=_known(2 * half),
        joint=mixed(pair.joint, MIDDLE),
        scatter=rounded(rms(pictures[pair.joint], pictures[pair.again]) / half) if half > 0 else None,
        walk=tuple(mixed(step.job, step.weight) for step in pair.walk),
    )


def _scores(desk: Desk, targets: Sequence[Target], picture: Array, job: Job) -> list[float]:
    """The scores of one picture for several targets."""
    images = to_tensor(picture).expand(len(targets), -1, -1, -1)  # [3, H, W] -> [B, 3, H, W]
    numerics = replace(arithmetic.in_float32(desk.renderer.numerics), batch_size=len(targets))
    with arithmetic.applied(numerics):
        found = judge(desk.renderer.network("fp32"), targets, images, job.recipe.first_size)
    return [_known(value) for value in found.tolist()]


def _layer_scores(desk: Desk, layer: str, features: Sequence[int], images: Tensor) -> Tensor:
    """The mean activation of some features of a layer for each image: [n, 3, H, W] -> [n, features]."""
    network = desk.renderer.network("fp32")
    numerics = replace(arithmetic.in_float32(desk.renderer.numerics), batch_size=ROWS)
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
