"""Workers on a Ray cluster, and what each is doing: batches → attempts; one that is lost is replaced."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from atlas.common.errors import AtlasError, ConfigError
from atlas.plan.jobs import Batch
from atlas.render.batches import Attempt

TRIES = 3  # a batch is given up when it has lost so many workers
HOPELESS = 3 * TRIES  # so many workers lost for each place, and no batch done meanwhile, end the run
STARTING = 15 * 60  # seconds that the first worker may take to start: a node may have to be switched on
_LOST = ("RayActorError", "WorkerCrashedError", "NodeDiedError", "ObjectLostError", "OutOfMemoryError")

Ray = Any  # the module, which is an extra and takes a second to import
Worker = Any  # handle of an actor
Reference = Any  # to what a call will return


class LostWorkerError(Exception):
    """A worker is gone, or its machine; the message is one line."""


@dataclass
class _Task:
    batch: Batch
    tries: int = 0


class Crew:
    """Workers and what each is doing; one that is lost is replaced, and its batch goes to another."""

    def __init__(
        self,
        ray: Ray,
        places: int,
        hire: Callable[[], tuple[Worker, Reference]],
        send: Callable[[Worker, Batch], Reference],
        never_started: AtlasError,
    ) -> None:
        """Nobody is hired yet.

        Args:
            ray: the module.
            places: how many workers the cluster has room for.
            hire: starts a worker; its reference is there when it is ready.
            send: has a worker render a batch.
            never_started: what to say if no worker is ever ready.
        """
        self._ray = ray
        self._places = places
        self._hire = hire
        self._send = send
        self._never_started = never_started
        self._idle: list[Worker] = []
        self._calls: dict[Reference, tuple[Worker, _Task | None]] = {}  # None: it starts
        self._lost = 0  # workers since a batch was done

    def render(self, batches: Sequence[Batch]) -> Iterator[list[Attempt]]:
        """Render batches, and yield the attempts at each as soon as they are there.

        Raises:
            AtlasError: a worker cannot be prepared, none is ever ready, or one after the other is lost.
        """
        todo = deque(_Task(batch) for batch in batches)
        # what is left of a run that was broken off is nobody's task
        self._calls = {call: (worker, None) for call, (worker, _) in self._calls.items()}
        while len(self._calls) + len(self._idle) < min(self._places, len(todo)):
            self._start_one()
        while todo or self._rendering:
            while todo and self._idle:
                worker, task = self._idle.pop(), todo.popleft()
                self._calls[self._send(worker, task.batch)] = worker, task
            for call in self._wait():
                worker, task_done = self._calls.pop(call)
                try:
                    attempts = result(self._ray, call)
                except LostWorkerError as lost:
                    yield from self._replace(worker, task_done, lost, todo)
                    continue
                self._idle.append(worker)
                if task_done:
                    self._lost = 0
                    yield attempts

    @property
    def _rendering(self) -> bool:
        return any(task for _, task in self._calls.values())

    def _start_one(self) -> None:
        worker, ready = self._hire()
        self._calls[ready] = worker, None

    def _wait(self) -> list[Reference]:
        done, _ = self._ray.wait(list(self._calls), timeout=None if self._rendering else STARTING)
        if not done:
            raise self._never_started
        return list(done)

    def _replace(
        self, worker: Worker, task: _Task | None, lost: "LostWorkerError", todo: deque[_Task]
    ) -> Iterator[list[Attempt]]:
        """Hire another worker for one that is lost, and put its batch back, or give it up."""
        self._lost += 1
        if self._lost > HOPELESS * self._places:
            raise AtlasError(f"{self._lost} workers on Ray died, one after the other, and no batch was done: {lost}")
        self._ray.kill(worker)
        self._start_one()
        if task is None:
            return
        task.tries += 1
        if task.tries < TRIES:
            todo.appendleft(task)
        else:
            why = f"{TRIES} workers on Ray died of it; nothing was stored, and the next run tries again ({lost})"
            yield [Attempt(job, None, why) for job in task.batch.jobs]


def result(ray: Ray, call: Reference) -> Any:
    """What a call returned.

    Raises:
        LostWorkerError: the worker is gone.
        AtlasError: Ray says no.
        Exception: what the worker raised.
    """
    errors = ray.exceptions
    try:
        return ray.get(call)
    except errors.RayError as raised:
        error: Exception = raised
        if isinstance(raised, errors.RayTaskError) and isinstance(raised.cause, Exception):
            error = raised.cause
    if not isinstance(error, errors.RayError) or isinstance(error, errors.RayTaskError):
        raise error
    if missing := re.search("No module named '[^']*'", str(error)):
        raise _cannot_load(missing[0])
    if isinstance(error, tuple(getattr(errors, name) for name in _LOST)):
        raise LostWorkerError(_last_line(error))
    raise AtlasError(f"Ray: {first_line(error)}; run the same command again to go on")


def _cannot_load(why: str) -> ConfigError:
    return ConfigError(
        f"a worker on Ray cannot load this program: {why}; install it on every machine of the cluster, into the Python "
        "that runs Ray there"
    )


def first_line(error: BaseException) -> str:
    """The line that says most of an error of this machine's side."""
    return str(error).strip().partition("\n")[0]


def _last_line(error: BaseException) -> str:
    """The line that says most: Ray puts the reason at the end."""
    line = str(error).strip().rpartition("\n")[2]
    return line if len(line) < 300 else f"{line[:300]}…"
