"""What several pages are made of: renderings → tiles and shots, links before and after, and the paths of pages."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TypeVar

from atlas.inception import layers
from atlas.inception.targets import Target
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe
from atlas.site import words
from atlas.site.catalogue import Atlas, Feature, PlannedRendering
from atlas.site.models import HOME, Link, Page, Tile
from atlas.site.study_page import HOME_LINK
from atlas.store.records import Record

METHOD = "method/index.html"
MISSING = "404.html"
FEATURES_A_PAGE = 64

Entry = TypeVar("Entry")
Around = tuple[Link | None, Link | None]
Shot = dict[str, object]


def make_page(
    path: str, template: str, title: str, description: str, *above: Link, last: str = "", **body: object
) -> Page:
    """A page whose template needs `body`.

    Args:
        path: in the site.
        template: its template.
        title: of the window.
        description: for search engines.
        above: the crumbs between the home page and this one.
        last: the crumb of this one; "": its title.
        body: what its template needs, by name.
    """
    return Page(path, template, title, description, (HOME_LINK, *above, Link(last or title, None)), body)


def region_link(slug: str) -> Link:
    """A link to a region's page."""
    return Link(layers.get_region(slug).title, f"region/{slug}/{HOME}")


def layer_page(name: str, at: int = 1) -> str:
    """Path of a page of a layer's features, counted from 1."""
    return f"{name}/{HOME}" if at == 1 else f"{name}/page/{at}/{HOME}"


def feature_page(layer: str, number: int | None) -> str:
    """Path of a feature's page."""
    return f"{layer}/{number}/{HOME}"


def target_page(target: Target) -> str:
    """Path of the page of a target's first feature."""
    return feature_page(target.terms[0].layer, target.terms[0].feature)


def tile_of(feature: Feature, facts: tuple[str, ...] = ()) -> Tile:
    """A feature in a grid."""
    return Tile(
        page=feature.page,
        layer=feature.layer,
        number=feature.number,
        status=feature.status,
        thumb=feature.face.thumb,
        picture=feature.face.picture,
        facts=facts,
        is_rescued=feature.rescued is not None,
    )


def layer_tile(atlas: Atlas, feature: Feature) -> Tile:
    """A feature on its layer's page, with the words by which that is filtered, and what it responds to."""
    marks = atlas.marks_of(feature)
    known = (mark.word for mark in marks if mark.passed is not None)
    tile = tile_of(feature, facts=(feature.status, *atlas.colours.get(feature.face.folder, ()), *known))
    return replace(tile, words=atlas.words_of(feature), marks=marks)


def tiles(atlas: Atlas) -> dict[tuple[str, int], Tile]:
    """All planned features as tiles, by layer and number; call it by `atlas.once`."""
    return {(feature.layer, feature.number): tile_of(feature) for feature in atlas.features}


def shot_of(rendering: PlannedRendering, words: str, *, alt: str = "", page: str | None = None) -> Shot:
    """A rendering among others, with a caption that may link to a page."""
    return {"words": words, "rendering": rendering, "alt": alt or f"Rendering of {rendering.job.target}.", "page": page}


def octave_rows(job: Job, record: Record | None) -> list[dict[str, object]]:
    """The octaves of a rendering, with the maps of its deepest layer and the scores of its record, None if pending.

    A size is (height, width), and a grid (rows, cols).
    """
    scores = record.octaves[: len(job.recipe.octaves)] if record else ()
    octaves = zip_longest(job.recipe.octaves, job.sizes, scores)
    return [
        {"octave": octave, "size": size, "grid": layers.grid(job.target.deepest, size), "scores": found}
        for octave, size, found in octaves
    ]


def class_name(atlas: Atlas, number: int) -> str:
    """The name of a class; "" if it is not known."""
    names = atlas.weights.classes if atlas.weights else ()
    return names[number] if 0 <= number < len(names) else ""


def again_of(rendering: PlannedRendering, recipe: Recipe, command: tuple[str, ...]) -> dict[str, object]:
    """How to make a rendering, or to make it again: a command, and its recipe if the package does not have it."""
    return {"command": command, "toml": words.own_toml(recipe), "record": rendering.record, "json": rendering.json}


def neighbours(items: Sequence[Entry], at: int, link: Callable[[Entry], Link]) -> Around:
    """Links to the item before and to the one after."""
    before = link(items[at - 1]) if at else None
    after = link(items[at + 1]) if at + 1 < len(items) else None
    return before, after
