"""Top crops: those that activate a feature most, beside its own picture, and how often that picture scores higher."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median

from PIL import Image

from atlas.common.errors import StoreError
from atlas.inception.layers import receptive_field
from atlas.plan.config import Config
from atlas.site.budget import FEWER_CROPS, Step, Weight
from atlas.site.catalogue import Atlas, Feature, LayerEntry
from atlas.site.copies import JPEG, SMALL_JPEG, Encoder, Work, make_work, open_picture
from atlas.site.models import THUMB, Link, Page, Picture
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.store.crops import CROPS, examples_folder, has_crop, open_crop
from atlas.studies.examples.result import (
    KEPT,
    LEVELS,
    Crop,
    Examples,
    FeatureExamples,
    crop_files,
    is_of,
    missing,
    read_examples,
    store_faults,
)
from atlas.studies.examples.settings import Settings

CARD = StudyCard(
    "examples",
    "Top crops",
    "Does the optimised picture activate its feature more than any picture of a collection does?",
)
UNSHARED = 0.6  # of the crops of features, the share that is left where a crop that several have counts once
PAGE_BYTES = 9_000  # of what a feature's page says of them
CROP = 96  # pixels up to which a small crop is enlarged, by a whole number


@dataclass(frozen=True)
class KnownExamples:
    """What was measured on the pictures that a configuration names; numbers of it may enter any site."""

    found: Examples | None = None  # without its features; None: nothing was measured
    by_target: Mapping[str, FeatureExamples] = field(default_factory=dict)  # of the pictures as they are now


def known_examples(atlas: Atlas) -> KnownExamples:
    """What was measured, but of features whose picture is another one by now; call it by `atlas.once`."""
    config, weights = atlas.config, atlas.weights
    if not weights or not atlas.results:
        return KnownExamples()
    try:
        found = read_examples(config.store, weights)
    except StoreError as error:
        atlas.results.damaged[CARD.name] = str(error)
        return KnownExamples()
    if found is None or not is_of(found, config.study(Settings), config.store):
        return KnownExamples()
    pixels = {str(one.job.target): one.record.pixels_sha256 for one in atlas.features if one.record}
    fresh = {one.target: one for one in found.features if pixels.get(one.target) == one.own.pixels}
    return KnownExamples(replace(found, features=()), fresh)


@dataclass(frozen=True)
class ShownExamples:
    """The examples that enter a site."""

    found: Examples | None = None  # without its features; None: nothing is to be shown, or nothing was measured
    by_target: Mapping[str, FeatureExamples] = field(default_factory=dict)  # of the pictures as they are now
    folder: Path = Path()  # of the crops in the store
    faults: tuple[str, ...] = ()  # one message for each crop that cannot be shown; its feature is left out


def shown_examples(atlas: Atlas) -> ShownExamples:
    """The examples that the configuration wants shown; call it by `atlas.once`.

    A feature is left out if one of its crops is missing or damaged: the rest would not be the top crops. Crops of a
    folder are shown only by a configuration that names that folder.
    """
    config, known = atlas.config, atlas.once(known_examples)
    is_wanted = config.study(Settings).show and "no-crops" not in atlas.left_out
    if not is_wanted or not known.found or not atlas.weights:
        return ShownExamples()
    folder = examples_folder(config.store, atlas.weights) / CROPS
    faults = {}
    for name in sorted(crop_files(known.by_target.values())):
        if folder / name in atlas.spoilt:
            faults[name] = atlas.spoilt[folder / name]
        elif not has_crop(folder, name):
            faults[name] = missing(folder / name)
    by_target = {target: one for target, one in known.by_target.items() if not faults.keys() & crop_files([one])}
    if "crops" in atlas.left_out:
        by_target = {target: _fewer(one) for target, one in by_target.items()}
    return ShownExamples(known.found, by_target, folder, tuple(faults.values()))


def _fewer(one: FeatureExamples) -> FeatureExamples:
    return replace(one, crops=one.crops[:FEWER_CROPS], levels=())


def example_weights(config: Config, left_out: Collection[Step]) -> Iterator[Weight]:
    """What pages say of examples, and crops, where they are shown: one that several features share counts once."""
    wanted = config.study(Settings)
    if wanted.folder is None:
        return
    a_feature = UNSHARED * (FEWER_CROPS if "crops" in left_out else KEPT + len(LEVELS))
    a_pixel = 0.1 + (0.09 if "jpeg" in left_out else 0.19)
    for layer in config.map_layers:
        features = len(config.features_of(layer))
        yield Weight("pages and data", 0, PAGE_BYTES * features)
        if wanted.show and "no-crops" not in left_out:
            side = min(THUMB, wanted.size, max(CROP, *receptive_field(layer).size))
            crops = round(a_feature * features)
            yield Weight("crops", 2 * crops, round(crops * a_pixel * side**2))


def example_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if examples are shown."""
    shown = atlas.once(shown_examples)
    if not shown.by_target:
        return
    yield CARD.page(
        "The top crops of a collection of pictures for each feature, compared with the feature's own picture.",
        collection=atlas.config.study(Settings).title,
        credits=atlas.config.study(Settings).credits,
        found=shown.found,
        own_size=atlas.recipe.octaves[-1].size,
        rows=[_layer_row(entry, pairs) for entry in atlas.layers if (pairs := _pairs(shown, entry))],
    )


def crops_of(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, object]]:
    """What the pages of a layer's features say of their top crops, by number."""
    shown = atlas.once(shown_examples)
    return {
        feature.number: {
            "own": one,
            "pictures": [crop_picture(crop) for crop in one.crops],
            "found": shown.found,
            "collection": atlas.config.study(Settings).title,
        }
        for feature, one in _pairs(shown, entry)
    }


def crop_pictures(atlas: Atlas, avif: Encoder) -> Iterator[Work]:
    """Copies of all crops that are shown, each once, whichever features share it."""
    shown, jpeg = atlas.once(shown_examples), SMALL_JPEG if "jpeg" in atlas.left_out else JPEG
    for file in sorted(crop_files(shown.by_target.values())):
        copies = ((f"{_crop_path(file)}.{end}", how, THUMB) for end, how in (("avif", avif), ("jpg", jpeg)))
        yield make_work(partial(_draw_crop, shown.folder / file), file, copies, f"{CROP} {THUMB}")


def count_wins(features: Collection[FeatureExamples]) -> dict[str, int]:
    """How the pictures of features, all of them raised, compare with crops."""
    active = [one for one in features if one.crops]
    return {
        "active": len(active),  # features that some picture activates
        "wins": sum(one.wins for one in active),  # whose own picture is stronger than every crop
        "silent": len(features) - len(active),  # features that no picture activates
    }


def _pairs(shown: ShownExamples, entry: LayerEntry) -> list[tuple[Feature, FeatureExamples]]:
    """The features of a layer whose examples are shown, and these."""
    found = ((feature, shown.by_target.get(str(feature.job.target))) for feature in entry.features)
    return [(feature, one) for feature, one in found if one]


def _crop_path(file: str) -> str:
    """Where the copies of a crop lie in the site, without ending."""
    return f"examples/{Path(file).stem}"


def _crop_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a crop in the site: one of a few pixels is enlarged, so that they can be told apart."""
    times = max(1, CROP // max(size))
    return size[0] * times, size[1] * times


def _draw_crop(file: Path) -> Image.Image:
    image = open_picture(file, open_crop)
    return image.resize(_crop_size(image.size), Image.Resampling.NEAREST)


def crop_picture(crop: Crop) -> Picture:
    """The copies of a crop in the site."""
    path = _crop_path(crop.file)
    return Picture(f"{path}.avif", f"{path}.jpg", *_crop_size(crop.size))


def _layer_row(entry: LayerEntry, pairs: Collection[tuple[Feature, FeatureExamples]]) -> dict[str, object]:
    """A layer and how its features' own pictures compare with crops."""
    raised = [(feature, one) for feature, one in pairs if feature.status == "ok"]
    active = [(feature, one) for feature, one in raised if one.crops]
    ratios = [one.own.score / one.crops[0].score for _, one in active]
    return {
        "name": entry.layer.name,
        "page": entry.page,
        **count_wins([one for _, one in raised]),
        "ratio": median(ratios) if ratios else None,
        "beaten": [Link(str(feature.number), feature.page) for feature, one in active if not one.wins],
        "left_out": len(pairs) - len(raised),
        "first": active[0][0] if active else None,  # a feature to show beside its crops
        "crops": [crop_picture(crop) for crop in active[0][1].crops] if active else [],
    }


PAGE = StudyPage(
    card=CARD,
    pages=example_pages,
    section=Section("studies/examples_section.html", crops_of, stands_beside=True),
    pictures=crop_pictures,
    weighs=example_weights,
    faults=lambda atlas: atlas.once(shown_examples).faults,
    store_faults=store_faults,
)
