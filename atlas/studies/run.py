"""Measures what studies ask for: the results whose renderings are all there and that are not up to date."""

from collections.abc import Callable, Iterator
from typing import Any

from atlas import studies
from atlas.plan.config import Config
from atlas.rendering.memory import is_out_of_memory
from atlas.rendering.renderer import Renderer
from atlas.store.results import Results, ResultSpec
from atlas.studies.shared.context import MeasureContext, Measurement


def measurements(config: Config) -> Iterator[Measurement]:
    """Everything that a configuration wants measured, study by study."""
    for study in studies.STUDIES:
        if ask := study.find("measure", "measurements"):
            yield from ask(config)


def run_studies(
    config: Config, renderer: Renderer, on_progress: Callable[[str], None], *, naming: bool = False
) -> list[str]:
    """Measure what can be measured and is not up to date; if memory runs out for one result, the others go on.

    Args:
        config: what is wanted.
        renderer: of the weights with which everything was rendered.
        on_progress: called with the name of each result before it is measured.
        naming: measure only results that name features, before the others, which may be of those features.

    Returns:
        The names of the results for which there was not enough memory; the next run tries them again.

    Raises:
        StoreError: a result cannot be written.
    """
    results = Results(config, renderer.weights.id)
    context = MeasureContext(results, renderer)
    failed = []
    for wanted in measurements(config):
        if naming and not wanted.names_features:
            continue
        if not _is_due(results, wanted.spec) or any(_is_due(results, spec) for spec in wanted.after):
            continue
        on_progress(wanted.spec.name)
        try:
            found = wanted.measure(context)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed.append(wanted.spec.name)
        else:
            results.write(wanted.spec, found)
    return failed


def _is_due(results: Results, spec: ResultSpec[Any]) -> bool:
    """Whether a result is wanted and is not up to date."""
    return results.digest(spec) is not None and results.read(spec) is None
