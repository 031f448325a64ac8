"""Runs jobs into the store on one device: rounds of batches → masters; resumes, and halves batches out of memory."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch

from atlas.plan.jobs import Batch, Job
from atlas.render.renderer import Renderer
from atlas.store.masters import find_record, master_path, write_master
from atlas.store.records import Record
from atlas.store.stages import write_stages

OUT_OF_MEMORY = "out of memory even alone; nothing was stored, and the next run tries again"


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    job: Job
    path: Path  # of the master, which is not there when memory ran out
    record: Record | None  # None: out of memory
    was_fresh: bool = False

    @property
    def failure(self) -> str | None:
        """Why the job failed, or None if it did not."""
        if self.record is None:
            return OUT_OF_MEMORY
        if self.record.failed_at is None:
            return None
        at = self.record.failed_at
        return f"the image went non-finite in octave {at.octave + 1}, step {at.step + 1}; the last finite one is stored"


@dataclass
class Report:
    """What a run did, in the order in which it was done."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def rendered(self) -> int:
        """Masters written."""
        return sum(outcome.record is not None and not outcome.was_fresh for outcome in self.outcomes)

    @property
    def failures(self) -> list[Outcome]:
        """Jobs that failed."""
        return [outcome for outcome in self.outcomes if outcome.failure]


def split_fresh(
    jobs: Iterable[Job], renderer: Renderer, store: Path, *, force: bool = False
) -> tuple[list[Outcome], list[Job]]:
    """Look for masters that are already there and fresh.

    Args:
        jobs: what is wanted.
        renderer: its weights and precision decide what is fresh.
        store: folder of masters.
        force: take nothing for fresh.

    Returns:
        Outcomes of the fresh jobs, and the jobs that are left to render.
    """
    weights, precision = renderer.weights.id, renderer.numerics.precision

    def look(job: Job) -> Outcome:
        path = master_path(store, weights, job)
        record = None if force else find_record(path, job, weights.sha256, precision, look_at_pixels=True)
        return Outcome(job, path, record, was_fresh=record is not None)

    with ThreadPoolExecutor() as pool:  # decoding a picture holds no lock
        outcomes = list(pool.map(look, jobs))
    fresh = [outcome for outcome in outcomes if outcome.was_fresh]
    return fresh, [outcome.job for outcome in outcomes if not outcome.was_fresh]


def run_batches(
    batches: Iterable[Batch], renderer: Renderer, store: Path, report: Report, on_done: Callable[[Outcome], None]
) -> None:
    """Render batches into the store, one after the other.

    Args:
        batches: of jobs that are to be rendered, fresh or not.
        renderer: what renders them.
        store: folder of masters.
        report: is told of every outcome.
        on_done: called after every job, for progress.

    Raises:
        StoreError: a master cannot be written; those before it are whole.
    """
    for batch in batches:
        for outcome in _run(batch.jobs, batch.size, renderer, store):
            report.outcomes.append(outcome)
            on_done(outcome)


def _run(jobs: Sequence[Job], size: int, renderer: Renderer, store: Path) -> Iterable[Outcome]:
    """Render jobs in batches of at most `size`; out of memory, in halves, down to one."""
    weights = renderer.weights.id
    for start in range(0, len(jobs), size):
        chunk = jobs[start : start + size]
        try:
            renderings = renderer.render(chunk, size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            renderings = None
        if renderings is not None:
            for rendering in renderings:
                path = master_path(store, weights, rendering.job)
                write_master(path, rendering.pixels, rendering.record)
                write_stages(path, rendering.stages, rendering.record)
                yield Outcome(rendering.job, path, rendering.record)
            continue
        _free_memory()  # outside the except block, whose traceback keeps the batch's tensors alive
        if size > 1:
            yield from _run(chunk, size // 2, renderer, store)
        else:
            yield from (Outcome(job, master_path(store, weights, job), None) for job in chunk)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "out of memory" in text or "can't allocate memory" in text


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
