"""Commands that print something and change nothing: layers, plan, bench."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from atlas import studies
from atlas.cli import options as opt
from atlas.cli.app import command
from atlas.cli.console import cost_table, device_line, plan_table, site_plan_lines, site_table, space_line
from atlas.cli.options import Choice, Site, Source, option
from atlas.cli.settings import read_settings, with_photos
from atlas.common.errors import ConfigError
from atlas.inception import layers as network
from atlas.site.budget import plan_site
from atlas.store.forecast import forecast
from atlas.studies import all_jobs
from atlas.studies.dead.settings import Settings as DeadSettings
from atlas.studies.votes.settings import Settings as VotesSettings

ARTICLE_SIZE = (299, 299)


@command("layers")
def layers_command(
    as_json: Annotated[bool, option("--json", "", "Print JSON.")] = False,
) -> None:
    """Print the 16 layers: region, number of features, grid, and work per step at 299 px."""
    rows: list[dict[str, Any]] = [
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
    for heading in ("features", "grid", "GFLOP per step"):
        table.add_column(heading, justify="right")
    for row in rows:
        grid = "{}×{}".format(*row["grid"])
        table.add_row(row["layer"], row["region"], f"{row['features']:,}", grid, f"{row['gflop_per_step']:.2f}")
    Console().print(table)


@command("plan")
def plan_command(
    source: Source,
    choice: Choice,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = None,
    budget: opt.Budget = None,
) -> None:
    """Print what a build would render: counts, work, disk space, what is up to date, and how long the rest would take.

    And what the site will weigh, by kind of file, and whether GitHub Pages takes that.

    The time is that of this machine, by some seconds of measurement. With --precision, only renderings in that
    precision count as up to date.
    """
    from atlas.runs import RunOptions, connect_executor, expect, resolve_config

    wanted = with_photos(read_settings(source, choice, Site(budget=budget)))
    settings = resolve_config(wanted)
    ahead = forecast(all_jobs(settings), settings, None if precision == "auto" else precision)
    typer.echo(
        f"weights {settings.weights}, recipe {settings.face_recipe.name}, seed {settings.seed}, store {settings.store}"
    )
    Console().print(plan_table(ahead))
    site = plan_site(settings, studies.pages())
    Console().print(site_table(site.expected))
    for line in site_plan_lines(site):
        typer.echo(line)
    typer.echo(space_line(ahead, site, settings.store))
    if ahead.pending:
        with connect_executor(options := RunOptions(device, precision, threads=threads)) as executor:
            expectation = expect(ahead, options, None, executor)
        Console().print(cost_table(expectation))
        typer.echo(device_line(expectation))
    if network.FC in wanted.layers and not settings.classes:
        typer.echo(f"not counted: classes, since the weights have no {network.FC} layer that can be used")
    if settings.classes and not settings.named and settings.study(VotesSettings).voters:
        typer.echo("not counted: the features that vote for each class, which are known once classes are rendered")
    if settings.study(DeadSettings).features:
        typer.echo("not counted: features that turn out to have no gradient, or not to be raised, are rendered again")


@command("bench")
def bench_command(
    layers: opt.Layers = None,
    size: Annotated[int, option("--size", "PIXELS", "Size of the images.", min=network.MIN_SIZE)] = 299,
    batch_sizes: Annotated[str, option("--batch-size", "auto|N,N", "Batch sizes, separated by commas.")] = "auto",
    repeats: Annotated[int, option("--repeats", "N", "Repetitions of a measurement; the median counts.", min=1)] = 5,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = None,
    out: Annotated[
        Path | None, option("--out", "FILE", "Also write the results to this file, as JSON.", parser=opt.given_path)
    ] = None,
) -> None:
    """Measure how fast this machine renders: the time of a step for each layer, and its share of the peak speed."""
    from atlas.pipeline import make_renderer
    from atlas.rendering.bench import Options, run
    from atlas.runs import RunOptions
    from atlas.store.files import write_atomically

    settings = read_settings(Source(weights="demo"), Choice(layers))
    if not settings.map_layers:
        raise ConfigError("--layers fc: it costs nothing beside Mixed_7c; name other layers")
    rows = () if batch_sizes == "auto" else tuple(opt.read_batch_size(text) for text in batch_sizes.split(","))
    options = Options(settings.map_layers, size, rows, repeats)
    renderer = make_renderer(settings, RunOptions(device, precision, threads=threads))
    with Console(stderr=True).status("measuring") as status:
        report = run(renderer, options, lambda timing: status.update(f"measured {timing.layer}"))
    typer.echo(f"{report.table()}\n\n{report.summary()}")
    if out:
        write_atomically(out, (json.dumps(asdict(report), indent=1) + "\n").encode())
