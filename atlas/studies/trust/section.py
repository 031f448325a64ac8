"""What the marks of a feature rest on, on its page: where it lies among pictures, and its path through the layers."""

from collections.abc import Mapping
from dataclasses import dataclass

from atlas.inception.layers import layers_up_to
from atlas.site.catalogue import Atlas, Feature, LayerEntry
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Picture
from atlas.studies.examples.page import crop_picture, known_examples, shown_examples
from atlas.studies.examples.result import QUANTILES, FeatureExamples
from atlas.studies.trust.marks import collection_of, kind_of

WIDTH, HIGHEST = 480, 160  # of a histogram, and of its highest column, in the units of its view box


@dataclass(frozen=True)
class Bar:
    """A column of a histogram, in the units of its view box."""

    x: int
    width: int
    height: int


@dataclass(frozen=True)
class Evidence:
    """What the marks of a feature rest on."""

    one: FeatureExamples
    quantiles: Mapping[float, float]  # activations by pictures
    bars: tuple[Bar, ...]
    at: int | None  # where the rendering lies in the histogram; None: beyond it
    levels: tuple[tuple[float, float, Picture], ...]  # level, activation and crop, where crops are shown
    path: Chart | None  # None: it was not measured, or is of one layer


def evidence_of(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, object]]:
    """What the marks of a layer's features rest on, by number."""
    known, shown = atlas.once(known_examples), atlas.once(shown_examples)
    found: dict[int, dict[str, object]] = {}
    for feature in entry.shown:
        one = known.by_target.get(str(feature.job.target))
        if one and known.found and feature.status == "ok":
            found[feature.number] = {
                "evidence": _evidence(feature, one, shown.by_target.get(str(feature.job.target))),
                "found": known.found,
                "kind": kind_of(atlas),
                "collection": collection_of(atlas),
            }
    return found


def _evidence(feature: Feature, one: FeatureExamples, shown: FeatureExamples | None) -> Evidence:
    """The evidence of a feature, and those of its crops that are shown."""
    highest, best = max(one.counts), one.quantiles[-1]
    levels = shown.levels if shown else ()
    step = WIDTH / len(one.counts)
    bars = (
        Bar(round(at * step + 1), round(step - 2), max(1, round(HIGHEST * count / highest)))
        for at, count in enumerate(one.counts)
        if count
    )
    return Evidence(
        one=one,
        quantiles=dict(zip(QUANTILES, one.quantiles, strict=True)),
        bars=tuple(bars),
        at=round(WIDTH * one.own.score / best) if best and one.own.score <= best else None,
        levels=tuple((some.level, some.crop.score, crop_picture(some.crop)) for some in levels),
        path=_path_chart(feature, one) if len(one.own.path) > 1 else None,
    )


def _path_chart(feature: Feature, one: FeatureExamples) -> Chart:
    """How alike layers respond to a rendering and to the top crops, up to the feature's own layer."""
    names = [layer.name.split("_")[1] for layer in layers_up_to(feature.layer)]
    values = {"the rendering and the top crops": one.own.path, "the top crops among themselves": one.crop_path}
    return make_chart(
        [Series(said, tuple((float(at), v) for at, v in enumerate(some)), "joined") for said, some in values.items()],
        alt="How alike each layer responds to the rendering and the top crops, and to these among themselves.",
        x_label="layer",
        y_label="Rank correlation of channel means, standardised by random crops, which lie around 0",
        x_words=[(float(at), name) for at, name in enumerate(names)],
        height=200,
    )
