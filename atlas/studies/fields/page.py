"""Fields of influence by branch: effective and changed fields beside the theoretical ones, over the channel index."""

from collections.abc import Collection, Iterator, Sequence
from math import sqrt
from statistics import median

from atlas.inception.layers import Branch, get_layer, receptive_field
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Point, Series, make_chart
from atlas.site.models import Page
from atlas.site.study_page import StudyCard, StudyPage
from atlas.site.words import field_of, whole_percent
from atlas.studies.fields.jobs import jobs
from atlas.studies.fields.result import DiscName, FieldPoint, Fields, fields_spec
from atlas.studies.fields.settings import Settings

CARD = StudyCard(
    "fields",
    "Fields of influence by branch",
    "Do interior features of a block reach wider than exterior ones, as the article guesses?",
)
NO_GRADIENT, NOT_RAISED = "no gradient", "not raised"
FEWEST = 5  # neurons on either side of a comparison
ERRORS = 2  # standard errors from which two sides count as different


def field_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if something is measured."""
    wanted = atlas.config.study(Settings).layers
    found = [one for one in (atlas.result(fields_spec(layer)) for layer in wanted) if one]
    if not found:
        return
    description = (
        "Where neurons of InceptionV3's branches change a picture, by pixels and by gradients, beside the theory."
    )
    yield CARD.page(description, layers=[_layer(one, atlas) for one in found])


def fields_summary(found: Fields) -> str:
    """Whether interior branches reach wider than exterior ones, as the article guesses: by gradient, and by change.

    Features that only a list names are left out: they were chosen, some of them for what they show.
    """
    names = [branch.name for branch in get_layer(found.layer).branches]
    if len(names) == 1:
        return f"{found.layer} is one convolution: it has no branches that could be compared."
    sides = names[1:-1], (names[0], names[-1])
    asked = [sum(point.is_spread and point.branch in side for point in found.points) for side in sides]
    measures: tuple[tuple[str, DiscName], ...] = (
        ("By the change in their pictures", "change"),
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
            f"a field, and at least {FEWEST} of each are needed."
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


def _layer(found: Fields, atlas: Atlas) -> dict[str, object]:
    """What was measured of a layer; no chart if there is nothing to show yet."""
    planned = atlas.layer(found.layer).by_number
    named = [point for point in found.points if point.is_named]
    return {
        "name": found.layer,
        "summary": fields_summary(found),
        "chart": _chart(found) if any(point.end or point.change for point in found.points) else None,
        "rows": [_branch_row(found, branch) for branch in get_layer(found.layer).branches],
        "named": [(planned[point.feature], *_named_row(found.layer, point)) for point in named],
        "neuron": found.neuron,
        "size": found.size,
    }


def _branch_row(found: Fields, branch: Branch) -> tuple[str, ...]:
    """The cells of a branch's row; radii are medians."""
    points = [point for point in found.points if point.branch == branch.name and point.is_spread]
    at_end, of_change = (radii(found, disc, (branch.name,)) for disc in ("end", "change"))
    with_start = sum(point.start is not None for point in points)
    return (
        branch.name or found.layer,
        f"{branch.first} to {branch.range[-1]}",
        field_of(found.layer, branch.first),
        str(len(points)),
        f"{with_start} → {len(at_end)}",
        _pixels(median(at_end) if at_end else None, NO_GRADIENT),
        str(len(of_change)),
        _pixels(median(of_change) if of_change else None, NOT_RAISED),
    )


def _named_row(layer: str, point: FieldPoint) -> tuple[str, ...]:
    """The cells after the number of a feature that a study names."""
    return (
        point.branch or layer,
        field_of(layer, point.feature),
        _pixels(point.radius("start"), NO_GRADIENT),
        _pixels(point.radius("end"), NO_GRADIENT),
        _pixels(point.radius("change"), NOT_RAISED),
    )


def _pixels(radius: float | None, without: str) -> str:
    return without if radius is None else f"{radius:.0f} px"


def _chart(found: Fields) -> Chart:
    theory: list[Point] = []
    for branch in get_layer(found.layer).branches:
        half, end = receptive_field(found.layer, branch.first).size[0] / 2, branch.range[-1] + 1
        theory += [(branch.first, half), (end, half), (end, None)]
    series = (
        Series("half the side of the theoretical field", tuple(theory)),
        Series("radius of the gradient at the start", _dots(found.points, "start"), "dots"),
        Series("radius of the gradient at the end", _dots(found.points, "end"), "dots"),
        Series("radius of the change", _dots(found.points, "change"), "dots"),
    )
    alt = (
        f"Radii of the effective receptive field and of the change in the picture, over the features of {found.layer}, "
        "beside the theoretical field."
    )
    return make_chart(series, alt=alt, x_label="feature", y_label="Radius, or half the side, in pixels")


def _dots(points: Sequence[FieldPoint], disc: DiscName) -> tuple[Point, ...]:
    return tuple((point.feature, point.radius(disc)) for point in points)


PAGE = StudyPage(card=CARD, pages=field_pages, mentions=CARD.mentions(Settings), jobs=jobs)
