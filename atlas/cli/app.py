"""The Typer application that commands belong to: its help, its version, and errors → one line and an exit code."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from atlas import INTERRUPTED, __version__
from atlas.common.errors import AtlasError, StoreError


class _Commands(TyperGroup):
    """Turns the errors that are meant for people into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AtlasError as error:
            typer.echo(f"atlas: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except MemoryError:
            typer.echo(
                "atlas: out of memory; what is finished is kept, and the same command goes on from there", err=True
            )
            raise typer.Exit(AtlasError.exit_code) from None
        except OSError as error:  # what no room foresaw: a disk, a name or a right that is missing
            place = f"{error.filename}: " if error.filename else ""
            typer.echo(f"atlas: {place}{error.strerror or error}; mend that and run the same command again", err=True)
            raise typer.Exit(StoreError.exit_code) from None
        except KeyboardInterrupt as error:
            done = f"{error}; " if str(error) else ""
            typer.echo(
                f"atlas: interrupted; {done}what is finished is kept, and the same command goes on from there", err=True
            )
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="What every layer of InceptionV3 responds to, rendered by gradient descent on the input, as a website.",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"atlas {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass
