"""This machine as executor: batches → attempts on one device, one batch after the other."""

from functools import cache

import torch

from atlas.render import numerics as arithmetic
from atlas.render.batches import BatchLimits, RenderBatches, render_batches
from atlas.render.renderer import OpenPhoto, Renderer
from atlas.render.weights import Weights
from atlas.store.records import Numerics


class LocalExecutor:
    """Renders on a device of this machine, one batch after the other, in their order."""

    def __init__(self, device: torch.device, numerics: Numerics) -> None:
        self.device = device
        self.numerics = numerics

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)} ({self.device})"
        return "Apple GPU (mps)" if self.device.type == "mps" else "CPU"

    @property
    def memory(self) -> int | None:
        """Bytes of the GPU in all; None: no GPU."""
        return arithmetic.hardware_of(self.device).memory

    def measure_speed(self) -> float:
        """Floating-point operations a second, from half a second of measurement."""
        return arithmetic.measure_speed(self.device, self.numerics)

    def why_no_gpu(self) -> str:
        """Why no GPU is used, in words."""
        return arithmetic.why_no_gpu()

    def load(self, weights: Weights, open_photo: OpenPhoto) -> RenderBatches:
        """Load weights; they are folded when the first batch comes."""

        @cache
        def renderer() -> Renderer:
            return Renderer(weights, self.device, self.numerics, open_photo)

<<<<<<< HEAD
    Returns:
        Outcomes of the fresh jobs, and the jobs that are left to render.
    """

    def look(job: Job) -> Outcome:
        path = master_path(store, weights, job)
        record = None if force else find_record(path, job, weights, precision, check_pixels=True)
        return Outcome(job, path, record, was_fresh=record is not None)

    with ThreadPoolExecutor() as pool:  # decoding a picture holds no lock
        outcomes = list(pool.map(look, jobs))
    fresh = [outcome for outcome in outcomes if outcome.was_fresh]
    return fresh, [outcome.job for outcome in outcomes if not outcome.was_fresh]


def run_batches(
    batches: Iterable[Batch], renderer: Renderer, store: Path, report: Report, on_done: Callable[[Outcome], None]
) -> None:
    """Render batches in this process, one after the other, into the store; see `keep_attempts`."""
    keep_attempts(render_batches(batches, renderer, BatchLimits()), renderer.weights.id, store, report, on_done)


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
        StoreError: a master cannot be written, or the folder of masters vanished; those before it
            are whole. Of those after it some may be there, whole.
    """
    folder = store / weights.folder
    identity = make_folder(folder)

    def keep(attempt: Attempt) -> Outcome:
        check_same_folder(folder, identity)  # or it would be made again, without what was in it
        return _keep(attempt, weights, store)

    pool = ThreadPoolExecutor(WRITERS, thread_name_prefix="write-masters")
    waiting: deque[list[Future[Outcome]]] = deque()
    is_writable = True

    def tell(outcomes: list[Future[Outcome]]) -> None:
        for future in outcomes:
            report.outcomes.append(future.result())
            on_done(future.result())

    try:
        began = time.monotonic()
        for batch in attempts:
            waiting.append([pool.submit(keep, attempt) for attempt in batch])
            # where rendering is slow, a full disk and a finished picture are told of before the next batch begins
            wait(waiting[-1], timeout=PATIENCE * (time.monotonic() - began))
            while waiting and (len(waiting) > BATCHES_WAITING or _is_due(waiting)):
                tell(waiting.popleft())
            began = time.monotonic()
        while waiting:
            tell(waiting.popleft())
    except StoreError:
        is_writable = False
        raise
    except KeyboardInterrupt:  # the batch is dropped, and those before it are written
        pool.shutdown(wait=True)
        with suppress(StoreError):
            while waiting:
                tell(waiting.popleft())
        raise
    finally:  # what is rendered is kept if it can be, even if a person interrupts
        pool.shutdown(wait=True, cancel_futures=not is_writable)


def _keep(attempt: Attempt, weights: WeightsId, store: Path) -> Outcome:
    """Write a master, if there is one to write."""
    path = master_path(store, weights, attempt.job)
    if attempt.rendering is None:
        return Outcome(attempt.job, path, None, lost=attempt.failure)
    with suppress(*CANNOT_ENCODE):  # a picture without its stages is whole
        write_stages(path, attempt.rendering.stages, attempt.rendering.record)  # first: who has a master has its stages
    try:
        write_master(path, attempt.rendering.pixels, attempt.rendering.record)
    except CANNOT_ENCODE:
        return Outcome(attempt.job, path, None, lost=OUT_OF_MEMORY)
    return Outcome(attempt.job, path, attempt.rendering.record)


def _is_due(waiting: deque[list[Future[Outcome]]]) -> bool:
    """Whether the first batch is written, or any master cannot be."""
    if all(future.done() for future in waiting[0]):
        return True
    return any(future.done() and future.exception() for batch in waiting for future in batch)
=======
        limits = BatchLimits()
        return lambda batches: render_batches(batches, renderer(), limits)
>>>>>>> w-render
