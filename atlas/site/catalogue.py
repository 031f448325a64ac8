"""What the atlas shows: configuration and store → `Atlas`, the planned features and what the store has of each."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from atlas import studies
from atlas.common.errors import StoreError
from atlas.inception import layers
from atlas.inception.layers import Layer, Region
from atlas.plan.clips import Clip
from atlas.plan.config import BUILT_IN_WEIGHTS, Config
from atlas.plan.jobs import Job, feature_jobs
from atlas.plan.recipes import Recipe
from atlas.store.clips import ClipRecord, clip_folder, find_clip
from atlas.store.masters import find_record, master_path, read_record
from atlas.store.photos import photo_path
from atlas.store.records import STATUSES, Record, WeightsId
from atlas.store.results import Results, ResultSpec, result_path
from atlas.store.stages import find_stages
from atlas.store.weights_ids import WEIGHTS_SUFFIXES, weights_name
from atlas.studies.dead.rescues import Rescue, rescues
from atlas.studies.examples.shown import ShownExamples, shown_examples
from atlas.studies.raster.jobs import config_clips

PENDING = "pending"  # planned, and not in the store
NONE_SPOILT: Mapping[Path, str] = MappingProxyType({})

Shown = TypeVar("Shown", bound="Exhibit")
Found = TypeVar("Found")
Tints = Mapping[str, tuple[str, ...]]  # folder of a feature → names of the strong colours of its picture
Statuses = tuple[tuple[str, int], ...]  # status and number of features


@dataclass(frozen=True)
class Exhibit:
    """A planned rendering and what the store has of it."""

    job: Job
    folder: str  # where its files lie in the site; never changes
    record: Record | None = None  # None: pending
    master: Path | None = None  # of the record
    stages: Path | None = None  # the strip of its octaves, where the store has one of this very picture
    photo: Path | None = None  # in the store: what it starts from, if that is a photograph and is there
    damage: str = ""  # what is wrong with its master or its photograph, where that cannot be read

    @property
    def status(self) -> str:
        """The record's status, or "pending"."""
        return self.record.status if self.record else PENDING


@dataclass(frozen=True)
class Feature(Exhibit):
    """A planned feature, which has a page of its own."""

    rescued: Exhibit | None = None  # the rendering that shows it where its own shows nothing, if there is one

    @property
    def face(self) -> Exhibit:
        """The rendering that stands for it among others."""
        return self.rescued or self

    @property
    def layer(self) -> str:
        """Name of its layer."""
        return self.job.target.terms[0].layer

    @property
    def number(self) -> int:
        """Its number in the layer, from 0."""
        number = self.job.target.terms[0].feature
        assert number is not None  # feature_jobs names one feature each
        return number

    @property
    def page(self) -> str:
        """Path of its page in the site."""
        return f"{self.folder}/index.html"


@dataclass(frozen=True)
class Video:
    """A planned video and what the store has of it."""

    clip: Clip
    record: ClipRecord | None = None  # None: pending
    files: Path | None = None  # the record's folder in the store

    @property
    def folder(self) -> str:
        """Where its files lie in the site: in its feature's folder."""
        return f"{self.clip.layer}/{self.clip.feature}"


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

    config: Config
    title: str
    base_url: str
    recipe: Recipe
    weights: WeightsId | None  # None: nothing is rendered with them yet
    weights_name: str
    weights_option: str  # what `--weights` takes: a built-in name, or a file's name
    regions: tuple[RegionEntry, ...]
    exhibits: Mapping[Job, Exhibit]  # what pages show beside the features; a job that is a feature's is that feature
    results: Results | None  # of findings; None: nothing is rendered yet
    videos: tuple[Video, ...]
    examples: ShownExamples | None  # None: none are to be shown
    tints: Tints  # measured on web copies, so known when those are made
    misfits: frozenset[str] = frozenset()  # names of findings that no page can be made of

    @cached_property
    def layers(self) -> tuple[LayerEntry, ...]:
        """All 16 layers."""
        return tuple(entry for region in self.regions for entry in region.layers)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """All planned features, in the network's order."""
        return tuple(feature for entry in self.layers for feature in entry.features)

    @cached_property
    def statuses(self) -> Statuses:
        """How many features have each status, those with none left out."""
        return _count(self.features)

    def result(self, spec: ResultSpec[Found]) -> Found | None:
        """What a study found, if that is there and fresh, and fits."""
        return self.results.read(spec) if self.results and spec.name not in self.misfits else None

    @property
    def damaged(self) -> tuple[str, ...]:
        """One message for each master or crop that cannot be read, and for each finding that does not fit."""
        masters = (shown.damage for shown in self.shown_or_pending if shown.damage)
        return (
            *masters,
            *(self.examples.faults if self.examples else ()),
            *(self.results.damaged.values() if self.results else ()),
            *map(self._misfit, sorted(self.misfits)),
        )

    def _misfit(self, name: str) -> str:
        assert self.weights  # of which it is a finding
        path = result_path(self.config.store, self.weights, name)
        return (
            f"{path}: damaged: no page can be made of it, so it is not shown; remove it, and atlas build makes it anew"
        )

    @cached_property
    def shown_or_pending(self) -> tuple[Exhibit, ...]:
        """Features, and then the other exhibits."""
        others = (shown for shown in self.exhibits.values() if not isinstance(shown, Feature))
        return (*self.features, *others)

    @cached_property
    def rescues(self) -> tuple[Rescue, ...]:
        """Features without a gradient, or not raised, that are rendered once more."""
        return rescues(self.config, _dead(self.features))

    def video_of(self, feature: Feature) -> Video | None:
        """The video of a feature, if the store has one that is planned."""
        return next((video for video in self.videos if video.record and video.folder == feature.folder), None)


def gather_atlas(config: Config, weights: WeightsId | None, spoilt: Mapping[Path, str] = NONE_SPOILT) -> Atlas:
    """Look everything that pages show up in the store.

    Args:
        config: which features, by which recipe, and where the store is.
        weights: with which weights; None if nothing is rendered with them yet.
        spoilt: masters, photographs and crops whose pixels turned out to be damaged, and what is wrong with them.
    """
    weights = replace(weights, input=weights.trained_input) if weights else None  # said or not, it makes the same pages
    known: dict[Job, Feature] = {}
    for job in feature_jobs(config):
        term = job.target.terms[0]
        known[job] = _find(Feature(job, f"{term.layer}/{term.feature}"), config, weights, spoilt)
    exhibits: dict[Job, Exhibit] = {}
    for rescue in rescues(config, _dead(known.values())):
        rescued = _find(Exhibit(rescue.rescued, exhibit_folder(rescue.rescued)), config, weights, spoilt)
        exhibits[rescue.rescued] = rescued
        if rescued.status == "ok":
            known[rescue.own] = replace(known[rescue.own], rescued=rescued)
    for job in studies.jobs(config):
        exhibits[job] = known.get(job) or _find(Exhibit(job, exhibit_folder(job)), config, weights, spoilt)
    by_layer: dict[str, list[Feature]] = {}
    for feature in known.values():
        by_layer.setdefault(feature.layer, []).append(feature)
    regions = []
    for region in layers.REGIONS:
        entries = (LayerEntry(layers.get_layer(name), tuple(by_layer.get(name, ()))) for name in region.layers)
        regions.append(RegionEntry(region, tuple(entries)))
    pixels = {str(job.target): feature.record.pixels_sha256 for job, feature in known.items() if feature.record}
    records = {job: shown.record for job, shown in {**exhibits, **known}.items() if shown.record}
    return Atlas(
        config=config,
        title=config.title,
        base_url=config.base_url,
        recipe=config.get_recipe(config.recipe),
        weights=weights,
        weights_name=weights.name if weights else weights_name(config.weights),
        weights_option=_option(config.weights, weights),
        regions=tuple(regions),
        exhibits=MappingProxyType(exhibits),
        results=Results(config, weights, records) if weights else None,
        videos=tuple(_find_video(clip, config, weights) for clip in config_clips(config)),
        examples=shown_examples(config, weights, pixels, spoilt) if weights else None,
        tints=MappingProxyType({}),
    )


def exhibit_folder(job: Job) -> str:
    """Where the files of a rendering lie in the site, if that is not the folder of a feature."""
    return f"renderings/{job.path.with_suffix('')}"


def _dead(features: Iterable[Feature]) -> list[Job]:
    return [feature.job for feature in features if feature.record and feature.record.needs_rescue]


def _count(features: Iterable[Feature]) -> Statuses:
    counts = Counter(feature.status for feature in features)
    return tuple((status, counts[status]) for status in (*STATUSES, PENDING) if counts[status])


def _find(shown: Shown, config: Config, weights: WeightsId | None, spoilt: Mapping[Path, str]) -> Shown:
    """The exhibit with what the store has of it."""
    if weights is None:
        return shown
    path = master_path(config.store, weights, shown.job)
    if path in spoilt:
        return replace(shown, damage=spoilt[path])
    record = find_record(path, shown.job, weights)
    if record is None:
        return replace(shown, damage=_damage(path))
    shown = replace(shown, record=record, master=path, stages=find_stages(path, shown.job, record))
    photo = photo_path(config.store, shown.job.start) if shown.job.start else None
    if photo is None or photo in spoilt:
        return replace(shown, damage=spoilt[photo] if photo else "")
    return replace(shown, photo=photo if photo.exists() else None)


def _find_video(clip: Clip, config: Config, weights: WeightsId | None) -> Video:
    record = find_clip(config.store, weights, clip) if weights else None
    if weights is None or record is None:
        return Video(clip)
    return Video(clip, record, clip_folder(config.store, weights, clip))


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
    is_file = Path(configured).suffix.lower() in WEIGHTS_SUFFIXES
    return Path(configured).name if is_file or weights is None else weights.name
