"""The registry of studies: what an atlas shows beside its features, one package for each question.

A study is a package with those of these modules that it needs:

| module | name | what it is |
|---|---|---|
| `settings.py` | `Settings` | its table in a configuration: frozen, every field with a default or in a preset |
| `jobs.py` | `jobs(config)` | its renderings |
| `result.py` | | its results, frozen dataclasses with a file in the store |
| `measure.py` | `measurements(config)` | how results are measured; the others import neither torch nor `rendering` |
| `page.py` | `PAGE` | its pages, and its section on the pages of features |

Its template is `templates/studies/<name>.html` and its test `tests/studies/test_<name>.py`. To add a study, add such a
package and its name to `STUDIES`. Modules are imported when they are needed, so that a site is built without torch.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from atlas.plan import config as configuration
from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs

if TYPE_CHECKING:
    from atlas.site.study_page import StudyPage


@dataclass(frozen=True)
class Study:
    """A study and where it is.

    Attributes:
        name: of its template and of its pages' folder.
        table: its table in a configuration; its name, if that is not another one.
        package: where its modules are; `atlas.studies.<name>` by default.
        is_frames: whether its jobs are frames of videos, which come last and are not shown one by one.
    """

    name: str
    table: str = ""
    package: str = ""
    is_frames: bool = False

    def find(self, module: str, name: str) -> Any:
        """What a module of the study calls by a name; None if the study does not have that module."""
        path = f"{self.package or f'{__name__}.{self.name}'}.{module}"
        return getattr(import_module(path), name) if find_spec(path) else None


STUDIES = (  # in the order of the home page
    Study("raster", is_frames=True),
    Study("neurons"),
    Study("fields"),
    Study("influence"),
    Study("palette"),
    Study("interactions"),
    Study("examples"),
    Study("dreams", table="dream"),
    Study("seeds"),
    Study("compare"),
    Study("metrics"),
    Study("tuning"),
    Study("trust"),
    Study("depth"),
    Study("dead"),
    Study("connections"),
    Study("votes"),
    Study("nearest"),
    Study("map"),
)


def load_config(name: str = "article") -> Config:
    """Read a configuration with the tables of all studies; arguments and errors as of `plan.config.load_config`."""
    tables = {study.table or study.name: study.find("settings", "Settings") for study in STUDIES}
    return configuration.load_config(name, {table: kind for table, kind in tables.items() if kind})


def all_jobs(config: Config) -> tuple[Job, ...]:
    """Every rendering of an atlas, each once: features first, then those of studies, frames of videos last."""
    found = (study.find("jobs", "jobs") for study in sorted(STUDIES, key=lambda study: study.is_frames))
    of_studies = (job for jobs_of in found if jobs_of for job in jobs_of(config))
    return tuple(dict.fromkeys((*feature_jobs(config), *of_studies)))


def pages() -> tuple["StudyPage", ...]:
    """What studies give to the site."""
    return tuple(page for study in STUDIES if (page := study.find("page", "PAGE")))
