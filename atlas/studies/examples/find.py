"""The strongest crops of each rendered feature, out of many pictures, beside its own picture (needs the network).

What counts is the strongest single neuron, of a crop and of the feature's own picture alike: a mean over the map would
count what surrounds the crop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from atlas.common.errors import ConfigError
from atlas.inception import layers
from atlas.inception.layers import receptive_field
from atlas.plan.jobs import Job, feature_jobs
from atlas.render import numerics as arithmetic
from atlas.render.memory import is_out_of_memory, may_be_out_of_memory
from atlas.store.crops import CROPS, LARGEST, examples_folder, remove_crops, write_crop
from atlas.store.masters import find_record, master_path, open_master
from atlas.store.picture_files import COLOURS
from atlas.store.records import Record
from atlas.store.result_files import digest, rounded
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
    write_examples,
)
from atlas.studies.examples.scan import Scan, Wanted, Watcher, scan_pictures, stacked
from atlas.studies.examples.settings import Settings
from atlas.studies.examples.top_k import NO_PICTURE
from atlas.studies.shared.context import MeasureContext

ROWS = {"cpu": 8, "cuda": 64, "mps": 16}  # pictures that run through the network together

Box = tuple[int, int, int, int]
Place = tuple[int, int]  # (row, col)
Feature = tuple[str, int]  # layer and number


@dataclass(frozen=True)
class FoundExamples:
    """What became of a run."""

    path: Path  # of the record
    found: Examples
    was_fresh: bool


def find_examples(
    context: MeasureContext, source: PictureSource, watcher: Watcher, *, rows: int | None = None, force: bool = False
) -> FoundExamples:
    """Keep the strongest crops of every rendered feature of a configuration, unless they are fresh.

    Args:
        context: the store, and a renderer with its weights.
        source: the pictures.
        watcher: told of progress, and of each picture that cannot be read.
        rows: pictures that run through the network together, fewer where memory runs out; None: the table's.
        force: look again even if nothing changed.

    Raises:
        ConfigError: nothing is rendered, no picture can be read, or memory runs out.
        StoreError: a master is damaged, or something cannot be written.
    """
    config, weights = context.results.config, context.results.weights
    rendered = _rendered(context)
    if not rendered:
        raise ConfigError(
            f"{config.store} has no rendering of the configuration's features by recipe {config.recipe} with weights "
            f"{weights.name}: render first, with atlas render or atlas build"
        )
    path, inputs = examples_path(config.store, weights), _inputs(context, source, rendered)
    fresh = None if force else read_examples(config.store, weights, inputs)
    if fresh and _has_all_crops(path.parent, fresh):
        return FoundExamples(path, fresh, was_fresh=True)
    rows = rows or ROWS[context.renderer.device.type]
    found = None
    while found is None:
        try:
            found = _look(context, source, rendered, watcher, rows)
        except (RuntimeError, MemoryError) as error:
            if not may_be_out_of_memory(error) or (rows == 1 and not is_out_of_memory(error)):
                raise
            if rows == 1:
                raise ConfigError("out of memory with one picture at a time: say a smaller --size") from None
            rows //= 2
    write_examples(config.store, weights, found, inputs)
    remove_crops(path.parent, crop_files(found.features))
    return FoundExamples(path, found, was_fresh=False)


def field_in(layer: str, feature: int, neuron: Place, size: int) -> Box:
    """The theoretical receptive field of a neuron inside a square picture: (top, left, bottom, right) in pixels."""
    top, left, bottom, right = receptive_field(layer, feature).box(*neuron)
    return max(0, math.floor(top)), max(0, math.floor(left)), min(size, math.ceil(bottom)), min(size, math.ceil(right))


def _rendered(context: MeasureContext) -> dict[Job, Record]:
    """The features of the configuration that the store has a rendering of, in the network's order."""
    config, weights = context.results.config, context.results.weights
    records = (
        (job, find_record(master_path(config.store, weights, job), job, weights)) for job in feature_jobs(config)
    )
    return {job: record for job, record in records if record}


def _inputs(context: MeasureContext, source: PictureSource, rendered: dict[Job, Record]) -> str:
    """Digest of all that the examples depend on, whatever the order of the pictures."""
    size = context.results.config.study(Settings).size
    features = (part for job, record in rendered.items() for part in (job.path, record.pixels_sha256))
    colours = [COLOURS] if source.folder else []  # how a person's files are read
    return digest([VERSION, KEPT, LARGEST, _folder(context, source), size, *sorted(source.hashes), *features, *colours])


def _folder(context: MeasureContext, source: PictureSource) -> str | None:
    return folder_digest(context.results.config.store, source.folder) if source.folder else None


def _has_all_crops(folder: Path, found: Examples) -> bool:
    return all((folder / CROPS / name).is_file() for name in crop_files(found.features))


def _look(
    context: MeasureContext, source: PictureSource, rendered: dict[Job, Record], watcher: Watcher, rows: int
) -> Examples:
    size = context.results.config.study(Settings).size
    numerics = replace(arithmetic.in_float32(context.renderer.numerics), batch_size=rows)
    wanted = [
        Wanted(layer, tuple(_feature(job)[1] for job in jobs))
        for layer, jobs in groupby(rendered, lambda job: _feature(job)[0])
    ]
    with arithmetic.applied(numerics), torch.inference_mode():
        scan = scan_pictures(context.renderer.network("fp32", "trained"), source, wanted, size, rows, KEPT, watcher)
        if not scan.seen:
            raise ConfigError("no picture could be read, so there is nothing to look at; name a folder of pictures")
        own = _own_peaks(context, list(rendered), rows)
    crops = _cut(context, source, _winners(wanted, scan, size), watcher)
    features = (
        FeatureExamples(str(job.target), record.pixels_sha256, *own[job], crops.get(_feature(job), ()))
        for job, record in rendered.items()
    )
    seen, skipped = scan.seen, len(source.hashes) - scan.seen + source.unread
    given = context.results.weights.trained_input
    return Examples(VERSION, _folder(context, source), size, seen, skipped, numerics, tuple(features), given)


def _own_peaks(context: MeasureContext, jobs: Sequence[Job], rows: int) -> dict[Job, tuple[Place, float]]:
    """The strongest neuron of each feature in its own picture, and its activation."""
    store, weights = context.results.config.store, context.results.weights
    network = context.renderer.network("fp32", "trained")
    found = {}
    for layer, members in groupby(jobs, lambda job: _feature(job)[0]):
        mine = list(members)
        for at in range(0, len(mine), rows):
            chunk = mine[at : at + rows]
            pictures = [np.asarray(open_master(master_path(store, weights, job))[0]) for job in chunk]
            maps = network.activations(stacked(pictures, rows).to(network.device), {layer})[layer]
            for row, job in enumerate(chunk):
                values = maps[row, _feature(job)[1]].cpu()  # [rows, cols]
                score, place = values.flatten().max(0)
                found[job] = divmod(int(place), values.shape[1]), rounded(score.item()) or 0.0
    return found


@dataclass(frozen=True)
class _Winner:
    """A picture among the strongest of a feature."""

    picture: int  # its rank among all hashes
    feature: Feature
    rank: int  # among the feature's
    neuron: Place
    score: float


def _winners(wanted: Sequence[Wanted], scan: Scan, size: int) -> list[_Winner]:
    """All pictures that are kept, by picture; one that does not excite a feature at all is not among its own."""
    found = []
    for one in wanted:
        strongest, (_, cols) = scan.strongest[one.layer], layers.grid(one.layer, (size, size))
        parts = (part.tolist() for part in (strongest.pictures, strongest.places, strongest.scores))
        for feature, pictures, places, scores in zip(one.features, *parts, strict=True):
            for rank, (picture, place, score) in enumerate(zip(pictures, places, scores, strict=True)):
                if picture != NO_PICTURE and score > 0:
                    found.append(_Winner(picture, (one.layer, feature), rank, divmod(place, cols), score))
    return sorted(found, key=lambda winner: (winner.picture, winner.feature))


def _cut(
    context: MeasureContext, source: PictureSource, winners: Sequence[_Winner], watcher: Watcher
) -> dict[Feature, tuple[Crop, ...]]:
    """Cut all crops, opening each picture once; by feature, the strongest first. One that is gone is left out."""
    folder = examples_folder(context.results.config.store, context.results.weights)
    size, numbered = context.results.config.study(Settings).size, sorted(source.hashes)
    found: dict[Feature, dict[int, Crop]] = {}
    for picture, members in groupby(winners, lambda winner: winner.picture):
        try:
            square = square_of(source.open(numbered[picture]), size)
        except ConfigError as error:
            watcher.skips(str(error))
            continue
        for winner in members:
            box = field_in(*winner.feature, winner.neuron, size)
            image = _crop(square, box)
            crop = Crop(
                picture=numbered[picture],
                neuron=winner.neuron,
                score=rounded(winner.score) or 0.0,
                box=box,
                file=write_crop(folder, image),
                size=image.size,
            )
            found.setdefault(winner.feature, {})[winner.rank] = crop
    return {feature: tuple(crops[rank] for rank in sorted(crops)) for feature, crops in found.items()}


def _crop(square: Image.Image, box: Box) -> Image.Image:
    top, left, bottom, right = box
    image = square.crop((left, top, right, bottom))
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image


def _feature(job: Job) -> Feature:
    term = job.target.terms[0]
    assert term.feature is not None  # feature_jobs names one feature each
    return term.layer, term.feature
