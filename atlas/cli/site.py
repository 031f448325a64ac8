"""Commands for what has been made: site, serve, check."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from atlas import studies
from atlas.cli import options as opt
from atlas.cli.app import command
from atlas.cli.console import RunConsole, finish, site_lines
from atlas.cli.options import Choice, Site, Source, argument, config_option, option
from atlas.cli.settings import read_settings, with_photos
from atlas.common.errors import ConfigError
from atlas.studies import load_config


@command("site", logs=True)
def site_command(source: Source, choice: Choice, site: Site) -> None:
    """Write the site from what the store has. Needs neither the network nor its weights."""
    from atlas.site.build import build_site
    from atlas.site.output import has_pictures
    from atlas.store.weights_ids import resolve_weights

    settings = with_photos(read_settings(source, choice, site))
    found = resolve_weights(settings.store, settings.weights, settings.weights_input)
    if found is None and has_pictures(settings.site):
        raise ConfigError(
            f"{settings.store} has no renderings by the weights {settings.weights}, and the site in {settings.site} "
            "would lose its pictures; name the --store, --weights or --config that it was made from, or another --out"
        )
    with RunConsole() as console:
        watch = partial(console.progress, "writing the site")
        report = build_site(settings, found, studies.pages(), fine=site.fine, on_progress=watch)
    finish(site_lines(settings, report, site.zip_site), failed=False)


@command("serve")
def serve_command(
    folder: Annotated[Path, argument("DIR", "Folder of the site.", parser=opt.given_path)] = Path("site"),
    port: Annotated[int, option("--port", "N", "Port; 0 takes any that is free.", min=0, max=65535)] = 8000,
) -> None:
    """Preview a site at http://127.0.0.1, with the Range requests that videos need."""
    from atlas.site.serve import serve

    serve(folder, port, lambda address: typer.echo(f"{address} shows {folder}; press Ctrl-C to stop"))


@command("check")
def check_command(
    config: opt.Config = "article",
    store: opt.Store = None,
    site: Annotated[Path | None, config_option("--site", "DIR", "Folder of the site.", parser=opt.given_path)] = None,
) -> None:
    """Check that every master is intact and every link of the site works.

    With --store or --site, only that folder is checked; without, both folders of the configuration.
    """
    from atlas.site.check import check_site, check_store, mixed_hardware

    settings = load_config(config)
    if store is None and site is None:
        store, site = settings.store, settings.site
    faults: list[str] = []
    if store:
        faults += check_store(store, studies.pages())
        typer.echo(f"{store}: {len(faults)} faults", err=True)
        for line in mixed_hardware(store):
            typer.echo(line.encode(errors="backslashreplace").decode(), err=True)
    if site:
        result = check_site(site)
        faults += result.faults
        counts = f"{result.files} files, {result.pages} pages, {result.links} links, {result.bytes:,} bytes"
        counts += f" ({result.packed:,} as one archive)"
        typer.echo(f"{site}: {counts}, {len(result.faults)} faults", err=True)
    for fault in faults:
        typer.echo(fault.encode(errors="backslashreplace").decode())  # names of files need not be text
    finish([], failed=bool(faults))
