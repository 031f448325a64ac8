"""What a person sees of a run: expectations, progress and results → lines on the terminal."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from atlas.common import log
from atlas.store.clips import VIDEO, clip_target
from atlas.store.forecast import Forecast, count_of, format_bytes, format_flops, format_seconds, free_bytes

if TYPE_CHECKING:  # these need torch, and a site is written without it
    from atlas.render.outcomes import Outcome, Report
    from atlas.runs import Expectation
    from atlas.store.video import Encoding
    from atlas.studies.examples.find import FoundExamples

SECONDS_BETWEEN_LINES = 10


class RunConsole:
    """Shows a run on standard error, so that standard output holds results alone; a context manager."""

    def __init__(self) -> None:
        """Nothing is shown before the run says what it expects, and nothing at all if it is to be quiet."""
        self._console = Console(stderr=True, highlight=False, quiet=log.loudness() == "quiet")
        self._aside = redirect_stdout(sys.stderr)  # what libraries such as Ray say while it runs
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._rendering: TaskID | None = None
        self._site: TaskID | None = None
        self._videos: TaskID | None = None
        self._scanned: TaskID | None = None
        self._wanted = self._finished = self._rendered = 0
        self._started = self._ended = 0.0  # of rendering
        self._told = time.monotonic()  # when a line was printed last, where there is no terminal for a bar
        self._study: tuple[str, float] | None = None  # the one that runs, and since when
        self._done: dict[str, str] = {}  # kind -> words on what is finished

    def __enter__(self) -> Self:
        self._aside.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_study()
        if self._rendered:
            log.event("rendering done", renderings=self._rendered, seconds=_seconds(self._ended - self._started))
        self._progress.stop()
        self._aside.__exit__(kind, error, trace)
        if isinstance(error, KeyboardInterrupt) and self._done:
            error.args = (", ".join(self._done.values()),)  # for the one line that is said of it

    def expects(self, expectation: Expectation) -> None:
        """Print device, precision, work, time and room."""
        ahead, numerics = expectation.forecast, expectation.numerics
        log.event(
            "expected",
            device=expectation.device_name,
            precision=numerics.precision,
            threads=numerics.threads,
            threads_from=expectation.threads_from,
            pending=len(ahead.pending),
            fresh=ahead.fresh,
            flops=expectation.flops,
            seconds=_seconds(expectation.seconds),
        )
        for line in expectation_lines(expectation):
            self._console.print(line, soft_wrap=True)

    def starts(self, wanted: int, fresh: int) -> None:
        """Start the progress bar."""
        self._wanted, self._finished = wanted, fresh
        self._started = self._started if self._rendered else time.monotonic()  # rescues belong to the same run
        self._progress.start()
        self._rendering = self._progress.add_task("rendering", total=wanted, completed=fresh)

    def renders(self, outcome: Outcome) -> None:
        """Move the progress bar; name a failure at once."""
        assert self._rendering is not None, "a run starts before it renders"
        self._finished += 1
        self._rendered += 1
        self._ended = time.monotonic()
        self._done["renderings"] = f"{count_of(self._rendered, 'rendering')} made"
        self._log(outcome)
        self._tell(f"{self._finished} of {self._wanted}: {outcome.job.target}")
        self._progress.update(self._rendering, advance=1, description=f"rendering {outcome.job.target.deepest}")
        if outcome.failure:
            self._progress.print(f"failed: {outcome.job.target}: {outcome.failure}", soft_wrap=True, markup=False)

    @property
    def seconds_a_rendering(self) -> float | None:
        """What a rendering of this run took, on average; None if there was none."""
        return (self._ended - self._started) / self._rendered if self._rendered else None

    def encodes(self, done: int, total: int) -> None:
        """Move the bar of the videos."""
        if self._videos is None:
            self._progress.start()
            self._videos = self._progress.add_task("encoding videos", total=total)
        self._progress.update(self._videos, completed=done, total=total)
        self._done["videos"] = f"{done} of {count_of(total, 'video')} encoded"
        self._tell(f"{done} of {count_of(total, 'video')}")

    def studies(self, name: str) -> None:
        """Say which study runs."""
        self._end_study()
        self._study = (name, time.monotonic())
        self._progress.start()
        self._progress.print(f"study: {name}", markup=False)

    def scans(self, done: int, total: int) -> None:
        """Move the bar of the pictures that the network looks at."""
        if self._scanned is None:
            self._progress.start()
            self._scanned = self._progress.add_task("looking at pictures", total=total)
        self._progress.update(self._scanned, completed=done, total=total)
        self._tell(f"{done:,} of {total:,} pictures looked at")

    def skips(self, why: str) -> None:
        """Name a picture that cannot be read, and why."""
        log.event("skipped", level=logging.WARNING, why=why)
        self._progress.print(f"skipped: {why}", soft_wrap=True, markup=False)

    def builds_site(self, done: int, total: int) -> None:
        """Move the second bar, that of the site's pictures."""
        if self._site is None or done == 0:
            self._progress.start()
            if self._site is not None:
                self._progress.remove_task(self._site)
            self._site = self._progress.add_task("writing the site", total=total)
        self._progress.update(self._site, completed=done, total=total)
        self._done["site"] = f"{done:,} of {count_of(total, 'picture')} of the site encoded"
        self._tell(f"{done:,} of {total:,} pictures of the site")

    def _tell(self, words: str) -> None:
        """Print a line every ten seconds where there is no terminal for a bar."""
        if not self._console.is_terminal and time.monotonic() - self._told > SECONDS_BETWEEN_LINES:
            self._progress.print(words, markup=False)
            self._told = time.monotonic()

    def _log(self, outcome: Outcome) -> None:
        record = outcome.record
        log.event(
            "failed" if outcome.failure else "rendered",
            level=logging.ERROR if outcome.failure else logging.INFO,
            target=str(outcome.job.target),
            recipe=outcome.job.recipe.name,
            status=record.status if record else "failed",
            score=record.score_shown if record else None,
            since_start=_seconds(self._ended - self._started),
            **({"why": outcome.failure} if outcome.failure else {}),
        )

    def _end_study(self) -> None:
        if self._study:
            name, began = self._study
            log.event("study done", study=name, seconds=_seconds(time.monotonic() - began))
            self._study = None


def _seconds(value: float) -> float:
    """Seconds as the log has them."""
    return round(value, 3)


def expectation_lines(expectation: Expectation) -> list[str]:
    """What a run says first."""
    ahead, numerics = expectation.forecast, expectation.numerics
    source = f" (of {expectation.threads_from})" if expectation.threads_from else ""
    lines = [
        f"device     {expectation.device_name}, {numerics.precision}, {count_of(numerics.threads, 'thread')}{source}",
        f"renderings {len(ahead.pending):,} to make, {ahead.fresh:,} already in the store",
        f"work       {format_flops(expectation.flops)}, about {format_seconds(expectation.seconds)}",
        f"room       {format_bytes(ahead.master_bytes)} for masters, {format_bytes(ahead.site_bytes)} for the site",
    ]
    if expectation.flops > 1.5 * ahead.flops:
        lines.append("           much of it pads batches that are not full; for a few pictures say --batch-size 1")
    return lines


def room_line(ahead: Forecast, store: Path) -> str:
    """How much room a plan needs, and how much there is."""
    free = free_bytes(store)
    needed = f"{format_bytes(ahead.master_bytes)} for masters, {format_bytes(ahead.site_bytes)} for the site"
    return f"room {needed}" + ("" if free is None else f"; {format_bytes(free)} are free where the store is")


def report_lines(report: Report) -> list[str]:
    """What a run says last: what was done, and every failure."""
    counts: dict[str, int] = {}
    for outcome in report.outcomes:
        status = outcome.record.status if outcome.record else "failed"
        counts[status] = counts.get(status, 0) + 1
    words = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    fresh = len(report.outcomes) - report.rendered - sum(o.record is None for o in report.outcomes)
    lines = [f"rendered {report.rendered}, {fresh} were fresh" + (f" ({words})" if words else "")]
    lines += [f"failed: {outcome.job.target}: {outcome.failure}" for outcome in report.failures]
    return lines


def example_lines(report: FoundExamples) -> list[str]:
    """What came of looking at pictures: how many, and of how many features crops are kept."""
    found = report.found
    files = f", {count_of(found.skipped, 'file')} skipped" if found.skipped else ""
    fresh = " (nothing changed since)" if report.was_fresh else ""
    with_crops = sum(bool(feature.crops) for feature in found.features)
    features = f"{with_crops} of {count_of(len(found.features), 'rendered feature')}"
    return [f"looked at {count_of(found.seen, 'picture')}{files}; kept the strongest crops for {features}{fresh}"]


def time_lines(seconds: float | None) -> list[str]:
    """What a frame took, if any was rendered."""
    return [f"{seconds:.2f} seconds a frame"] if seconds is not None else []


def log_videos(videos: Sequence[Encoding]) -> None:
    """Say what became of each video in the log."""
    for video in videos:
        name = clip_target(video.clip)
        if video.error:
            log.event("video failed", level=logging.ERROR, target=name, why=str(video.error))
        elif video.record:
            log.event("video", target=name, bytes=video.record.files[VIDEO].bytes, was_fresh=video.was_fresh)
        else:
            log.event("video waits", level=logging.WARNING, target=name, missing=video.missing)


def video_lines(videos: Sequence[Encoding]) -> list[str]:
    """What became of each video: its numbers, or why there is none."""
    return [_video_line(video) for video in videos]


def _video_line(video: Encoding) -> str:
    if video.error:
        return f"failed: {video.error}"
    clip, record = video.clip, video.record
    name, frames = clip_target(clip), len(clip.frames)
    if record is None:
        missing = f"{video.missing} of its {frames} frames are missing"
        return f"{name}: no video yet, since {missing}; run the same command again"
    (rows, cols), stride = clip.grid, clip.stride
    size = f"{record.files[VIDEO].bytes:,} bytes{' (was fresh)' if video.was_fresh else ''}"
    return f"{name}: {frames} frames of a {rows}×{cols} grid, stride {stride}, {clip.fps} frames a second, {size}"


def plan_table(ahead: Forecast) -> Table:
    """A plan by layer."""
    table = Table("layer", box=None, pad_edge=False)
    for heading in ("wanted", "fresh", "to make", "work", "masters"):
        table.add_column(heading, justify="right")
    for layer in ahead.layers:
        pending = len(layer.pending)
        fresh = len(layer.jobs) - pending
        row = (len(layer.jobs), fresh, pending)
        table.add_row(
            layer.layer, *(f"{n:,}" for n in row), format_flops(layer.flops), format_bytes(layer.master_bytes)
        )
    total = (ahead.jobs, ahead.fresh, len(ahead.pending))
    table.add_section()
    table.add_row(
        "all", *(f"{n:,}" for n in total), format_flops(ahead.flops), format_bytes(ahead.master_bytes), style="bold"
    )
    return table
