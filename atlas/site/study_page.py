"""What a study gives to the site: each study's `page.py` ends with a `StudyPage`."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from atlas.inception.targets import Term
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe
from atlas.plan.settings import StudySettings
from atlas.site.models import HOME, Link, Mark, Page
from atlas.store.records import WeightsId
from atlas.store.results import Results

if TYPE_CHECKING:
    from atlas.site.budget import Role, Step, Weight
    from atlas.site.catalogue import Atlas, LayerEntry, PlannedRendering
    from atlas.site.copies import Encoder, Work

HOME_LINK = Link("Home", HOME)


class Mention(NamedTuple):
    """A page that shows a feature, or a whole layer."""

    term: Term
    path: str
    words: str


@dataclass(frozen=True)
class StudyCard:
    """A study on the home page, and its own page `<name>/index.html`, made from `templates/studies/<name>.html`."""

    name: str
    title: str
    sentence: str  # its question, or what it shows
    in_menu: bool = False  # whether every page links to it

    @property
    def path(self) -> str:
        """Path of its page."""
        return f"{self.name}/{HOME}"

    def page(self, description: str, **body: object) -> Page:
        """Its page; `body` is what its template needs."""
        crumbs = (HOME_LINK, Link(self.title, None))
        return Page(self.path, f"studies/{self.name}.html", self.title, description, crumbs, body)

    def mentions(self, settings: type[StudySettings]) -> Callable[["Atlas"], Iterable[Mention]]:
        """Its page as the one that shows the features that its settings name."""
        return lambda atlas: [Mention(term, self.path, self.title) for term in atlas.config.study(settings).terms]


@dataclass(frozen=True)
class Section:
    """A section on the pages of features.

    Attributes:
        template: included with `section`, the feature's entry of what `make` returns.
        make: by number, what the section shows of each feature of a layer; features without an entry have no section.
        stands_beside: whether it may stand beside the large picture, where the first such section does.
        comes_last: whether it follows the other sections, since it is large or few readers need it.
        script: a file of `static/` that a page with this section needs.
    """

    template: str
    make: Callable[["Atlas", "LayerEntry"], Mapping[int, object]]
    stands_beside: bool = False
    comes_last: bool = False
    script: str = ""


def nothing(*_: object) -> tuple[()]:
    """What a study without such a part gives."""
    return ()


def with_weights(config: Config, weights: WeightsId | None, studies: Iterable["StudyPage"]) -> Config:
    """The configuration with the classes of its weights, if they are known, and the features that studies name."""
    config = replace(config, named=()).with_classes(len(weights.classes) if weights else 0)
    if not weights:
        return config
    results = Results(config, weights)
    return replace(config, named=tuple(dict.fromkeys(term for study in studies for term in study.names(results))))


@dataclass(frozen=True)
class StudyPage:
    """What a study gives to the site; every part is optional.

    Attributes:
        card: on the home page, where the study has pages.
        pages: its pages, the one of its card first; none where there is nothing to show.
        section: on the pages of features.
        names: features that it names by its results, so that they have pages.
        says: one line of words for features of a layer, by number: for tiles, titles, the search and the data.
        marks: for features of a layer, by number, what checks say of whether their own picture can be believed.
        layer: a template of a section on the pages of layers, and what it shows; None where there is nothing to show.
        order: a way to sort the pages of layers: its name, and the numbers of the features that have a place in it.
        home: a template of a section on the home page, and what it shows; None where there is nothing to show.
        mentions: which pages show which features, for the list "Elsewhere in this atlas"; the words of a page that is
            not written are left out.
        jobs: the renderings that its pages show.
        kind: what these are to a site that is to be small.
        weighs: what else its pages need, for a forecast: given what the site leaves out.
        recipes: recipes of what it shows that is no rendering, for the method page.
        rescues: for jobs of features whose rendering shows nothing, the job of the rendering that is shown instead.
        versions: by number, renderings of features of a layer by other recipes, which their pages show in exchange for
            their own.
        comparison: by number, another rendering of features of a layer, for the method page to show beside their own.
        pictures: web copies that its pages show beside those of renderings, drawn when those are in the site; given the
            encoder of AVIF files.
        written: files that its pages use, such as scripts with data: path in the site, and content.
        files: files that its pages link to, copied as they are: path in the site, and in the store.
        faults: one message for each file in the store that should be shown and cannot.
        store_faults: the same for `atlas check`, of any store.
    """

    card: StudyCard | None = None
    pages: Callable[["Atlas"], Iterable[Page]] = nothing
    section: Section | None = None
    names: Callable[[Results], Iterable[Term]] = nothing
    says: Callable[["Atlas", "LayerEntry"], Mapping[int, str]] | None = None
    marks: Callable[["Atlas", "LayerEntry"], Mapping[int, Sequence[Mark]]] | None = None
    layer: tuple[str, Callable[["Atlas", "LayerEntry"], object | None]] | None = None
    order: tuple[str, Callable[["Atlas", "LayerEntry"], Sequence[int]]] | None = None
    home: tuple[str, Callable[["Atlas"], object | None]] | None = None
    mentions: Callable[["Atlas"], Iterable[Mention]] = nothing
    jobs: Callable[[Config], Iterable[Job]] = nothing
    role: "Role" = "studies"
    weighs: Callable[[Config, Collection["Step"]], Iterable["Weight"]] = nothing
    recipes: Callable[[Config], Iterable[Recipe]] = nothing
    rescues: Callable[[Config, Collection[Job]], Iterable[tuple[Job, Job]]] = nothing
    versions: Callable[["Atlas", "LayerEntry"], Mapping[int, Sequence["PlannedRendering"]]] | None = None
    comparison: Callable[["Atlas", "LayerEntry"], Mapping[int, "PlannedRendering"]] | None = None
    pictures: Callable[["Atlas", "Encoder"], Iterable["Work"]] = nothing
    written: Callable[["Atlas"], Iterable[tuple[str, bytes]]] = nothing
    files: Callable[["Atlas"], Iterable[tuple[str, Path]]] = nothing
    faults: Callable[["Atlas"], Iterable[str]] = nothing
    store_faults: Callable[[Path], Iterable[str]] = nothing
