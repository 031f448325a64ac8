"""Single neurons: their list, features beside a row and a neuron of theirs, and a page for each."""

from collections.abc import Iterator

from atlas.inception import layers
from atlas.inception.layers import receptive_field
from atlas.plan.jobs import Job
from atlas.site import words
from atlas.site.catalogue import PENDING, Atlas, PlannedRendering
from atlas.site.models import HOME, Link, Page
from atlas.site.pages.parts import (
    Around,
    Shot,
    again_of,
    feature_page,
    layer_page,
    make_page,
    neighbours,
    region_link,
    shot_of,
)
from atlas.site.study_page import Mention, StudyCard, StudyPage
from atlas.studies.neurons.jobs import beside_jobs, jobs, neuron_jobs, place_of
from atlas.studies.neurons.result import NEURONS, NeuronChange
from atlas.studies.neurons.settings import Settings

CARD = StudyCard(
    "neurons", "Single neurons", "Where a neuron sits is where its picture changes: features, their rows and neurons."
)


def neuron_pages(atlas: Atlas) -> Iterator[Page]:
    """The list and a page for each neuron; none if the configuration lists none."""
    neurons, beside = neuron_jobs(atlas.config), beside_jobs(atlas.config)
    if not neurons and not beside:
        return
    yield CARD.page(
        "Single neurons of InceptionV3: where they sit, their receptive fields, and where they change the picture.",
        rows=[[_shot(atlas, job) for job in row] for row in beside],
        neurons=[_shot(atlas, job) for job in neurons],
        recipe=atlas.config.study(Settings).recipe,
    )
    found = atlas.result(NEURONS)
    changes = {change.target: change for change in found.neurons} if found else {}
    shown = [atlas.renderings[job] for job in neurons]
    for at, one in enumerate(shown):
        around = neighbours(shown, at, lambda e: Link(str(e.job.target), neuron_page(e)))
        yield _neuron_page(atlas, one, changes.get(str(one.job.target)), around)


def neuron_page(rendering: PlannedRendering) -> str:
    """Path of a neuron's page: `<layer>/<feature>/<row>-<col>/index.html`."""
    term, (row, col) = rendering.job.target.terms[0], place_of(rendering.job)
    return f"{term.layer}/{term.feature}/{row}-{col}/{HOME}"


def neuron_mentions(atlas: Atlas) -> Iterator[Mention]:
    """The pages of each feature's neurons, and the list."""
    for job in neuron_jobs(atlas.config):
        (term,) = job.target.terms
        yield Mention(term, neuron_page(atlas.renderings[job]), f"Neuron {job.target}")
    yield from CARD.mentions(Settings)(atlas)


def _shot(atlas: Atlas, job: Job) -> Shot:
    rendering, has_page = atlas.renderings[job], job in neuron_jobs(atlas.config)
    words = str(job.target)
    if rendering.status not in ("ok", PENDING):
        words += f": {rendering.status.replace('_', ' ')}"
    return shot_of(rendering, words, page=neuron_page(rendering) if has_page else None)


def _neuron_page(atlas: Atlas, rendering: PlannedRendering, change: NeuronChange | None, around: Around) -> Page:
    job, term, (row, col) = rendering.job, rendering.job.target.terms[0], place_of(rendering.job)
    target, page = str(job.target), feature_page(term.layer, term.feature)
    return make_page(
        neuron_page(rendering),
        "studies/neurons_one.html",
        target,
        f"The neuron {target} of InceptionV3: its picture, its receptive field, and where the picture changed.",
        region_link(layers.get_layer(term.layer).region),
        Link(term.layer, layer_page(term.layer)),
        Link(str(term.feature), page),
        last=f"{row}, {col}",
        rendering=rendering,
        feature=Link(f"{term.layer} {term.feature}", page),
        layer=layers.get_layer(term.layer),
        grid=layers.grid(term.layer, job.recipe.first_size),
        overlay=_overlay(rendering, change),
        change=change,
        again=again_of(rendering, job.recipe, words.command(job, rendering.record, atlas.weights_option)),
        around=around,
    )


def _overlay(rendering: PlannedRendering, change: NeuronChange | None) -> dict[str, object]:
    """What is drawn over a neuron's picture, in its pixels."""
    term, (row, col) = rendering.job.target.terms[0], place_of(rendering.job)
    height, width = rendering.job.recipe.first_size
    field = receptive_field(term.layer, term.feature)
    top, left, bottom, right = field.box(row, col)
    x, y, x_end, y_end = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return {
        "box": (x, y, x_end - x, y_end - y),  # x, y, width, height of the theoretical field inside the picture
        "covers": (x, y, x_end, y_end) == (0, 0, width, height),  # whether that is the whole picture
        "neuron": (field.centre + 0.5 + col * field.jump, field.centre + 0.5 + row * field.jump),  # middle of its field
        "centre": change.centre[::-1] if change and change.centre else None,  # x, y: centre of mass of what changed
    }


PAGE = StudyPage(card=CARD, pages=neuron_pages, mentions=neuron_mentions, jobs=jobs)
