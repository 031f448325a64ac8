"""Channel means of renderings → how alike those of one feature are, and those of different features."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from atlas.inception.layers import layers_up_to, own_channels
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.seeds.jobs import face_job, jobs, seed_jobs
from atlas.studies.seeds.result import LAYERS, MOST_OTHERS, SEEDS, Agreement, LayerSeeds, Seeds
from atlas.studies.shared.context import ROWS, MeasureContext, Measurement, stacked
from atlas.studies.shared.maps import Array
from atlas.studies.shared.places import feature_of


def measurements(config: Config) -> Iterator[Measurement]:
    """The agreement of all features that are rendered from several noises."""
    if jobs(config):
        yield Measurement(SEEDS, measure_seeds)


def measure_seeds(context: MeasureContext) -> Seeds:
    """How alike renderings from several noises are, layer by layer."""
    config, found = context.config, []
    for name in config.map_layers:
        if mine := seed_jobs(config, name):
            faces = [face_job(config, name, number) for number in config.features_of(name)[:MOST_OTHERS]]
            found.append(layer_seeds(context, name, faces, mine))
    return Seeds(tuple(found))


def layer_seeds(
    context: MeasureContext, name: str, faces: Sequence[Job], seeds: Mapping[int, Sequence[Job]]
) -> LayerSeeds:
    """How alike renderings of features of a layer are; those that are missing or were not raised are left out.

    Args:
        context: the store and the network.
        name: of the layer.
        faces: a rendering of each feature that others are compared with.
        seeds: renderings of features from several noises, by number.
    """
    is_raised = context.results.is_raised
    faces = [job for job in faces if is_raised(job)]
    raised = {number: [job for job in some if is_raised(job)] for number, some in seeds.items()}
    mine = {number: some for number, some in raised.items() if len(some) > 1}
    every = list(dict.fromkeys((*faces, *(job for some in mine.values() for job in some))))
    if not mine:
        return LayerSeeds(name, 0, {})
    is_face = np.array([job in faces for job in every])
    features = np.array([feature_of(job.target)[1] for job in every])
    taps = layers_up_to(name)[-LAYERS:]
    own = [[own_channels(name, feature).get(tap.name, -1) for feature in features.tolist()] for tap in taps]
    likeness = cosines(channel_means(context, name, every), [np.array(some) for some in own], is_face)
    place = {job: at for at, job in enumerate(every)}
    between = likeness[np.ix_(is_face, is_face)][np.triu_indices(int(is_face.sum()), 1)]
    return LayerSeeds(
        layer=name,
        pairs=len(between),
        features={
            number: agreement([place[job] for job in some], likeness, is_face & (features != number), between)
            for number, some in mine.items()
        },
    )


def agreement(own: Sequence[int], likeness: Array, others: NDArray[np.bool_], between: Array) -> Agreement:
    """How alike renderings of one feature are.

    Args:
        own: which renderings are its own, at least two.
        likeness: [n, n] of all renderings of the layer.
        others: [n] which are those of other features, one of each.
        between: [pairs] of different features.
    """
    mine = likeness[np.array(own)]  # [seeds, n]
    mean = float(mine[:, own][np.triu_indices(len(own), 1)].mean())
    return Agreement(
        seeds=len(own),
        mean=mean,
        above=float((between < mean).mean()) if len(between) else 0.0,
        others=int(others.sum()),
        alike=int((mine[:, others].mean(0) >= mean).sum()),
    )


def cosines(means: Sequence[Array], own: Sequence[NDArray[np.int64]], is_face: NDArray[np.bool_]) -> Array:
    """How alike renderings are: cosines of centred channel means, [n, n], averaged over layers.

    What all features of the layer have in common is subtracted. The channels of the two features that are compared are
    left out, since their renderings excite them by design.

    Args:
        means: [n, channels] of each layer.
        own: [n] of each layer the channel of each rendering's feature; -1: it has none there.
        is_face: [n] the renderings whose mean is subtracted, one of each feature.
    """
    found = []
    for some, channels in zip(means, own, strict=True):
        centred = some - some[is_face].mean(0) if is_face.any() else some
        theirs = np.where(channels >= 0, centred[:, channels], 0)  # [n, n] in rendering i, the channel of j
        mine = np.diag(theirs)
        is_same = channels[:, None] == channels[None, :]
        dots = centred @ centred.T - mine[:, None] * theirs.T - theirs * mine[None, :] + is_same * np.outer(mine, mine)
        squares = (centred**2).sum(1)[:, None] - mine[:, None] ** 2 - np.where(is_same, 0, theirs**2)
        found.append(_cosine(dots, squares))
    return np.asarray(np.mean(found, 0))


def _cosine(dots: Array, squares: Array) -> Array:
    """Dot products and squared lengths, [n, n] both, → cosines; 0 where a length is."""
    lengths = np.sqrt(np.maximum(squares, 0) * np.maximum(squares.T, 0))
    return np.asarray(np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0))


def channel_means(context: MeasureContext, name: str, jobs: Sequence[Job]) -> list[Array]:
    """Channel means of a layer and of those before it by renderings of its features, [n, channels] each."""
    taps = [layer.name for layer in layers_up_to(name)[-LAYERS:]]
    network = context.renderer.network("fp32", "trained")
    found: list[list[Array]] = []
    with context.float32(ROWS), torch.inference_mode():
        for at in range(0, len(jobs), ROWS):
            pictures = [np.asarray(context.image(job)) for job in jobs[at : at + ROWS]]
            maps = network.activations(stacked(pictures, len(pictures)).to(network.device), taps)
            found.append([maps[tap].mean((2, 3)).cpu().double().numpy() for tap in taps])
    return [np.concatenate(some) for some in zip(*found, strict=True)]
