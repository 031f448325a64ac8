"""What the checks say of features: results of `seeds` and `examples` → marks, with their words."""

from atlas.common.text import count_of
from atlas.plan.starts import DRAWN
from atlas.site import words
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import Mark
from atlas.studies.examples.page import known_examples
from atlas.studies.examples.result import NATURAL, TRUSTED, FeatureExamples, Placed
from atlas.studies.examples.settings import Settings
from atlas.studies.seeds.page import layer_seeds
from atlas.studies.seeds.result import AGREED, Agreement, LayerSeeds

STRONGEST = 1000.0  # the ratio that counts where no picture activates the feature


def marks_of(atlas: Atlas, entry: LayerEntry) -> dict[int, list[Mark]]:
    """The marks of a layer's features by number, of those whose own rendering was raised."""
    seeds, known = layer_seeds(atlas, entry.layer.name), atlas.once(known_examples)
    found: dict[int, list[Mark]] = {}
    for feature in entry.shown:
        if feature.status != "ok":
            continue
        marks = []
        if seeds and (agreement := seeds.features.get(feature.number)):
            marks.append(seeds_mark(agreement, seeds))
        if known.found and (one := known.by_target.get(str(feature.job.target))):
            marks.append(photographs_mark(one, one.own, known.found.compared, is_drawn=is_drawn(atlas)))
            if one.own.natural is not None:
                marks.append(path_mark(one, one.own))
        if marks:
            found[feature.number] = marks
    return found


def is_drawn(atlas: Atlas) -> bool:
    """Whether the pictures that renderings are compared with are drawn, and no photographs."""
    return atlas.config.study(Settings).folder == DRAWN


def seeds_mark(one: Agreement, layer: LayerSeeds) -> Mark:
    """Whether renderings from several noises agree."""
    passed = one.agrees(layer.pairs)
    label = {True: "seeds agree", False: "seeds differ", None: "seeds undecided"}[passed]
    said = f"Renderings from {one.seeds} noises agree by {words.fixed(one.mean)}"
    if layer.pairs:
        share = "all" if one.above == 1 else f"{words.whole_percent(one.above)} of"
        said += f", more than {share} {count_of(layer.pairs, 'pair')} of different features do; "
        said += f"it takes {words.whole_percent(AGREED)}"
    return Mark("seeds", label, passed, one.above, f"{said}.")


def photographs_mark(feature: FeatureExamples, own: Placed, compared: int, *, is_drawn: bool = False) -> Mark:
    """Whether a rendering activates its feature more than photographs do."""
    passed, kind = own.beats_pictures, "drawn picture" if is_drawn else "photograph"
    label = {True: f"beats {kind}s", False: f"below {kind}s", None: f"{kind}s undecided"}[passed]
    best = feature.quantiles[-1] if feature.quantiles else 0.0
    ratio = min(own.score / best, STRONGEST) if best > 0 else STRONGEST
    low, high, seen = *map(words.percent, own.limits), count_of(compared, kind)
    most = high if high.startswith("less") else f"at most {high}"
    if own.reached:
        said = f"{own.reached:,} of {seen} activate the feature as much: {low} to {high} of all such"
    elif best > 0:
        said = f"{ratio:.1f} times the strongest of {seen}: {most} of all such reach it"
    else:
        said = f"None of {seen} activates the feature: {most} of all such reach it"
    needed = f"it takes less than {words.percent(1 - TRUSTED)}"
    return Mark("photographs", label, passed, round(ratio, 4), f"{said} (95 % confidence); {needed}.")


def path_mark(feature: FeatureExamples, own: Placed) -> Mark:
    """Whether a rendering excites its feature by the channels by which photographs do."""
    assert own.natural is not None
    passed = feature.is_natural(own)
    label = {True: "natural path", False: "other path", None: "path undecided"}[passed]
    said = (
        f"The last layers respond to it more like to the top crops than to {words.whole_percent(own.natural)} "
        f"of random crops; it takes {words.whole_percent(NATURAL)}, and a top crop itself reaches "
        f"{words.whole_percent(feature.crop_natural or 0)}."
    )
    return Mark("path", label, passed, own.natural, said)
