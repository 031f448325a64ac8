"""Workers on a Ray cluster, and what each is doing: batches → attempts; one that is lost is replaced."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from atlas.common.errors import AtlasError, ConfigError
from atlas.common.text import count_of
from atlas.plan.jobs import Batch
from atlas.rendering.batches import Attempt

TRIES = 3  # a batch is given up when it has lost so many workers
HOPELESS = 3 * TRIES  # so many workers lost for each place, and no batch done meanwhile, end the run
STARTING = 15 * 60  # seconds that the first worker may take to start: a node may have to be switched on
_LOST = ("RayActorError", "WorkerCrashedError", "NodeDiedError", "ObjectLostError", "OutOfMemoryError")

Ray = Any  # the module, which is an extra and takes a second to import
Worker = Any  # handle of an actor
Reference = Any  # to what a call will return


class LostWorkerError(Exception):
    """A worker is gone, or its machine; the message is one line."""


@dataclass(frozen=True)
class Workers:
    """The workers that a cluster can hold, and one that has answered a question and may render."""

    ray: Ray
    kind: type  # class of the actors
    cpus: int  # cores of each
    gpus: float  # share of a GPU of each
    places: int  # how many the cluster can hold
    spare: list[Worker] = field(default_factory=list)

    def start(self) -> Worker:
        """The spare worker, or a new one."""
        if self.spare:
            return self.spare.pop()
        return self.ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=0)(self.kind).remote()

    def ask(self, question: Callable[[Worker], Reference]) -> Any:
        """Have one worker answer, and keep it.

        Raises:
            AtlasError: none starts, it dies, or its machine lacks what is asked for.
        """
        worker = self.start()
        try:
            answer = self.result(self.wait([question(worker)], STARTING)[0])
        except LostWorkerError as lost:
            raise AtlasError(f"the first worker on Ray died at once: {lost}") from None
        self.spare.append(worker)
        return answer

    def wait(self, calls: list[Reference], seconds: float | None) -> list[Reference]:
        """Wait until some calls are done.

        Raises:
            AtlasError: none is in that time, since no worker starts.
        """
        done, _ = self.ray.wait(calls, timeout=seconds)
        if not done:
            raise AtlasError(
                f"no worker on Ray started in {STARTING // 60} minutes: none has {count_of(self.cpus, 'core')} and "
                f"{self.gpus:g} GPU to spare; ray status says what is taken"
            )
        return list(done)

    def result(self, call: Reference) -> Any:
        """What a call returned.

        Raises:
            LostWorkerError: the worker is gone.
            AtlasError: Ray says no.
            Exception: what the worker raised.
        """
        errors = self.ray.exceptions
        try:
            return self.ray.get(call)
        except errors.RayError as raised:
            is_its_own = isinstance(raised, errors.RayTaskError) and isinstance(raised.cause, Exception)
            error: Exception = raised.cause if is_its_own else raised
        if not isinstance(error, errors.RayError) or isinstance(error, errors.RayTaskError):
            raise error
        if missing := re.search("No module named '[^']*'", str(error)):
            raise ConfigError(
                f"a worker on Ray cannot load this program: {missing[0]}; install it on every machine of the cluster, "
                "into the Python that runs Ray there"
            )
        if isinstance(error, tuple(getattr(errors, name) for name in _LOST)):
            line = str(error).strip().rpartition("\n")[2]  # Ray puts the reason at the end
            raise LostWorkerError(line if len(line) < 300 else f"{line[:300]}…")
        raise AtlasError(f"Ray: {first_line(error)}; run the same command again to resume")


@dataclass
class WorkerPool:
    """Workers and what each is doing; one that is lost is replaced, and its batch goes to another."""

    workers: Workers
    prepare: Callable[[Worker], Reference]  # has a new worker load the weights
    send: Callable[[Worker, Batch], Reference]  # has a worker render a batch
    _idle: list[Worker] = field(default_factory=list)
    _calls: dict[Reference, tuple[Worker, Batch | None]] = field(default_factory=dict)  # None: it is being prepared
    _tries: Counter[Batch] = field(default_factory=Counter)  # that lost their worker
    _lost: int = 0  # workers since a batch was done

    def render(self, batches: Sequence[Batch]) -> Iterator[list[Attempt]]:
        """Render batches, and yield the attempts at each as soon as they are there.

        Raises:
            AtlasError: a worker cannot be prepared, none is ever ready, or one after the other is lost.
        """
        todo = deque(batches)
        self._tries.clear()
        # batches of a run that was broken off are dropped when they are done
        self._calls = {call: (worker, None) for call, (worker, _) in self._calls.items()}
        while len(self._calls) + len(self._idle) < min(self.workers.places, len(todo)):
            self._start_one()
        while todo or self._is_rendering:
            while todo and self._idle:
                worker, batch = self._idle.pop(), todo.popleft()
                self._calls[self.send(worker, batch)] = worker, batch
            for call in self.workers.wait(list(self._calls), None if self._is_rendering else STARTING):
                worker, done = self._calls.pop(call)
                try:
                    attempts = self.workers.result(call)
                except LostWorkerError as lost:
                    yield from self._replace(worker, done, lost, todo)
                    continue
                self._idle.append(worker)
                if done:
                    self._lost = 0
                    yield attempts

    @property
    def _is_rendering(self) -> bool:
        return any(batch for _, batch in self._calls.values())

    def _start_one(self) -> None:
        worker = self.workers.start()
        self._calls[self.prepare(worker)] = worker, None

    def _replace(
        self, worker: Worker, batch: Batch | None, lost: LostWorkerError, todo: deque[Batch]
    ) -> Iterator[list[Attempt]]:
        """Start another worker for one that is lost, and put its batch back, or give it up."""
        self._lost += 1
        if self._lost > HOPELESS * self.workers.places:
            raise AtlasError(f"{self._lost} workers on Ray died, one after the other, and no batch was done: {lost}")
        self.workers.ray.kill(worker)
        self._start_one()
        if batch is None:
            return
        self._tries[batch] += 1
        if self._tries[batch] < TRIES:
            todo.appendleft(batch)
        else:
            why = f"{TRIES} workers on Ray died of it; nothing was stored, and the next run tries again ({lost})"
            yield [Attempt(job, None, why) for job in batch.jobs]


def first_line(error: BaseException) -> str:
    """The line that says most of an error of this machine's side."""
    return str(error).strip().partition("\n")[0]
