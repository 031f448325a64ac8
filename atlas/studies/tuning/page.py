"""Tuning: words for every feature, its curves on its page, the spread of a layer, and the page of all layers."""

from collections.abc import Iterator
from dataclasses import dataclass

from atlas.inception.layers import LAYERS
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Page
from atlas.site.study_page import Section, StudyCard, StudyPage
from atlas.studies.tuning.figures import Polar, polar
from atlas.studies.tuning.result import PERIODS, TUNING, LayerTuning, Tuning, TuningOfLayers
from atlas.studies.tuning.words import GROUP_WORDS, describe, stimulus_words

CARD = StudyCard(
    "tuning",
    "From gratings to things",
    "What does each feature respond to? Drawn stimuli, from gratings to faces, and every feature’s answer.",
)
SHOWN_GROUPS = ("lines", "round", "angular", "rich")  # lines of the chart; the others are in the table


@dataclass(frozen=True)
class Shown:
    """A stimulus among the strongest of a feature."""

    path: str
    words: str


@dataclass(frozen=True)
class Curves:
    """A feature's tuning as its page shows it."""

    tuning: Tuning
    words: str
    strongest: tuple[Shown, ...]
    best: tuple[tuple[str, str], ...]  # the strongest line, spot and curve, where one excites it
    orientation: Polar
    hue: Polar
    frequency: tuple[tuple[float, int], ...]  # period in pixels, and percent of the largest value


def found_tuning(atlas: Atlas) -> TuningOfLayers | None:
    """The result; call it by `atlas.once`."""
    return atlas.result(TUNING)


def _layer(atlas: Atlas, name: str) -> LayerTuning | None:
    found = atlas.once(found_tuning)
    return next((layer for layer in found.layers if layer.layer == name), None) if found else None


def words_of(atlas: Atlas, entry: LayerEntry) -> dict[int, str]:
    """What features of a layer respond to, by number; those without words are left out."""
    found, layer = atlas.once(found_tuning), _layer(atlas, entry.layer.name)
    if not found or not layer:
        return {}
    return {number: said for number, one in layer.features.items() if (said := describe(one, found.stimuli))}


def curves_of(atlas: Atlas, entry: LayerEntry) -> dict[int, Curves]:
    """The curves of a layer's features, by number."""
    found, layer = atlas.once(found_tuning), _layer(atlas, entry.layer.name)
    return {n: _curves(one, found) for n, one in layer.features.items()} if found and layer else {}


def _curves(one: Tuning, found: TuningOfLayers) -> Curves:
    most = max(one.frequency) or 1
    return Curves(
        tuning=one,
        words=describe(one, found.stimuli),
        strongest=tuple(Shown(stimulus_path(at), stimulus_words(found.stimuli[at])) for at in one.strongest),
        best=tuple(
            (name, stimulus_words(found.stimuli[at]))
            for name, at in (("Line", one.line), ("Spot", one.spot), ("Curve", one.arc))
            if at is not None
        ),
        orientation=_polar(one.orientation.values, one.orientation.preferred, 180, "orientations of lines"),
        hue=_polar(one.hue.values, one.hue.preferred, 360, "hues"),
        frequency=tuple(
            (period, round(100 * value / most)) for period, value in zip(PERIODS, one.frequency, strict=True)
        ),
    )


def _polar(values: tuple[int, ...], preferred: float, circle: int, of: str) -> Polar:
    return polar(values, preferred, circle, f"Response to {of}: largest at {preferred:.0f} degrees.")


def spread_of(atlas: Atlas, entry: LayerEntry) -> dict[str, object] | None:
    """How many features of a layer prefer each orientation and hue; None where it is not measured."""
    layer = _layer(atlas, entry.layer.name)
    if not layer:
        return None
    return {"layer": layer, "features": entry.layer.features, "card": CARD, **_roses(layer)}


def _roses(layer: LayerTuning) -> dict[str, Polar | None]:
    """The spread of a layer's orientations and hues; None where no feature has one."""
    both = {"orientations": (layer.orientations, 180), "hues": (layer.hues, 360)}
    return {
        name: polar(counts, _most(counts, circle), circle, f"How many features of {layer.layer} prefer which {name}.")
        if any(counts)
        else None
        for name, (counts, circle) in both.items()
    }


def _most(counts: tuple[int, ...], circle: int) -> float:
    return counts.index(max(counts)) * circle / len(counts)


def stimulus_path(number: int) -> str:
    """Where a stimulus's picture lies in the site."""
    return f"tuning/{number}.webp"


def tuning_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if it is measured."""
    found = atlas.once(found_tuning)
    if not found or not found.layers:
        return
    lines = {layer.layer: _share(layer, "lines") for layer in found.layers}
    shown = {found.stimuli[at].family: at for at in sorted(found.pictures, reverse=True)}  # the first of each family
    yield CARD.page(
        "What the features of InceptionV3 respond to, by drawn stimuli: orientation, frequency, hue and shape.",
        found=found,
        lines=lines,
        most_lines=max(lines.items(), key=lambda one: one[1]),
        layers=[(atlas.layer(one.layer), one, _roses(one)) for one in found.layers],
        groups=GROUP_WORDS,
        examples=[Shown(stimulus_path(at), stimulus_words(found.stimuli[at])) for at in sorted(shown.values())],
        chart=_chart(found),
    )


def _share(layer: LayerTuning, group: str) -> float:
    """Of the features that some stimulus excites, the share for which one of a group is the strongest."""
    return layer.groups.get(group, 0) / max(1, sum(layer.groups.values()))


def _chart(found: TuningOfLayers) -> Chart:
    """The share of features whose strongest stimulus is of each group, over all layers; unmeasured ones are gaps."""
    by_name = {layer.layer: layer for layer in found.layers}

    def share(name: str, group: str) -> float | None:
        return 100 * _share(by_name[name], group) if name in by_name else None

    return make_chart(
        [
            Series(
                GROUP_WORDS[group],
                tuple((float(at), share(one.name, group)) for at, one in enumerate(LAYERS)),
                "joined",
            )
            for group in SHOWN_GROUPS
        ],
        alt="The share of features whose strongest stimulus is of each group, over the layers.",
        x_label="layer",
        y_label="Share of the features whose strongest stimulus is of the group, percent",
        x_words=[(float(at), layer.name.split("_")[1]) for at, layer in enumerate(LAYERS)],
    )


def stimuli_files(atlas: Atlas) -> Iterator[tuple[str, bytes]]:
    """The pictures of stimuli that are among the strongest of some feature."""
    if found := atlas.once(found_tuning):
        yield from ((stimulus_path(at), data) for at, data in found.pictures.items())


PAGE = StudyPage(
    card=CARD,
    pages=tuning_pages,
    section=Section("studies/tuning_section.html", curves_of),
    layer=("studies/tuning_layer.html", spread_of),
    says=words_of,
    written=stimuli_files,
)
