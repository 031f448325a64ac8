"""Options that go together, as frozen dataclasses, and what makes a command take them: a class → one option a field."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any

from atlas.cli import options as opt
from atlas.common import log
from atlas.common.errors import ConfigError


@dataclass(frozen=True)
class Source:
    """Whose features, and where they are kept."""

    config: opt.Config = "article"
    weights: opt.Weights = None
    weights_input: opt.WeightsInput = None
    seed: opt.Seed = None
    store: opt.Store = None


@dataclass(frozen=True)
class Choice:
    """Which features, and how they are rendered."""

    layers: opt.Layers = None
    features: opt.Features = None
    features_only: opt.FeaturesOnly = False
    recipe: opt.Recipe = None


@dataclass(frozen=True)
class Place:
    """The site's folder and address."""

    out: opt.Site = None
    base_url: opt.BaseUrl = None


@dataclass(frozen=True)
class Publishing:
    """How the site is written."""

    fine: opt.Fine = False
    zip_site: opt.Zip = False


@dataclass(frozen=True)
class Running:
    """On what, and how, renderings are made."""

    device: opt.Device = "auto"
    precision: opt.Precision = "auto"
    batch_size: opt.BatchSize = "auto"
    threads: opt.Threads = None
    executor: opt.Executor = "plain"
    address: opt.Address = None
    gpus_per_task: opt.GpusPerTask = None
    force: opt.Force = False


@dataclass(frozen=True)
class Watching:
    """How much a run says, and where."""

    log_file: opt.LogFile = None
    quiet: opt.Quiet = False
    verbose: opt.Verbose = False

    def log(self) -> AbstractContextManager[None]:
        """What watches a run.

        Raises:
            ConfigError: both quiet and verbose.
        """
        if self.quiet and self.verbose:
            raise ConfigError("--quiet and --verbose exclude each other: say one of them, or neither")
        return log.watched(self.log_file, "quiet" if self.quiet else "verbose" if self.verbose else "normal")


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command be called with the fields of its groups one by one, as Typer calls it.

    Args:
        command: a function whose parameters are options, and groups of them, which are dataclasses.
    """
    own = signature(command)
    groups: dict[str, Any] = {
        name: one.annotation for name, one in own.parameters.items() if is_dataclass(one.annotation)
    }

    @wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{one.name: given.pop(one.name) for one in fields(group)})
        command(**given)

    return _with_parameters(run, list(_flat(own.parameters.values())))


def watched(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that runs long be watched: `takes_groups`, and --log-file, --quiet and --verbose."""
    inner = takes_groups(command)
    group = Parameter("watching", Parameter.KEYWORD_ONLY, annotation=Watching)

    @wraps(inner)
    def run(**given: Any) -> None:
        watching = Watching(**{one.name: given.pop(one.name) for one in fields(Watching)})
        with watching.log():
            inner(**given)

    return _with_parameters(run, list(_flat([*signature(inner).parameters.values(), group])))


def _flat(parameters: Any) -> Iterator[Parameter]:
    """Parameters, with one for each field in the place of a group."""
    for one in parameters:
        if is_dataclass(one.annotation):
            for field in fields(one.annotation):
                yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        else:
            yield one.replace(kind=Parameter.KEYWORD_ONLY)


def _with_parameters(run: Callable[..., None], parameters: Sequence[Parameter]) -> Callable[..., None]:
    """A function that says it takes these, which is what Typer reads."""
    run.__signature__ = signature(run).replace(parameters=parameters)  # type: ignore[attr-defined]  # no function has one in typeshed
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
