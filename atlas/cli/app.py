"""The Typer application: commands with groups of options, and errors → one line and an exit code."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from atlas import INTERRUPTED, __version__
from atlas.cli.options import Output
from atlas.common.errors import RESUME, AtlasError, StoreError


class _Commands(TyperGroup):
    """Turns the errors that are meant for people into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AtlasError as error:
            message, code = str(error), error.exit_code
        except MemoryError:
            message, code = f"out of memory; {RESUME}", AtlasError.exit_code
        except OSError as error:  # raised where no module expects one: a full disk, a missing permission
            place = f"{error.filename}: " if error.filename else ""
            message = f"{place}{error.strerror or error}; correct this and run the same command again"
            code = StoreError.exit_code
        except KeyboardInterrupt as error:
            progress = f" ({error})" if str(error) else ""
            message, code = f"interrupted{progress}; {RESUME}", INTERRUPTED
        typer.echo(f"atlas: {message}", err=True)
        raise typer.Exit(code)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Render what every layer of InceptionV3 responds to, by gradient descent on the input, and build a website.",
)


def command(name: str, *, logs: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command; a parameter whose type is a dataclass becomes one option for each field.

    Args:
        name: of the command.
        logs: add the options of `Output`, and log the run.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(signature(function).parameters.values())
        groups = {one.name: one.annotation for one in own if is_dataclass(one.annotation)}
        output = [Parameter("output", Parameter.KEYWORD_ONLY, annotation=Output)] if logs else []

        def take(group: Any, given: dict[str, Any]) -> Any:
            return group(**{field.name: given.pop(field.name) for field in fields(group)})

        @wraps(function)
        def run(**given: Any) -> None:
            with take(Output, given).log() if logs else nullcontext():
                function(**{name: take(group, given) for name, group in groups.items()}, **given)

        parameters = [flat for one in [*own, *output] for flat in _flatten(one)]
        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads; not in typeshed
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return app.command(name)(run)

    return register


def _flatten(parameter: Parameter) -> Iterator[Parameter]:
    """A parameter, or one for each field of its dataclass."""
    if is_dataclass(parameter.annotation):
        for field in fields(parameter.annotation):
            yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
    else:
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"atlas {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
