"""Commands that run long and fill the store: build, render, raster, dream, examples."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from atlas.cli import options as opt
from atlas.cli.app import app
from atlas.cli.endings import finish, site_lines
from atlas.cli.groups import Choice, Place, Publishing, Running, Source, watched
from atlas.cli.settings import (
    chosen_clips,
    read_rows,
    read_settings,
    run_options,
    with_dreams,
    with_photos,
    with_pictures,
)
from atlas.common.errors import ConfigError
from atlas.plan import jobs as planning
from atlas.plan.jobs import Job
from atlas.studies import all_jobs
from atlas.studies.dreams.jobs import config_dreams
from atlas.studies.examples.settings import Settings as ExamplesSettings

if TYPE_CHECKING:  # needs torch
    from atlas.render.outcomes import Report


@app.command("build")
@watched
def build_command(source: Source, choice: Choice, running: Running, place: Place, publishing: Publishing) -> None:
    """Render an atlas and write its site; what is in the store already is not made again."""
    settings = with_photos(read_settings(source, choice, place))

    from atlas import pipeline
    from atlas.cli.console import RunConsole, log_videos, report_lines, video_lines

    with RunConsole() as console:
        built = pipeline.build(settings, run_options(running, fine=publishing.fine), console)
    log_videos(built.videos)
    lost = [f"failed: {words}; the next run tries again" for words in built.unmeasured]
    shown = site_lines(settings, built.site, publishing.zip_site)
    lines = [*report_lines(built.rendering), *video_lines(built.videos), *lost, *shown]
    finish(lines, failed=bool(built.rendering.failures or lost), videos=built.videos)


@app.command("render")
@watched
def render_command(
    source: Source,
    choice: Choice,
    running: Running,
    targets: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="TARGET", help='Such as "Mixed_6b[654]"; default: all of the configuration\'s.'),
    ] = None,
    shard: Annotated[
        Optional[str], typer.Option("--shard", metavar="I/N", help="Only the I-th of N parts, on N machines.")
    ] = None,
) -> None:
    """Render targets, or all that a configuration names, into the store; prints the path of each master.

    A target is quoted: "Mixed_6b[654]" (a feature), "Mixed_6b[654, 3, :]" (a row), "Mixed_6b[415, 9, 9]" (a neuron),
    "Mixed_6b[654, :40]" (the first 40 neurons in reading order), "Mixed_6b[:]" (a layer), and sums of them with +.
    """
    if targets and (choice.layers is not None or choice.features is not None):
        raise ConfigError("targets and --layers or --features exclude each other: name targets, or choose features")
    settings = read_settings(source, choice)
    settings = settings if targets else with_photos(settings)
    jobs = planning.target_jobs(settings, targets) if targets else all_jobs(settings)
    parts = planning.parse_shard(shard) if shard is not None else None

    from atlas import pipeline
    from atlas.cli.console import RunConsole, report_lines

    how = run_options(running, shard=parts, fit_batches=bool(targets))
    with RunConsole() as console:
        report = pipeline.render(settings, jobs, how, console, rescue=not targets)
    rescued = [outcome.job for outcome in report.outcomes]
    _print_masters(dict.fromkeys([*jobs, *rescued]), report)  # as they were asked for, and then what was rescued
    finish(report_lines(report), failed=bool(report.failures))


@app.command("raster")
@watched
def raster_command(
    source: Source,
    running: Running,
    targets: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="TARGET", help='Whole features, such as "Mixed_6b[654]"; default: [raster]\'s.'),
    ] = None,
    recipe: opt.Recipe = None,
    fps: opt.Fps = None,
    stride: opt.Stride = None,
    size: opt.Size = None,
) -> None:
    """Make videos of neurons in reading order: frame k maximises the first k; prints the path of each video.

    Every frame is a rendering of its own, "Mixed_6b[654, :k]", and is kept: a video that was broken off goes on at the
    frame where it stopped. What an option leaves open, the table [raster] of the configuration says.
    """
    settings = read_settings(source)
    clips = chosen_clips(settings, targets, recipe, fps, stride, size)

    from atlas import pipeline
    from atlas.cli.console import RunConsole, log_videos, report_lines, time_lines, video_lines

    with RunConsole() as console:
        report, videos = pipeline.raster(settings, clips, run_options(running), console)
    log_videos(videos)
    for video in videos:
        if video.record:
            typer.echo(video.video)
    lines = [*report_lines(report), *time_lines(console.seconds_a_rendering), *video_lines(videos)]
    finish(lines, failed=bool(report.failures), videos=videos)


@app.command("dream")
@watched
def dream_command(
    source: Source,
    running: Running,
    photos: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="PHOTO", help="Pictures, or drawn, the one that ships; default: [dream]'s."),
    ] = None,
    targets: opt.DreamTargets = None,
    recipe: opt.Recipe = None,
    size: opt.DreamSize = None,
) -> None:
    """Dream: change photographs until targets respond more; prints the path of each master.

    Targets are whole layers, features or sums of them: "Mixed_6b[:]", "Mixed_6d[3] + Mixed_6e[7]". What an option
    leaves open, the table [dream] of the configuration says.
    """
    settings = with_dreams(read_settings(source), photos, targets, recipe, size)
    jobs = tuple(dream.job for dream in config_dreams(settings))
    if not jobs:
        raise ConfigError(
            'the configuration names no dreams: name a picture and a --target, such as "Mixed_6b[:]", or list some in '
            "[dream] photos and targets"
        )

    from atlas import pipeline
    from atlas.cli.console import RunConsole, report_lines

    with RunConsole() as console:
        report = pipeline.render(settings, jobs, run_options(running), console)
    _print_masters(jobs, report)
    finish(report_lines(report), failed=bool(report.failures))


@app.command("examples")
@watched
def examples_command(
    source: Source,
    folder: Annotated[
        Optional[Path],
        typer.Argument(
            metavar="FOLDER", parser=opt.given_path, help="Of pictures, and those inside; default: [examples]'s."
        ),
    ] = None,
    drawn: opt.Drawn = False,
    layers: opt.Layers = None,
    features: opt.Features = None,
    recipe: opt.Recipe = None,
    size: opt.ExampleSize = None,
    device: opt.Device = "auto",
    batch_size: opt.ExampleRows = "auto",
    threads: opt.Threads = None,
    force: opt.LookAgain = False,
) -> None:
    """Find in your own pictures the crops that excite each rendered feature most; prints the path of the record.

    The store keeps the nine strongest crops of each feature, those of the last run; of a late layer a crop is the whole
    picture, at most 160 pixels. No path, name or date is kept. The site shows them only if [examples] says show = true.
    """
    settings = read_settings(source, Choice(layers, features, recipe=recipe))
    looking = with_pictures(settings, folder, drawn, size)
    rows = read_rows(batch_size)

    from atlas import pipeline
    from atlas.cli.console import RunConsole, example_lines
    from atlas.runs import RunOptions
    from atlas.studies.examples.result import is_of

    with RunConsole() as console:
        how = RunOptions(device, batch_size=rows, threads=threads, force=force)
        looked = pipeline.examples(looking, how, console)
    typer.echo(looked.path)
    wanted = settings.study(ExamplesSettings)
    if wanted.show and is_of(looked.found, wanted, settings.store):
        shown = "atlas site shows them"
    else:
        shown = "the site does not show them unless [examples] says show = true, and names these pictures"
    finish([*example_lines(looked), shown], failed=False)


def _print_masters(jobs: Iterable[Job], report: "Report") -> None:
    """The path of each job's master, if it has one."""
    paths = {outcome.job: outcome.path for outcome in report.outcomes if outcome.record}
    for job in jobs:
        if job in paths:
            typer.echo(paths[job])
