"""Which features' pictures are nearest to each other: colours and directions of edges, counted and compared.

A picture's description is two histograms. Their overlap (Bhattacharyya's coefficient) is the dot product of their
square roots, so that one matrix product compares every picture with every other.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageOps
from skimage.color import rgb2lab

from atlas.plan.config import Config
from atlas.studies.nearest.chain import chain, unit_vectors
from atlas.studies.nearest.result import MOST, NEAREST, Described, Near, Nearest, described_spec
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.image_metrics import colour_shares, direction_shares
from atlas.studies.shared.places import feature_of

SIZE = 128  # pixels of the longer side at which pictures are described
ROWS = 1024  # pictures that are compared with all others at once
DIGITS = 3  # of a likeness; of equal ones the earlier feature comes first


def measurements(config: Config) -> Iterator[Measurement]:
    """Describe each layer's pictures, then compare all of them."""
    specs = tuple(map(described_spec, config.map_layers))
    for layer, spec in zip(config.map_layers, specs, strict=True):
        yield Measurement(spec, partial(measure_described, layer=layer))
    yield Measurement(NEAREST, measure_nearest, after=specs)


def measure_described(context: MeasureContext, layer: str) -> Described:
    """Describe the pictures of a layer that are there and were raised."""
    jobs = context.raised(described_spec(layer))
    described = context.for_each(jobs, lambda job: describe(context.image(job)))
    return Described(layer, {feature_of(job.target)[1]: one for job, one in zip(jobs, described, strict=True)})


def measure_nearest(context: MeasureContext) -> Nearest:
    """Compare the pictures of all layers, which are described before, with each other."""
    layers = [one for layer in context.config.map_layers if (one := context.results.read(described_spec(layer)))]
    names = [(one.layer, feature) for one in layers for feature in one.features]
    found: dict[str, dict[int, tuple[Near, ...]]] = {one.layer: {} for one in layers}
    neighbours = nearest([data for one in layers for data in one.features.values()], MOST)
    for (layer, feature), row in zip(names, neighbours, strict=True):
        found[layer][feature] = tuple(Near(*names[at], likeness) for at, likeness in row)
    return Nearest(found, {one.layer: tuple(chain(one.features)) for one in layers})


def describe(picture: Image.Image) -> bytes:
    """The two histograms of an RGB picture, as square roots in 8 bits each: first colours, then directions of edges."""
    small = ImageOps.contain(picture, (SIZE, SIZE), Image.Resampling.LANCZOS)
    lab = rgb2lab(np.asarray(small, dtype=np.float64) / 255)
    roots = np.sqrt(np.concatenate([colour_shares(lab), direction_shares(lab[..., 0])]))
    return bytes((roots * 255).round().astype(np.uint8))


def nearest(described: Sequence[bytes], count: int) -> list[list[tuple[int, float]]]:
    """The nearest others of each picture.

    Args:
        described: pictures, n of them.
        count: at most so many neighbours.

    Returns:
        For each picture, positions of others and their likeness, from 0 to 1, the nearest first.
    """
    if not described:
        return []
    vectors = unit_vectors(described)
    found = []
    for start in range(0, len(vectors), ROWS):
        likeness = (vectors[start : start + ROWS] @ vectors.T).round(DIGITS)  # [rows, n]
        for row, others in enumerate(likeness, start=start):
            others[row] = -1  # a picture is no neighbour of its own
            order = np.argsort(-others, kind="stable")[: min(count, len(vectors) - 1)]
            found.append([(int(at), min(1.0, float(others[at]))) for at in order])
    return found
