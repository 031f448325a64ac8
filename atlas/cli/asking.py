"""Commands that only say something: layers, plan, bench."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from atlas.cli import options as opt
from atlas.cli.app import app
from atlas.cli.groups import Choice, Source, takes_groups
from atlas.cli.settings import read_batch_sizes, read_settings, with_photos
from atlas.inception import layers as network
from atlas.studies import all_jobs
from atlas.studies.dead.settings import Settings as DeadSettings

ARTICLE_SIZE = (299, 299)


@app.command("layers")
def layers_command(
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="As JSON, for programs.")] = False,
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
@takes_groups
def plan_command(source: Source, choice: Choice, precision: opt.Precision = "auto") -> None:
    """Print what would be rendered: counts, work, room, and what is already fresh (in --precision, if given)."""
    from atlas.cli.console import plan_table, room_line
    from atlas.store.forecast import forecast

    settings = with_photos(read_settings(source, choice))
    wanted = None if precision == "auto" else precision
    ahead = forecast(all_jobs(settings), settings.store, settings.weights, settings.weights_input, precision=wanted)
    typer.echo(f"weights {settings.weights}, recipe {settings.recipe}, seed {settings.seed}, store {settings.store}")
    Console().print(plan_table(ahead))
    typer.echo(room_line(ahead, settings.store))
    if settings.study(DeadSettings).features:
        typer.echo(
            "features that turn out to have no gradient, or not to be raised, are rendered once more on top of that"
        )


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
    out: Annotated[
        Optional[Path], typer.Option("--out", metavar="FILE", parser=opt.given_path, help="Write JSON there too.")
    ] = None,
) -> None:
    """Measure how fast this machine renders: a step of each layer, against what its arithmetic reaches."""
    from atlas.pipeline import make_renderer
    from atlas.render.bench import Options, run
    from atlas.runs import RunOptions
    from atlas.store.files import write_atomically

    named = read_settings(Source(weights="demo"), Choice(layers))
    renderer, device_name = make_renderer(named, RunOptions(device, precision, threads=threads))
    options = Options(named.layers, size, read_batch_sizes(batch_sizes), repeats)
    with Console(stderr=True).status("measuring") as status:
        report = run(renderer, device_name, options, lambda timing: status.update(f"measured {timing.layer}"))
    typer.echo(f"{report.table()}\n\n{report.summary()}")
    if out:
        write_atomically(out, report.to_json().encode())
