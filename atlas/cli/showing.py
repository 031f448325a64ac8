"""Commands for what has been made: site, serve, check."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from atlas.cli import options as opt
from atlas.cli.app import app
from atlas.cli.endings import finish, site_lines
from atlas.cli.groups import Choice, Place, Publishing, Source, watched
from atlas.cli.settings import read_settings, with_photos
from atlas.common.errors import ConfigError
from atlas.studies import load_config


@app.command("site")
@watched
def site_command(source: Source, choice: Choice, place: Place, publishing: Publishing) -> None:
    """Write the site of a configuration from what the store has; needs neither network nor weights."""
    from atlas import studies
    from atlas.cli.console import RunConsole
    from atlas.site.build import build_site
    from atlas.site.copies import CopySettings
    from atlas.site.output import has_pictures
    from atlas.store.weights_ids import resolve_weights

    settings = with_photos(read_settings(source, choice, place))
    found = resolve_weights(settings.store, settings.weights, settings.weights_input)
    if found is None and has_pictures(settings.site):
        raise ConfigError(
            f"{settings.store} holds nothing rendered with weights {settings.weights}, and the site in {settings.site} "
            "would lose its pictures; name the --store, --weights or --config that it was made from, or another --out"
        )
    with RunConsole() as console:
        copies = CopySettings(publishing.fine)
        report = build_site(settings, found, studies.pages(), settings=copies, on_progress=console.builds_site)
    finish(site_lines(settings, report, publishing.zip_site), failed=False)


@app.command("serve")
def serve_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", parser=opt.given_path, help="Folder of the site.")] = Path(
        "site"
    ),
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes any that is free.")
    ] = 8000,
) -> None:
    """Preview a site at 127.0.0.1, with the Range requests that scrubbing a video needs."""
    from atlas.site.serve import serve

    serve(folder, port, lambda address: typer.echo(f"{address} shows {folder}; Ctrl-C stops"))


@app.command("check")
def check_command(
    config: opt.Config = "article",
    store: opt.Store = None,
    site: Annotated[
        Optional[Path], typer.Option("--site", metavar="DIR", parser=opt.given_path, help="Folder of the site.")
    ] = None,
) -> None:
    """Check that every master is whole and every link good; without a folder, the configuration's store and site."""
    from atlas import studies
    from atlas.site.check import check_site, check_store, mixed_hardware

    settings = load_config(config)
    both = store is None and site is None
    faults: list[str] = []
    if store or both:
        found = check_store(store or settings.store, studies.pages())
        faults += found
        typer.echo(f"{store or settings.store}: {len(found)} faults", err=True)
        for line in mixed_hardware(store or settings.store):
            typer.echo(line.encode(errors="backslashreplace").decode(), err=True)
    if site or both:
        result = check_site(site or settings.site)
        faults += result.faults
        words = f"{result.pages} pages, {result.links} links, {result.bytes:,} bytes, {len(result.faults)} faults"
        typer.echo(f"{site or settings.site}: {words}", err=True)
    for fault in faults:
        typer.echo(fault.encode(errors="backslashreplace").decode())  # names of files need not be text
    finish([], failed=bool(faults))
