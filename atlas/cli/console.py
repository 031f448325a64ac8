"""What a person sees of a run: expectations, progress and results → lines on the terminal."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from atlas.common import log
from atlas.common.text import count_of, format_bytes, format_flops, format_seconds
from atlas.site.budget import LARGEST_SITE, ExpectedSite, SitePlan, words_of
from atlas.site.words import probability
from atlas.store.clips import VIDEO, clip_target
from atlas.store.forecast import Forecast, free_bytes

if TYPE_CHECKING:  # these need torch, and a site is written without it
    from atlas.plan.config import Config
    from atlas.rendering.outcomes import Outcome, Report
    from atlas.runs import Cost, Expectation
    from atlas.site.build import SiteReport
    from atlas.store.video import Encoding
    from atlas.studies.examples.find import FoundExamples

SECONDS_BETWEEN_LINES = 10
MOST_COSTS = 5  # recipes whose cost is said before a run; `atlas plan` lists all
LESS = "select fewer features, layers or recipes"
CLOSE = 0.93  # of what GitHub Pages takes: a forecast is a few percent off
LOST_BASE_URL = (
    "this site had a base URL, and is written without one: no sitemap, no 404 page, no link previews; "
    "add --base-url, or base_url in the configuration"
)


class RunConsole:
    """Shows a run on standard error, so that standard output has only its results; a context manager.

    A `Watcher` (see `atlas.runs`).
    """

    def __init__(self) -> None:
        """Prints nothing if the run is to be quiet."""
        self._console = Console(stderr=True, highlight=False, quiet=log.loudness() == "quiet")
        self._redirected = redirect_stdout(sys.stderr)  # what libraries such as Ray print
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, console=self._console)
        self._bars: dict[str, TaskID] = {}
        self._counts: dict[str, tuple[int, int]] = {}  # of each task: parts done, and all
        self._began: dict[str, float] = {}  # by task, and by study
        self._rendered = 0  # in this run
        self._ended = 0.0  # when the last one was
        self._printed = time.monotonic()  # when the last line was, where there is no terminal for a bar
        self._study: str | None = None  # the one that runs

    def __enter__(self) -> Self:
        self._redirected.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._end_study()
        if self._rendered:
            log.event("rendering done", renderings=self._rendered, seconds=round(self._seconds_rendering, 3))
        self._progress.stop()
        self._redirected.__exit__(None, None, None)
        if isinstance(error, KeyboardInterrupt):  # its message is part of the one line that is printed
            error.args = (", ".join(f"{task}: {done:,} of {all_:,}" for task, (done, all_) in self._counts.items()),)

    def expects(self, expectation: Expectation) -> None:
        """Print device, precision, work, time and disk space."""
        ahead, numerics = expectation.forecast, expectation.executor.numerics
        log.event(
            "expected",
            device=expectation.executor.device_name,
            precision=numerics.precision,
            threads=numerics.threads,
            threads_from=expectation.threads_from,
            pending=len(ahead.pending),
            fresh=ahead.fresh,
            flops=expectation.flops,
            seconds=round(expectation.seconds, 3),
        )
        for line in expectation_lines(expectation):
            self._console.print(line, soft_wrap=True)

    def progress(self, task: str, done: int, total: int) -> None:
        """Move the bar of a task; without a terminal, print a line every ten seconds."""
        if task not in self._bars:
            self._progress.start()
            self._bars[task] = self._progress.add_task(task, total=total)
            self._began[task] = time.monotonic()
        elif self._counts[task][0] >= self._counts[task][1]:  # it was done, and begins again
            self._progress.reset(self._bars[task], total=total)
        self._counts[task] = done, total
        self._progress.update(self._bars[task], completed=done, total=total)
        if not self._console.is_terminal and time.monotonic() - self._printed > SECONDS_BETWEEN_LINES:
            self._progress.print(f"{task}: {done:,} of {total:,}", markup=False)
            self._printed = time.monotonic()

    def renders(self, outcome: Outcome) -> None:
        """Move the progress bar; print a failure at once."""
        done, total = self._counts["rendering"]
        self._rendered += 1
        self._ended = time.monotonic()
        record, failure = outcome.record, outcome.failure
        log.event(
            "failed" if failure else "rendered",
            level=logging.ERROR if failure else logging.INFO,
            target=str(outcome.job.target),
            recipe=outcome.job.recipe.name,
            status=record.status if record else "failed",
            score=record.score_shown if record else None,
            since_start=round(self._seconds_rendering, 3),
            **({"why": failure} if failure else {}),
        )
        self.progress("rendering", done + 1, total)
        self._progress.update(self._bars["rendering"], description=f"rendering {outcome.job.target.deepest}")
        if failure:
            self._progress.print(f"failed: {outcome.job.target}: {failure}", soft_wrap=True, markup=False)

    @property
    def _seconds_rendering(self) -> float:
        return self._ended - self._began["rendering"]

    @property
    def seconds_per_rendering(self) -> float | None:
        """The mean over this run; None if nothing was rendered."""
        return self._seconds_rendering / self._rendered if self._rendered else None

    def studies(self, name: str) -> None:
        """Print which study runs."""
        self._end_study()
        self._study, self._began[name] = name, time.monotonic()
        self._progress.start()
        self._progress.print(f"study: {name}", markup=False)

    def _end_study(self) -> None:
        if self._study:
            log.event("study done", study=self._study, seconds=round(time.monotonic() - self._began[self._study], 3))
            self._study = None

    def skips(self, why: str) -> None:
        """Name a picture that cannot be read, and why."""
        log.event("skipped", level=logging.WARNING, why=why)
        self._progress.print(f"skipped: {why}", soft_wrap=True, markup=False)


def finish(lines: Sequence[str], *, failed: bool, videos: Sequence[Encoding] = ()) -> None:
    """Print the last lines, if the run is quiet only failures and warnings, and exit unless all is well.

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


def expectation_lines(expectation: Expectation) -> list[str]:
    """What a run will take."""
    ahead = expectation.forecast
    lines = [
        device_line(expectation),
        f"renderings {len(ahead.pending):,} to make, {ahead.fresh:,} up to date",
        f"work       {format_flops(expectation.flops)}, about {format_seconds(expectation.seconds)}",
        space_line(ahead, expectation.site),
    ]
    if len(expectation.costs) > 1:
        lines[3:3] = map(_cost_line, expectation.costs[:MOST_COSTS])
    if expectation.flops > 1.5 * ahead.flops:
        lines.append("           much of it pads batches that are not full; for a few pictures add --batch-size 1")
    if expectation.site:
        site = expectation.site.expected
        kinds = ", ".join(f"{format_bytes(one.bytes)} {one.kind}" for one in site.weights)
        lines.append(f"site       {format_bytes(site.packed)} as one archive of {site.files:,} files: {kinds}")
        lines += [f"           {line}" for line in site_plan_lines(expectation.site)]
    return lines


def device_line(expectation: Expectation) -> str:
    """The device of a run, and how it computes."""
    executor = expectation.executor
    source = f" (from {expectation.threads_from})" if expectation.threads_from else ""
    threads = count_of(executor.numerics.threads, "thread")
    return f"device     {executor.device_name}, {executor.numerics.precision}, {threads}{source}"


def _cost_line(cost: Cost) -> str:
    """What the renderings of one recipe take."""
    renderings = count_of(cost.renderings, "rendering")
    return f"           {cost.recipe}: {renderings}, {format_flops(cost.flops)}, about {format_seconds(cost.seconds)}"


def cost_table(expectation: Expectation) -> Table:
    """What is left to render by recipe, and the time that it takes."""
    table = Table("recipe", box=None, pad_edge=False)
    for heading in ("to render", "work", "time"):
        table.add_column(heading, justify="right")

    def add(name: str, renderings: int, flops: int, seconds: float, style: str | None = None) -> None:
        table.add_row(name, f"{renderings:,}", format_flops(flops), format_seconds(seconds), style=style)

    for cost in expectation.costs:
        add(cost.recipe, cost.renderings, cost.flops, cost.seconds)
    table.add_section()
    add("all", len(expectation.forecast.pending), expectation.flops, expectation.seconds, "bold")
    return table


def space_line(ahead: Forecast, site: SitePlan | None, store: Path | None = None) -> str:
    """How much disk space masters and site need and, of a store, how much is free."""
    free = free_bytes(store) if store else None
    needed = f"{format_bytes(ahead.master_bytes)} for masters"
    needed += f", {format_bytes(site.expected.bytes)} for the site" if site else ""
    return f"disk space {needed}" + ("" if free is None else f"; {format_bytes(free)} free where the store is")


def site_table(site: ExpectedSite) -> Table:
    """What a site is expected to weigh, by kind of file."""
    table = Table("site", box=None, pad_edge=False)
    for heading in ("files", "size"):
        table.add_column(heading, justify="right")
    for one in site.weights:
        table.add_row(one.kind, f"{one.files:,}", format_bytes(one.bytes))
    table.add_section()
    table.add_row("all", f"{site.files:,}", format_bytes(site.bytes), style="bold")
    table.add_row("as one archive", "", format_bytes(site.packed))
    return table


def site_plan_lines(plan: SitePlan) -> list[str]:
    """What a site leaves out to stay within its budget, and whether GitHub Pages takes it."""
    site, for_pages = plan.expected, plan.for_pages
    lines = [f"left out: {_left_out(site)}"] if site.left_out else []
    if plan.budget is not None and site.packed > plan.budget:
        lines.append(f"the site is expected to have more than its budget of {format_bytes(plan.budget)}: {LESS}")
    limit = f"the {format_bytes(LARGEST_SITE)} that it takes as one archive"
    if site.packed <= LARGEST_SITE:
        close = "; that is close: the build says what it has" if site.packed > CLOSE * LARGEST_SITE else ""
        return [*lines, f"GitHub Pages: fits, {format_bytes(site.packed)} of {limit}{close}"]
    lines.append(f"GitHub Pages: too large, {format_bytes(site.packed)} instead of {limit}")
    if for_pages.packed <= LARGEST_SITE:
        return [*lines, f"with --budget 1GB: {format_bytes(for_pages.packed)}, since {_left_out(for_pages)}"]
    return [*lines, f"what can be left out is not enough for it: {LESS}"]


def _left_out(site: ExpectedSite | SiteReport) -> str:
    return "; ".join(words_of(site.left_out))


def report_lines(report: Report) -> list[str]:
    """What was rendered, and every failure."""
    counts = Counter(outcome.record.status if outcome.record else "failed" for outcome in report.outcomes)
    statuses = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    fresh = sum(outcome.was_fresh for outcome in report.outcomes)
    lines = [rendered_line(report.rendered, fresh) + (f" ({statuses})" if statuses else "")]
    return lines + [f"failed: {outcome.job.target}: {outcome.failure}" for outcome in report.failures]


def probability_lines(report: Report) -> list[str]:
    """The probability of each class that was a target, in what its rendering started from and in the picture."""
    records = (one.record for one in report.outcomes if one.record and one.job.target.is_class)
    both = ((record.target, probability(record.score_start), probability(record.score_shown)) for record in records)
    return [f"{target}: probability {start} at the start, {shown} in the picture" for target, start, shown in both]


def rendered_line(rendered: int, fresh: int) -> str:
    """How many renderings were made, and how many were up to date."""
    return f"rendered {rendered:,}, up to date {fresh:,}"


def example_line(report: FoundExamples) -> str:
    """How many pictures were scanned, and for how many features crops are kept."""
    found = report.found
    skipped = f", {count_of(found.skipped, 'file')} skipped" if found.skipped else ""
    with_crops = sum(bool(feature.crops) for feature in found.features)
    features = f"{with_crops} of {count_of(len(found.features), 'rendered feature')}"
    fresh = " (up to date)" if report.was_fresh else ""
    return f"scanned {count_of(found.seen, 'picture')}{skipped}; kept crops for {features}{fresh}"


def video_line(video: Encoding) -> str:
    """A video in numbers, or why there is none; logs it as well."""
    clip, name, frames = video.clip, clip_target(video.clip), len(video.clip.frames)
    if video.error:
        log.event("video failed", level=logging.ERROR, target=name, why=str(video.error))
        return f"failed: {video.error}"
    if not video.record:
        log.event("video waits", level=logging.WARNING, target=name, missing=video.missing)
        return f"{name}: no video yet: {video.missing} of {frames} frames are missing; run the same command again"
    size, (rows, cols) = video.record.files[VIDEO].bytes, clip.grid
    log.event("video", target=name, bytes=size, was_fresh=video.was_fresh)
    line = f"{name}: {frames} frames of a {rows}×{cols} grid, stride {clip.stride}, {clip.fps} frames per second"
    return f"{line}, {size:,} bytes{' (up to date)' if video.was_fresh else ''}"


def site_lines(settings: Config, site: SiteReport, zip_site: bool) -> list[str]:
    """A site in numbers, and how to open it; packs it first with `zip_site`."""
    for fault in site.damaged:
        log.event("damaged", level=logging.WARNING, why=fault)
    log.event(
        "site",
        pages=site.pages,
        pictures=site.pictures,
        encoded=site.encoded,
        bytes=site.bytes,
        packed=site.packed,
        left_out=list(site.left_out),
    )
    lines = [f"warning: {fault}" for fault in site.damaged]
    if site.lost_base_url:
        lines.append(f"warning: {LOST_BASE_URL}")
    if site.left_out:
        lines.append(f"left out: {_left_out(site)}")
    if settings.budget and site.packed > settings.budget:
        budget = format_bytes(settings.budget)
        lines.append(
            f"warning: the site has {format_bytes(site.packed)} as one archive, and its budget is {budget}: {LESS}"
        )
    pending = f", {site.pending} features pending" if site.pending else ""
    pictures = f"{site.pictures} pictures ({site.encoded} encoded), {site.videos} videos"
    lines.append(f"site: {site.pages} pages, {pictures}, {site.bytes / 1e6:.1f} MB{pending}")
    if zip_site:
        from atlas.site.archive import write_archive

        archive = write_archive(settings.site)
        lines.append(f"archive: {archive}, {archive.stat().st_size / 1e6:.1f} MB")
    page, folder = (shlex.quote(str(path)) for path in (settings.site / "index.html", settings.site))
    program = "python -m atlas" if Path(sys.argv[0]).name == "__main__.py" else shlex.quote(sys.argv[0])
    return [*lines, f"open {page} in a browser, or run: {program} serve {folder}"]


def plan_table(ahead: Forecast) -> Table:
    """A plan by layer."""
    table = Table("layer", box=None, pad_edge=False)
    for heading in ("planned", "up to date", "to render", "work", "masters"):
        table.add_column(heading, justify="right")

    def add(name: str, part: Forecast, style: str | None = None) -> None:
        counts = (f"{number:,}" for number in (len(part.jobs), part.fresh, len(part.pending)))
        table.add_row(name, *counts, format_flops(part.flops), format_bytes(part.master_bytes), style=style)

    for name, part in ahead.by_layer().items():
        add(name, part)
    table.add_section()
    add("all", ahead, "bold")
    return table
