"""Commands that render into the store: build, render, raster, dream, examples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from atlas.cli import options as opt
from atlas.cli.app import command
from atlas.cli.console import (
    RunConsole,
    example_line,
    finish,
    probability_lines,
    report_lines,
    site_lines,
    video_line,
)
from atlas.cli.options import Choice, Running, Site, Source, argument, config_option, run_option
from atlas.cli.settings import read_settings, with_options, with_photos
from atlas.common.errors import ConfigError
from atlas.plan import jobs as planning
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import LARGEST_SIZE
from atlas.plan.starts import DRAWN, LARGEST_SIDE
from atlas.studies import all_jobs
from atlas.studies.dreams.jobs import config_dreams
from atlas.studies.dreams.settings import Settings as DreamsSettings
from atlas.studies.dreams.settings import name_photos
from atlas.studies.examples.settings import LARGEST_SIZE as LARGEST_EXAMPLE
from atlas.studies.examples.settings import Settings as ExamplesSettings
from atlas.studies.raster.jobs import config_clips
from atlas.studies.raster.settings import LARGEST_FPS, LARGEST_STRIDE
from atlas.studies.raster.settings import Settings as RasterSettings


@command("build", logs=True)
def build_command(source: Source, choice: Choice, running: Running, site: Site) -> None:
    """Render an atlas and write its site. Renderings that are up to date are not made again."""
    settings = with_photos(read_settings(source, choice, site))

    from atlas import pipeline

    options = running.options(fine=site.fine)
    with RunConsole() as console:
        built = pipeline.build(settings, options, console)
    failed = [f"failed: {why}; the next run tries again" for why in built.unmeasured]
    lines = [*report_lines(built.rendering), *map(video_line, built.videos), *failed]
    lines += site_lines(settings, built.site, site.zip_site)
    finish(lines, failed=bool(built.rendering.failures or failed), videos=built.videos)


@command("render", logs=True)
def render_command(
    source: Source,
    choice: Choice,
    running: Running,
    targets: Annotated[
        list[str] | None, argument("TARGET", 'Such as "Mixed_6b[654]". Default: all of the configuration\'s.')
    ] = None,
    size: Annotated[
        int | None, opt.size_option("Size of the pictures of targets. Default: the recipe's.", LARGEST_SIZE)
    ] = None,
    steps: Annotated[
        int | None, config_option("--steps", "N", "Steps of each octave of targets. Default: the recipe's.", min=1)
    ] = None,
    shard: Annotated[
        str | None,
        run_option("--shard", "I/N", "Render part I of N, when N machines share the work; I counts from 1."),
    ] = None,
) -> None:
    """Render targets into the store, and print the path of each picture.

    Targets are written in quotes: "Mixed_6b[654]" is a feature, "Mixed_6b[654, 3, :]" a row of its neurons,
    "Mixed_6b[415, 9, 9]" a neuron, "Mixed_6b[654, :40]" the first 40 neurons in reading order, "Mixed_6b[:]" a layer,
    "fc[281]" a class. Sums are written with +.
    """
    from atlas.runs import resolve_config

    if targets and (choice.layers is not None or choice.features is not None):
        raise ConfigError("targets and --layers or --features exclude each other")
    if not targets and (size, steps) != (None, None):
        raise ConfigError("--size and --steps are for targets: name some, or write a recipe into a configuration")
    settings = read_settings(source, choice)
    settings = settings if targets else resolve_config(with_photos(settings))
    jobs = planning.target_jobs(settings, targets) if targets else all_jobs(settings)
    if targets:
        jobs = tuple(replace(job, recipe=job.recipe.resized(size, steps)) for job in jobs)
    part = planning.parse_shard(shard) if shard is not None else None
    _render(settings, jobs, running, rescue=not targets, shard=part, fit_batches=bool(targets))


@command("raster", logs=True)
def raster_command(
    source: Source,
    running: Running,
    targets: Annotated[
        list[str] | None, argument("TARGET", 'Whole features, such as "Mixed_6b[654]". Default: those of [raster].')
    ] = None,
    recipe: opt.Recipe = None,
    fps: Annotated[
        int | None,
        config_option("--fps", "N", "Frames per second. Default: one row of neurons.", min=1, max=LARGEST_FPS),
    ] = None,
    stride: Annotated[
        int | None,
        config_option(
            "--stride",
            "N",
            "Take every N-th neuron of every N-th row. Default: the least N that gives at most 400 frames.",
            min=1,
            max=LARGEST_STRIDE,
        ),
    ] = None,
    size: Annotated[int | None, opt.size_option("Size of the frames. Default: the recipe's.", LARGEST_SIZE)] = None,
) -> None:
    """Render videos of a feature's neurons in reading order, and print the path of each video.

    Frame k maximises the first k neurons, "Mixed_6b[654, :k]". Every frame is a rendering of its own and is kept, so
    an interrupted video is resumed at its next frame. Options that are left out come from [raster].
    """
    given = {"targets": targets, "recipe": recipe, "fps": fps, "stride": stride, "size": size}
    settings = with_options(read_settings(source), RasterSettings, given)
    clips = config_clips(settings)
    if not clips:
        raise ConfigError(
            'the configuration names no videos: name a feature, such as "Mixed_6b[654]", or list some in '
            "[raster] targets"
        )

    from atlas import pipeline

    options = running.options()
    with RunConsole() as console:
        report, videos = pipeline.raster(settings, clips, options, console)
    for video in videos:
        if video.record:
            typer.echo(video.video)
    seconds = console.seconds_per_rendering
    speed = [f"{seconds:.2f} seconds per frame"] if seconds is not None else []
    finish([*report_lines(report), *speed, *map(video_line, videos)], failed=bool(report.failures), videos=videos)


@command("dream", logs=True)
def dream_command(
    source: Source,
    running: Running,
    photos: Annotated[
        list[str] | None,
        argument("PHOTO", "Pictures, or drawn for the built-in one. Default: those of [dream].", parser=opt.given_name),
    ] = None,
    targets: Annotated[
        list[str] | None,
        config_option("--target", "TARGET", 'Such as "Mixed_6b[:]"; may be repeated. Default: those of [dream].'),
    ] = None,
    recipe: opt.Recipe = None,
    size: Annotated[
        int | None, opt.size_option("Length of the shorter side. Default: the recipe's.", LARGEST_SIDE)
    ] = None,
) -> None:
    """Change photographs until targets respond more (deep dreams), and print the path of each picture.

    Targets are whole layers, features, classes or sums of them: "Mixed_6b[:]", "Mixed_6d[3] + Mixed_6e[7]", "fc[281]".
    Options that are left out come from [dream].
    """
    named = name_photos(photos) if photos else None
    given = {"photos": named, "targets": targets, "recipe": recipe, "size": size}
    settings = with_photos(with_options(read_settings(source), DreamsSettings, given))
    jobs = tuple(dream.job for dream in config_dreams(settings))
    if not jobs:
        raise ConfigError(
            'the configuration names no dreams: name a picture and a --target, such as "Mixed_6b[:]", or list some in '
            "[dream] photos and targets"
        )
    _render(settings, jobs, running)


@command("examples", logs=True)
def examples_command(
    source: Source,
    folder: Annotated[
        Path | None,
        argument("FOLDER", "Pictures, subfolders included. Default: [examples] folder.", parser=opt.given_path),
    ] = None,
    drawn: Annotated[
        bool, config_option("--drawn", "", "Use pictures that this project draws, instead of a folder.")
    ] = False,
    layers: opt.Layers = None,
    features: opt.Features = None,
    recipe: opt.Recipe = None,
    size: Annotated[
        int | None,
        opt.size_option("Size of the centre square that the network sees. Default: [examples] size.", LARGEST_EXAMPLE),
    ] = None,
    device: opt.Device = "auto",
    batch_size: Annotated[str, run_option("--batch-size", "auto|N", "Pictures in a batch.")] = "auto",
    threads: opt.Threads = None,
    force: Annotated[bool, run_option("--force", "", "Scan the pictures again even if nothing changed.")] = False,
) -> None:
    """Find the crops of your own pictures that activate each rendered feature most, and print the path of the record.

    The store keeps nine crops of each feature and some at quantiles, of the last run only; a crop has the size of a
    neuron's receptive field, at most 160 pixels. No path, name or date is kept. A site whose [examples] names the
    folder says how renderings compare with the pictures, and shows crops only if show = true.
    """
    if folder and drawn:
        raise ConfigError("FOLDER and --drawn exclude each other")
    settings = read_settings(source, Choice(layers, features, recipe=recipe))
    own = settings.study(ExamplesSettings)
    settings = with_options(settings, ExamplesSettings, {"folder": DRAWN if drawn else folder, "size": size})

    from atlas import pipeline
    from atlas.studies.examples.result import is_of

    options = Running(device, batch_size=batch_size, threads=threads, force=force).options()
    with RunConsole() as console:
        found = pipeline.examples(settings, options, console)
    typer.echo(found.path)
    if own.show and is_of(found.found, own, settings.store):
        shown = "atlas site shows them"
    else:
        shown = "the site does not show them unless [examples] has show = true and names these pictures"
    finish([example_line(found), shown], failed=False)


def _render(settings: Config, jobs: Sequence[Job], running: Running, *, rescue: bool = False, **more: Any) -> None:
    """Render jobs, and print the path of each one's master, if it has one: in their order, and then what was rescued.

    Args:
        settings: the configuration.
        jobs: what is wanted.
        running: how to run.
        rescue: as of `pipeline.render`.
        more: fields of `RunOptions`.
    """
    from atlas import pipeline

    options = running.options(**more)
    with RunConsole() as console:
        report = pipeline.render(settings, jobs, options, console, rescue=rescue)
    paths = {outcome.job: outcome.path for outcome in report.outcomes if outcome.record}
    for job in dict.fromkeys([*jobs, *paths]):
        if job in paths:
            typer.echo(paths[job])
    named = [] if rescue else probability_lines(report)
    finish([*report_lines(report), *named], failed=bool(report.failures))
