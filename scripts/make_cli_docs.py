"""Write docs/cli.md from the commands' help; run by `make docs`."""

import re
from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from atlas.cli import app

FILE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HEAD = "# Commands\n\nWhat `atlas COMMAND --help` says, written by `make docs`.\n\n"


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
    return HEAD + text.strip() + "\n"


def _entry(name: str, summary: str | None, given: str) -> str:
    """A command in the list of commands, with a link; what is given for anything else."""
    return given if summary is None else f"* [`{name}`](#atlas-{name}): {summary}"


if __name__ == "__main__":
    FILE.write_text(cli_docs())
    print(f"{FILE} written")
