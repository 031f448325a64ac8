"""What the checks say of features: results of `seeds` and `examples` → marks, with their words."""

import math

from atlas.common.text import count_of
from atlas.plan.starts import DRAWN
from atlas.site import words
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import Mark
from atlas.studies.examples.page import known_examples
from atlas.studies.examples.result import NATURAL, TRUSTED, FeatureExamples, Placed
from atlas.studies.examples.settings import Settings
from atlas.studies.seeds.page import layer_seeds
from atlas.studies.seeds.result import AGREED, LEAST_PAIRS, Agreement, LayerSeeds

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
            marks.append(seeds_mark(agreement, seeds, atlas.recipe.name))
        if known.found and (one := known.by_target.get(str(feature.job.target))):
            marks.append(photographs_mark(one, one.own, known.found.compared, kind=kind_of(atlas)))
            if one.own.natural is not None:
                marks.append(path_mark(one, one.own))
        if marks:
            found[feature.number] = marks
    return found


def kind_of(atlas: Atlas) -> str:
    """What the pictures are that renderings are compared with: "photograph", or "drawn picture"."""
    return "drawn picture" if atlas.config.study(Settings).folder == DRAWN else "photograph"


def collection_of(atlas: Atlas) -> str:
    """Where those pictures come from; in a site that shows none of them its maker may not want it said."""
    wanted = atlas.config.study(Settings)
    return wanted.title if wanted.show else "a folder of the maker's own pictures"


def seeds_mark(one: Agreement, layer: LayerSeeds, recipe: str) -> Mark:
    """Whether renderings from several noises agree."""
    passed = one.agrees(layer.pairs)
    label = {True: "seeds agree", False: "seeds differ", None: "seeds undecided"}[passed]
    said = f"Renderings by {recipe} from {one.seeds} noises agree by {words.fixed(one.mean)}"
    pairs = count_of(layer.pairs, "pair")
    if passed is None:
        said += f"; there are {pairs} of different features to hold that against, and it takes {LEAST_PAIRS}"
    else:
        most = "all" if one.above == 1 else f"{_share(one.above)} of"
        said += f", more than {most} {pairs} of different features do; it takes {_share(AGREED)}"
    others, look = count_of(one.others, "other feature"), "looks" if one.alike == 1 else "look"
    said += f". {one.alike or 'None'} of {others} of the layer {look} as much like them; "
    said += f"it takes at most {_share(1 - AGREED)}."
    return Mark("seeds", label, passed, one.above, said)


def photographs_mark(feature: FeatureExamples, own: Placed, compared: int, *, kind: str = "photograph") -> Mark:
    """Whether a rendering activates its feature more than photographs do."""
    passed, best = own.beats_pictures, feature.quantiles[-1]
    label = {True: f"beats {kind}s", False: f"below {kind}s", None: f"{kind}s undecided"}[passed]
    ratio = min(own.score / best, STRONGEST) if best > 0 else STRONGEST if own.score > 0 else 0.0
    low, high, seen = *map(words.percent, own.limits), count_of(compared, kind)
    most = high if high.startswith("less") else f"at most {high}"
    if own.score <= 0:
        said = f"No neuron responds to the rendering; {seen} are no weaker: {low} to {high} of all such"
    elif own.reached:
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
    assert feature.crop_natural is not None
    passed = feature.is_natural(own)
    label = {True: "natural path", False: "other path", None: "path undecided"}[passed]
    said = f"In the last layers it is more like the top crops than {_share(own.natural)} of random crops are; "
    if passed is None:
        said += f"a top crop itself reaches {_share(feature.crop_natural)}, too little to tell"
    else:
        said += f"it takes {_share(NATURAL)}, and a top crop itself reaches {_share(feature.crop_natural)}"
    return Mark("path", label, passed, own.natural, f"{said}.")


def _share(value: float) -> str:
    """A share in percent, cut off after a decimal, so that what fails does not look like what it takes."""
    return f"{math.floor(1000 * value + 1e-9) / 10:g}\N{NO-BREAK SPACE}%"
