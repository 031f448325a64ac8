"""Fields of influence by branch: effective and changed fields beside the theoretical ones, over the channel index."""

from dataclasses import dataclass
from statistics import median

from atlas.inception.layers import Branch, get_layer, receptive_field
from atlas.site.catalogue import Atlas
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Link, Page, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK
from atlas.site.verdicts import fields_verdict, radii
from atlas.studies.fields.result import DiscName, FieldPoint, Fields, fields_spec
from atlas.studies.fields.settings import Settings

PAGE = f"fields/{HOME}"
NO_GRADIENT, NOT_RAISED = "no gradient", "not raised"
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
    raised: int  # whose pictures score higher than the noise
    measured: int
    radius: str  # median at the end
    change: str  # median


@dataclass(frozen=True)
class NamedRow:
    """A feature that a list names, and what was measured of it."""

    feature: Link
    branch: str
    theory: str
    start: str
    end: str
    change: str


@dataclass(frozen=True)
class LayerFields:
    """A layer's measurement; None as its chart: nothing to show yet."""

    name: str
    verdict: str
    chart: Chart | None
    rows: tuple[BranchRow, ...]
    named: tuple[NamedRow, ...]
    neuron: tuple[int, int]
    size: int


@dataclass(frozen=True)
class FieldsBody:
    """The page."""

    layers: tuple[LayerFields, ...]


def field_pages(atlas: Atlas) -> list[Page]:
    """The page, if something is measured."""
    wanted = atlas.config.study(Settings).layers
    found = [one for one in (atlas.result(fields_spec(layer)) for layer in wanted) if one]
    if not found:
        return []
    body = FieldsBody(tuple(_layer(one, atlas) for one in found))
    description = (
        "Where neurons of InceptionV3's branches change a picture, by pixels and by gradients, beside the theory."
    )
    return [Page(PAGE, "studies/fields.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)]


def _layer(found: Fields, atlas: Atlas) -> LayerFields:
    pages = {feature.number: feature.page for feature in atlas.features if feature.layer == found.layer}
    return LayerFields(
        name=found.layer,
        verdict=fields_verdict(found),
        chart=_chart(found) if any(point.end or point.change for point in found.points) else None,
        rows=tuple(_branch_row(found, branch) for branch in get_layer(found.layer).branches),
        named=tuple(_named_row(found.layer, point, pages[point.feature]) for point in found.points if point.is_named),
        neuron=found.neuron,
        size=found.size,
    )


def _branch_row(found: Fields, branch: Branch) -> BranchRow:
    points = [point for point in found.points if point.branch == branch.name and point.is_spread]
    at_end, of_change = (radii(found, disc, (branch.name,)) for disc in ("end", "change"))
    return BranchRow(
        name=branch.name or found.layer,
        features=f"{branch.first} to {branch.range[-1]}",
        theory=_theory(found.layer, branch.first),
        start=sum(point.start is not None for point in points),
        end=len(at_end),
        raised=len(of_change),
        measured=len(points),
        radius=_pixels(median(at_end) if at_end else None, NO_GRADIENT),
        change=_pixels(median(of_change) if of_change else None, NOT_RAISED),
    )


def _named_row(layer: str, point: FieldPoint, page: str) -> NamedRow:
    return NamedRow(
        feature=Link(str(point.feature), page),
        branch=point.branch or layer,
        theory=_theory(layer, point.feature),
        start=_pixels(point.radius("start"), NO_GRADIENT),
        end=_pixels(point.radius("end"), NO_GRADIENT),
        change=_pixels(point.radius("change"), NOT_RAISED),
    )


def _theory(layer: str, feature: int) -> str:
    height, width = receptive_field(layer, feature).size
    return f"{height} × {width} px"


def _pixels(radius: float | None, without: str) -> str:
    return without if radius is None else f"{radius:.0f} px"


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
        Series("radius of the gradient at the start", _dots(found.points, "start"), "dots"),
        Series("radius of the gradient at the end", _dots(found.points, "end"), "dots"),
        Series("radius of the change", _dots(found.points, "change"), "dots"),
    )
    alt = (
        f"Radii of the effective receptive field and of the change in the picture, over the features of {found.layer}, "
        "beside the theoretical field."
    )
    return make_chart(series, alt=alt, x_label="feature", y_label="Radius, or half the side, in pixels")


def _dots(points: tuple[FieldPoint, ...], disc: DiscName) -> tuple[tuple[float, float | None], ...]:
    return tuple((float(point.feature), point.radius(disc)) for point in points)
