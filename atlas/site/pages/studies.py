"""What each study shows in an atlas: `StudyPage` → its pages, and what it adds to others.

A result of the right types may still have another number of features, or a number beyond all charts. It counts as one
that is not there, so that everything else is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from atlas.common.errors import AtlasError
from atlas.site.catalogue import Atlas, PlannedRendering
from atlas.site.models import Page
from atlas.site.study_page import Mention, StudyPage
from atlas.store.results import list_results

_ERRORS = (  # of code that is given numbers or lengths that cannot be; not those of the system
    ArithmeticError,
    AssertionError,
    AtlasError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Shown:
    """What a study shows in an atlas."""

    study: StudyPage
    pages: tuple[Page, ...]
    home: object | None  # of its section on the home page
    sections: Mapping[str, Mapping[int, object]]  # of its section on the pages of features, by layer and number
    comparisons: Mapping[str, Mapping[int, PlannedRendering]]  # for the method page, by layer and number
    mentions: tuple[Mention, ...]


def show_study(study: StudyPage, atlas: Atlas) -> tuple[Shown, frozenset[str]]:
    """What a study shows, and the names of results that were left out, since no page can be made of them.

    An error that comes without any result too is the program's own, and is raised.
    """
    try:
        return _show(study, atlas), frozenset()
    except _ERRORS:
        names = frozenset(list_results(atlas.config.store, atlas.weights)) if atlas.weights else frozenset[str]()
        without = _show(study, replace(atlas, unusable=names))
    unusable = frozenset(name for name in names if not _is_usable(study, replace(atlas, unusable=names - {name})))
    try:
        return _show(study, replace(atlas, unusable=unusable)), unusable
    except _ERRORS:  # each can be shown by itself, and not together
        return without, names


def _is_usable(study: StudyPage, atlas: Atlas) -> bool:
    try:
        _show(study, atlas)
    except _ERRORS:
        return False
    return True


def _show(study: StudyPage, atlas: Atlas) -> Shown:
    planned = [entry for entry in atlas.layers if entry.features]
    section, comparison = study.section, study.comparison
    return Shown(
        study=study,
        pages=tuple(study.pages(atlas)),
        home=study.home[1](atlas) if study.home else None,
        sections={entry.layer.name: section.make(atlas, entry) for entry in planned} if section else {},
        comparisons={entry.layer.name: comparison(atlas, entry) for entry in planned} if comparison else {},
        mentions=tuple(study.mentions(atlas)),
    )
