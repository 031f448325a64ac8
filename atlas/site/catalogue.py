"""What the atlas shows: configuration and store → `Atlas`, the planned renderings and what the store has of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from atlas.common.errors import StoreError
from atlas.inception import layers
from atlas.inception.layers import Layer, Region
from atlas.plan.config import BUILT_IN_WEIGHTS, Config
from atlas.plan.jobs import Job, layer_jobs
from atlas.plan.recipes import Recipe
from atlas.site.budget import Role, Step, largest_side, roles_of
from atlas.site.models import HOME, MARKS, THUMB, Mark, Picture, fit, kind_of
from atlas.site.study_page import StudyPage, with_weights
from atlas.store.importance import find_importance
from atlas.store.masters import find_record, master_path, read_record
from atlas.store.records import STATUSES, Record, WeightsId
from atlas.store.results import Results, ResultSpec
from atlas.store.stages import find_stages
from atlas.store.weights_ids import WEIGHTS_SUFFIXES, with_class_names

PENDING = "pending"  # planned, and not in the store
STATES = (*STATUSES, PENDING)

Found = TypeVar("Found")
Made = TypeVar("Made")
Planned = TypeVar("Planned", bound="PlannedRendering")
Colours = Mapping[str, tuple[str, ...]]  # folder of a rendering → names of the dominant colours of its picture


@dataclass(frozen=True)
class PlannedRendering:
    """A planned rendering and what the store has of it; nothing here depends on where the store lies."""

    job: Job
    folder: str  # where its files lie in the site; never changes
    record: Record | None = None  # None: pending
    has_stages: bool = False  # whether the store has a strip of its octaves, of this very picture
    has_importance: bool = False  # whether the store has a map of how much each pixel of this very picture counted
    largest: int | None = None  # pixels of the longer side of its large web copy; None: as rendered; 0: no copies

    @property
    def has_copies(self) -> bool:
        """Whether the site has web copies of it."""
        return self.record is not None and self.largest != 0

    @property
    def recipe(self) -> str:
        """Name of its recipe."""
        return self.job.recipe.name

    @property
    def status(self) -> str:
        """The record's status, or "pending"."""
        return self.record.status if self.record else PENDING

    @property
    def score(self) -> float | None:
        """Its score as shown."""
        return self.record.score_shown if self.record else None

    @property
    def score_start(self) -> float | None:
        """Its score at the start."""
        return self.record.score_start if self.record else None

    @property
    def json(self) -> str | None:
        """Path of its record in the site; None while it is pending, or where it has no copies."""
        return f"{self.folder}/record.json" if self.has_copies else None

    @property
    def picture(self) -> Picture | None:
        """The large web copy, or the small one if that is all; None while it is pending, or where it has no copies."""
        if self.record is None or self.largest == THUMB:
            return self.thumb
        return self._copy("picture.avif", self.largest or max(self.record.width, self.record.height))

    @property
    def thumb(self) -> Picture | None:
        """The small web copy; None while it is pending, or where it has no copies."""
        return self._copy("thumb.avif", THUMB)

    @property
    def importance(self) -> str | None:
        """Where a map of how much each of its pixels counted lies in the site; None if the store has none."""
        return f"{self.folder}/importance.avif" if self.has_importance else None

    def _copy(self, name: str, largest: int) -> Picture | None:
        if self.record is None or not self.has_copies:
            return None
        width, height = fit((self.record.width, self.record.height), largest)
        return Picture(f"{self.folder}/{name}", f"{self.folder}/thumb.jpg", width, height)


@dataclass(frozen=True, kw_only=True)
class Feature(PlannedRendering):
    """A planned feature, which has a page of its own."""

    layer: str
    number: int  # in the layer, from 0
    rescue: PlannedRendering | None = None  # by the recipe that rescues, where its own shows nothing; may be pending

    @property
    def kind(self) -> str:
        """What it is: a "feature", or a "class" of the classifier."""
        return kind_of(self.layer)

    @property
    def rescued(self) -> PlannedRendering | None:
        """The rendering that is shown where its own shows nothing."""
        return self.rescue if self.rescue and self.rescue.status == "ok" else None

    @property
    def is_raised_by_rescue(self) -> bool:
        """Whether its rescue scores higher than its own rendering."""
        rescued = self.rescue.score if self.rescue else None
        return self.score is not None and rescued is not None and rescued > self.score

    @property
    def face(self) -> PlannedRendering:
        """The rendering that is shown of it among others."""
        return self.rescued or self

    @property
    def page(self) -> str:
        """Path of its page in the site."""
        return f"{self.folder}/{HOME}"


@dataclass(frozen=True)
class LayerEntry:
    """A layer of the network and the features of it that are planned; none if the configuration leaves it out."""

    layer: Layer
    features: tuple[Feature, ...]

    @property
    def page(self) -> str:
        """Path of the first page of its features."""
        return f"{self.layer.name}/{HOME}"

    @cached_property
    def shown(self) -> tuple[Feature, ...]:
        """The features that the store has."""
        return tuple(feature for feature in self.features if feature.record)

    @cached_property
    def by_number(self) -> Mapping[int, Feature]:
        """Its planned features by number."""
        return {feature.number: feature for feature in self.features}


@dataclass(frozen=True)
class RegionEntry:
    """A region and its layers, in the network's order."""

    region: Region
    layers: tuple[LayerEntry, ...]

    @property
    def planned(self) -> tuple[LayerEntry, ...]:
        """The layers that have features here."""
        return tuple(entry for entry in self.layers if entry.features)


@dataclass(frozen=True)
class Atlas:
    """Everything that pages are made of."""

    config: Config
    recipe: Recipe  # of the features
    weights: WeightsId | None  # None: nothing is rendered with them yet
    regions: tuple[RegionEntry, ...]
    renderings: Mapping[Job, PlannedRendering]  # what studies show; a job that is a feature's is that feature
    studies: tuple[StudyPage, ...]
    results: Results | None  # of studies; None: nothing is rendered yet
    damaged: tuple[str, ...]  # one message for each master that cannot be read
    spoilt: Mapping[Path, str]  # files of the store whose pixels turned out to be damaged, and what is wrong with them
    left_out: tuple[Step, ...] = ()  # what the site leaves out or makes smaller to fit in its budget
    colours: Colours = field(default_factory=dict)  # measured on web copies, so known when those are made
    hues: Mapping[str, int] = field(default_factory=dict)  # likewise, the main ones in degrees; none of a grey picture
    _made: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def weights_option(self) -> str:
        """What a reader gives to `--weights`; of a file only the name, since its folder is this machine's."""
        configured = self.config.weights
        if configured in BUILT_IN_WEIGHTS:
            return configured
        is_file = Path(configured).suffix.lower() in WEIGHTS_SUFFIXES
        return Path(configured).name if is_file or self.weights is None else self.weights.name

    @cached_property
    def layers(self) -> tuple[LayerEntry, ...]:
        """All 16 layers, and the classifier if the weights have one that is wanted."""
        return tuple(entry for region in self.regions for entry in region.layers)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """All planned features, in the network's order."""
        return tuple(feature for entry in self.layers for feature in entry.features)

    @cached_property
    def shown_or_pending(self) -> tuple[PlannedRendering, ...]:
        """Features, and then the other renderings."""
        others = (one for one in self.renderings.values() if not isinstance(one, Feature))
        return (*self.features, *others)

    def layer(self, name: str) -> LayerEntry:
        """The entry of a layer."""
        return self.layers[layers.depth(name)]

    def result(self, spec: ResultSpec[Found]) -> Found | None:
        """The result of a study, if the store has it, whole and of these renderings."""
        return self.results.read(spec) if self.results else None

    def words_of(self, feature: Feature) -> str:
        """What a feature responds to, by a study that says so; "" if none does."""
        return self.once(_words).get((feature.layer, feature.number), "")

    def marks_of(self, feature: Feature) -> tuple[Mark, ...]:
        """What checks say of a feature's picture, in the order of `MARKS`; none where nothing was measured."""
        return self.once(_marks).get((feature.layer, feature.number), ())

    def once(self, make: Callable[["Atlas"], Made]) -> Made:
        """What a function makes of this atlas; it is called once."""
        if make not in self._made:
            self._made[make] = make(self)
        found: Made = self._made[make]
        return found

    def master(self, rendering: PlannedRendering) -> Path:
        """Path of the master of a rendering that has a record."""
        assert self.weights, "a record is of some weights"
        return master_path(self.config.store, self.weights, rendering.job)


def _words(atlas: Atlas) -> dict[tuple[str, int], str]:
    """What features respond to, by layer and number."""
    ways = [study.says for study in atlas.studies if study.says]
    entries = ((entry, says(atlas, entry)) for entry in atlas.layers for says in ways)
    return {(entry.layer.name, number): words for entry, by_number in entries for number, words in by_number.items()}


def _marks(atlas: Atlas) -> dict[tuple[str, int], tuple[Mark, ...]]:
    """The marks of features, by layer and number."""
    found: dict[tuple[str, int], list[Mark]] = {}
    for marks in (study.marks for study in atlas.studies if study.marks):
        for entry in atlas.layers:
            for number, some in marks(atlas, entry).items():
                found.setdefault((entry.layer.name, number), []).extend(some)
    return {key: tuple(sorted(some, key=lambda mark: MARKS.index(mark.kind))) for key, some in found.items()}


class _Renderings(dict[Job, PlannedRendering]):
    def __missing__(self, job: Job) -> PlannedRendering:
        raise KeyError(f"{job.target} by recipe {job.recipe.name}: not in the jobs of any StudyPage; list it there")


def gather_atlas(
    config: Config,
    weights: WeightsId | None,
    studies: Sequence[StudyPage] = (),
    spoilt: Mapping[Path, str] = MappingProxyType({}),
    left_out: tuple[Step, ...] = (),
) -> Atlas:
    """Look everything that pages show up in the store.

    Args:
        config: which features, by which recipe, and where the store is.
        weights: with which weights; None if nothing is rendered with them yet.
        studies: what is shown beside the features.
        spoilt: files whose pixels turned out to be damaged, and what is wrong with them.
        left_out: what the site leaves out or makes smaller.
    """
    if weights:
        weights = replace(weights, input=weights.trained_input)  # noted or not, pages are the same
        weights = with_class_names(weights, config.class_names)
    config = with_weights(config, weights, studies)
    damaged: list[str] = []
    roles = roles_of(config, studies)

    def look_up(planned: Planned) -> Planned:
        """The rendering with what the store has of it; what is wrong with a damaged master is noted."""
        job = planned.job
        if weights is None:
            return planned
        path = master_path(config.store, weights, job)
        if path in spoilt:
            damaged.append(spoilt[path])
            return planned
        record = find_record(path, job, weights)
        if record:
            is_reduced = planned.largest is not None and planned.largest < max(record.width, record.height)
            return replace(
                planned,
                record=record,
                has_stages="stages" not in left_out and find_stages(path, job, record) is not None,
                has_importance=not is_reduced and find_importance(path, job, record) is not None,
            )
        if path.exists():  # damaged, or of another provenance, which is no fault
            try:
                read_record(path)
            except StoreError as error:
                damaged.append(str(error))
        return planned

    def find(job: Job, role: Role) -> PlannedRendering:
        largest = largest_side(role, left_out)
        return look_up(PlannedRendering(job, f"renderings/{job.path.with_suffix('')}", largest=largest))

    known: dict[Job, Feature] = {}
    of_features = largest_side("features", left_out)
    for layer in config.layers:
        for number, job in zip(config.features_of(layer), layer_jobs(config, layer), strict=True):
            feature = Feature(job, f"{layer}/{number}", largest=of_features, layer=layer, number=number)
            known[job] = look_up(feature)
    renderings = _Renderings()
    dead = [job for job, feature in known.items() if feature.record and feature.record.needs_rescue]
    for own, job in (pair for study in studies for pair in study.rescues(config, dead)):
        renderings[job] = find(job, "features")  # which it stands for, whatever else shows it
        known[own] = replace(known[own], rescue=renderings[job])
    for job in dict.fromkeys(job for study in studies for job in study.jobs(config)):
        renderings[job] = known.get(job) or renderings.get(job) or find(job, roles[job])

    def entry(name: str) -> LayerEntry:
        layer = layers.classifier(config.classes) if name == layers.FC else layers.get_layer(name)
        return LayerEntry(layer, tuple(one for one in known.values() if one.layer == name))

    regions = (*layers.REGIONS, *([layers.CLASSIFIER_REGION] if config.classes else ()))
    records = {job: one.record for job, one in {**renderings, **known}.items() if one.record}
    return Atlas(
        config=config,
        recipe=config.face_recipe,
        weights=weights,
        regions=tuple(RegionEntry(one, tuple(map(entry, one.layers))) for one in regions),
        renderings=MappingProxyType(renderings),
        studies=tuple(studies),
        results=Results(config, weights, records) if weights else None,
        damaged=tuple(damaged),
        spoilt=spoilt,
        left_out=left_out,
    )
