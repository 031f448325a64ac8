"""What a person sees of a run: expectations, progress and results → lines on the terminal."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from atlas.forecast import Forecast, count_of, format_bytes, format_flops, format_seconds
from atlas.pipeline import Expectation
from atlas.render.execute import Outcome, Report

SECONDS_BETWEEN_LINES = 10


class RunConsole:
    """Shows a run on standard error, so that standard output holds results alone; a context manager."""

    def __init__(self) -> None:
        """Nothing is shown before the run says what it expects."""
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._rendering: TaskID | None = None
        self._site: TaskID | None = None
        self._wanted = self._finished = 0
        self._told = time.monotonic()  # when a line was printed last, where there is no terminal for a bar

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def expects(self, expectation: Expectation) -> None:
        """Print device, precision, work, time and room."""
        for line in expectation_lines(expectation):
            self._console.print(line, soft_wrap=True)

    def starts(self, wanted: int, fresh: int) -> None:
        """Start the progress bar."""
        self._wanted, self._finished = wanted, fresh
        self._progress.start()
        self._rendering = self._progress.add_task("rendering", total=wanted, completed=fresh)

    def renders(self, outcome: Outcome) -> None:
        """Move the progress bar; name a failure at once."""
        assert self._rendering is not None, "a run starts before it renders"
        self._finished += 1
        if not self._console.is_terminal and time.monotonic() - self._told > SECONDS_BETWEEN_LINES:
            self._progress.print(f"{self._finished} of {self._wanted}: {outcome.job.target}", markup=False)
            self._told = time.monotonic()
        self._progress.update(self._rendering, advance=1, description=f"rendering {outcome.job.target.deepest}")
        if outcome.failure:
            self._progress.print(f"failed: {outcome.job.target}: {outcome.failure}", soft_wrap=True, markup=False)

    def builds_site(self, done: int, total: int) -> None:
        """Move the second bar, that of the site's pictures."""
        if self._site is None or done == 0:
            self._progress.start()
            if self._site is not None:
                self._progress.remove_task(self._site)
            self._site = self._progress.add_task("writing the site", total=total)
        self._progress.update(self._site, completed=done, total=total)


def expectation_lines(expectation: Expectation) -> list[str]:
    """What a run says first."""
    ahead, numerics = expectation.forecast, expectation.numerics
    lines = [
        f"device     {expectation.device_name}, {numerics.precision}, {count_of(numerics.threads, 'thread')}",
        f"renderings {len(ahead.pending):,} to make, {ahead.fresh:,} already in the store",
        f"work       {format_flops(expectation.flops)}, about {format_seconds(expectation.seconds)}",
        f"room       {format_bytes(ahead.master_bytes)} for masters, {format_bytes(ahead.site_bytes)} for the site",
    ]
    if expectation.flops > 1.5 * ahead.flops:
        lines.append("           much of it pads batches that are not full; for a few pictures say --batch-size 1")
    return lines


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
