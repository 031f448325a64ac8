"""The options that several commands share: what each takes, and its help."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from atlas.plan import config as configuration
from atlas.plan import layers as network
from atlas.plan.lists.examples import LARGEST_SIZE as LARGEST_EXAMPLE
from atlas.plan.lists.raster import LARGEST_FPS, LARGEST_STRIDE
from atlas.plan.starts import LARGEST_SIDE

Config = Annotated[str, typer.Option("--config", metavar="FILE|PRESET", help="TOML file, or preset: article, demo.")]
Layers = Annotated[Optional[str], typer.Option("--layers", metavar="L,L", help="Layers, by name, or all.")]
Features = Annotated[
    Optional[str],
    typer.Option("--features", metavar="N|all|LIST", help="First N features of each layer, or all, or 0-15,654."),
]
FeaturesOnly = Annotated[
    bool, typer.Option("--features-only", help="Leave out what is shown beside the features: videos and studies.")
]
Recipe = Annotated[Optional[str], typer.Option("--recipe", metavar="NAME", help="How to descend: octaves, raw, …")]
Seed = Annotated[
    Optional[int],
    typer.Option("--seed", min=0, max=configuration.LARGEST_SEED, help="Of the start noise; the article's is 999."),
]
Weights = Annotated[
    Optional[str], typer.Option("--weights", metavar="imagenet|demo|FILE", help="What network to look into.")
]
Store = Annotated[Optional[Path], typer.Option("--store", metavar="DIR", help="Folder of masters.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where to render.")]
Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|fp64|fp32|tf32|bf16", help="Arithmetic of the descent.")
]
BatchSize = Annotated[str, typer.Option("--batch-size", metavar="auto|N", help="Renderings made together.")]
Threads = Annotated[Optional[int], typer.Option("--threads", min=1, max=1024, help="Of the CPU; default: its cores.")]
Executor = Annotated[
    str, typer.Option("--executor", metavar="plain|ray", help="Render in this process, or on a Ray cluster.")
]
Address = Annotated[
    Optional[str],
    typer.Option("--address", metavar="HOST:PORT", help="Of the Ray cluster; default: one is started here."),
]
GpusPerTask = Annotated[
    Optional[float],
    typer.Option(
        "--gpus-per-task", min=0, max=1, metavar="SHARE", help="Of a GPU, for each worker on Ray; default: 1 if any."
    ),
]
LogFile = Annotated[
    Optional[Path], typer.Option("--log-file", metavar="FILE", help="Append one JSON object an event to it.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but results, failures and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print every event as a line.")]
Force = Annotated[bool, typer.Option("--force", help="Render again what is fresh.")]
Site = Annotated[Optional[Path], typer.Option("--out", metavar="DIR", help="Folder of the site.")]
BaseUrl = Annotated[
    Optional[str], typer.Option("--base-url", metavar="URL", help="Where the site will be published, if known.")
]
Fine = Annotated[
    bool, typer.Option("--fine", help="Encode the site's pictures slowly: ten times the time, a seventh smaller.")
]
Zip = Annotated[
    bool, typer.Option("--zip", help="Pack the site into one file beside its folder, such as site.zip, as well.")
]
Fps = Annotated[
    Optional[int],
    typer.Option("--fps", min=1, max=LARGEST_FPS, help="Frames a second; default: a row of the grid a second."),
]
Stride = Annotated[
    Optional[int],
    typer.Option(
        "--stride", min=1, max=LARGEST_STRIDE, help="Neurons from frame to frame; default: what leaves 400 frames."
    ),
]
Size = Annotated[
    Optional[int],
    typer.Option(
        "--size",
        min=network.MIN_SIZE,
        max=configuration.LARGEST_SIZE,
        help="Pixels to render at; default: the recipe's.",
    ),
]
Drawn = Annotated[bool, typer.Option("--drawn", help="Pictures that the project draws itself, instead of a folder.")]
ExampleSize = Annotated[
    Optional[int],
    typer.Option(
        "--size",
        min=network.MIN_SIZE,
        max=LARGEST_EXAMPLE,
        help="Pixels of the middle square that the network sees of each picture; default: [examples]'s.",
    ),
]
ExampleRows = Annotated[str, typer.Option("--batch-size", metavar="auto|N", help="Pictures looked at together.")]
LookAgain = Annotated[bool, typer.Option("--force", help="Look again even if nothing changed.")]
DreamTargets = Annotated[
    Optional[list[str]],
    typer.Option("--target", metavar="TARGET", help='Such as "Mixed_6b[:]"; may be repeated; default: [dream]\'s.'),
]
DreamSize = Annotated[
    Optional[int],
    typer.Option(
        "--size", min=network.MIN_SIZE, max=LARGEST_SIDE, help="Pixels of the shorter side; default: the recipe's."
    ),
]
