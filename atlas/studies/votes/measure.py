"""The classifier's weights and the renderings of classes → votes."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception.layers import FC
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.rendering.model import Network, mean_of_maps
from atlas.studies.shared.context import MeasureContext, Measurement, in_fewer_rows, to_tensor
from atlas.studies.shared.places import feature_of
from atlas.studies.votes.result import (
    COPIES,
    VOTERS,
    VOTES,
    WEIGHED,
    ClassVotes,
    FeatureVotes,
    Ties,
    Votes,
    Weighed,
    class_jobs,
)
from atlas.studies.votes.settings import Settings

SEEN = 3  # classes that a page names as the most probable
SHIFT, SCALE = 0.08, 0.15  # of a copy, at most, either way: shares of a side, and of the size
SEED = 0  # of the copies


def measurements(config: Config) -> Iterator[Measurement]:
    """The votes for classes, and those of features."""
    if class_jobs(config):
        yield Measurement(VOTES, measure_votes, names_features=True)
        yield Measurement(WEIGHED, measure_features)


def measure_votes(context: MeasureContext) -> Votes:
    """The votes for the planned classes."""
    return Votes({feature_of(job.target)[1]: votes_of_class(context, job) for job in context.raised(VOTES)})


def measure_features(context: MeasureContext) -> Weighed:
    """The weights of the planned features of Mixed_7c."""
    config = context.config
    count = config.study(Settings).strongest
    columns = context.renderer.weights.tensors[f"{FC}.weight"].double().T  # [classes, features] -> [features, classes]
    features = config.features_of(VOTERS)
    return Weighed({number: FeatureVotes(*both_ends(columns[number], count)) for number in features})


def votes_of_class(context: MeasureContext, job: Job) -> ClassVotes:
    """How the network comes to the logit of a class, in its own rendering."""
    (_, number), count = feature_of(job.target), context.config.study(Settings).strongest
    picture = to_tensor(context.picture(job))[None]  # [1, 3, H, W]
    network = context.renderer.network("fp32", job.recipe.input)
    with context.float32(1), torch.inference_mode():
        maps = network.activations(picture.to(network.device), {VOTERS, FC})
    votes = votes_from(maps[VOTERS], context.renderer.weights.tensors[f"{FC}.weight"][number])
    bias = float(context.renderer.weights.tensors[f"{FC}.bias"][number])
    votes_for, votes_against = both_ends(votes, count)
    probabilities = maps[FC].flatten().double().softmax(0).cpu()
    return ClassVotes(
        logit=float(votes.sum()) + bias,
        bias=bias,
        votes_for=votes_for,
        votes_against=votes_against,
        voters=int(votes.count_nonzero()),
        seen=both_ends(probabilities, SEEN)[0] if len(probabilities) > 1 else (),  # the softmax of one is always 1
        held=held_copies(context, network, picture, number),
    )


def votes_from(maps: Tensor, weights: Tensor) -> Tensor:
    """Each feature's summand of a logit.

    Args:
        maps: of Mixed_7c, for one image, [1, features, rows, cols].
        weights: of a class, [features].

    Returns:
        [features] float64 on the CPU.
    """
    return mean_of_maps(maps.double().cpu()).flatten() * weights.double().cpu()


def both_ends(values: Tensor, count: int) -> tuple[Ties, Ties]:
    """The largest of some numbers above 0 and the least below 0, at most so many of each, with their places."""
    order = values.argsort(descending=True, stable=True).tolist()
    largest, least = ([(at, float(values[at])) for at in some[:count]] for some in (order, order[::-1]))
    return tuple(one for one in largest if one[1] > 0), tuple(one for one in least if one[1] < 0)


def held_copies(context: MeasureContext, network: Network, picture: Tensor, number: int) -> int:
    """In how many copies of a picture, moved and scaled at random, a class is still the most probable."""
    grid = F.affine_grid(moves(COPIES), [COPIES, *picture.shape[1:]], align_corners=False)
    copies = F.grid_sample(picture.expand(COPIES, -1, -1, -1), grid, align_corners=False, padding_mode="reflection")

    def run(rows: int) -> int:
        with context.float32(rows), torch.inference_mode():
            parts = [network.activations(part.to(network.device), {FC})[FC] for part in copies.split(rows)]
        return int((torch.cat(parts).flatten(1).argmax(1) == number).sum())

    return in_fewer_rows(COPIES, run)


def moves(count: int) -> Tensor:
    """Shifts and scales as `affine_grid` takes them, [count, 2, 3]; always the same ones."""
    generator = torch.Generator().manual_seed(SEED)
    maps = []
    for right, down, size in (torch.rand(count, 3, generator=generator) * 2 - 1).tolist():
        step = math.exp(-math.log1p(SCALE) * size)  # larger and smaller copies are as many
        maps.append([[step, 0.0, 2 * SHIFT * right], [0.0, step, 2 * SHIFT * down]])
    return torch.tensor(maps)
