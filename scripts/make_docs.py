"""Write docs/cli.md and docs/configuration.md from the commands' help and the settings' docstrings; by `make docs`."""

import inspect
import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from atlas.cli import app
from atlas.plan import config
from atlas.plan.config import AtlasTable, FeaturesTable, SiteTable
from atlas.plan.recipes import Octave, Recipe, Transform
from atlas.plan.settings import Table, Whole
from atlas.studies import STUDIES

FOLDER = Path(__file__).resolve().parent.parent / "docs"
CLI_HEAD = "# Commands\n\nWhat `atlas COMMAND --help` says, written by `make docs`.\n\n"
CONFIGURATION_HEAD = """# Configuration

A configuration is a TOML file: `atlas build --config mine.toml`, or `make atlas CONFIG=mine.toml`. All commands that
render or show an atlas take it.

```toml
extends = "article"            # or "demo", "demo-imagenet": what is left out stays as it is there

[atlas]
title = "My network"
weights = "my-inception.pth"   # paths written here are relative to this file

[features]
layers = ["Mixed_6b", "Mixed_6c"]
count = [0, "5-9", 654]
```

Without `store` and `site`, `renders/` and `site/` are made in the folder where the command runs. **Studies**, such as
videos, receptive fields and interactions, have targets of their own, which come on top of `[features]` and are most of
the work: `only = true` leaves all of them out, and an empty list, such as `targets = []`, one.

Errors are named by file, key and value, all at once, before anything runs. The
[article's preset](../atlas/plan/presets/article.toml), which `extends` begins from unless it names another one, has the
values below. A size of 1GB is 10⁹ bytes. This page is written by `make docs` from the docstrings of the settings.

"""


def cli_docs() -> str:
    """The help of all commands, in Markdown."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup), "it has several commands"
    text = get_docs_for_click(obj=group, ctx=typer.Context(group, info_name="atlas"), name="atlas")
    text = re.sub(r" <list\[str\]>", " …", text)  # an argument that may be repeated
    first_lines = {name: (one.help or "").partition("\n")[0] for name, one in group.commands.items()}
    # in place of summaries that are cut off
    text = re.sub(
        r"^\* `(\w+)`: .*$", lambda found: _entry(found[1], first_lines.get(found[1]), found[0]), text, flags=re.M
    )
    return CLI_HEAD + text.strip() + "\n"


def _entry(name: str, summary: str | None, given: str) -> str:
    """A command in the list of commands, with a link; what is given for anything else."""
    return given if summary is None else f"* [`{name}`](#atlas-{name}): {summary}"


def configuration_docs() -> str:
    """All tables of a configuration, in Markdown."""
    preset = Path(inspect.getfile(config)).parent / "presets" / "article.toml"
    article = tomllib.loads(preset.read_text(encoding="utf-8"))
    parts = [_table(f"[{name}]", kind, article[name]) for name, kind in _tables()]
    recipes = (("[recipes.NAME]", Recipe), ("A table of `octaves`", Octave), ("A table of `transforms`", Transform))
    parts[3:3] = [_table(title, kind, {}) for title, kind in recipes]
    return CONFIGURATION_HEAD + "\n".join(parts)


def _tables() -> Iterator[tuple[str, type[Table]]]:
    """The tables of a configuration file by name, but for recipes."""
    yield from (("atlas", AtlasTable), ("site", SiteTable), ("features", FeaturesTable))
    for study in STUDIES:
        if kind := study.find("settings", "Settings"):
            yield study.table or study.name, kind


def _table(title: str, kind: Any, preset: dict[str, object]) -> str:
    """One table: its docstring's first line, and its keys with their meaning and value."""
    docstring = inspect.getdoc(kind) or ""
    said = dict(re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", docstring.partition("Attributes:\n")[2], re.M))
    values = "`article` has" if preset else "default"
    name = title if title.startswith("A") else f"`{title}`"
    lines = [f"## {name}", "", docstring.partition("\n")[0], "", f"| key | {values} | meaning |", "|---|---|---|"]
    for field in fields(kind):
        if field.name == "name" and kind is Recipe:
            continue
        default = preset.get(field.name, None if field.default is MISSING else field.default)
        meaning = re.sub(r"\s+", " ", said[field.name]) + _bounds(kind, field.name)
        lines.append(f"| `{field.name}` | {_toml(default)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _bounds(kind: type[Table], name: str) -> str:
    """What whole numbers are allowed, if the value is one."""
    parts = [get_type_hints(kind, include_extras=True)[name]]
    for part in parts:  # grows by what it is made of
        if isinstance(part, Whole):
            return f" ({part.least:,} to {part.most:,})"
        parts += [*get_args(part), *getattr(part, "__metadata__", ())]
    return ""


def _toml(value: Any) -> str:
    """A value as TOML writes it, as code; nothing for None."""
    if value is None or value == ():
        return ""
    if isinstance(value, list):
        return f"`[{', '.join(_toml(one).strip('`') for one in value)}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


DOCS = {FOLDER / "cli.md": cli_docs, FOLDER / "configuration.md": configuration_docs}

if __name__ == "__main__":
    for file, make in DOCS.items():
        file.write_text(make(), encoding="utf-8")
        print(f"{file} written")
