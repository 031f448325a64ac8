"""Makes web copies, in order: a few in threads, many in processes. The bytes are the same either way."""

import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process

from atlas.common.cores import count_cores
from atlas.common.errors import StoreError
from atlas.site.copies import SpoiltError, Work, make_copies

MOST_PROCESSES = 8  # more would wait for the one that writes the files, and each takes some 50 MB
FEW = 256  # works that are done before processes for them would have started
_AHEAD = 16  # works for each process that are started before the first result is needed


def make_all(
    works: Sequence[Work], processes: int | None = None
) -> Generator[Sequence[bytes] | SpoiltError, None, None]:
    """What `make_copies` returns for each work, in their order.

    Args:
        works: what to make. A few at a time are begun, so that memory does not grow with their number.
        processes: how many; None: none for a few works, and otherwise as many as there are cores.

    Raises:
        StoreError: a picture cannot be encoded, or a process was ended from outside.
    """
    cores = count_cores()
    is_small = processes is None and (len(works) <= FEW or cores == 1)
    count = processes or min(cores, MOST_PROCESSES)
    pool = ThreadPoolExecutor(cores) if is_small else _process_pool(count)
    try:
        yield from _in_order(pool, works, _AHEAD * count)
    except BrokenProcessPool:
        raise StoreError(
            "a process that encodes pictures was ended from outside, perhaps for want of memory; "
            "run the same command again: what is encoded is kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or an interruption, do not wait for what is not begun


def _in_order(pool: Executor, works: Sequence[Work], ahead: int) -> Iterator[Sequence[bytes] | SpoiltError]:
    begun: deque[Future[Sequence[bytes] | SpoiltError]] = deque()
    for work in works:
        begun.append(pool.submit(make_copies, work))
        if len(begun) >= ahead:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _process_pool(count: int) -> ProcessPoolExecutor:
    """Fresh processes: a fork of one with threads may hang, and would carry torch along."""
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_start)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited, so also while they import
    try:
        pool.submit(int)  # starts all of them
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pool


def _start() -> None:
    """In a new process: leave Ctrl-C to the one that started it, and end when that ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)
