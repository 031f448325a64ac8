"""The maximally activating crops of each rendered feature, out of many pictures, beside its own picture.

A score is the activation of the strongest single neuron, of a crop and of the feature's own picture alike: a mean over
the map would count what surrounds the crop.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from atlas.common.errors import ConfigError, StoreError
from atlas.inception import layers
from atlas.inception.layers import receptive_field
from atlas.plan.jobs import Job, feature_jobs
from atlas.rendering.memory import is_out_of_memory
from atlas.store.crops import CROPS, LARGEST, examples_folder, remove_crops, write_crop
from atlas.store.picture_files import COLOURS
from atlas.store.records import finite
from atlas.store.results import Results, digest, rounded, write_result
from atlas.studies.examples.pictures import PictureSource, square_of
from atlas.studies.examples.result import (
    KEPT,
    VERSION,
    Crop,
    Examples,
    FeatureExamples,
    crop_files,
    examples_path,
    folder_digest,
    read_examples,
)
from atlas.studies.examples.scan import TopK, Watcher, scan_pictures, stacked
from atlas.studies.examples.settings import Settings
from atlas.studies.shared.context import MeasureContext, in_fewer_rows
from atlas.studies.shared.places import feature_of

ROWS = {"cpu": 8, "cuda": 64, "mps": 16}  # pictures that run through the network together

Box = tuple[int, int, int, int]
Place = tuple[int, int]  # (row, col)
Feature = tuple[str, int]  # layer and number
Winner = tuple[Feature, int, Place, float]  # a feature, a picture's rank in its top k, the neuron and its activation


@dataclass(frozen=True)
class FoundExamples:
    """The crops that a run found."""

    path: Path  # of the record
    found: Examples
    was_fresh: bool


def find_examples(
    context: MeasureContext, source: PictureSource, watcher: Watcher, *, rows: int | None = None, force: bool = False
) -> FoundExamples:
    """Keep the maximally activating crops of every rendered feature of a configuration, unless they are up to date.

    Args:
        context: the store, and a renderer with its weights.
        source: the pictures.
        watcher: told of progress, and of each picture that cannot be read.
        rows: pictures that run through the network together, fewer if memory runs out; None: the table's.
        force: scan again even if nothing changed.

    Raises:
        ConfigError: nothing is rendered, no picture can be read, or memory runs out.
        StoreError: a master is damaged, or something cannot be written.
    """
    config, weights = context.config, context.results.weights
    now = Results(config, weights)  # the context's may be older than the newest master
    rendered = {job: pixels for job in feature_jobs(config) if (pixels := now.pixels(job))}
    if not rendered:
        raise ConfigError(
            f"{config.store} has no rendering of the configuration's features by recipe {config.face_recipe.name} with "
            f"weights {weights.name}: render first, with atlas render or atlas build"
        )
    path, inputs = examples_path(config.store, weights), _inputs(context, source, rendered)
    fresh = None
    with suppress(StoreError):  # a damaged record counts as none
        fresh = None if force else read_examples(config.store, weights, inputs)
    if fresh and all((path.parent / CROPS / name).is_file() for name in crop_files(fresh.features)):
        return FoundExamples(path, fresh, was_fresh=True)
    try:
        rows = rows or ROWS[context.renderer.device.type]
        found = in_fewer_rows(rows, lambda rows: _scan(context, source, rendered, watcher, rows))
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ConfigError("out of memory with one picture at a time: say a smaller --size") from None
        raise
    write_result(path, found, inputs)
    remove_crops(path.parent, crop_files(found.features))
    return FoundExamples(path, found, was_fresh=False)


def field_in(layer: str, feature: int, neuron: Place, size: int) -> Box:
    """The theoretical receptive field of a neuron inside a square picture: (top, left, bottom, right) in pixels."""
    top, left, bottom, right = receptive_field(layer, feature).box(*neuron)
    return max(0, math.floor(top)), max(0, math.floor(left)), min(size, math.ceil(bottom)), min(size, math.ceil(right))


def _inputs(context: MeasureContext, source: PictureSource, rendered: Mapping[Job, str]) -> str:
    """Digest of all that the examples depend on, whatever the order of the pictures."""
    size = context.config.study(Settings).size
    pictures = sorted(source.pictures)
    features = (part for job, pixels in rendered.items() for part in (job.path, pixels))
    colours = [COLOURS] if source.folder else []  # how a person's files are read
    return digest([VERSION, KEPT, LARGEST, _folder(context, source), size, *pictures, *features, *colours])


def _folder(context: MeasureContext, source: PictureSource) -> str | None:
    return folder_digest(context.config.store, source.folder) if source.folder else None


def _scan(
    context: MeasureContext, source: PictureSource, rendered: Mapping[Job, str], watcher: Watcher, rows: int
) -> Examples:
    size = context.config.study(Settings).size
    wanted: dict[str, list[int]] = defaultdict(list)
    for layer, feature in (feature_of(job.target) for job in rendered):
        wanted[layer].append(feature)
    with context.float32(rows), torch.inference_mode():
        network = context.renderer.network("fp32", "trained")
        tops, seen = scan_pictures(network, source, wanted, size, rows, KEPT, watcher)
        if not seen:
            raise ConfigError("no picture could be read; name a folder of pictures")
        own = _own_neurons(context, list(rendered), rows)
    crops = _cut(context, source, _winners(wanted, tops, size), watcher)
    return Examples(
        version=VERSION,
        folder=_folder(context, source),
        size=size,
        seen=seen,
        skipped=len(source.pictures) - seen + source.unread,
        numerics=context.float32_numerics(rows),
        features=tuple(
            FeatureExamples(str(job.target), pixels, *own[job], crops.get(feature_of(job.target), ()))
            for job, pixels in rendered.items()
        ),
        input=context.results.weights.trained_input,
    )


def _own_neurons(context: MeasureContext, jobs: Sequence[Job], rows: int) -> dict[Job, tuple[Place, float]]:
    """The strongest neuron of each feature in its own picture, and its activation."""
    network = context.renderer.network("fp32", "trained")
    found = {}
    for layer, members in groupby(jobs, lambda job: job.target.deepest):
        mine = list(members)
        for at in range(0, len(mine), rows):
            chunk = mine[at : at + rows]
            pictures = [np.asarray(context.image(job)) for job in chunk]
            maps = network.activations(stacked(pictures, rows).to(network.device), {layer})[layer]
            for row, job in enumerate(chunk):
                values = maps[row, feature_of(job.target)[1]].cpu()  # [rows, cols]
                score, place = values.flatten().max(0)
                found[job] = divmod(int(place), values.shape[1]), rounded(finite(score.item()) or 0.0)
    return found


def _winners(wanted: Mapping[str, Sequence[int]], tops: Mapping[str, TopK], size: int) -> dict[int, list[Winner]]:
    """All pictures that are kept, by their number; one that does not excite a feature at all is not among its own."""
    found: dict[int, list[Winner]] = defaultdict(list)
    for layer, features in wanted.items():
        top, (_, cols) = tops[layer], layers.grid(layer, (size, size))
        for at, rank in (top.scores > 0).nonzero().tolist():
            neuron = divmod(int(top.places[at, rank]), cols)
            score = rounded(float(top.scores[at, rank]))
            found[int(top.pictures[at, rank])].append(((layer, features[at]), rank, neuron, score))
    return found


def _cut(
    context: MeasureContext, source: PictureSource, winners: Mapping[int, Sequence[Winner]], watcher: Watcher
) -> dict[Feature, tuple[Crop, ...]]:
    """Cut all crops, opening each picture once; by feature, in the order of rank. One that is gone is left out."""
    folder = examples_folder(context.config.store, context.results.weights)
    size, hashes = context.config.study(Settings).size, sorted(source.pictures)
    found: dict[Feature, dict[int, Crop]] = defaultdict(dict)
    for picture in sorted(winners):
        try:
            square = square_of(source.open(hashes[picture]), size)
        except ConfigError as error:
            watcher.skips(str(error))
            continue
        for feature, rank, neuron, score in winners[picture]:
            box = field_in(*feature, neuron, size)
            image = _crop(square, box)
            found[feature][rank] = Crop(hashes[picture], neuron, score, box, write_crop(folder, image), image.size)
    return {feature: tuple(crops[rank] for rank in sorted(crops)) for feature, crops in found.items()}


def _crop(square: Image.Image, box: Box) -> Image.Image:
    top, left, bottom, right = box
    image = square.crop((left, top, right, bottom))
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image
