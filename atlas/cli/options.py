"""The options that several commands share, by name: what each takes, and its help."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from atlas.inception import layers as network
from atlas.plan import config as configuration
from atlas.plan.recipes import LARGEST_SIZE
from atlas.plan.starts import LARGEST_SIDE
from atlas.studies.examples.settings import LARGEST_SIZE as LARGEST_EXAMPLE
from atlas.studies.raster.settings import LARGEST_FPS, LARGEST_STRIDE


def given_path(text: str) -> Path:
    """A path of the command line, unless it is empty: Python would take that for the current folder.

    Raises:
        typer.BadParameter: it is empty.
    """
    return Path(given_name(text))


def given_name(text: str) -> str:
    """A path of the command line, or a name that may stand in its place.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not text:
        raise typer.BadParameter("a path must not be empty; is a variable of the shell not set?")
    return text


# Headings of a command's help
WHAT = "What is made"
HOW = "How it is run"
SITE = "The site"
WORDS = "What is said"

Config = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="FILE|PRESET",
        parser=given_name,
        rich_help_panel=WHAT,
        help="TOML file, or preset: article, demo.",
    ),
]
Layers = Annotated[
    Optional[str], typer.Option("--layers", metavar="L,L", rich_help_panel=WHAT, help="Layers, by name, or all.")
]
Features = Annotated[
    Optional[str],
    typer.Option(
        "--features",
        metavar="N|all|LIST",
        rich_help_panel=WHAT,
        help="First N features of each layer, or all, or 0-15,654.",
    ),
]
FeaturesOnly = Annotated[
    bool,
    typer.Option(
        "--features-only",
        metavar="",
        rich_help_panel=WHAT,
        help="Leave out what is shown beside the features: videos and studies.",
    ),
]
Recipe = Annotated[
    Optional[str],
    typer.Option("--recipe", metavar="NAME", rich_help_panel=WHAT, help="How to descend: octaves, raw, …"),
]
Seed = Annotated[
    Optional[int],
    typer.Option(
        "--seed",
        metavar="N",
        min=0,
        max=configuration.LARGEST_SEED,
        rich_help_panel=WHAT,
        help="Of the start noise; the article's is 999.",
    ),
]
Weights = Annotated[
    Optional[str],
    typer.Option(
        "--weights",
        metavar="imagenet|demo|FILE",
        parser=given_name,
        rich_help_panel=WHAT,
        help="What network to look into.",
    ),
]
WeightsInput = Annotated[
    Optional[str],
    typer.Option(
        "--weights-input",
        metavar="x|2x-1",
        rich_help_panel=WHAT,
        help="What the weights were trained on, for a picture x in [0, 1]; default for a file: 2x-1.",
    ),
]
Store = Annotated[
    Optional[Path],
    typer.Option("--store", metavar="DIR", parser=given_path, rich_help_panel=WHAT, help="Folder of masters."),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]|mps",
        rich_help_panel=HOW,
        help="Where to render; auto takes a CUDA GPU, else the CPU.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", metavar="auto|fp64|fp32|tf32|bf16", rich_help_panel=HOW, help="Arithmetic of the descent."
    ),
]
BatchSize = Annotated[
    str, typer.Option("--batch-size", metavar="auto|N", rich_help_panel=HOW, help="Renderings made together.")
]
Threads = Annotated[
    Optional[int],
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        rich_help_panel=HOW,
        help="Of the CPU; default: its free cores.",
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        "--executor", metavar="plain|ray", rich_help_panel=HOW, help="Render in this process, or on a Ray cluster."
    ),
]
Address = Annotated[
    Optional[str],
    typer.Option(
        "--address", metavar="HOST:PORT", rich_help_panel=HOW, help="Of the Ray cluster; default: one is started here."
    ),
]
GpusPerTask = Annotated[
    Optional[float],
    typer.Option(
        "--gpus-per-task",
        min=0,
        max=1,
        metavar="SHARE",
        rich_help_panel=HOW,
        help="Of a GPU, for each worker on Ray; default: 1 if any.",
    ),
]
LogFile = Annotated[
    Optional[Path],
    typer.Option(
        "--log-file",
        metavar="FILE",
        parser=given_path,
        rich_help_panel=WORDS,
        help="Append one JSON object an event to it.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", metavar="", rich_help_panel=WORDS, help="Say nothing but results, failures and errors."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", metavar="", rich_help_panel=WORDS, help="Print every event as a line.")
]
Force = Annotated[bool, typer.Option("--force", metavar="", rich_help_panel=HOW, help="Render again what is fresh.")]
Site = Annotated[
    Optional[Path],
    typer.Option("--out", metavar="DIR", parser=given_path, rich_help_panel=SITE, help="Folder of the site."),
]
BaseUrl = Annotated[
    Optional[str],
    typer.Option("--base-url", metavar="URL", rich_help_panel=SITE, help="Where the site will be published, if known."),
]
Fine = Annotated[
    bool,
    typer.Option(
        "--fine",
        metavar="",
        rich_help_panel=SITE,
        help="Encode the site's pictures slowly: ten times the time, a seventh smaller.",
    ),
]
Zip = Annotated[
    bool,
    typer.Option(
        "--zip",
        metavar="",
        rich_help_panel=SITE,
        help="Pack the site into one file beside its folder, such as site.zip, as well.",
    ),
]
Fps = Annotated[
    Optional[int],
    typer.Option(
        "--fps",
        metavar="N",
        min=1,
        max=LARGEST_FPS,
        rich_help_panel=WHAT,
        help="Frames a second; default: a row of the grid a second.",
    ),
]
Stride = Annotated[
    Optional[int],
    typer.Option(
        "--stride",
        metavar="N",
        min=1,
        max=LARGEST_STRIDE,
        rich_help_panel=WHAT,
        help="Neurons from frame to frame; default: what leaves 400 frames.",
    ),
]
Size = Annotated[
    Optional[int],
    typer.Option(
        "--size",
        metavar="PIXELS",
        min=network.MIN_SIZE,
        max=LARGEST_SIZE,
        rich_help_panel=WHAT,
        help="Pixels to render at; default: the recipe's.",
    ),
]
Drawn = Annotated[
    bool,
    typer.Option(
        "--drawn", metavar="", rich_help_panel=WHAT, help="Pictures that the project draws itself, instead of a folder."
    ),
]
ExampleSize = Annotated[
    Optional[int],
    typer.Option(
        "--size",
        metavar="PIXELS",
        min=network.MIN_SIZE,
        max=LARGEST_EXAMPLE,
        rich_help_panel=WHAT,
        help="Pixels of the middle square that the network sees of each picture; default: [examples]'s.",
    ),
]
ExampleRows = Annotated[
    str, typer.Option("--batch-size", metavar="auto|N", rich_help_panel=HOW, help="Pictures looked at together.")
]
LookAgain = Annotated[
    bool, typer.Option("--force", metavar="", rich_help_panel=HOW, help="Look again even if nothing changed.")
]
DreamTargets = Annotated[
    Optional[list[str]],
    typer.Option(
        "--target",
        metavar="TARGET",
        rich_help_panel=WHAT,
        help='Such as "Mixed_6b[:]"; may be repeated; default: [dream]\'s.',
    ),
]
DreamSize = Annotated[
    Optional[int],
    typer.Option(
        "--size",
        metavar="PIXELS",
        min=network.MIN_SIZE,
        max=LARGEST_SIDE,
        rich_help_panel=WHAT,
        help="Pixels of the shorter side; default: the recipe's.",
    ),
]
