"""What findings come to, in sentences that say no more than their numbers do: finding → words."""

from collections.abc import Collection, Sequence
from math import sqrt
from statistics import median

from atlas.inception.layers import get_layer
from atlas.site.words import number, whole_percent
from atlas.studies.fields.result import DiscName, Fields
from atlas.studies.influence.result import ClipInfluence, PairInfluence, Sensitivity, TargetInfluence

PRECISIONS = {"fp32": "float32", "fp64": "float64"}
LIKE = 0.5  # a change counts as of the size of another if it is at least half of it
LITTLE = 0.1  # and as little beside it if it is less than a tenth
FEWEST = 5  # neurons on either side of a comparison
ERRORS = 2  # standard errors from which two sides count as different


def fields_verdict(found: Fields) -> str:
    """Whether interior branches reach wider than exterior ones, as the article guesses: by gradient, and by change.

    Features that only a list names are left out: they were chosen, some of them for what they show.
    """
    names = [branch.name for branch in get_layer(found.layer).branches]
    if len(names) == 1:
        return f"{found.layer} is one convolution: it has no branches that could be compared."
    sides = names[1:-1], (names[0], names[-1])
    asked = [sum(point.is_spread and point.branch in side for point in found.points) for side in sides]
    measures: tuple[tuple[str, DiscName], ...] = (
        ("By what changed in their pictures", "change"),
        ("By the gradient at the end", "end"),
    )
    return " ".join(
        _comparison(measure, *(radii(found, disc, side) for side in sides), asked=asked) for measure, disc in measures
    )


def radii(found: Fields, disc: DiscName, branches: Collection[str]) -> list[float]:
    """Radii of a disc of each feature that is spread evenly over some branches, of those that have it."""
    points = (point for point in found.points if point.is_spread and point.branch in branches)
    return [radius for point in points if (radius := point.radius(disc)) is not None]


def _comparison(measure: str, inner: Sequence[float], outer: Sequence[float], *, asked: Sequence[int]) -> str:
    """What the radii in interior and in exterior branches say of the guess, and of how many neurons of each."""
    counts = [f"{len(side)} of {count} neurons" for side, count in zip((inner, outer), asked, strict=True)]
    if min(len(inner), len(outer)) < FEWEST:
        return (
            f"{measure}, the guess cannot be judged: {counts[0]} in interior and {counts[1]} in exterior branches have "
            f"a field, and it takes {FEWEST} of each."
        )
    share = wider_share(inner, outer)
    return (
        f"{measure}, {_answer(share, len(inner), len(outer))}: {counts[0]} in interior branches have a field, of "
        f"{median(inner):.0f} px in the median, and {counts[1]} in the first and the last branch, of "
        f"{median(outer):.0f} px. In {whole_percent(share)} of all pairs, ties as half, the interior one is wider."
    )


def wider_share(some: Sequence[float], others: Sequence[float]) -> float:
    """Share of all pairs in which the one of `some` is larger than the one of `others`; equal ones count half.

    That is the statistic of Mann and Whitney, over the number of pairs.
    """
    won = sum((one > other) + (one == other) / 2 for one in some for other in others)
    return won / (len(some) * len(others))


def _answer(share: float, count: int, other_count: int) -> str:
    """What a `wider_share` of so many says of the guess: nothing within two standard errors of even."""
    error = sqrt((count + other_count + 1) / (12 * count * other_count))  # if neither were wider
    if share - 0.5 >= ERRORS * error:
        return "the guess does hold for these features"
    if share - 0.5 <= -ERRORS * error:
        return "the guess does not hold for these features, which reach wider the other way"
    return "it cannot be told from these features whether the guess holds"


def frames_verdict(found: ClipInfluence) -> str:
    """How much of the change falls outside of the neurons' fields."""
    total = sum(frame.change for frame in found.frames)
    field = _weighted([(frame.change, frame.in_field) for frame in found.frames])
    disc = _weighted([(frame.change, frame.in_disc) for frame in found.frames])
    if not total or field is None:
        return "No frame differs from the one before."
    words = f"{whole_percent(1 - field)} of all change falls outside of the added neuron’s theoretical receptive field"
    if disc is not None:
        measured = sum(frame.change for frame in found.frames if frame.in_disc is not None)
        share = (
            "" if measured == total else f" (of the {whole_percent(measured / total)} by neurons that have a gradient)"
        )
        words += f", and {whole_percent(1 - disc)} outside of its effective one{share}"
    return words + "."


def reach_verdict(found: TargetInfluence) -> str:
    """What follows about the article's question from the experiments on one feature, and no more."""
    words = [_amplification(found)]
    first = found.pairs[0]
    if first.raised and not first.fields_overlap and first.other == 0:
        words.append(
            "Two neurons whose receptive fields do not meet left each other’s half of the picture unchanged in all 8 "
            "bits: here shared steps and blur alone carry nothing that far."
        )
    return " ".join(words)


def _amplification(found: TargetInfluence) -> str:
    steps = steps_of(found, "fp32", None)
    added = steps[-1] if steps else None
    if not added:
        return "Adding the last neuron changed nothing in the far half: nothing got there, or it had no gradient."
    fact = f"Adding the last neuron changed the far half of the picture by {number(added)}."
    return f"{fact} {_first_step(steps[0])} {_growth(found, added)}"


def _first_step(first: float | None) -> str:
    """Whether anything arrived before it could grow."""
    if first:
        return f"After the first step, before anything could grow, it was {number(first)}: that much arrives at once."
    return "After the first step nothing had changed there yet: what came later was handed on from step to step."


def _growth(found: TargetInfluence, added: float) -> str:
    """What differences that no neuron made come to, in the corner and by rounding, beside what the neuron did."""
    disturbed = [one for one in found.sensitivity if one.amount is not None]
    most = max(disturbed, key=lambda one: one.steps[-1] or 0.0, default=None)
    words = [_corner_sentence(most, added)] if most else []
    rounding = (found.rounding[-1] if found.rounding else None) or 0.0
    if rounding >= LIKE * added:
        words.append(
            "Rounding alone, float32 against float64, which acts on every pixel at every step, changes it by "
            f"{_beside(rounding, added)}. So the change is of the size of what rounding does, and its size cannot be "
            "put down to the neuron."
        )
    return " ".join(words)


def _corner_sentence(most: Sensitivity, added: float) -> str:
    """What the disturbance of the start that did most says of the change that the neuron made."""
    value = most.steps[-1] or 0.0
    if value < LITTLE * added:
        return (
            "No disturbance of the start in that corner came to a tenth of that, with no neuron added. It is all or "
            "nothing, by ReLUs that flip or do not, so this speaks of the amounts that were tried."
        )
    fact = (
        f"The start disturbed by {most.amount:g} in that corner, with no neuron added, changes it by "
        f"{_beside(value, added)}"
    )
    return f"{fact}: the descent itself makes small differences that large." if value >= LIKE * added else f"{fact}."


def _beside(value: float, added: float) -> str:
    return f"{number(value)}, {whole_percent(value / added)} of that"


def disturbances(found: TargetInfluence) -> list[tuple[str, float | None]]:
    """What was disturbed with no neuron added, and the change in the far half after the last step."""
    rows = [
        (f"start disturbed by {one.amount:g}, in {PRECISIONS[one.precision]}", one.steps[-1])
        for one in found.sensitivity
        if one.amount is not None
    ]
    if found.rounding:
        rows.append(("nothing disturbed: float32 against float64", found.rounding[-1]))
    return rows


def steps_of(found: TargetInfluence, precision: str, amount: float | None) -> tuple[float | None, ...]:
    """Change in the far half after each step; `amount` None: by adding the last neuron."""
    for one in found.sensitivity:
        if one.precision == precision and one.amount == amount:
            return one.steps
    return ()


def pair_verdict(found: PairInfluence) -> str:
    """What one neuron did to the other's half."""
    meet = "fields overlap" if found.fields_overlap else "fields do not meet"
    if not found.raised:
        return f"{meet}: cannot be judged, since not all three pictures were raised"
    share = f", {whole_percent(found.other / found.own)} of what the nearer neuron itself drew" if found.own else ""
    return f"{meet}: the other neuron changed {number(found.other)}{share}"


def _weighted(pairs: Sequence[tuple[float, float | None]]) -> float | None:
    """Mean share, weighted by change; frames without a share are left out."""
    known = [(change, share) for change, share in pairs if share is not None and change]
    total = sum(change for change, _ in known)
    return sum(change * share for change, share in known) / total if total else None
