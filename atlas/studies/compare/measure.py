"""Similarity of a feature's pictures by different recipes: structural similarity and correlation.

The article finds that raw and octave pictures are "somewhat different, but the qualitative patterns more or less
unchanged". Pictures of different features are compared in the same way, which shows what the numbers are if nothing is
shared. Pictures that were not raised are left out: two of noise are alike, whatever the features.
"""

from collections.abc import Iterator
from functools import partial

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.studies.compare.jobs import comparisons, raw_pairs
from atlas.studies.compare.result import COMPARE, Compare, Compared, ComparedTarget, RawFeature, RawLayer, raw_spec
from atlas.studies.shared.context import MeasureContext, Measurement
from atlas.studies.shared.image_metrics import likeness, likenesses


def measurements(config: Config) -> Iterator[Measurement]:
    """The listed features by every recipe, and the raw pictures of each layer."""
    yield Measurement(COMPARE, measure_compare)
    for layer in config.layers:
        yield Measurement(raw_spec(layer), partial(measure_raw, layer=layer))


def measure_compare(context: MeasureContext) -> Compare:
    """Compare the listed features' pictures with those by the last recipe."""
    listed = comparisons(context.config)
    bases = [context.raised_picture(row[-1]) for row in listed]
    found = []
    for at, (*others, base) in enumerate(listed):
        recipes = [Compared(job.recipe.name, *likenesses(context.raised_picture(job), bases, at)) for job in others]
        found.append(ComparedTarget(str(base.target), tuple(recipes)))
    return Compare(tuple(found))


def measure_raw(context: MeasureContext, layer: str) -> RawLayer:
    """Compare raw pictures of a layer with the features' own, where the store has both and both were raised."""
    raised = set(context.raised(raw_spec(layer)))
    pairs = {pair.own: pair for pair in raw_pairs(context.config, layer) if {pair.own, pair.raw} <= raised}

    def measure(own: Job) -> RawFeature:
        return RawFeature(pairs[own].feature, likeness(context.picture(own), context.picture(pairs[own].raw)))

    return RawLayer(tuple(context.for_each(pairs, measure)))
