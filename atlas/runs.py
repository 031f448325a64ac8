"""What a run is, apart from what it makes: options → executor and expectation; who watches it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from atlas.common.cores import find_cores
from atlas.common.errors import ConfigError
from atlas.plan import jobs as planning
from atlas.plan.jobs import Job
from atlas.render.batches import Executor
from atlas.render.executors import ray_cluster as cluster
from atlas.render.executors.local import LocalExecutor
from atlas.render.numerics import resolve_device, resolve_numerics
from atlas.render.outcomes import Outcome
from atlas.store.forecast import Forecast, format_seconds
from atlas.store.records import Numerics

LONGEST_UNASKED = 30 * 60  # seconds that a run may take on a CPU which nobody asked for


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what to make; as on the command line."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None  # None: the table's
    fit_batches: bool = False  # make batches no larger than the jobs need, where no size is given
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
        """Told before the first batch, and once more if features are rescued after the last."""

    def renders(self, outcome: Outcome) -> None:
        """Told after every job."""

    def encodes(self, done: int, total: int) -> None:
        """Told before the first video and after every one."""

    def studies(self, name: str) -> None:
        """Told before each study."""

    def scans(self, done: int, total: int) -> None:
        """Told while the network looks at a person's pictures."""

    def skips(self, why: str) -> None:
        """Told of each of them that cannot be read."""

    def builds_site(self, done: int, total: int) -> None:
        """Told while pictures for the site are encoded."""


BatchSizes = int | Mapping[Job, int] | None


def batch_sizes(jobs: Sequence[Job], options: RunOptions, executor: Executor) -> BatchSizes:
    """Rows of the batches of a run, of all jobs or of each; None for the table's.

    Args:
        jobs: all that are asked for, of all shards, up to date or not.
        options: how to run.
        executor: where.
    """
    if options.batch_size or not options.fit_batches:
        return options.batch_size
    return planning.fitted_sizes(jobs, executor.device.type, executor.memory)


def expect(ahead: Forecast, options: RunOptions, sizes: BatchSizes, executor: Executor) -> Expectation:
    """Say what a run will take, from what is left to render and half a second of measurement."""
    device, numerics = executor.device, executor.numerics
    rounds = planning.rounds(ahead.pending, device.type, sizes, executor.memory)
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
        yield LocalExecutor(device, resolve_numerics(device, options.precision, options.threads))
