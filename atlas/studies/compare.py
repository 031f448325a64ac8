"""Recipes held against each other: structural similarity and correlation of a feature's pictures.

The article finds raw and octave pictures "somewhat different, but the qualitative patterns more or less unchanged";
pictures of different features, held against each other likewise, show what the numbers are where nothing is shared.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from atlas.cores import count_cores
from atlas.findings.compare import Compare, Compared, ComparedTarget, RawFeature, RawLayer, raw_topic
from atlas.plan.wanted.compare import RawPair, comparisons, raw_pairs
from atlas.studies.desk import Desk
from atlas.studies.looks import kept, likeness
from atlas.studies.measures import Array


def measure_compare(desk: Desk) -> Compare:
    """Hold the listed features' pictures against those by the last recipe.

    Raises:
        StoreError: a master is missing or damaged.
    """
    listed = comparisons(desk.source.config)
    bases = [desk.picture(comparison.jobs[-1]) for comparison in listed]
    found = []
    for at, comparison in enumerate(listed):
        jobs = comparison.jobs[:-1]
        recipes = (_compared(job.recipe.name, desk.picture(job), bases, at) for job in jobs)
        found.append(ComparedTarget(str(comparison.target), tuple(recipes)))
    return Compare(tuple(found))


def measure_raw(desk: Desk, layer: str) -> RawLayer:
    """Hold raw pictures of a layer against the features' own, where the store has both.

    Raises:
        StoreError: a master is damaged.
    """
    there = set(desk.source.jobs(raw_topic(layer)) or ())
    pairs = [pair for pair in raw_pairs(desk.source.config, layer) if {pair.own, pair.raw} <= there]

    def measure(pair: RawPair) -> RawFeature:
        return RawFeature(pair.feature, kept(likeness(desk.picture(pair.own), desk.picture(pair.raw))))

    with ThreadPoolExecutor(count_cores()) as pool:
        return RawLayer(tuple(pool.map(measure, pairs)))


def _compared(recipe: str, picture: Array, bases: Sequence[Array], at: int) -> Compared:
    to_bases = [kept(likeness(picture, base)) for base in bases]
    return Compared(recipe, to_bases[at], tuple(to_bases[:at] + to_bases[at + 1 :]))
