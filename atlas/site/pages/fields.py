"""Fields of influence by branch: effective receptive fields beside the theoretical ones, over the channel index."""

from dataclasses import dataclass

from atlas.findings.fields import Disc, FieldPoint, Fields, fields_topic
from atlas.plan.layers import get_layer, receptive_field
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Link, Page, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK
from atlas.site.verdicts import branch_median, fields_verdict

PAGE = f"fields/{HOME}"
TITLE = "Fields of influence by branch"
CARD = StudyCard(TITLE, PAGE, "Do interior features of a block reach wider than exterior ones, as the article guesses?")


@dataclass(frozen=True)
class BranchRow:
    """A branch and what was measured of it."""

    name: str
    features: str
    theory: str
    start: int  # neurons with a gradient at the start
    end: int  # and at the end
    measured: int
    radius: str  # median at the end


@dataclass(frozen=True)
class LayerFields:
    """A layer's measurement; None as its chart: nothing to show yet."""

    name: str
    verdict: str
    chart: Chart | None
    rows: tuple[BranchRow, ...]
    neuron: tuple[int, int]
    size: int


@dataclass(frozen=True)
class FieldsBody:
    """The page."""

    layers: tuple[LayerFields, ...]


def field_pages(atlas: Atlas) -> list[Page]:
    """The page, if something is measured."""
    wanted = atlas.config.lists.fields.layers
    found = [one for one in (atlas.finding(fields_topic(layer)) for layer in wanted) if one]
    if not found:
        return []
    body = FieldsBody(tuple(_layer(one) for one in found))
    description = "Effective receptive fields of InceptionV3's branches, measured by gradients, beside the theoretical."
    return [Page(PAGE, "fields.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)]


def _layer(found: Fields) -> LayerFields:
    layer = get_layer(found.layer)
    has_end = any(point.end for point in found.points)
    rows = []
    for branch in layer.branches:
        points = [point for point in found.points if point.branch == branch.name]
        middle = branch_median(found.points, branch.name)
        height, width = receptive_field(found.layer, branch.first).size
        rows.append(
            BranchRow(
                name=branch.name or found.layer,
                features=f"{branch.first} to {branch.range[-1]}",
                theory=f"{height} × {width} px",
                start=sum(point.start is not None for point in points),
                end=sum(point.end is not None for point in points),
                measured=len(points),
                radius="no gradient" if middle is None else f"{middle:.0f} px",
            )
        )
    chart = _chart(found) if has_end else None
    return LayerFields(found.layer, fields_verdict(found), chart, tuple(rows), found.neuron, found.size)


def _chart(found: Fields) -> Chart:
    theory = []
    for branch in get_layer(found.layer).branches:
        half = receptive_field(found.layer, branch.first).size[0] / 2
        theory += [
            (float(branch.first), half),
            (float(branch.range[-1] + 1), half),
            (float(branch.range[-1] + 1), None),
        ]
    series = (
        Series("half the side of the theoretical field", tuple(theory)),
        Series("radius at the start", _dots(found.points, "start"), "dots"),
        Series("radius at the end", _dots(found.points, "end"), "dots"),
    )
    alt = f"Radius of the effective receptive field over the features of {found.layer}, beside the theoretical field."
    return make_chart(series, alt=alt, x_label="feature", y_label="Pixels from the middle of the field")


def _dots(points: tuple[FieldPoint, ...], when: str) -> tuple[tuple[float, float | None], ...]:
    discs: list[tuple[int, Disc | None]] = [(p.feature, p.start if when == "start" else p.end) for p in points]
    return tuple((float(feature), disc.radius if disc else None) for feature, disc in discs)
