"""The command line: parse, call one function, print, exit code. Heavy imports happen inside the commands."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from atlas import __version__, log
from atlas import options as opt
from atlas.errors import AtlasError, ConfigError, StoreError
from atlas.plan import config as configuration
from atlas.plan import jobs as planning
from atlas.plan import layers as network
from atlas.plan.config import Config
from atlas.plan.wanted import all_jobs
from atlas.plan.wanted.dreams import config_dreams
from atlas.settings import (
    chosen_clips,
    read_batch_sizes,
    read_settings,
    run_options,
    with_dreams,
    with_photos,
    with_pictures,
)

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


def _watched(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that runs long the options --log-file, --quiet and --verbose."""

    @wraps(command)
    def run(*, log_file: Path | None, quiet: bool, verbose: bool, **given: Any) -> None:
        if quiet and verbose:
            raise ConfigError("--quiet and --verbose exclude each other: say one of them, or neither")
        with log.watched(log_file, "quiet" if quiet else "verbose" if verbose else "normal"):
            command(**given)

    options = {"log_file": (opt.LogFile, None), "quiet": (opt.Quiet, False), "verbose": (opt.Verbose, False)}
    added = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in options.items()
    ]
    own = signature(command)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]  # which Typer reads
    run.__annotations__ = {**command.__annotations__, **{name: kind for name, (kind, _) in options.items()}}
    return run


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
    config: opt.Config = "article",
    layers: opt.Layers = None,
    features: opt.Features = None,
    features_only: opt.FeaturesOnly = False,
    recipe: opt.Recipe = None,
    weights: opt.Weights = None,
    seed: opt.Seed = None,
    store: opt.Store = None,
    precision: opt.Precision = "auto",
) -> None:
    """Print what would be rendered: counts, work, room, and what is already fresh (in --precision, if given)."""
    from atlas.console import plan_table, room_line
    from atlas.forecast import forecast

    settings = with_photos(read_settings(config, layers, features, features_only, recipe, weights, seed, store))
    wanted = None if precision == "auto" else precision
    ahead = forecast(all_jobs(settings), settings.store, settings.weights, precision=wanted)
    typer.echo(f"weights {settings.weights}, recipe {settings.recipe}, seed {settings.seed}, store {settings.store}")
    Console().print(plan_table(ahead))
    typer.echo(room_line(ahead, settings.store))


@app.command("render")
@_watched
def render_command(
    targets: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[TARGET ...]", help='Such as "Mixed_6b[654]"; default: all of the configuration\'s.'),
    ] = None,
    config: opt.Config = "article",
    layers: opt.Layers = None,
    features: opt.Features = None,
    features_only: opt.FeaturesOnly = False,
    recipe: opt.Recipe = None,
    seed: opt.Seed = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    batch_size: opt.BatchSize = "auto",
    threads: opt.Threads = None,
    executor: opt.Executor = "plain",
    address: opt.Address = None,
    gpus_per_task: opt.GpusPerTask = None,
    store: opt.Store = None,
    force: opt.Force = False,
    shard: Annotated[
        Optional[str], typer.Option("--shard", metavar="I/N", help="Only the I-th of N parts, on N machines.")
    ] = None,
) -> None:
    """Render targets, or all that a configuration names, into the store; prints the path of each master.

    A target is quoted: "Mixed_6b[654]" (a feature), "Mixed_6b[654, 3, :]" (a row), "Mixed_6b[415, 9, 9]" (a neuron),
    "Mixed_6b[654, :40]" (the first 40 neurons in reading order), "Mixed_6b[:]" (a layer), and sums of them with +.
    """
    if targets and (layers is not None or features is not None):
        raise ConfigError("targets and --layers or --features exclude each other: name targets, or choose features")
    settings = read_settings(config, layers, features, features_only, recipe, weights, seed, store)
    settings = settings if targets else with_photos(settings)
    jobs = planning.target_jobs(settings, targets) if targets else all_jobs(settings)
    parts = planning.parse_shard(shard) if shard is not None else None
    options = {"device": device, "precision": precision, "batch_size": batch_size, "threads": threads, "force": force}
    where = {"executor": executor, "address": address, "gpus_per_task": gpus_per_task}

    from atlas import pipeline
    from atlas.console import RunConsole, report_lines

    with RunConsole() as console:
        report = pipeline.render(
            settings, jobs, run_options(**options, **where, shard=parts), console, rescue=not targets
        )
    by_job = {outcome.job: outcome for outcome in report.outcomes}
    for job in dict.fromkeys([*jobs, *by_job]):  # as they were asked for, and then what was rescued
        if job in by_job and by_job[job].record:
            typer.echo(by_job[job].path)
    _finish(report_lines(report), failed=bool(report.failures))


@app.command("raster")
@_watched
def raster_command(
    targets: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[TARGET ...]", help='Whole features, such as "Mixed_6b[654]"; default: [raster]\'s.'),
    ] = None,
    config: opt.Config = "article",
    recipe: opt.Recipe = None,
    fps: opt.Fps = None,
    stride: opt.Stride = None,
    size: opt.Size = None,
    seed: opt.Seed = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    batch_size: opt.BatchSize = "auto",
    threads: opt.Threads = None,
    executor: opt.Executor = "plain",
    address: opt.Address = None,
    gpus_per_task: opt.GpusPerTask = None,
    store: opt.Store = None,
    force: opt.Force = False,
) -> None:
    """Make videos of neurons in reading order: frame k maximises the first k; prints the path of each video.

    Every frame is a rendering of its own, "Mixed_6b[654, :k]", and is kept: a video that was broken off goes on at the
    frame where it stopped. What an option leaves open, the table [raster] of the configuration says.
    """
    settings = read_settings(config, weights=weights, seed=seed, store=store)
    clips = chosen_clips(settings, targets, recipe, fps, stride, size)
    options = {"device": device, "precision": precision, "batch_size": batch_size, "threads": threads, "force": force}
    where = {"executor": executor, "address": address, "gpus_per_task": gpus_per_task}

    from atlas import pipeline
    from atlas.console import RunConsole, log_videos, report_lines, time_lines, video_lines

    with RunConsole() as console:
        report, videos = pipeline.raster(settings, clips, run_options(**options, **where), console)
    log_videos(videos)
    for video in videos:
        if video.record:
            typer.echo(video.video)
    lines = [*report_lines(report), *time_lines(console.seconds_a_rendering), *video_lines(videos)]
    _finish(lines, failed=bool(report.failures), videos=videos)


@app.command("dream")
@_watched
def dream_command(
    photos: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[PHOTO ...]", help="Pictures, or drawn, the one that ships; default: [dream]'s."),
    ] = None,
    targets: opt.DreamTargets = None,
    config: opt.Config = "article",
    recipe: opt.Recipe = None,
    size: opt.DreamSize = None,
    seed: opt.Seed = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    batch_size: opt.BatchSize = "auto",
    threads: opt.Threads = None,
    executor: opt.Executor = "plain",
    address: opt.Address = None,
    gpus_per_task: opt.GpusPerTask = None,
    store: opt.Store = None,
    force: opt.Force = False,
) -> None:
    """Dream: change photographs until targets respond more; prints the path of each master.

    Targets are whole layers, features or sums of them: "Mixed_6b[:]", "Mixed_6d[3] + Mixed_6e[7]". What an option
    leaves open, the table [dream] of the configuration says.
    """
    settings = with_dreams(
        read_settings(config, weights=weights, seed=seed, store=store), photos, targets, recipe, size
    )
    jobs = tuple(dream.job for dream in config_dreams(settings))
    if not jobs:
        raise ConfigError(
            'the configuration names no dreams: name a picture and a --target, such as "Mixed_6b[:]", or list some in '
            "[dream] photos and targets"
        )
    options = {"device": device, "precision": precision, "batch_size": batch_size, "threads": threads, "force": force}
    where = {"executor": executor, "address": address, "gpus_per_task": gpus_per_task}

    from atlas import pipeline
    from atlas.console import RunConsole, report_lines

    with RunConsole() as console:
        report = pipeline.render(settings, jobs, run_options(**options, **where), console)
    paths = {outcome.job: outcome.path for outcome in report.outcomes if outcome.record}
    for job in jobs:
        if job in paths:
            typer.echo(paths[job])
    _finish(report_lines(report), failed=bool(report.failures))


@app.command("examples")
@_watched
def examples_command(
    folder: Annotated[
        Optional[Path], typer.Argument(metavar="[FOLDER]", help="Of pictures, and those inside; default: [examples]'s.")
    ] = None,
    drawn: opt.Drawn = False,
    config: opt.Config = "article",
    layers: opt.Layers = None,
    features: opt.Features = None,
    recipe: opt.Recipe = None,
    size: opt.ExampleSize = None,
    seed: opt.Seed = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    batch_size: opt.ExampleRows = "auto",
    threads: opt.Threads = None,
    store: opt.Store = None,
    force: opt.LookAgain = False,
) -> None:
    """Find in your own pictures the crops that excite each rendered feature most; prints the path of the record.

    The store keeps the nine strongest crops of each feature, those of the last run; of a late layer a crop is the whole
    picture, at most 160 pixels. No path, name or date is kept. The site shows them only if [examples] says show = true.
    """
    settings = read_settings(config, layers, features, recipe=recipe, weights=weights, seed=seed, store=store)
    options = {"device": device, "batch_size": batch_size, "threads": threads, "force": force}
    looking = with_pictures(settings, folder, drawn, size)

    from atlas import pipeline
    from atlas.console import RunConsole, example_lines

    with RunConsole() as console:
        looked = pipeline.examples(looking, run_options(**options), console)
    typer.echo(looked.path)
    wanted = settings.lists.examples
    if wanted.show and wanted.drawn == (looked.found.origin == "drawn"):
        shown = "atlas site shows them"
    else:
        shown = "the site does not show them unless [examples] says show = true, and names these pictures"
    _finish([*example_lines(looked), shown], failed=False)


@app.command("site")
@_watched
def site_command(
    config: opt.Config = "article",
    layers: opt.Layers = None,
    features: opt.Features = None,
    features_only: opt.FeaturesOnly = False,
    recipe: opt.Recipe = None,
    weights: opt.Weights = None,
    seed: opt.Seed = None,
    store: opt.Store = None,
    out: opt.Site = None,
    base_url: opt.BaseUrl = None,
    fine: opt.Fine = False,
    zip_site: opt.Zip = False,
) -> None:
    """Write the site of a configuration from what the store has; needs neither network nor weights."""
    from atlas.console import RunConsole
    from atlas.site.build import build_site
    from atlas.site.output import has_pictures
    from atlas.site.pictures import CopySettings
    from atlas.store.weights_ids import resolve_weights

    settings = with_photos(
        read_settings(config, layers, features, features_only, recipe, weights, seed, store, out, base_url)
    )
    found = resolve_weights(settings.store, settings.weights)
    if found is None and has_pictures(settings.site):
        raise ConfigError(
            f"{settings.store} holds nothing rendered with weights {settings.weights}, and the site in {settings.site} "
            "would lose its pictures; name the --store, --weights or --config that it was made from, or another --out"
        )
    with RunConsole() as console:
        report = build_site(settings, found, settings=CopySettings(fine), on_progress=console.builds_site)
    _finish(_site_lines(settings, report, zip_site), failed=False)


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
    config: opt.Config = "article",
    store: opt.Store = None,
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
@_watched
def build_command(
    config: opt.Config = "article",
    layers: opt.Layers = None,
    features: opt.Features = None,
    features_only: opt.FeaturesOnly = False,
    recipe: opt.Recipe = None,
    seed: opt.Seed = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    batch_size: opt.BatchSize = "auto",
    threads: opt.Threads = None,
    executor: opt.Executor = "plain",
    address: opt.Address = None,
    gpus_per_task: opt.GpusPerTask = None,
    store: opt.Store = None,
    out: opt.Site = None,
    base_url: opt.BaseUrl = None,
    fine: opt.Fine = False,
    zip_site: opt.Zip = False,
    force: opt.Force = False,
) -> None:
    """Render an atlas and write its site; what is in the store already is not made again."""
    settings = with_photos(
        read_settings(config, layers, features, features_only, recipe, weights, seed, store, out, base_url)
    )
    options = {"device": device, "precision": precision, "batch_size": batch_size, "threads": threads, "force": force}
    where = {"executor": executor, "address": address, "gpus_per_task": gpus_per_task}

    from atlas import pipeline
    from atlas.console import RunConsole, log_videos, report_lines, video_lines

    with RunConsole() as console:
        built = pipeline.build(settings, run_options(**options, **where, fine=fine), console)
    log_videos(built.videos)
    lost = [f"failed: study {name}: out of memory; the next run tries again" for name in built.unmeasured]
    site_lines = _site_lines(settings, built.site, zip_site)
    lines = [*report_lines(built.rendering), *video_lines(built.videos), *lost, *site_lines]
    _finish(lines, failed=bool(built.rendering.failures or lost), videos=built.videos)


def _site_lines(settings: Config, site: Any, zip_site: bool) -> list[str]:
    """What became of the site; packs it first, if that is wanted."""
    for fault in site.damaged:
        log.event("damaged", level=logging.WARNING, why=fault)
    log.event("site", pages=site.pages, pictures=site.pictures, encoded=site.encoded, bytes=site.bytes)
    lines = [f"warning: {fault}" for fault in site.damaged]
    pending = f", {site.pending} features pending" if site.pending else ""
    pictures = f"{site.pictures} pictures ({site.encoded} encoded), {site.videos} videos"
    lines.append(f"site: {site.pages} pages, {pictures}, {site.bytes / 1e6:.1f} MB{pending}")
    if zip_site:
        from atlas.site.archive import write_archive

        archive = write_archive(settings.site)
        lines.append(f"archive: {archive}, {archive.stat().st_size / 1e6:.1f} MB")
    return [*lines, f"open {settings.site / 'index.html'} in a browser, or run: {sys.argv[0]} serve {settings.site}"]


def _finish(lines: list[str], *, failed: bool, videos: Sequence[Any] = ()) -> None:
    is_quiet = log.loudness() == "quiet"
    for line in lines:
        if not is_quiet or line.startswith(("failed", "warning")):
            typer.echo(line, err=True)
    for video in videos:
        if video.error:
            raise typer.Exit(video.error.exit_code)
    if failed or any(video.missing for video in videos):
        raise typer.Exit(1)


@app.command("bench")
def bench_command(
    layers: opt.Layers = None,
    size: Annotated[int, typer.Option("--size", min=network.MIN_SIZE, help="Pixels.")] = ARTICLE_SIZE[0],
    batch_sizes: Annotated[
        str, typer.Option("--batch-size", metavar="auto|N,N", help="Renderings made together, one or several.")
    ] = "auto",
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Of each measurement; medians count.")] = 5,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = None,
    out: Annotated[Optional[Path], typer.Option("--out", metavar="FILE", help="Write JSON there too.")] = None,
) -> None:
    """Measure how fast this machine renders: a step of each layer, against what its arithmetic reaches."""
    from atlas.bench import Options, run
    from atlas.pipeline import RunOptions, make_renderer
    from atlas.store.files import write_atomically

    named = read_settings("article", layers, weights="demo")
    renderer, device_name = make_renderer(named, RunOptions(device, precision, threads=threads))
    options = Options(named.layers, size, read_batch_sizes(batch_sizes), repeats)
    with Console(stderr=True).status("measuring") as status:
        report = run(renderer, device_name, options, lambda timing: status.update(f"measured {timing.layer}"))
    typer.echo(f"{report.table()}\n\n{report.summary()}")
    if out:
        write_atomically(out, report.to_json().encode())
