"""The maximally activating crops of each rendered feature, out of many pictures, and its renderings among these.

A score is the activation of the strongest single neuron, of a crop and of a rendering alike: a mean over the map would
count what surrounds the crop.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from atlas.common.errors import ConfigError, StoreError
from atlas.inception import layers
from atlas.inception.architecture import Size
from atlas.inception.layers import receptive_field
from atlas.inception.targets import feature_target
from atlas.plan.config import Config
from atlas.plan.jobs import Job, map_jobs
from atlas.rendering.memory import is_out_of_memory
from atlas.store.crops import CROPS, LARGEST, examples_folder, remove_crops
from atlas.store.picture_files import COLOURS
from atlas.store.records import finite
from atlas.store.results import Results, digest, rounded, write_result
from atlas.studies.compare.jobs import jobs_beside
from atlas.studies.examples.chosen import (
    Chosen,
    Feature,
    Field,
    Place,
    as_rows,
    choose,
    field_of,
    open_chosen,
    strongest,
)
from atlas.studies.examples.distribution import Scores, histogram, level_ranks, quantiles, share_limits
from atlas.studies.examples.path import Means, Paths, RandomCrops, WindowMeans
from atlas.studies.examples.pictures import PictureSource
from atlas.studies.examples.result import (
    KEPT,
    PATH_CROPS,
    VERSION,
    Examples,
    FeatureExamples,
    Placed,
    crop_files,
    examples_path,
    folder_digest,
    read_examples,
)
from atlas.studies.examples.scan import Watcher, scan_pictures
from atlas.studies.examples.settings import Settings
from atlas.studies.shared.context import MeasureContext, in_fewer_rows, stacked
from atlas.studies.shared.places import feature_of

ROWS = {"cpu": 8, "cuda": 64, "mps": 16}  # pictures that run through the network together

LEAST_RANDOM = 20  # random crops, without which a share of 95 % cannot be told


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
    faces = {job: pixels for job in map_jobs(config) if (pixels := now.pixels(job))}
    rendered = faces | {job: pixels for job in _others(faces, config) if (pixels := now.pixels(job))}
    if not faces:
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
        found = in_fewer_rows(rows, lambda rows: scan_renderings(context, source, rendered, watcher, rows))
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ConfigError("out of memory with one picture at a time: say a smaller --size") from None
        raise
    write_result(path, found, inputs)
    remove_crops(path.parent, crop_files(found.features))
    return FoundExamples(path, found, was_fresh=False)


def _others(faces: Iterable[Job], config: Config) -> Iterator[Job]:
    """The features that are there by other recipes, which their pages show beside their own."""
    features = {job.target for job in faces}
    for layer in config.map_layers:
        for number, jobs in jobs_beside(config, layer).items():
            if feature_target(layer, number) in features:
                yield from jobs


def _inputs(context: MeasureContext, source: PictureSource, rendered: Mapping[Job, str]) -> str:
    """Digest of all that the examples depend on, whatever the order of the pictures."""
    size = context.config.study(Settings).size
    pictures = sorted(source.pictures)
    features = (part for job, pixels in rendered.items() for part in (job.path, pixels))
    colours = [COLOURS] if source.folder else []  # how a person's files are read
    return digest([VERSION, KEPT, LARGEST, _folder(context, source), size, *pictures, *features, *colours])


def _folder(context: MeasureContext, source: PictureSource) -> str | None:
    return folder_digest(context.config.store, source.folder) if source.folder else None


def scan_renderings(
    context: MeasureContext, source: PictureSource, rendered: Mapping[Job, str], watcher: Watcher, rows: int
) -> Examples:
    """The top crops of features, and their renderings among the pictures.

    Args:
        context: the store and the network.
        source: the pictures.
        rendered: renderings of whole features and the SHA-256 of their pixels; of each feature its own first.
        watcher: told of progress, and of each picture that cannot be read.
        rows: pictures that run through the network together.

    Raises:
        ConfigError: no picture can be read.
        StoreError: a master is damaged, or a crop cannot be written.
    """
    size = context.config.study(Settings).size
    folder = examples_folder(context.config.store, context.results.weights)
    jobs: dict[Feature, list[Job]] = defaultdict(list)  # a feature's own first
    for job in rendered:
        jobs[feature_of(job.target)].append(job)
    wanted: dict[str, list[int]] = defaultdict(list)
    for layer, feature in jobs:
        wanted[layer].append(feature)
    with context.float32(rows), torch.inference_mode():
        network = context.renderer.network("fp32", "trained")
        scan = scan_pictures(network, source, wanted, size, rows, KEPT, watcher)
        if not scan.compared:
            raise ConfigError("no picture could be read; name a folder of pictures")
        choice = choose(wanted, scan, level_ranks(len(scan.compared)), size)
        fields = dict.fromkeys(field_of(*feature) for feature in jobs)
        chosen = open_chosen(network, source, choice, fields, size, rows, folder, watcher)
        own = _own_neurons(context, list(rendered), rows, watcher)
    scores = {
        (layer, feature): scan.scores[layer][at]
        for layer, features in wanted.items()
        for at, feature in enumerate(features)
    }
    random = {one: RandomCrops(one[0], as_rows(means.values())) for one, means in chosen.random.items()}

    def examples_of(feature: Feature, mine: Sequence[Job]) -> FeatureExamples:
        renderings = [_placed(job, rendered[job], own[job], scores[feature]) for job in mine]
        crops = chosen.crops.get(feature, {})
        paths = _paths(feature, [own[job].means for job in mine], chosen, random)
        if paths:
            shares, correlations = paths.shares(), paths.of_renderings()
            renderings = [
                replace(one, path=_numbers(correlations[at]), natural=rounded(float(shares[at])))
                for at, one in enumerate(renderings)
            ]
        return FeatureExamples(
            target=str(mine[0].target),
            renderings=tuple(renderings),
            crops=tuple(crops[rank] for rank in sorted(crops)),
            levels=tuple(sorted(chosen.levels.get(feature, ()), key=lambda one: -one.level)),
            quantiles=_numbers(quantiles(scores[feature])),
            counts=histogram(scores[feature]),
            crop_path=_numbers(paths.of_crops()) if paths else (),
            crop_natural=rounded(paths.crop_share()) if paths else None,
        )

    return Examples(
        version=VERSION,
        folder=_folder(context, source),
        size=size,
        seen=scan.seen,
        skipped=len(source.pictures) - scan.seen + source.unread,
        numerics=context.float32_numerics(rows),
        features=tuple(examples_of(feature, mine) for feature, mine in jobs.items()),
        compared=len(scan.compared),
        random=len(choice.random),
        input=context.results.weights.trained_input,
    )


def _paths(feature: Feature, own: Sequence[Means], chosen: Chosen, random: Mapping[Field, RandomCrops]) -> Paths | None:
    """The paths of a feature's renderings; None if too few pictures excite it, or are left as random crops."""
    tops, field = chosen.paths.get(feature, {}), field_of(*feature)
    pictures = {chosen.crops[feature][rank].picture for rank in tops}
    use = np.array([chosen.hashes[number] not in pictures for number in chosen.random[field]])
    if len(tops) < PATH_CROPS or use.sum() < LEAST_RANDOM:
        return None
    return random[field].paths(feature[1], as_rows(own), as_rows(tops.values()), use)


def _placed(job: Job, pixels: str, own: "_Own", scores: Scores) -> Placed:
    """A rendering among the pictures."""
    reached = int((scores >= own.score).sum())
    low, high = _numbers(share_limits(reached, len(scores)))
    return Placed(
        recipe=job.recipe.name,
        pixels=pixels,
        neuron=own.neuron,
        score=own.score,
        reached=reached,
        limits=(low, high),
    )


def _numbers(values: Iterable[float]) -> tuple[float, ...]:
    """Numbers as a result's file keeps them."""
    return tuple(rounded(float(value)) for value in values)


@dataclass(frozen=True)
class _Own:
    """The strongest neuron of a feature in a rendering, and the channel means over what it sees."""

    neuron: Place
    score: float
    means: Means


def _own_neurons(context: MeasureContext, jobs: Sequence[Job], rows: int, watcher: Watcher) -> dict[Job, _Own]:
    """What each rendering does to its feature; one forward pass of each, those of one size and layer together."""
    network = context.renderer.network("fp32", "trained")
    found: dict[Job, _Own] = {}
    groups: dict[tuple[str, Size], list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.target.deepest, job.sizes[-1]].append(job)
    chunks = [mine[at : at + rows] for mine in groups.values() for at in range(0, len(mine), rows)]
    watcher.progress("comparing renderings", 0, len(jobs))
    for chunk in chunks:
        layer = chunk[0].target.deepest
        pictures = [np.asarray(context.image(job)) for job in chunk]
        taps = [one.name for one in layers.layers_up_to(layer)]
        maps = network.activations(stacked(pictures, rows).to(network.device), taps)
        for row, job in enumerate(chunk):
            _, feature = feature_of(job.target)
            values = maps[layer][row, feature]  # [rows, cols]
            neuron = strongest(values)
            means = WindowMeans({name: some[row] for name, some in maps.items()})
            box = receptive_field(layer, feature).box(*neuron)
            found[job] = _Own(neuron, rounded(finite(values.max().item()) or 0.0), means.over(layer, box))
        watcher.progress("comparing renderings", len(found), len(jobs))
    return found
