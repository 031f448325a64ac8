"""The command line: parse, call one function, print, exit code. Heavy imports happen inside the commands."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from atlas import __version__
from atlas.errors import AtlasError, ConfigError
from atlas.plan import config as configuration
from atlas.plan import jobs as planning
from atlas.plan import layers as network
from atlas.plan.config import Config

INTERRUPTED = 130
ARTICLE_SIZE = (299, 299)


class _Commands(TyperGroup):
    """Turns the errors that are meant for people into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AtlasError as error:
            typer.echo(f"atlas: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo(
                "atlas: interrupted; what is finished is kept, and the same command goes on from there", err=True
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

_Config = Annotated[str, typer.Option("--config", metavar="FILE|PRESET", help="TOML file, or preset: article, demo.")]
_Layers = Annotated[Optional[str], typer.Option("--layers", metavar="L,L", help="Layers, by name, or all.")]
_Features = Annotated[
    Optional[str],
    typer.Option("--features", metavar="N|all|LIST", help="First N features of each layer, or all, or 0-15,654."),
]
_Recipe = Annotated[Optional[str], typer.Option("--recipe", metavar="NAME", help="How to descend: octaves, raw, …")]
_Seed = Annotated[
    Optional[int],
    typer.Option("--seed", min=0, max=configuration.LARGEST_SEED, help="Of the start noise; the article's is 999."),
]
_Weights = Annotated[
    Optional[str], typer.Option("--weights", metavar="imagenet|demo|FILE", help="What network to look into.")
]
_Store = Annotated[Optional[Path], typer.Option("--store", metavar="DIR", help="Folder of masters.")]
_Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where to render.")]
_Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|fp64|fp32|tf32|bf16", help="Arithmetic of the descent.")
]
_BatchSize = Annotated[str, typer.Option("--batch-size", metavar="auto|N", help="Renderings made together.")]
_Threads = Annotated[Optional[int], typer.Option("--threads", min=1, max=1024, help="Of the CPU; default: its cores.")]
_Force = Annotated[bool, typer.Option("--force", help="Render again what is fresh.")]
_Site = Annotated[Optional[Path], typer.Option("--out", metavar="DIR", help="Folder of the site.")]
_BaseUrl = Annotated[
    Optional[str], typer.Option("--base-url", metavar="URL", help="Where the site will be published, if known.")
]


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


@app.command("layers")
def layers_command(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Print the 16 layers: region, features, grid, and work of one step at 299 px."""
    rows = [
        {
            "layer": layer.name,
            "region": layer.region,
            "features": layer.features,
            "grid": list(network.grid(layer.name, ARTICLE_SIZE)),
            "gflop_per_step": round(network.step_flops(layer.name, ARTICLE_SIZE) / 1e9, 2),
        }
        for layer in network.LAYERS
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("layer", "region", box=None, pad_edge=False)
    for heading in ("features", "grid", "GFLOP a step"):
        table.add_column(heading, justify="right")
    for layer, row in zip(network.LAYERS, rows, strict=True):
        rows_, cols = network.grid(layer.name, ARTICLE_SIZE)
        table.add_row(
            layer.name, layer.region, f"{layer.features:,}", f"{rows_}×{cols}", f"{row['gflop_per_step']:.2f}"
        )
    Console().print(table)


@app.command("plan")
def plan_command(
    config: _Config = "article",
    layers: _Layers = None,
    features: _Features = None,
    recipe: _Recipe = None,
    weights: _Weights = None,
    seed: _Seed = None,
    store: _Store = None,
    precision: _Precision = "auto",
) -> None:
    """Print what would be rendered: counts, work, room, and what is already fresh (in --precision, if given)."""
    from atlas.console import plan_table
    from atlas.forecast import forecast

    settings = _settings(config, layers, features, recipe, weights, seed, store)
    wanted = None if precision == "auto" else precision
    ahead = forecast(planning.feature_jobs(settings), settings.store, settings.weights, precision=wanted)
    typer.echo(f"weights {settings.weights}, recipe {settings.recipe}, seed {settings.seed}, store {settings.store}")
    Console().print(plan_table(ahead))


@app.command("render")
def render_command(
    targets: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[TARGET ...]", help='Such as "Mixed_6b[654]"; default: the configuration\'s features.'),
    ] = None,
    config: _Config = "article",
    layers: _Layers = None,
    features: _Features = None,
    recipe: _Recipe = None,
    seed: _Seed = None,
    weights: _Weights = None,
    device: _Device = "auto",
    precision: _Precision = "auto",
    batch_size: _BatchSize = "auto",
    threads: _Threads = None,
    store: _Store = None,
    force: _Force = False,
    shard: Annotated[
        Optional[str], typer.Option("--shard", metavar="I/N", help="Only the I-th of N parts, on N machines.")
    ] = None,
) -> None:
    """Render targets, or the features of a configuration, into the store; prints the path of each master.

    A target is quoted: "Mixed_6b[654]" (a feature), "Mixed_6b[654, 3, :]" (a row), "Mixed_6b[415, 9, 9]" (a neuron),
    "Mixed_6b[654, :40]" (the first 40 neurons in reading order), "Mixed_6b[:]" (a layer), and sums of them with +.
    """
    if targets and (layers is not None or features is not None):
        raise ConfigError("targets and --layers or --features exclude each other: name targets, or choose features")
    settings = _settings(config, layers, features, recipe, weights, seed, store)
    jobs = planning.target_jobs(settings, targets) if targets else planning.feature_jobs(settings)
    parts = planning.parse_shard(shard) if shard is not None else None
    options = {"device": device, "precision": precision, "batch_size": batch_size, "threads": threads, "force": force}

    from atlas import pipeline
    from atlas.console import RunConsole, report_lines

    with RunConsole() as console:
        report = pipeline.render(settings, jobs, _options(**options, shard=parts), console)
    by_job = {outcome.job: outcome for outcome in report.outcomes}
    for job in jobs:
        if job in by_job and by_job[job].record:
            typer.echo(by_job[job].path)
    _finish(report_lines(report), failed=bool(report.failures))


@app.command("site")
def site_command(
    config: _Config = "article",
    layers: _Layers = None,
    features: _Features = None,
    recipe: _Recipe = None,
    weights: _Weights = None,
    seed: _Seed = None,
    store: _Store = None,
    out: _Site = None,
    base_url: _BaseUrl = None,
) -> None:
    """Write the site of a configuration from what the store has; needs neither network nor weights."""
    from atlas.site.build import build_site
    from atlas.site.output import has_pictures
    from atlas.store.weights_ids import resolve_weights

    settings = _settings(config, layers, features, recipe, weights, seed, store, out, base_url)
    found = resolve_weights(settings.store, settings.weights)
    if found is None and has_pictures(settings.site):
        raise ConfigError(
            f"{settings.store} holds nothing rendered with weights {settings.weights}, and the site in {settings.site} "
            "would lose its pictures; name the --store, --weights or --config that it was made from, or another --out"
        )
    _finish(_site_lines(settings, build_site(settings, found)), failed=False)


@app.command("serve")
def serve_command(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of the site.")] = Path("site"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = 8000,
) -> None:
    """Preview a site at 127.0.0.1, with the Range requests that scrubbing a video needs."""
    from atlas.site.serve import serve

    serve(folder, port, lambda address: typer.echo(f"{address} shows {folder}; Ctrl-C stops"))


@app.command("check")
def check_command(
    config: _Config = "article",
    store: _Store = None,
    site: Annotated[Optional[Path], typer.Option("--site", metavar="DIR", help="Folder of the site.")] = None,
) -> None:
    """Check that every master is whole and every link good; without a folder, the configuration's store and site."""
    from atlas.check import check_site, check_store

    settings = configuration.load_config(config)
    both = store is None and site is None
    faults: list[str] = []
    if store or both:
        found = check_store(store or settings.store)
        faults += found
        typer.echo(f"{store or settings.store}: {len(found)} faults", err=True)
    if site or both:
        result = check_site(site or settings.site)
        faults += result.faults
        words = f"{result.pages} pages, {result.links} links, {result.bytes:,} bytes, {len(result.faults)} faults"
        typer.echo(f"{site or settings.site}: {words}", err=True)
    for fault in faults:
        typer.echo(fault)
    _finish([], failed=bool(faults))


@app.command("build")
def build_command(
    config: _Config = "article",
    layers: _Layers = None,
    features: _Features = None,
    recipe: _Recipe = None,
    seed: _Seed = None,
    weights: _Weights = None,
    device: _Device = "auto",
    precision: _Precision = "auto",
    batch_size: _BatchSize = "auto",
    threads: _Threads = None,
    store: _Store = None,
    out: _Site = None,
    base_url: _BaseUrl = None,
    force: _Force = False,
) -> None:
    """Render an atlas and write its site; what is in the store already is not made again."""
    settings = _settings(config, layers, features, recipe, weights, seed, store, out, base_url)
    options = {"device": device, "precision": precision, "batch_size": batch_size, "threads": threads, "force": force}

    from atlas import pipeline
    from atlas.console import RunConsole, report_lines

    with RunConsole() as console:
        report, site = pipeline.build(settings, _options(**options), console)
    _finish([*report_lines(report), *_site_lines(settings, site)], failed=bool(report.failures))


def _settings(
    config: str,
    layers: str | None,
    features: str | None,
    recipe: str | None,
    weights: str | None,
    seed: int | None,
    store: Path | None,
    site: Path | None = None,
    base_url: str | None = None,
) -> Config:
    """The configuration with the flags put in."""
    return configuration.override(
        configuration.load_config(config),
        layer_names=layers,
        features=features,
        recipe=recipe,
        weights=weights,
        seed=seed,
        store=store,
        site=site,
        base_url=base_url,
    )


def _options(**flags: Any) -> Any:
    from atlas.pipeline import RunOptions

    text = flags.pop("batch_size")
    is_number = text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= 4096 and len(text) <= 4
    if text != "auto" and not is_number:
        raise ConfigError(f'--batch-size "{text}": allowed: auto, or a number from 1 to 4096')
    return RunOptions(**flags, batch_size=None if text == "auto" else int(text))


def _site_lines(settings: Config, site: Any) -> list[str]:
    lines = [f"warning: {fault}" for fault in site.damaged]
    pending = f", {site.pending} features pending" if site.pending else ""
    pictures = f"{site.pictures} pictures ({site.encoded} encoded)"
    lines.append(f"site: {site.pages} pages, {pictures}, {site.bytes / 1e6:.1f} MB{pending}")
    return [*lines, f"open {settings.site / 'index.html'} in a browser, or run: {sys.argv[0]} serve {settings.site}"]


def _finish(lines: list[str], *, failed: bool) -> None:
    for line in lines:
        typer.echo(line, err=True)
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the `atlas` command."""
    sys.exit(app())
