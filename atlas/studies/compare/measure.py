"""Recipes held against each other: structural similarity and correlation of a feature's pictures.

The article finds raw and octave pictures "somewhat different, but the qualitative patterns more or less unchanged";
pictures of different features, held against each other likewise, show what the numbers are where nothing is shared.
Pictures that were not raised are left out: two of noise are alike, whatever the features.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from atlas.common.cores import count_cores
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.compare.jobs import RawPair, comparisons, raw_pairs
from atlas.studies.compare.result import COMPARE, Compare, Compared, ComparedTarget, RawFeature, RawLayer, raw_spec
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.image_metrics import kept, likeness
from atlas.studies.shared.maps import Array


def measurements(config: Config) -> Iterator[Measurement]:
    """The listed features by every recipe, and the raw pictures of each layer."""
    yield Measurement(COMPARE, measure_compare)
    for layer in config.layers:
        yield Measurement(raw_spec(layer), partial(measure_raw, layer=layer))


def measure_compare(context: MeasureContext) -> Compare:
    """Hold the listed features' pictures against those by the last recipe.

    Raises:
        StoreError: a master is missing or damaged.
    """
    listed = comparisons(context.results.config)
    bases = [_raised_picture(context, comparison.jobs[-1]) for comparison in listed]
    found = []
    for at, comparison in enumerate(listed):
        jobs = comparison.jobs[:-1]
        recipes = (_compared(job.recipe.name, _raised_picture(context, job), bases, at) for job in jobs)
        found.append(ComparedTarget(str(comparison.target), tuple(recipes)))
    return Compare(tuple(found))


def measure_raw(context: MeasureContext, layer: str) -> RawLayer:
    """Hold raw pictures of a layer against the features' own, where the store has both and both were raised.

    Raises:
        StoreError: a master is damaged.
    """
    raised = {job for job in context.results.jobs(raw_spec(layer)) or () if context.results.is_raised(job)}
    pairs = [pair for pair in raw_pairs(context.results.config, layer) if {pair.own, pair.raw} <= raised]

    def measure(pair: RawPair) -> RawFeature:
        return RawFeature(pair.feature, kept(likeness(context.picture(pair.own), context.picture(pair.raw))))

    with ThreadPoolExecutor(count_cores()) as pool:
        return RawLayer(tuple(pool.map(measure, pairs)))


def _raised_picture(context: MeasureContext, job: Job) -> Array | None:
    return context.picture(job) if context.results.is_raised(job) else None


def _compared(recipe: str, picture: Array | None, bases: Sequence[Array | None], at: int) -> Compared:
    if picture is None or bases[at] is None:
        return Compared(recipe, None, ())
    to_bases = [None if base is None else kept(likeness(picture, base)) for base in bases]
    others = (one for number, one in enumerate(to_bases) if number != at and one)
    return Compared(recipe, to_bases[at], tuple(others))
