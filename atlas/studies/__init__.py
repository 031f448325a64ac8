"""The registry of studies: what an atlas shows beside its features, one package for each question.

A study is a package with those of these modules that it needs, each with the name that the registry looks for:

| module | name | what it is |
|---|---|---|
| `settings.py` | `Settings` | its table in a configuration, a frozen dataclass |
| `jobs.py` | `jobs(config)` | the renderings that it asks for |
| `result.py` | | its results, frozen dataclasses with a file in the store |
| `measure.py` | `measurements(config)` | how results are measured; it alone may import torch and `atlas.render` |
| `page.py` | `PAGE` | its pages, and its section on the pages of features |

Its template is `templates/studies/<name>.html` and its test `tests/studies/test_<name>.py`. To add a study, add such a
package and its name to `STUDIES`. Modules are imported when they are asked for, so that a site is built without torch.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@dataclass(frozen=True)
class Study:
    """A study and where it is.

    Attributes:
        name: of its template and of its pages' folder.
        table: its table in a configuration; its name, if that is not another one.
        package: where its modules are; `atlas.studies.<name>` by default.
    """

    name: str
    table: str = ""
    package: str = ""

    def find(self, module: str, name: str) -> Any:
        """What a module of the study calls by a name; None if the study does not have that module."""
        path = f"{self.package or f'{__name__}.{self.name}'}.{module}"
        return getattr(import_module(path), name) if find_spec(path) else None


STUDIES = (  # in the order of the home page
    Study("raster"),
    Study("neurons"),
    Study("fields"),
    Study("influence"),
    Study("palette"),
    Study("interactions"),
    Study("examples"),
    Study("dreams", table="dream"),
    Study("compare"),
    Study("metrics"),
    Study("depth"),
    Study("dead"),
    Study("connections"),
    Study("nearest"),
)
