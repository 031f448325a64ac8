"""Fields of influence by branch: effective and changed fields beside the theoretical ones, over the channel index."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import get_args

from atlas.inception.layers import get_layer, receptive_field
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Point, Series, make_chart
from atlas.site.models import Page
from atlas.site.study_page import StudyCard, StudyPage
from atlas.studies.fields.jobs import jobs
from atlas.studies.fields.result import DiscName, FieldPoint, Fields, fields_spec
from atlas.studies.fields.settings import Settings

CARD = StudyCard(
    "fields",
    "Fields of influence by branch",
    "Do interior features of a block reach wider than exterior ones, as the article guesses?",
)
FEWEST = 5  # neurons on either side of a comparison
ERRORS = 2  # standard errors from which two sides count as different


def field_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if something is measured."""
    found = [one for layer in atlas.config.study(Settings).layers if (one := atlas.result(fields_spec(layer)))]
    if not found:
        return
    description = (
        "Where neurons of InceptionV3's branches change a picture, by pixels and by gradients, beside the theory."
    )
    yield CARD.page(description, layers=[_layer(one, atlas) for one in found], fewest=FEWEST)


@dataclass(frozen=True)
class Radii:
    """The radii of one kind of disc, of some neurons."""

    asked: int  # neurons
    known: tuple[float, ...]  # of those that have such a disc, pixels

    @property
    def median(self) -> float | None:
        """None if no neuron has one."""
        return median(self.known) if self.known else None


def radii(found: Fields, disc: DiscName, branches: Collection[str]) -> Radii:
    """Radii of a disc of the features that are spread evenly over some branches.

    Features that only a list names are left out: they were chosen, some of them for what they show.
    """
    points = [point for point in found.points if point.is_spread and point.branch in branches]
    known = (point.radius(disc) for point in points)
    return Radii(len(points), tuple(radius for radius in known if radius is not None))


@dataclass(frozen=True)
class Comparison:
    """Whether interior branches reach wider than exterior ones, as the article guesses, by one kind of disc."""

    disc: DiscName
    inner: Radii
    outer: Radii

    @property
    def share(self) -> float:
        """Share of all pairs in which the interior one is wider; equal ones count half.

        That is the statistic of Mann and Whitney, over the number of pairs.
        """
        won = sum((one > other) + (one == other) / 2 for one in self.inner.known for other in self.outer.known)
        return won / (len(self.inner.known) * len(self.outer.known))

    @property
    def answer(self) -> str:
        """What it says of the guess: "too few", "holds", "opposite", or "open" within two standard errors of even."""
        count, other_count = len(self.inner.known), len(self.outer.known)
        if min(count, other_count) < FEWEST:
            return "too few"
        error = sqrt((count + other_count + 1) / (12 * count * other_count))  # if neither were wider
        if self.share - 0.5 >= ERRORS * error:
            return "holds"
        return "opposite" if self.share - 0.5 <= -ERRORS * error else "open"


def compare_sides(found: Fields) -> list[Comparison]:
    """Interior and exterior branches, by the change and by the gradient; none for a layer of one branch."""
    names = [branch.name for branch in get_layer(found.layer).branches]
    if len(names) == 1:
        return []
    inner, outer = names[1:-1], (names[0], names[-1])
    discs: tuple[DiscName, ...] = ("change", "end")
    return [Comparison(disc, radii(found, disc, inner), radii(found, disc, outer)) for disc in discs]


def _layer(found: Fields, atlas: Atlas) -> dict[str, object]:
    """What was measured of a layer; no chart if there is nothing to show yet."""
    planned = atlas.layer(found.layer).by_number
    return {
        "found": found,
        "comparisons": compare_sides(found),
        "chart": _chart(found) if any(point.end or point.change for point in found.points) else None,
        "branches": [
            (branch, *(radii(found, disc, (branch.name,)) for disc in get_args(DiscName)))
            for branch in get_layer(found.layer).branches
        ],
        "named": [(planned[point.feature], point) for point in found.points if point.is_named],
    }


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
