"""Deep dreams: their list, and a page for each with the picture before and after."""

from dataclasses import dataclass
from itertools import zip_longest

from atlas.inception import layers
from atlas.plan.recipes import Octave, Recipe
from atlas.site import words
from atlas.site.catalogue import PENDING, Atlas, Exhibit
from atlas.site.models import Again, Link, Page, Picture, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK, Around, dream_page, neighbours, picture_of, thumb_of
from atlas.store.records import OctaveScores, Record
from atlas.studies.dreams.jobs import Dream, config_dreams
from atlas.studies.dreams.settings import Settings

PAGE = f"dreams/{HOME}"
TITLE = "Deep dreams"
CARD = StudyCard(
    TITLE, PAGE, "A picture, changed step by step until a layer, or a sum of features, responds more to it."
)
STATUSES = {
    "ok": "The dream scores higher than the picture that it began as.",
    "not_raised": "The descent did not raise the score above that of the picture that it began as.",
    "no_gradient": (
        "The gradient was exactly 0 at every step: no neuron of the target could be moved from "
        "this picture, so there was no way to go."
    ),
    PENDING: "Planned, and not rendered yet.",
}


@dataclass(frozen=True)
class DreamCard:
    """A dream in the list."""

    page: str
    target: str
    start: str  # name of the picture that it began as
    status: str
    thumb: Picture | None  # None: pending


@dataclass(frozen=True)
class DreamsBody:
    """The list."""

    cards: tuple[DreamCard, ...]
    recipe: str


@dataclass(frozen=True)
class OctaveRow:
    """An octave and what it did."""

    octave: Octave
    size: str
    grid: str  # of the deepest layer's maps
    scores: OctaveScores | None  # None: pending


@dataclass(frozen=True)
class DreamBody:
    """A dream's page."""

    target: str
    start: str
    is_drawn: bool  # whether it began as the picture that ships with the project
    start_sha256: str
    is_converted: bool  # whether the colours of the file were converted
    before: Picture | None  # None: pending, or the store has lost the photograph
    after: Picture | None  # None: pending
    alt_before: str
    alt_after: str
    status: str
    sentence: str
    record: Record | None
    recipe: Recipe
    deepest: str
    octaves: tuple[OctaveRow, ...]
    again: Again
    previous: Link | None
    next: Link | None

    @property
    def is_tall(self) -> bool:
        """Whether the picture is higher than wide."""
        return self.after is not None and self.after.height > self.after.width


def dream_pages(atlas: Atlas) -> list[Page]:
    """The list and a page for each dream; none if the configuration lists none."""
    dreams = config_dreams(atlas.config)
    if not dreams:
        return []
    cards = tuple(_card(dream, atlas.exhibits[dream.job]) for dream in dreams)
    crumbs = (HOME_LINK, Link(TITLE, None))
    description = "Deep dreams of InceptionV3: pictures before and after a layer, or a sum of features, was asked for."
    body = DreamsBody(cards, atlas.config.study(Settings).recipe)
    pages = [Page(PAGE, "studies/dreams.html", TITLE, description, crumbs, body)]
    for at, dream in enumerate(dreams):
        pages.append(_dream_page(atlas, dream, neighbours(dreams, at, lambda d: Link(_title(d), dream_page(d)))))
    return pages


def _title(dream: Dream) -> str:
    return f"{dream.title} → {dream.job.target}"


def _card(dream: Dream, exhibit: Exhibit) -> DreamCard:
    return DreamCard(dream_page(dream), str(dream.job.target), dream.title, exhibit.status, thumb_of(exhibit))


def _dream_page(atlas: Atlas, dream: Dream, around: Around) -> Page:
    exhibit = atlas.exhibits[dream.job]
    record, job = exhibit.record, dream.job
    assert job.start  # a dream starts from a photograph
    body = DreamBody(
        target=str(job.target),
        start=dream.title,
        is_drawn=dream.start.file is None,
        start_sha256=job.start.sha256,
        is_converted=job.start.is_converted,
        before=_before(exhibit),
        after=picture_of(exhibit),
        alt_before=f"The picture {dream.title} as it was.",
        alt_after=f"The picture {dream.title} after the descent towards {job.target}.",
        status=exhibit.status,
        sentence=words.status_sentence("failed", record) if record and record.failed_at else STATUSES[exhibit.status],
        record=record,
        recipe=job.recipe,
        deepest=job.target.deepest,
        octaves=_octaves(dream, record),
        again=_again(atlas, dream, exhibit),
        previous=around[0],
        next=around[1],
    )
    crumbs = (HOME_LINK, Link(TITLE, PAGE), Link(_title(dream), None))
    description = f"A deep dream of InceptionV3: the picture {dream.title}, changed towards {job.target}."
    return Page(dream_page(dream), "studies/dreams_one.html", f"{dream.title}, {job.target}", description, crumbs, body)


def _before(exhibit: Exhibit) -> Picture | None:
    record = exhibit.record
    if record is None or exhibit.photo is None:
        return None
    return Picture(f"{exhibit.folder}/before.avif", f"{exhibit.folder}/before.jpg", record.width, record.height)


def _octaves(dream: Dream, record: Record | None) -> tuple[OctaveRow, ...]:
    job = dream.job
    rows = zip_longest(job.recipe.octaves, job.sizes, record.octaves if record else ())
    found = []
    for octave, (height, width), scores in rows:
        grid = layers.grid(job.target.deepest, (height, width))
        found.append(OctaveRow(octave, f"{width} × {height} px", f"{grid[0]} × {grid[1]}", scores))
    return tuple(found)


def _again(atlas: Atlas, dream: Dream, exhibit: Exhibit) -> Again:
    """How to make it; a recipe that was brought to a size is given as it was, beside the size."""
    wanted, record = atlas.config.study(Settings), exhibit.record
    recipe = atlas.config.get_recipe(wanted.recipe)
    return Again(
        command=words.dream_command(dream.start.given, dream.job, recipe, wanted.size, record, atlas.weights_option),
        toml=None if words.is_preset(recipe) else words.toml(recipe),
        record=record,
        json=f"{exhibit.folder}/record.json" if record else None,
    )
