"""Attempts → masters in the store, written in other threads while the next batch renders; up to date ones are kept."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from atlas.common.cores import count_cores
from atlas.common.errors import StoreError
from atlas.plan.jobs import Job
from atlas.rendering.batches import OUT_OF_MEMORY, Attempt
from atlas.store.files import check_same_folder, make_folder
from atlas.store.importance import write_importance
from atlas.store.masters import find_record, master_path, write_master
from atlas.store.records import Record, WeightsId
from atlas.store.stages import write_stages

WRITERS = min(8, count_cores())  # threads: encoding a PNG holds no lock
BATCHES_WAITING = 2  # to be written while the next one renders; so memory is bounded
PATIENCE = 0.02  # of the time that a batch took to render may be spent on waiting until it is written
CANNOT_ENCODE = (MemoryError, OSError, RuntimeError)  # what Pillow raises when it is out of memory


@dataclass(frozen=True)
class Outcome:
    """The result of one job in the store."""

    job: Job
    path: Path  # of the master, which is not there without a record
    record: Record | None  # None: nothing was stored
    was_fresh: bool = False
    lost: str | None = None  # why nothing was stored

    @property
    def failure(self) -> str | None:
        """Why the job failed, or None if it did not."""
        if self.record is None:
            return self.lost
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
    jobs: Iterable[Job], weights: WeightsId, precision: str, store: Path, *, force: bool = False
) -> tuple[list[Outcome], list[Job]]:
    """Find the masters that are already there and up to date.

    Args:
        jobs: what is wanted.
        weights: their hash decides what is up to date.
        precision: as does this, resolved.
        store: folder of masters.
        force: take none for up to date.

    Returns:
        Outcomes of jobs that are up to date, and the jobs that are left to render.
    """

    def look(job: Job) -> Outcome:
        path = master_path(store, weights, job)
        record = None if force else find_record(path, job, weights, precision, check_pixels=True)
        return Outcome(job, path, record, was_fresh=record is not None)

    with ThreadPoolExecutor() as pool:  # decoding a picture holds no lock
        outcomes = list(pool.map(look, jobs))
    fresh = [outcome for outcome in outcomes if outcome.was_fresh]
    return fresh, [outcome.job for outcome in outcomes if not outcome.was_fresh]


def keep_attempts(
    attempts: Iterable[list[Attempt]],
    weights: WeightsId,
    store: Path,
    report: Report,
    on_done: Callable[[Outcome], None],
) -> None:
    """Write what is rendered into the store, while the next batch renders.

    Args:
        attempts: of each batch; the next one is asked for while those before are written.
        weights: by which they are rendered.
        store: folder of masters.
        report: is told of every outcome, in the order of the attempts.
        on_done: called after every job, in this thread, for progress.

    Raises:
        StoreError: a master cannot be written, or the folder of masters vanished. Masters before it are whole; of
            those after it some may be there, whole.
    """
    folder = store / weights.folder
    identity = make_folder(folder)

    def keep(attempt: Attempt) -> Outcome:
        check_same_folder(folder, identity)  # or it would be made again, without what was in it
        return _keep(attempt, weights, store)

    pool = ThreadPoolExecutor(WRITERS, thread_name_prefix="write-masters")
    waiting: deque[list[Future[Outcome]]] = deque()  # by batch

    def tell_first() -> None:
        for future in waiting.popleft():
            report.outcomes.append(future.result())
            on_done(future.result())

    try:
        began = time.monotonic()
        for batch in attempts:
            waiting.append([pool.submit(keep, attempt) for attempt in batch])
            # where rendering is slow, a full disk and a finished picture are told of before the next batch begins
            wait(waiting[-1], timeout=PATIENCE * (time.monotonic() - began))
            while waiting and (len(waiting) > BATCHES_WAITING or _is_due(waiting)):
                tell_first()
            began = time.monotonic()
        while waiting:
            tell_first()
    except StoreError:
        pool.shutdown(cancel_futures=True)
        raise
    except KeyboardInterrupt:  # the batch is dropped, and those before it are written
        pool.shutdown()
        with suppress(StoreError):
            while waiting:
                tell_first()
        raise
    finally:  # what is rendered is kept if it can be, even if a person interrupts
        pool.shutdown()


def _keep(attempt: Attempt, weights: WeightsId, store: Path) -> Outcome:
    """Write a master, if there is one to write."""
    path = master_path(store, weights, attempt.job)
    if attempt.rendering is None:
        return Outcome(attempt.job, path, None, lost=attempt.failure)
    made, record = attempt.rendering, attempt.rendering.record
    with suppress(*CANNOT_ENCODE):  # a picture without them is whole
        write_stages(path, made.stages, record)  # first: who has a master has its stages
        write_importance(path, made.importance, record)
    try:
        write_master(path, made.pixels, record)
    except CANNOT_ENCODE:
        return Outcome(attempt.job, path, None, lost=OUT_OF_MEMORY)
    return Outcome(attempt.job, path, record)


def _is_due(waiting: deque[list[Future[Outcome]]]) -> bool:
    """Whether the first batch is written, or any master cannot be."""
    if all(future.done() for future in waiting[0]):
        return True
    return any(future.done() and future.exception() for batch in waiting for future in batch)
