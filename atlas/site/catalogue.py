"""What the atlas shows: configuration and store → `Atlas`, the planned features and what the store has of each."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from atlas.errors import StoreError
from atlas.plan import layers
from atlas.plan.config import BUILT_IN_WEIGHTS, Config
from atlas.plan.jobs import Job, feature_jobs
from atlas.plan.layers import Layer, Region
from atlas.plan.recipes import Recipe
from atlas.store.masters import find_record, master_path, read_record
from atlas.store.records import STATUSES, Record, WeightsId
from atlas.store.weights_ids import WEIGHTS_SUFFIXES, weights_name

PENDING = "pending"  # planned, and not in the store
NONE_SPOILT: Mapping[Path, str] = MappingProxyType({})

Statuses = tuple[tuple[str, int], ...]  # status and number of features


@dataclass(frozen=True)
class Feature:
    """A planned feature and what the store has of it."""

    layer: str
    number: int
    job: Job
    record: Record | None = None  # None: pending
    master: Path | None = None  # of the record
    damage: str = ""  # what is wrong with its master, where that cannot be read

    @property
    def status(self) -> str:
        """The record's status, or "pending"."""
        return self.record.status if self.record else PENDING

    @property
    def folder(self) -> str:
        """Where its files lie in the site; never changes."""
        return f"{self.layer}/{self.number}"

    @property
    def page(self) -> str:
        """Path of its page in the site."""
        return f"{self.folder}/index.html"


@dataclass(frozen=True)
class LayerEntry:
    """A layer of the network and the features of it that are planned; none if the configuration leaves it out."""

    layer: Layer
    features: tuple[Feature, ...]

    @property
    def page(self) -> str:
        """Path of the first page of its features."""
        return f"{self.layer.name}/index.html"

    @property
    def shown(self) -> tuple[Feature, ...]:
        """The features that the store has."""
        return tuple(feature for feature in self.features if feature.record)

    @property
    def statuses(self) -> Statuses:
        """How many features have each status, those with none left out."""
        return _count(self.features)


@dataclass(frozen=True)
class RegionEntry:
    """A region and its layers, in the network's order."""

    region: Region
    layers: tuple[LayerEntry, ...]

    @property
    def planned(self) -> tuple[LayerEntry, ...]:
        """The layers that have features here."""
        return tuple(entry for entry in self.layers if entry.features)

    @property
    def page(self) -> str:
        """Path of its page in the site."""
        return f"region/{self.region.slug}/index.html"


@dataclass(frozen=True)
class Atlas:
    """Everything that pages are made of."""

    title: str
    base_url: str
    recipe: Recipe
    weights: WeightsId | None  # None: nothing is rendered with them yet
    weights_name: str
    weights_option: str  # what `--weights` takes: a built-in name, or a file's name
    regions: tuple[RegionEntry, ...]

    @property
    def layers(self) -> tuple[LayerEntry, ...]:
        """All 16 layers."""
        return tuple(entry for region in self.regions for entry in region.layers)

    @property
    def features(self) -> tuple[Feature, ...]:
        """All planned features, in the network's order."""
        return tuple(feature for entry in self.layers for feature in entry.features)

    @property
    def statuses(self) -> Statuses:
        """How many features have each status, those with none left out."""
        return _count(self.features)

    @property
    def damaged(self) -> tuple[str, ...]:
        """One message for each master that cannot be read."""
        return tuple(feature.damage for feature in self.features if feature.damage)


def gather_atlas(config: Config, weights: WeightsId | None, spoilt: Mapping[Path, str] = NONE_SPOILT) -> Atlas:
    """Look every planned feature up in the store.

    Args:
        config: which features, by which recipe, and where the store is.
        weights: with which weights; None if nothing is rendered with them yet.
        spoilt: masters whose pixels turned out to be damaged, and what is wrong with them.
    """
    by_layer: dict[str, list[Feature]] = {}
    for job in feature_jobs(config):
        feature = _find(config, weights, job, spoilt)
        by_layer.setdefault(feature.layer, []).append(feature)
    regions = []
    for region in layers.REGIONS:
        entries = (LayerEntry(layers.get_layer(name), tuple(by_layer.get(name, ()))) for name in region.layers)
        regions.append(RegionEntry(region, tuple(entries)))
    return Atlas(
        title=config.title,
        base_url=config.base_url,
        recipe=config.get_recipe(config.recipe),
        weights=weights,
        weights_name=weights.name if weights else weights_name(config.weights),
        weights_option=_option(config.weights, weights),
        regions=tuple(regions),
    )


def _count(features: Iterable[Feature]) -> Statuses:
    counts = Counter(feature.status for feature in features)
    return tuple((status, counts[status]) for status in (*STATUSES, PENDING) if counts[status])


def _find(config: Config, weights: WeightsId | None, job: Job, spoilt: Mapping[Path, str]) -> Feature:
    term = job.target.terms[0]
    assert term.feature is not None  # feature_jobs names one feature each
    feature = Feature(term.layer, term.feature, job)
    if weights is None:
        return feature
    path = master_path(config.store, weights, job)
    if path in spoilt:
        return replace(feature, damage=spoilt[path])
    record = find_record(path, job, weights.sha256)
    if record is None:
        return replace(feature, damage=_damage(path))
    return replace(feature, record=record, master=path)


def _damage(path: Path) -> str:
    """What is wrong with a master that is not fresh; nothing if it is missing or of another provenance."""
    if path.exists():
        try:
            read_record(path)
        except StoreError as error:
            return str(error)
    return ""


def _option(configured: str, weights: WeightsId | None) -> str:
    """What a reader gives to `--weights`; of a file only the name, since its folder is this machine's."""
    if configured in BUILT_IN_WEIGHTS:
        return configured
    is_file = Path(configured).suffix in WEIGHTS_SUFFIXES
    return Path(configured).name if is_file or weights is None else weights.name
