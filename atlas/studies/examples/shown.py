"""What a site shows of the store's examples: configuration, store and pictures as they are now → whole crops."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas.plan.config import Config
from atlas.store.crops import CROPS, examples_folder, has_crop
from atlas.store.records import WeightsId
from atlas.studies.examples.result import Examples, FeatureExamples, crop_files, examples_path, is_of, read_examples
from atlas.studies.examples.settings import Settings


@dataclass(frozen=True)
class ShownExamples:
    """The examples that enter a site."""

    found: Examples
    by_target: Mapping[str, FeatureExamples]  # of the pictures as they are now
    folder: Path  # of the crops in the store
    faults: tuple[str, ...]  # one message for each crop or feature that cannot be shown; the feature is left out

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all crops, sorted."""
        return tuple(sorted(crop_files(self.by_target.values())))


def shown_examples(
    config: Config, weights: WeightsId, pixels: Mapping[str, str], spoilt: Mapping[Path, str]
) -> ShownExamples | None:
    """Look up what the configuration wants shown.

    A feature is left out if its picture is another one by now, or if one of its crops is missing or damaged, or cannot
    be what the record says: the rest would not be the strongest. Crops of a folder are shown only by a configuration
    that names that folder.

    Args:
        config: whether crops are shown, and of which pictures.
        weights: whose features.
        pixels: SHA-256 of the pixels of each feature's picture, by target.
        spoilt: crops that turned out to be damaged, and what is wrong with them.

    Returns:
        None if nothing is to be shown, or nothing was looked for.
    """
    wanted = config.study(Settings)
    found = read_examples(config.store, weights) if wanted.show else None
    if found is None or not is_of(found, wanted, config.store):
        return None
    folder = examples_folder(config.store, weights) / CROPS
    fresh = [one for one in found.features if pixels.get(one.target) == one.pixels]
    faults = {name: why for name in sorted(crop_files(fresh)) if (why := _fault(folder, name, spoilt))}
    record = examples_path(config.store, weights)
    odd = {one.target: _odd(record, one) for one in fresh if not all(crop.is_sound for crop in one.crops)}
    whole = (one for one in fresh if one.target not in odd and not faults.keys() & crop_files([one]))
    by_target = {one.target: one for one in whole}
    return ShownExamples(found, by_target, folder, (*faults.values(), *odd.values()))


def _fault(folder: Path, name: str, spoilt: Mapping[Path, str]) -> str:
    path = folder / name
    return spoilt.get(path) or ("" if has_crop(folder, name) else f"{path}: missing; run atlas examples --force")


def _odd(record: Path, one: FeatureExamples) -> str:
    return f"{record}: damaged: no crop of {one.target} can have these numbers; run atlas examples --force"
