"""How a command ends: what it says last, and its exit code."""

import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atlas.common import log
from atlas.plan.config import Config

if TYPE_CHECKING:  # what needs torch, or takes long to import
    from atlas.site.build import SiteReport
    from atlas.store.video import Encoding

LOST_BASE_URL = (
    "this site had a base URL, and is written without one: no sitemap, no 404 page, no previews of links; "
    "say --base-url, or base_url in the configuration"
)


def finish(lines: Sequence[str], *, failed: bool, videos: Sequence["Encoding"] = ()) -> None:
    """Say the last lines, only failures and warnings if the run is quiet, and exit unless all is well.

    Raises:
        typer.Exit: with 1 if something failed or is missing, or with the code of the first video's error.
    """
    is_quiet = log.loudness() == "quiet"
    for line in lines:
        if not is_quiet or line.startswith(("failed", "warning")):
            typer.echo(line, err=True)
    for video in videos:
        if video.error:
            raise typer.Exit(video.error.exit_code)
    if failed or any(video.missing for video in videos):
        raise typer.Exit(1)


def site_lines(settings: Config, site: "SiteReport", zip_site: bool) -> list[str]:
    """What became of the site; packs it first, if that is wanted."""
    for fault in site.damaged:
        log.event("damaged", level=logging.WARNING, why=fault)
    log.event("site", pages=site.pages, pictures=site.pictures, encoded=site.encoded, bytes=site.bytes)
    lines = [f"warning: {fault}" for fault in site.damaged]
    if site.lost_base_url:
        lines.append(f"warning: {LOST_BASE_URL}")
    pending = f", {site.pending} features pending" if site.pending else ""
    pictures = f"{site.pictures} pictures ({site.encoded} encoded), {site.videos} videos"
    lines.append(f"site: {site.pages} pages, {pictures}, {site.bytes / 1e6:.1f} MB{pending}")
    if zip_site:
        from atlas.site.archive import write_archive

        archive = write_archive(settings.site)
        lines.append(f"archive: {archive}, {archive.stat().st_size / 1e6:.1f} MB")
    page, folder = (shlex.quote(str(path)) for path in (settings.site / "index.html", settings.site))
    return [*lines, f"open {page} in a browser, or run: {_program()} serve {folder}"]


def _program() -> str:
    """How this program was started, to be typed again."""
    return "python -m atlas" if Path(sys.argv[0]).name == "__main__.py" else shlex.quote(sys.argv[0])
