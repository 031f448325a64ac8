"""Examples: a feature's strongest crops beside its own picture, and how often that picture beats them all."""

from dataclasses import dataclass
from statistics import median

from atlas.site.catalogue import Atlas, Feature, LayerEntry
from atlas.site.copies import crop_size
from atlas.site.models import Link, Page, Picture, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK
from atlas.site.pictures import crop_path
from atlas.site.words import hardware, number
from atlas.store.forecast import count_of
from atlas.studies.examples.result import Crop, Examples, FeatureExamples
from atlas.studies.examples.settings import Settings
from atlas.studies.examples.shown import ShownExamples

PAGE = f"examples/{HOME}"
TITLE = "Strongest crops"
CARD = StudyCard(
    TITLE, PAGE, "Does the optimised picture excite its feature more than any picture of a collection does?"
)
MOST_LINKS = 8  # to features of a layer whose own picture is beaten


@dataclass(frozen=True)
class CropShot:
    """A crop of a picture that excites a feature."""

    picture: Picture
    alt: str
    score: str


@dataclass(frozen=True)
class CropSection:
    """A feature's strongest crops, out of a collection of pictures."""

    sentence: str  # whether its own picture beats them
    shots: tuple[CropShot, ...]
    page: str  # of all features
    title: str  # where the pictures come from
    seen: str  # how many pictures
    size: int  # pixels of the square that the network saw of each
    own_size: int  # pixels of the feature's own picture


@dataclass(frozen=True)
class LayerRow:
    """A layer and how its features' own pictures fare."""

    name: str
    page: str
    excited: int  # features that some picture excites
    wins: int  # own picture stronger than every crop
    ratio: str  # own picture beside the strongest crop, in the median
    beaten: tuple[Link, ...]  # features whose own picture is not the strongest, the first few
    more: int  # and so many others
    silent: int  # features that no picture excites
    left_out: int  # features whose own picture was not raised


@dataclass(frozen=True)
class ExamplesBody:
    """The page."""

    verdict: str
    title: str
    seen: int
    skipped: int
    size: int  # pixels of the square that the network saw of each
    own_size: int  # pixels of the features' own pictures
    command: str
    numerics: str
    rows: tuple[LayerRow, ...]


def example_pages(atlas: Atlas) -> list[Page]:
    """The page, if examples are shown."""
    shown = atlas.examples
    if shown is None or not shown.by_target:
        return []
    found = shown.found
    pairs = [(feature, one) for feature in atlas.features if (one := _examples_of(shown, feature))]
    raised = tuple(one for feature, one in pairs if feature.status == "ok")
    body = ExamplesBody(
        verdict=examples_sentence(raised, found.seen, len(pairs) - len(raised)),
        title=atlas.config.study(Settings).title,
        seen=found.seen,
        skipped=found.skipped,
        size=found.size,
        own_size=atlas.recipe.octaves[-1].size,
        command="atlas examples --drawn" if found.folder is None else "atlas examples FOLDER",
        numerics=f"{hardware(found.numerics)}, {found.numerics.precision}, batch size {found.numerics.batch_size}",
        rows=tuple(row for entry in atlas.layers if (row := _layer_row(entry, shown))),
    )
    description = "The strongest crops of a collection of pictures for each feature, against the feature's own picture."
    return [Page(PAGE, "studies/examples.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)]


def crops_of(atlas: Atlas, feature: Feature) -> CropSection | None:
    """What a feature's page says of its strongest crops; None if none are shown."""
    examples = _examples_of(atlas.examples, feature)
    if atlas.examples is None or examples is None:
        return None
    found = atlas.examples.found
    return CropSection(
        sentence=feature_sentence(examples, found.seen) if feature.status == "ok" else unraised_sentence(examples),
        shots=tuple(_shot(crop, feature, found) for crop in examples.crops),
        page=PAGE,
        title=atlas.config.study(Settings).title,
        seen=count_of(found.seen, "picture"),
        size=found.size,
        own_size=atlas.recipe.octaves[-1].size,
    )


def feature_sentence(found: FeatureExamples, seen: int) -> str:
    """Whether a feature's own picture beats every crop."""
    own = f"The optimised picture excites its strongest neuron to {number(found.score)}"
    if not found.crops:
        return f"{own}; none of {count_of(seen, 'picture')} excites any neuron of this feature."
    best = found.crops[0].score
    if found.wins:
        return f"{own}, the strongest crop to {number(best)}: the optimised picture beats every crop."
    return f"{own}, the strongest crop to {number(best)}: the optimised picture does not beat every crop."


def unraised_sentence(found: FeatureExamples) -> str:
    """What is said of a feature whose own picture was not raised, and so is no rival of crops."""
    words = "The optimised picture had no gradient or was not raised, so it is not compared."
    return f"{words} The strongest crop excites a neuron to {number(found.crops[0].score)}." if found.crops else words


def examples_sentence(features: tuple[FeatureExamples, ...], seen: int, left_out: int) -> str:
    """How many features' own pictures beat every crop.

    Args:
        features: those whose own pictures were raised.
        seen: pictures.
        left_out: how many other features there are.
    """
    excited = [one for one in features if one.crops]
    wins = sum(one.wins for one in excited)
    silent = len(features) - len(excited)
    words = (
        f"For {wins} of {len(excited)} features the optimised picture excites its strongest neuron more than any of "
        f"{count_of(seen, 'picture')} does."
    )
    if silent:
        words += f" {count_of(silent, 'other')} {'is' if silent == 1 else 'are'} excited by no picture."
    if left_out:
        are = "is" if left_out == 1 else "are"
        words += (
            f" {count_of(left_out, 'feature')} {are} left out: the optimised picture had no gradient or was not raised."
        )
    return words


def _examples_of(shown: ShownExamples | None, feature: Feature) -> FeatureExamples | None:
    return shown.by_target.get(str(feature.job.target)) if shown else None


def _shot(crop: Crop, feature: Feature, found: Examples) -> CropShot:
    width, height = crop_size(crop.size)
    path, (row, col) = crop_path(crop.file), crop.neuron
    whole = crop.box == (0, 0, found.size, found.size)
    what = "A whole picture" if whole else "A crop"
    return CropShot(
        picture=Picture(f"{path}.avif", f"{path}.jpg", width, height),
        alt=f"{what} that excites neuron {row}, {col} of feature {feature.number} to {number(crop.score)}.",
        score=number(crop.score),
    )


def _layer_row(entry: LayerEntry, shown: ShownExamples) -> LayerRow | None:
    pairs = [(feature, one) for feature in entry.features if (one := _examples_of(shown, feature))]
    if not pairs:
        return None
    raised = [(feature, one) for feature, one in pairs if feature.status == "ok"]
    excited = [(feature, one) for feature, one in raised if one.crops]
    beaten = [Link(str(feature.number), feature.page) for feature, one in excited if not one.wins]
    ratios = [one.score / one.crops[0].score for _, one in excited]
    return LayerRow(
        name=entry.layer.name,
        page=entry.page,
        excited=len(excited),
        wins=len(excited) - len(beaten),
        ratio=f"{median(ratios):.2f}" if ratios else "–",
        beaten=tuple(beaten[:MOST_LINKS]),
        more=max(0, len(beaten) - MOST_LINKS),
        silent=len(raised) - len(excited),
        left_out=len(pairs) - len(raised),
    )
