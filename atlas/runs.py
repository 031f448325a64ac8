"""What a run is, apart from what it makes: options → executor and expectation; who watches it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from atlas.cores import find_cores
from atlas.errors import ConfigError
from atlas.forecast import Forecast, format_seconds
from atlas.plan import jobs as planning
from atlas.render import cluster
from atlas.render.batches import Executor, PlainExecutor
from atlas.render.execute import Outcome
from atlas.render.numerics import resolve_device, resolve_numerics
from atlas.store.records import Numerics

LONGEST_UNASKED = 30 * 60  # seconds that a run may take on a CPU which nobody asked for


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what to make; as on the command line."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None  # None: the table's
    threads: int | None = None  # None: the cores
    force: bool = False  # render again what is fresh
    shard: tuple[int, int] | None = None  # (I, N): the I-th of N parts, from 1
    executor: str = "plain"  # or "ray"
    address: str | None = None  # of a Ray cluster; None: one is started here
    gpus_per_task: float | None = None  # on Ray; None: one where the cluster has any
    fine: bool = False  # encode the site's pictures slowly, so that they take less room


@dataclass(frozen=True)
class Expectation:
    """What a run will be, before it starts."""

    forecast: Forecast
    device: torch.device
    device_name: str
    numerics: Numerics
    flops: int  # of the pending batches, padding included
    seconds: float
    threads_from: str = ""  # what says how many threads there are; "" where nothing does


class Watcher(Protocol):
    """Whoever wants to see how a run goes."""

    def expects(self, expectation: Expectation) -> None:
        """Told once, before weights are loaded."""

    def starts(self, wanted: int, fresh: int) -> None:
        """Told before the first batch, and once more if features without a gradient are rescued after the last."""

    def renders(self, outcome: Outcome) -> None:
        """Told after every job."""

    def encodes(self, done: int, total: int) -> None:
        """Told before the first video and after every one."""

    def studies(self, name: str) -> None:
        """Told before each study."""

    def looks(self, done: int, total: int) -> None:
        """Told while the network looks at a person's pictures."""

    def skips(self, why: str) -> None:
        """Told of each of them that cannot be read."""

    def builds_site(self, done: int, total: int) -> None:
        """Told while pictures for the site are encoded."""


def expect(ahead: Forecast, options: RunOptions, executor: Executor) -> Expectation:
    """Say what a run will take, from what is left to render and half a second of measurement."""
    device, numerics = executor.device, executor.numerics
    rounds = planning.rounds(ahead.pending, device.type, options.batch_size)
    flops = sum(batch.flops for batches in rounds for batch in batches)
    seconds = flops / executor.measure_speed() if flops else 0.0
    return Expectation(ahead, device, executor.device_name, numerics, flops, seconds, _threads_from(options))


def _threads_from(options: RunOptions) -> str:
    """What says how many threads of the CPU a run has."""
    if options.threads:
        return "--threads"
    return find_cores().source if options.executor == "plain" else ""  # a worker elsewhere has a number of its own


def refuse_long_cpu_run(expectation: Expectation, options: RunOptions, executor: Executor) -> None:
    """Stop before hours on a CPU that nobody asked for.

    Raises:
        ConfigError: the device was left to the program, there is no GPU, and the run would take more than 30 minutes.
    """
    is_meant = options.device != "auto" or expectation.device.type != "cpu"
    if is_meant or expectation.seconds <= LONGEST_UNASKED:
        return
    raise ConfigError(
        f"this would take about {format_seconds(expectation.seconds)} on the CPU, and no GPU can be used: "
        f"{executor.why_no_gpu()}. "
        "Say --device cpu if you mean it, ask for fewer features (--features 1), or try --config demo"
    )


@contextmanager
def connect_executor(options: RunOptions) -> Iterator[Executor]:
    """Where batches are rendered.

    Raises:
        ConfigError: no such device, precision or cluster.
    """
    if options.executor == "ray":
        with cluster.connect(
            options.address, options.device, options.precision, options.threads, options.gpus_per_task
        ) as executor:
            yield executor
    else:
        device = resolve_device(options.device)
        yield PlainExecutor(device, resolve_numerics(device, options.precision, options.threads))
