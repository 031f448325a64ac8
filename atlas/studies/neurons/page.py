"""Single neurons: their list, features beside a row and a neuron of theirs, and a page for each."""

from dataclasses import dataclass

from atlas.inception import layers
from atlas.inception.layers import receptive_field
from atlas.inception.targets import Neuron
from atlas.site import words
from atlas.site.catalogue import Atlas, Exhibit
from atlas.site.models import Again, Link, Page, Picture, Shot, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK, again_of, layer_page, neighbours, picture_of, region_link, shot_of
from atlas.studies.neurons.jobs import beside_jobs, neuron_jobs
from atlas.studies.neurons.result import NEURONS, NeuronChange
from atlas.studies.neurons.settings import Settings

PAGE = f"neurons/{HOME}"
TITLE = "Single neurons"
CARD = StudyCard(TITLE, PAGE, "Where a neuron sits is where its picture changes: features, their rows and neurons.")
UNRAISED = {"no_gradient": ": no gradient", "not_raised": ": not raised", "failed": ": failed"}
NO_GRADIENT = (
    "The gradient was exactly 0 at every step: the neuron could not be moved from this start. "
    "Others of its feature may be."
)


@dataclass(frozen=True)
class NeuronsBody:
    """The list of neurons."""

    rows: tuple[tuple[Shot, ...], ...]  # feature, row and neuron, side by side
    neurons: tuple[Shot, ...]
    recipe: str


@dataclass(frozen=True)
class Overlay:
    """What is drawn over a neuron's picture, in its pixels."""

    box: tuple[float, float, float, float]  # x, y, width, height of the theoretical field inside the picture
    covers: bool  # whether that is the whole picture
    neuron: tuple[float, float]  # x, y of the middle of its field
    centre: tuple[float, float] | None  # x, y of the centre of mass of what changed


@dataclass(frozen=True)
class NeuronBody:
    """A neuron's page."""

    target: str
    feature: Link
    row: int
    col: int
    grid: tuple[int, int]
    picture: Picture | None
    alt: str
    status: str
    sentence: str
    overlay: Overlay
    change: NeuronChange | None
    branch: str
    field: str
    again: Again
    previous: Link | None
    next: Link | None


def neuron_pages(atlas: Atlas) -> list[Page]:
    """The list and a page for each neuron; none if the configuration lists none."""
    jobs, beside = neuron_jobs(atlas.config), beside_jobs(atlas.config)
    if not jobs and not beside:
        return []
    shown = [atlas.exhibits[job] for job in jobs]
    rows = tuple(
        tuple(_shot(atlas, atlas.exhibits[job]) for job in (one.feature, one.row, one.neuron)) for one in beside
    )
    body = NeuronsBody(rows, tuple(_shot(atlas, one) for one in shown), atlas.config.study(Settings).recipe)
    crumbs = (HOME_LINK, Link(TITLE, None))
    description = "Single neurons of InceptionV3: where they sit, what they can see, and where they change the picture."
    found = atlas.result(NEURONS)
    changes = {change.target: change for change in found.neurons} if found else {}
    pages = [Page(PAGE, "studies/neurons.html", TITLE, description, crumbs, body)]
    for at, one in enumerate(shown):
        around = neighbours(shown, at, lambda e: Link(str(e.job.target), neuron_page(e)))
        pages.append(_neuron_page(atlas, one, changes.get(str(one.job.target)), around))
    return pages


def neuron_page(exhibit: Exhibit) -> str:
    """Path of a neuron's page: `<layer>/<feature>/<row>-<col>/index.html`."""
    term, (row, col) = exhibit.job.target.terms[0], _position(exhibit)
    return f"{term.layer}/{term.feature}/{row}-{col}/{HOME}"


def _shot(atlas: Atlas, exhibit: Exhibit) -> Shot:
    has_page = exhibit.job in neuron_jobs(atlas.config)
    words = str(exhibit.job.target) + UNRAISED.get(exhibit.status, "")
    return shot_of(exhibit, words, page=neuron_page(exhibit) if has_page else None)


def _neuron_page(
    atlas: Atlas, exhibit: Exhibit, change: NeuronChange | None, around: tuple[Link | None, Link | None]
) -> Page:
    term, (row, col) = exhibit.job.target.terms[0], _position(exhibit)
    assert term.feature is not None  # the configuration lists neurons of features
    target = str(exhibit.job.target)
    feature = Link(f"{term.layer} {term.feature}", f"{term.layer}/{term.feature}/{HOME}")
    body = NeuronBody(
        target=target,
        feature=feature,
        row=row,
        col=col,
        grid=layers.grid(term.layer, exhibit.job.recipe.first_size),
        picture=picture_of(exhibit),
        alt=f"Rendering of the neuron {target}.",
        status=exhibit.status,
        sentence=_sentence(exhibit),
        overlay=_overlay(exhibit, change),
        change=change,
        branch=words.branch_of(term.layer, term.feature),
        field=words.field_of(term.layer, term.feature),
        again=again_of(exhibit, atlas.weights_option),
        previous=around[0],
        next=around[1],
    )
    region = region_link(layers.get_layer(term.layer).region)
    crumbs = (
        HOME_LINK,
        region,
        Link(term.layer, layer_page(term.layer, 1)),
        Link(str(term.feature), feature.page),
        Link(f"{row}, {col}", None),
    )
    description = f"The neuron {target} of InceptionV3: its picture, what it can see, and where the picture changed."
    return Page(neuron_page(exhibit), "studies/neurons_one.html", target, description, crumbs, body)


def _sentence(exhibit: Exhibit) -> str:
    """What the status means for one neuron; the words for features speak of all of theirs."""
    is_still = exhibit.status == "no_gradient"
    return NO_GRADIENT if is_still else words.status_sentence(exhibit.status, exhibit.record)


def _overlay(exhibit: Exhibit, change: NeuronChange | None) -> Overlay:
    term, (row, col) = exhibit.job.target.terms[0], _position(exhibit)
    height, width = exhibit.job.recipe.first_size
    field = receptive_field(term.layer, term.feature)
    top, left, bottom, right = field.box(row, col)
    x, y, x_end, y_end = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    place = field.centre + 0.5 + col * field.jump, field.centre + 0.5 + row * field.jump
    centre = (change.centre[1], change.centre[0]) if change and change.centre else None
    covers = (x, y, x_end, y_end) == (0, 0, width, height)
    return Overlay((x, y, x_end - x, y_end - y), covers, place, centre)


def _position(exhibit: Exhibit) -> tuple[int, int]:
    position = exhibit.job.target.terms[0].position
    assert isinstance(position, Neuron)  # the configuration lists single neurons
    return position.row, position.col
