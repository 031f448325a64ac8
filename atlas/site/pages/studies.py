"""What each study shows in an atlas: `StudyPage` → its pages, and what it adds to others."""

from collections.abc import Mapping
from dataclasses import dataclass

from atlas.site.catalogue import Atlas, PlannedRendering
from atlas.site.models import Page
from atlas.site.study_page import Mention, StudyPage


@dataclass(frozen=True)
class Shown:
    """What a study shows in an atlas."""

    study: StudyPage
    pages: tuple[Page, ...]
    home: object | None  # of its section on the home page
    sections: Mapping[str, Mapping[int, object]]  # of its section on the pages of features, by layer and number
    comparisons: Mapping[str, Mapping[int, PlannedRendering]]  # for the method page, by layer and number
    mentions: tuple[Mention, ...]


def show_study(study: StudyPage, atlas: Atlas) -> Shown:
    """What a study shows in an atlas."""
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
