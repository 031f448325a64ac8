"""Runs the studies of a configuration: those whose renderings are all there and whose finding is not fresh."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from atlas.plan.clips import config_clips
from atlas.plan.config import Config
from atlas.render.memory import is_out_of_memory
from atlas.render.renderer import Renderer
from atlas.store.results import Source, Topic
from atlas.studies.compare.measure import measure_compare, measure_raw
from atlas.studies.compare.result import COMPARE, raw_topic
from atlas.studies.connections.measure import measure_connections, measure_wiring
from atlas.studies.connections.result import connected_layers, connections_topic, wired_layers, wiring_topic
from atlas.studies.depth.measure import measure_depth, measure_layer_depth
from atlas.studies.depth.result import DEPTH, layer_depth_topic
from atlas.studies.fields.measure import measure_fields
from atlas.studies.fields.result import fields_topic
from atlas.studies.influence.measure import measure_clip, measure_influence
from atlas.studies.influence.result import INFLUENCE, clip_topic
from atlas.studies.interactions.measure import measure_interactions, measure_matrix
from atlas.studies.interactions.result import INTERACTIONS, matrix_topic
from atlas.studies.metrics.measure import measure_metrics
from atlas.studies.metrics.result import METRICS
from atlas.studies.nearest.measure import measure_described, measure_nearest
from atlas.studies.nearest.result import NEAREST, described_topic
from atlas.studies.neurons.measure import measure_neurons
from atlas.studies.neurons.result import NEURONS
from atlas.studies.palette.measure import measure_palette
from atlas.studies.palette.result import palette_topic
from atlas.studies.shared.context import Desk


@dataclass(frozen=True)
class Study:
    """A question and how it is answered."""

    topic: Topic[Any]
    measure: Callable[[Desk], object]
    after: tuple[Topic[Any], ...] = ()  # whose answers it gathers, all of them


def studies(config: Config) -> Iterator[Study]:
    """All that a configuration asks."""
    yield Study(NEURONS, measure_neurons)
    for layer in config.lists.fields.layers:
        yield Study(fields_topic(layer), partial(measure_fields, layer=layer))
    for clip in config_clips(config):
        if clip.stride == 1:
            yield Study(clip_topic(clip), partial(measure_clip, clip=clip))
    yield Study(INFLUENCE, measure_influence)
    for recipe in config.lists.palette.recipes:
        yield Study(palette_topic(recipe), partial(measure_palette, recipe=recipe))
    for layer in connected_layers(config):
        yield Study(connections_topic(layer), partial(measure_connections, layer=layer))
    for layer in wired_layers(config):
        yield Study(wiring_topic(layer), partial(measure_wiring, layer=layer))
    yield Study(COMPARE, measure_compare)
    for layer in config.layers:
        yield Study(raw_topic(layer), partial(measure_raw, layer=layer))
    yield Study(METRICS, measure_metrics)
    for layer in config.layers:
        yield Study(layer_depth_topic(layer), partial(measure_layer_depth, layer=layer))
    yield Study(DEPTH, measure_depth, after=tuple(map(layer_depth_topic, config.layers)))
    for layer in config.layers:
        yield Study(described_topic(layer), partial(measure_described, layer=layer))
    yield Study(NEAREST, measure_nearest, after=tuple(map(described_topic, config.layers)))
    yield Study(INTERACTIONS, measure_interactions)
    for layer in config.lists.interactions.layers:
        yield Study(matrix_topic(layer), partial(measure_matrix, layer=layer))


def run_studies(config: Config, renderer: Renderer, on_progress: Callable[[str], None]) -> list[str]:
    """Measure what can be measured and is not measured yet; where memory runs out for one study, the rest goes on.

    Args:
        config: what is asked.
        renderer: of the weights with which everything was rendered.
        on_progress: told the name of each study before it begins.

    Returns:
        The names of the studies for which there was not enough memory; the next run tries them again.

    Raises:
        StoreError: a finding cannot be written.
    """
    source = Source(config, renderer.weights.id)
    desk = Desk(source, renderer)
    failed = []
    for study in studies(config):
        if not _is_due(source, study.topic) or any(_is_due(source, topic) for topic in study.after):
            continue
        on_progress(study.topic.name)
        try:
            found = study.measure(desk)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed.append(study.topic.name)
        else:
            source.write(study.topic, found)
    return failed


def _is_due(source: Source, topic: Topic[Any]) -> bool:
    """Whether a question is asked whose answer is not there."""
    return source.digest(topic) is not None and source.read(topic) is None
