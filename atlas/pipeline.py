"""The whole way in one call: configuration → forecast → renderings in the store → site."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from atlas.errors import ConfigError
from atlas.forecast import Forecast, forecast, format_seconds
from atlas.plan import jobs as planning
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.render.execute import Outcome, Report, run_batches, split_fresh
from atlas.render.numerics import measure_speed, resolve_device, resolve_numerics, why_no_gpu
from atlas.render.renderer import Renderer
from atlas.render.weights import load_weights
from atlas.site.build import SiteReport, build_site
from atlas.site.output import Output
from atlas.store.records import Numerics
from atlas.store.weights_ids import write_weights_id

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


@dataclass(frozen=True)
class Expectation:
    """What a run will be, before it starts."""

    forecast: Forecast
    device: torch.device
    device_name: str
    numerics: Numerics
    flops: int  # of the pending batches, padding included
    seconds: float


class Watcher(Protocol):
    """Whoever wants to see how a run goes."""

    def expects(self, expectation: Expectation) -> None:
        """Told once, before weights are loaded."""

    def starts(self, wanted: int, fresh: int) -> None:
        """Told once, before the first batch."""

    def renders(self, outcome: Outcome) -> None:
        """Told after every job."""

    def builds_site(self, done: int, total: int) -> None:
        """Told while pictures for the site are encoded."""


def expect(config: Config, jobs: Sequence[Job], options: RunOptions) -> Expectation:
    """Say what a run will take, from the store and half a second of measurement.

    Raises:
        ConfigError: no such device or precision here.
    """
    device = resolve_device(options.device)
    numerics = resolve_numerics(device, options.precision, options.threads)
    ahead = forecast(jobs, config.store, config.weights, precision=numerics.precision, force=options.force)
    rounds = planning.rounds(ahead.pending, device.type, options.batch_size)
    flops = sum(batch.flops for batches in rounds for batch in batches)
    seconds = flops / measure_speed(device, numerics) if flops else 0.0
    return Expectation(ahead, device, _device_name(device), numerics, flops, seconds)


def refuse_long_cpu_run(expectation: Expectation, options: RunOptions) -> None:
    """Stop before hours on a CPU that nobody asked for.

    Raises:
        ConfigError: the device was left to the program, there is no GPU, and the run would take more than 30 minutes.
    """
    is_meant = options.device != "auto" or expectation.device.type != "cpu"
    if is_meant or expectation.seconds <= LONGEST_UNASKED:
        return
    raise ConfigError(
        f"this would take about {format_seconds(expectation.seconds)} on the CPU, and no GPU can be used: "
        f"{why_no_gpu()}. "
        "Say --device cpu if you mean it, ask for fewer features (--features 1), or try --config demo"
    )


def render(config: Config, jobs: Sequence[Job], options: RunOptions, watcher: Watcher) -> Report:
    """Render what the store lacks.

    Returns:
        The report: an outcome for every job, those with a fresh master first.

    Raises:
        AtlasError: usage, weights or storage; what was finished before stays whole.
    """
    return _run(config, jobs, options, watcher, lambda _: None)


def build(config: Config, options: RunOptions, watcher: Watcher) -> tuple[Report, SiteReport]:
    """Render the atlas of a configuration and write its site, after the first round and at the end.

    Raises:
        AtlasError: as `render`, or the site cannot be written.
    """
    check_folders(config)
    reports: list[SiteReport] = []

    def write_site(renderer: Renderer) -> None:
        reports.append(build_site(config, renderer.weights.id, on_progress=watcher.builds_site))

    report = _run(config, planning.feature_jobs(config), options, watcher, write_site)
    return report, reports[-1]


def _run(
    config: Config,
    jobs: Sequence[Job],
    options: RunOptions,
    watcher: Watcher,
    show: Callable[[Renderer], None],
) -> Report:
    """Render what is missing; `show` is called after the first of several rounds, and at the end."""
    if options.shard:
        jobs = planning.shard(jobs, *options.shard)
    expectation = expect(config, jobs, options)
    watcher.expects(expectation)
    refuse_long_cpu_run(expectation, options)
    renderer = Renderer(load_weights(config.weights), expectation.device, expectation.numerics)
    fresh, pending = split_fresh(jobs, renderer, config.store, force=options.force)
    report = Report(list(fresh))
    if len(pending) > len(expectation.forecast.pending):  # masters of other weights, or damaged, looked fresh
        expectation = expect(config, pending, replace(options, force=True))
        watcher.expects(expectation)
        refuse_long_cpu_run(expectation, options)
    write_weights_id(config.store, renderer.weights.id)
    watcher.starts(len(jobs), len(fresh))
    rounds = planning.rounds(pending, expectation.device.type, options.batch_size)
    for number, batches in enumerate(rounds):
        run_batches(batches, renderer, config.store, report, watcher.renders)
        if number == 0 and len(rounds) > 1:
            show(renderer)
    show(renderer)
    return report


def check_folders(config: Config) -> None:
    """Refuse, before anything is rendered, a site's folder that could not be written in the end.

    Raises:
        ConfigError: store and site contain each other.
        StoreError: the site's folder holds something else.
    """
    store, site = config.store.resolve(), config.site.resolve()
    if store == site or store in site.parents or site in store.parents:
        raise ConfigError(f"the store {config.store} and the site {config.site} contain each other; choose two folders")
    Output(config.site)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return "Apple GPU (mps)" if device.type == "mps" else "CPU"
