"""Options that several commands share, and groups of them as frozen dataclasses, one option for each field."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atlas.common import log
from atlas.common.errors import ConfigError
from atlas.inception.layers import MIN_SIZE
from atlas.plan.config import LARGEST_SEED

if TYPE_CHECKING:  # it needs torch, and a site is written without it
    from atlas.runs import RunOptions


def given_name(text: str) -> str:
    """A path, or a name that may stand in its place.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not text:
        raise typer.BadParameter("a path must not be empty; is a variable of the shell not set?")
    return text


def given_path(text: str) -> Path:
    """A path; an empty one is refused, since Python would take it for the current folder.

    Raises:
        typer.BadParameter: it is empty.
    """
    return Path(given_name(text))


def read_batch_size(text: str) -> int:
    """The number of rows in a batch. It is read inside a command, so that the log has its error.

    Raises:
        ConfigError: not a number from 1 to 4096.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= 4096):
        raise ConfigError(f'--batch-size "{text}": allowed: auto, or a number from 1 to 4096')
    return int(text)


def option(flag: str, metavar: str, help_text: str, *, panel: str | None = None, **more: Any) -> Any:
    """An option, under a heading of the command's help; a flag that takes no value has the metavar ""."""
    return typer.Option(flag, metavar=metavar, help=help_text, rich_help_panel=panel, **more)


def argument(metavar: str, help_text: str, **more: Any) -> Any:
    """What a command takes without a flag."""
    return typer.Argument(metavar=metavar, help=help_text, **more)


config_option = partial(option, panel="Configuration")
run_option = partial(option, panel="How to run")
_site_option = partial(option, panel="Site")
_output_option = partial(option, panel="Output")


def size_option(help_text: str, most: int) -> Any:
    """An image size; the network needs `MIN_SIZE`."""
    return config_option("--size", "PIXELS", help_text, min=MIN_SIZE, max=most)


Config = Annotated[
    str,
    config_option(
        "--config", "FILE|PRESET", "TOML file, or a preset: article, demo or demo-imagenet.", parser=given_name
    ),
]
Store = Annotated[Path | None, config_option("--store", "DIR", "Folder where renderings are kept.", parser=given_path)]
Layers = Annotated[str | None, config_option("--layers", "L,L", "Layers by name, separated by commas, or all.")]
Features = Annotated[
    str | None,
    config_option("--features", "N|all|LIST", "Features of each layer: the first N, all, or a list such as 0-15,654."),
]
Recipe = Annotated[
    str | None,
    config_option(
        "--recipe",
        "NAME",
        "Recipe: octaves is the article's, crisp shows what holds when the image moves, raw is plain.",
    ),
]
Device = Annotated[
    str, run_option("--device", "auto|cpu|cuda[:N]|mps", "Device to render on; auto takes a CUDA GPU, else the CPU.")
]
Precision = Annotated[
    str, run_option("--precision", "auto|fp64|fp32|tf32|bf16", "Floating-point precision of the descent.")
]
Threads = Annotated[
    int | None,
    run_option("--threads", "N", "Number of CPU threads. Default: the available cores.", min=1, max=1024),
]


Budget = Annotated[
    str | None,
    _site_option(
        "--budget", "SIZE", "Size of the site at most, such as 1GB: what is missed least is left out, and pages say so."
    ),
]


@dataclass(frozen=True)
class Source:
    """Whose features, and where their renderings are kept."""

    config: Config = "article"
    weights: Annotated[
        str | None, config_option("--weights", "imagenet|demo|FILE", "Weights of the network.", parser=given_name)
    ] = None
    weights_input: Annotated[
        str | None,
        config_option(
            "--weights-input",
            "x|2x-1",
            "Input that the weights were trained on, for a picture x in [0, 1]. Default for a file: 2x-1.",
        ),
    ] = None
    seed: Annotated[
        int | None,
        config_option("--seed", "N", "Seed of the start noise; the article uses 999.", min=0, max=LARGEST_SEED),
    ] = None
    store: Store = None


@dataclass(frozen=True)
class Choice:
    """Which features, and how they are rendered."""

    layers: Layers = None
    features: Features = None
    features_only: Annotated[
        bool, config_option("--features-only", "", "Render only features, without videos and studies.")
    ] = False
    recipe: Recipe = None


@dataclass(frozen=True)
class Site:
    """The site's folder and address, and how it is written."""

    out: Annotated[Path | None, _site_option("--out", "DIR", "Folder of the site.", parser=given_path)] = None
    base_url: Annotated[
        str | None, _site_option("--base-url", "URL", "Address at which the site will be published.")
    ] = None
    budget: Budget = None
    fine: Annotated[
        bool,
        _site_option(
            "--fine", "", "Encode the site's pictures ten times slower, for files that are a seventh smaller."
        ),
    ] = False
    zip_site: Annotated[
        bool, _site_option("--zip", "", "Also pack the site into one file beside its folder, such as site.zip.")
    ] = False


@dataclass(frozen=True)
class Running:
    """Where and how renderings are made."""

    device: Device = "auto"
    precision: Precision = "auto"
    batch_size: Annotated[str, run_option("--batch-size", "auto|N", "Renderings in a batch.")] = "auto"
    threads: Threads = None
    executor: Annotated[
        str, run_option("--executor", "plain|ray", "Render in this process (plain) or on a Ray cluster (ray).")
    ] = "plain"
    address: Annotated[
        str | None,
        run_option("--address", "HOST:PORT", "Address of the Ray cluster. Default: start one on this machine."),
    ] = None
    gpus_per_task: Annotated[
        float | None,
        run_option("--gpus-per-task", "SHARE", "GPUs per Ray worker. Default: 1 if the cluster has any.", min=0, max=1),
    ] = None
    force: Annotated[bool, run_option("--force", "", "Render again what is up to date.")] = False

    def options(self, **more: Any) -> "RunOptions":
        """These options and more fields of `RunOptions`.

        Raises:
            ConfigError: as `read_batch_size`.
        """
        from atlas.runs import RunOptions

        rows = None if self.batch_size == "auto" else read_batch_size(self.batch_size)
        return RunOptions(**{**vars(self), **more, "batch_size": rows})


@dataclass(frozen=True)
class Output:
    """How much a run prints, and its log."""

    log_file: Annotated[
        Path | None,
        _output_option(
            "--log-file", "FILE", "Append events to this file, one JSON object per line.", parser=given_path
        ),
    ] = None
    quiet: Annotated[bool, _output_option("--quiet", "", "Print only results, warnings and errors.")] = False
    verbose: Annotated[bool, _output_option("--verbose", "", "Print every event.")] = False

    def log(self) -> AbstractContextManager[None]:
        """Log what happens inside.

        Raises:
            ConfigError: both quiet and verbose.
        """
        if self.quiet and self.verbose:
            raise ConfigError("--quiet and --verbose exclude each other")
        return log.watched(self.log_file, "quiet" if self.quiet else "verbose" if self.verbose else "normal")
