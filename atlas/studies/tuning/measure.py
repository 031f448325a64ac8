"""Stimuli through the network, as it is and with shuffled weights → the tuning of every feature of the layers."""

import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atlas.inception import layers
from atlas.inception.layers import convolutions
from atlas.plan.config import Config
from atlas.rendering.model import Network
from atlas.rendering.weights import Weights
from atlas.store.files import write_atomically
from atlas.studies.shared.context import MeasureContext, Measurement, in_fewer_rows
from atlas.studies.shared.maps import Array
from atlas.studies.tuning.curves import Responses, hues, limits_of, orientations, strengths, strongest_groups, tunings
from atlas.studies.tuning.result import HUES, ORIENTATIONS, TUNING, LayerTuning, Stimulus, TuningOfLayers
from atlas.studies.tuning.settings import Settings
from atlas.studies.tuning.stimuli import all_stimuli, draw

ROWS = 16  # stimuli that run through the network together
SHOWN = 96  # pixels of the middle of a stimulus that pages show, as large as they are
QUALITY = 75  # of those pictures, where they are smaller with loss
EARLY = ("entry-convolutions", "early-mixed")  # regions of small layers: more shuffles, which cost little there
EARLY_SHUFFLES = 2  # times as many

Pictures = NDArray[np.uint8]  # [n, size, size, 3]


def measurements(config: Config) -> Iterator[Measurement]:
    """The tuning of all layers, since one forward pass serves them all."""
    if config.study(Settings).size:
        yield Measurement(TUNING, measure_tuning)


def measure_tuning(context: MeasureContext) -> TuningOfLayers:
    """The tuning of the features of a configuration's layers; writes each layer's responses beside the result."""
    config, wanted = context.config, context.config.study(Settings)
    pictures = np.stack([to_bytes(one, wanted.size) for one in all_stimuli()])
    null = null_strengths(context, pictures, wanted.shuffles)
    network = context.renderer.network("fp32", "trained")
    found = []
    for name, responses in respond(context, network, pictures, config.map_layers).items():
        write_atomically(context.results.path(TUNING).with_name(f"tuning-{name}.npz"), as_table(responses))
        found.append(tuning_of(name, responses, null[name], config.features_of(name)))
    every = [one for layer in found for one in layer.features.values()]
    strongest = sorted({at for one in every for at in one.strongest})
    others = {at for one in every for at in (one.line, one.spot, one.arc, one.shape) if at is not None}
    named = sorted({*strongest, *others})
    return TuningOfLayers(
        shown_to_all=len(all_stimuli()),
        stimuli={at: all_stimuli()[at] for at in named},
        size=wanted.size,
        pictures={at: as_webp(pictures[at]) for at in strongest},
        layers=tuple(found),
    )


def null_strengths(context: MeasureContext, pictures: Pictures, shuffles: int) -> dict[str, Array]:
    """How strongly features with shuffled weights are tuned: by layer, [4, F · shuffles]."""
    names, weights = context.config.map_layers, context.renderer.weights
    early = [name for name in names if layers.get_layer(name).region in EARLY]
    found: dict[str, list[Array]] = {name: [] for name in names}
    for seed in range(shuffles * EARLY_SHUFFLES):
        some = names if seed < shuffles else early
        if not some:
            break
        network = Network(shuffled(weights, seed), context.renderer.device, torch.float32, weights.id.trained_input)
        for name, responses in respond(context, network, pictures, some).items():
            found[name].append(strengths(responses))
    return {name: np.concatenate(parts, axis=1) for name, parts in found.items()}


def tuning_of(name: str, responses: Responses, null: Array, features: Sequence[int]) -> LayerTuning:
    """The tuning of a layer.

    Args:
        name: of the layer.
        responses: of all of its features.
        null: [4, any] strengths with shuffled weights.
        features: those that are planned.
    """
    limits = limits_of(null)
    is_tuned = strengths(responses) > np.array(astuple(limits))[:, None]
    preferred = orientations(responses).preferred[is_tuned[0]], hues(responses).preferred[is_tuned[1]]
    return LayerTuning(
        layer=name,
        features=tunings(responses, limits, features),
        limits=limits,
        null=null.shape[1],
        groups=dict(Counter(group for group in strongest_groups(responses) if group)),
        described=int(is_tuned.any(0).sum()),
        orientations=counts(preferred[0], 180, ORIENTATIONS),
        hues=counts(preferred[1], 360, HUES),
    )


def counts(angles: Array, circle: int, steps: int) -> tuple[int, ...]:
    """How many angles are nearest to each of so many even steps of a circle."""
    nearest = np.round(angles / circle * steps).astype(np.int64) % steps
    return tuple(np.bincount(nearest, minlength=steps).tolist())


def shuffled(weights: Weights, seed: int) -> Weights:
    """Weights whose kernels have their numbers in another order, each output's among themselves.

    So the sizes of weights, biases and batch norms are those of the network, and what it has learned is gone.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = dict(weights.tensors)
    for name, _, _ in convolutions():
        kernel = tensors[f"{name}.conv.weight"].flatten(1)
        order = torch.rand(kernel.shape, generator=generator).argsort(1)
        tensors[f"{name}.conv.weight"] = kernel.gather(1, order).view_as(tensors[f"{name}.conv.weight"])
    return Weights(weights.id, tensors)


def respond(
    context: MeasureContext, network: Network, pictures: Pictures, names: Collection[str]
) -> dict[str, Responses]:
    """What every feature of some layers makes of pictures, in one forward pass, by layer."""

    def run(rows: int) -> dict[str, Responses]:
        parts: dict[str, list[Tensor]] = {name: [] for name in names}
        with context.float32(rows), torch.inference_mode():
            for at in range(0, len(pictures), rows):
                images = torch.from_numpy(pictures[at : at + rows]).permute(0, 3, 1, 2).float() / 255
                maps = network.activations(images.to(network.device), names)
                for name in names:
                    parts[name].append(middle(maps[name]).cpu())
        joined = ((name, torch.cat(some, 1).double().numpy()) for name, some in parts.items())  # [2, n, F]
        return {name: Responses(*both) for name, both in joined}

    return in_fewer_rows(ROWS, run)


def middle(maps: Tensor) -> Tensor:
    """[B, F, rows, cols] -> [2, B, F] the largest and the mean activation of the middle half of each map."""
    (top, bottom), (left, right) = ((side // 4, side - side // 4) for side in maps.shape[2:])
    part = maps[:, :, top:bottom, left:right]
    return torch.stack([part.amax((2, 3)), part.mean((2, 3))])


def to_bytes(stimulus: Stimulus, size: int) -> Pictures:
    """A stimulus in 8 bits, [size, size, 3]."""
    return (255 * draw(stimulus, size)).round().astype(np.uint8)


def as_table(responses: Responses) -> bytes:
    """An `.npz` file: `strongest` and `mean`, [n, F] float16, and `stimuli`, [n] each as JSON."""
    file = io.BytesIO()
    most = np.finfo(np.float16).max
    strongest, mean = (np.minimum(some, most).astype(np.float16) for some in (responses.strongest, responses.mean))
    stimuli = np.array([msgspec.json.encode(one).decode() for one in all_stimuli()])
    np.savez_compressed(file, strongest=strongest, mean=mean, stimuli=stimuli)
    return file.getvalue()


def as_webp(picture: Pictures) -> bytes:
    """The middle of a stimulus as WebP: flat ones are smaller without loss, gratings and textures with some."""
    top, left = (max(0, (side - SHOWN) // 2) for side in picture.shape[:2])
    image = Image.fromarray(np.ascontiguousarray(picture[top : top + SHOWN, left : left + SHOWN]))
    files = io.BytesIO(), io.BytesIO()
    image.save(files[0], "WEBP", lossless=True, quality=100, method=4)
    image.save(files[1], "WEBP", quality=QUALITY, method=6)
    return min((file.getvalue() for file in files), key=len)
