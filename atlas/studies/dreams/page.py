"""Deep dreams: their list, and a page for each with the picture before and after."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from atlas.site import words
from atlas.site.catalogue import Atlas
from atlas.site.copies import JPEG, Encoder, Work, make_work, open_picture
from atlas.site.models import HOME, THUMB, Link, Page, Picture
from atlas.site.pages.parts import Around, again_of, class_name, make_page, neighbours, octave_rows
from atlas.site.study_page import Mention, StudyCard, StudyPage
from atlas.store.photos import open_kept, photo_path
from atlas.studies.dreams.jobs import Dream, config_dreams, jobs
from atlas.studies.dreams.settings import Settings

CARD = StudyCard(
    "dreams",
    "Deep dreams",
    "A picture, changed step by step until a layer, or a sum of features, responds more to it.",
)


def dream_page(dream: Dream) -> str:
    """Path of a dream's page: `dreams/<photograph>-<target>/index.html`."""
    return f"dreams/{dream.name}-{dream.job.target.slug}/{HOME}"


def dream_pages(atlas: Atlas) -> Iterator[Page]:
    """The list and a page for each dream; none if the configuration lists none."""
    dreams = config_dreams(atlas.config)
    if not dreams:
        return
    cards = [(dream_page(dream), dream.title, atlas.renderings[dream.job]) for dream in dreams]
    description = (
        "Deep dreams of InceptionV3: pictures before and after the descent towards a layer, or a sum of features."
    )
    yield CARD.page(description, cards=cards, recipe=atlas.config.study(Settings).recipe)
    for at, dream in enumerate(dreams):
        yield _dream_page(atlas, dream, neighbours(dreams, at, lambda d: Link(_title(d), dream_page(d))))


def dream_mentions(atlas: Atlas) -> Iterator[Mention]:
    """The dreams of each feature and layer."""
    for dream in config_dreams(atlas.config):
        for term in dream.job.target.terms:
            yield Mention(term, dream_page(dream), f"Deep dream {_title(dream)}")


def photographs(atlas: Atlas, avif: Encoder) -> Iterator[Work]:
    """Copies of the photograph that each dream starts from, at the dream's size."""
    for dream in config_dreams(atlas.config):
        rendering, photo = atlas.renderings[dream.job], _photo(atlas, dream)
        record = rendering.record
        if record and photo:
            size = record.width, record.height
            copies = (("before.avif", avif, max(size)), ("before.jpg", JPEG, THUMB))
            named = ((f"{rendering.folder}/{name}", how, largest) for name, how, largest in copies)
            yield make_work(partial(_draw_photo, photo, size), record.start, named, f"{size} {THUMB} sRGB")


def photograph_faults(atlas: Atlas) -> tuple[str, ...]:
    """What is wrong with photographs that are damaged."""
    photos = {photo_path(atlas.config.store, one.job.start) for one in config_dreams(atlas.config) if one.job.start}
    return tuple(atlas.spoilt[photo] for photo in sorted(photos & atlas.spoilt.keys()))


def _draw_photo(file: Path, size: tuple[int, int]) -> Image.Image:
    return open_picture(file, open_kept).resize(size, Image.Resampling.LANCZOS)


def _photo(atlas: Atlas, dream: Dream) -> Path | None:
    """The photograph in the store, if it is there and not known to be damaged."""
    assert dream.job.start, "a dream starts from a photograph"
    path = photo_path(atlas.config.store, dream.job.start)
    return path if path not in atlas.spoilt and path.exists() else None


def _title(dream: Dream) -> str:
    return f"{dream.title} → {dream.job.target}"


def _dream_page(atlas: Atlas, dream: Dream, around: Around) -> Page:
    rendering, job = atlas.renderings[dream.job], dream.job
    record = rendering.record
    before = None
    if record and _photo(atlas, dream):
        folder = rendering.folder
        before = Picture(f"{folder}/before.avif", f"{folder}/before.jpg", record.width, record.height)
    wanted = atlas.config.study(Settings)
    recipe = atlas.config.get_recipe(wanted.recipe)  # as it was before it was brought to a size
    command = words.dream_command(dream.start.given, job, recipe, wanted.size, record, atlas.weights_option)
    return make_page(
        dream_page(dream),
        "studies/dreams_one.html",
        f"{dream.title}, {job.target}",
        f"A deep dream of InceptionV3: the picture {dream.title}, changed towards {job.target}.",
        Link(CARD.title, CARD.path),
        last=_title(dream),
        rendering=rendering,
        start=dream.title,
        class_name=class_name(atlas, job.target.terms[0].feature or 0) if job.target.is_class else "",
        is_drawn=dream.start.file is None,  # it started from the picture that ships with the project
        before=before,  # None: pending, or the store has lost the photograph
        octaves=octave_rows(job, record),
        again=again_of(rendering, recipe, command),
        around=around,
    )


PAGE = StudyPage(
    card=CARD,
    pages=dream_pages,
    mentions=dream_mentions,
    jobs=jobs,
    pictures=photographs,
    faults=photograph_faults,
)
