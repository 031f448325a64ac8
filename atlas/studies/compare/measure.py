"""Recipes held against each other: structural similarity and correlation of a feature's pictures.

The article finds raw and octave pictures "somewhat different, but the qualitative patterns more or less unchanged";
pictures of different features, held against each other likewise, show what the numbers are where nothing is shared.
Pictures that were not raised are left out: two of noise are alike, whatever the features.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from atlas.common.cores import count_cores
from atlas.plan.jobs import Job
from atlas.studies.compare.jobs import RawPair, comparisons, raw_pairs
from atlas.studies.compare.result import Compare, Compared, ComparedTarget, RawFeature, RawLayer, raw_topic
from atlas.studies.shared.context import Desk
from atlas.studies.shared.image_metrics import kept, likeness
from atlas.studies.shared.maps import Array


def measure_compare(desk: Desk) -> Compare:
    """Hold the listed features' pictures against those by the last recipe.

    Raises:
        StoreError: a master is missing or damaged.
    """
    listed = comparisons(desk.source.config)
    bases = [_raised_picture(desk, comparison.jobs[-1]) for comparison in listed]
    found = []
    for at, comparison in enumerate(listed):
        jobs = comparison.jobs[:-1]
        recipes = (_compared(job.recipe.name, _raised_picture(desk, job), bases, at) for job in jobs)
        found.append(ComparedTarget(str(comparison.target), tuple(recipes)))
    return Compare(tuple(found))


def measure_raw(desk: Desk, layer: str) -> RawLayer:
    """Hold raw pictures of a layer against the features' own, where the store has both and both were raised.

    Raises:
        StoreError: a master is damaged.
    """
    raised = {job for job in desk.source.jobs(raw_topic(layer)) or () if desk.source.is_raised(job)}
    pairs = [pair for pair in raw_pairs(desk.source.config, layer) if {pair.own, pair.raw} <= raised]

    def measure(pair: RawPair) -> RawFeature:
        return RawFeature(pair.feature, kept(likeness(desk.picture(pair.own), desk.picture(pair.raw))))

    with ThreadPoolExecutor(count_cores()) as pool:
        return RawLayer(tuple(pool.map(measure, pairs)))


def _raised_picture(desk: Desk, job: Job) -> Array | None:
    return desk.picture(job) if desk.source.is_raised(job) else None


def _compared(recipe: str, picture: Array | None, bases: Sequence[Array | None], at: int) -> Compared:
    if picture is None or bases[at] is None:
        return Compared(recipe, None, ())
    to_bases = [None if base is None else kept(likeness(picture, base)) for base in bases]
    others = (one for number, one in enumerate(to_bases) if number != at and one)
    return Compared(recipe, to_bases[at], tuple(others))
