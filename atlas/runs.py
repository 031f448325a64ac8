"""One run: jobs → renderings in the store. Where it renders, what it will take, and who follows its progress."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Protocol

from atlas.common import log
from atlas.common.cores import find_cores
from atlas.common.errors import ConfigError, did_you_mean
from atlas.common.paths import is_there
from atlas.common.text import format_seconds
from atlas.inception.layers import FC
from atlas.plan import jobs as planning
from atlas.plan.config import BUILT_IN_WEIGHTS, Config
from atlas.plan.jobs import Batch, Job
from atlas.plan.recipes import Recipe
from atlas.rendering.batches import Executor, RenderBatches
from atlas.rendering.executors import ray_cluster as cluster
from atlas.rendering.executors.local import LocalExecutor
from atlas.rendering.numerics import resolve_device, resolve_numerics, why_no_gpu
from atlas.rendering.outcomes import Outcome, Report, keep_attempts, split_fresh
from atlas.rendering.pace import rough_pace
from atlas.rendering.weights import Weights, count_classes, load_weights, with_input
from atlas.site.budget import SitePlan
from atlas.site.study_page import with_weights
from atlas.store.files import sweep_temporaries
from atlas.store.forecast import Forecast, forecast, require_space
from atlas.store.photos import open_photo
from atlas.store.records import WeightsId
from atlas.store.weights_ids import find_weights_ids, noted_input, with_class_names, write_weights_id
from atlas.studies import pages
from atlas.studies.dead.rescues import rescues
from atlas.studies.dreams.starts import keep_photos
from atlas.studies.examples.scan import Watcher as ScanWatcher

WORTH_MEASURING = 5 * 10**11  # operations, which take seconds even on a slow core: less is not measured before
LONGEST_UNASKED = 30 * 60  # seconds that a run may take on a CPU unless --device cpu was given


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what to make; as on the command line."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None  # None: the table's
    fit_batches: bool = False  # make batches no larger than the jobs need, where no size is given
    threads: int | None = None  # None: the cores
    force: bool = False  # render again what is up to date
    shard: tuple[int, int] | None = None  # (I, N): the I-th of N parts, from 1
    executor: str = "plain"  # or "ray"
    address: str | None = None  # of a Ray cluster; None: one is started here
    gpus_per_task: float | None = None  # on Ray; None: one where the cluster has any
    fine: bool = False  # encode the site's pictures slowly, so that they take less space


@dataclass(frozen=True)
class Cost:
    """What the pending renderings of one recipe take."""

    recipe: str
    renderings: int
    flops: int  # of their batches, padding included
    seconds: float


@dataclass(frozen=True)
class Expectation:
    """What a run will take, known before it starts."""

    forecast: Forecast
    executor: Executor
    costs: tuple[Cost, ...]  # by recipe, the longest first; none where nothing is pending
    threads_from: str = ""  # what says how many threads there are; "" where nothing does
    site: SitePlan | None = None  # None: no site is written

    @property
    def flops(self) -> int:
        """Floating-point operations of the pending batches, padding included."""
        return sum(cost.flops for cost in self.costs)

    @property
    def seconds(self) -> float:
        """Of rendering."""
        return sum(cost.seconds for cost in self.costs)


class Watcher(ScanWatcher, Protocol):
    """Follows the progress of a run."""

    def expects(self, expectation: Expectation) -> None:
        """Called before weights are loaded, and again if then, or by what was measured, more is left to render."""

    def renders(self, outcome: Outcome) -> None:
        """Called after each job; advances the task "rendering"."""

    def studies(self, name: str) -> None:
        """Called before each study."""


BatchSizes = int | Mapping[Job, int] | None  # rows of all batches or of each job's; None: the table's


def render_jobs(
    config: Config,
    jobs: Sequence[Job],
    options: RunOptions,
    watcher: Watcher,
    *,
    rescue: bool = False,
    on_first_round: Callable[[WeightsId], object] | None = None,
    site: SitePlan | None = None,
) -> tuple[Report, Weights]:
    """Render what the store lacks.

    Args:
        config: weights, store, and the recipe that rescues features without a gradient.
        jobs: what is wanted.
        options: how to run.
        watcher: follows the progress.
        rescue: render features that turn out to have no gradient, or not to be raised, once more.
        on_first_round: called after the first of several rounds.
        site: what is written beside, and needs space too.

    Returns:
        An outcome for every job, those that were up to date first, and then those of the rescues; and the weights.

    Raises:
        AtlasError: usage, weights or storage; what was finished before stays whole.
    """
    with connect_executor(options) as executor:
        sizes: BatchSizes = options.batch_size
        if options.fit_batches and not sizes:  # for all jobs, of all shards, up to date or not
            sizes = planning.fitted_sizes(jobs, executor.device.type, executor.memory)
        if options.shard:
            jobs = planning.shard(jobs, *options.shard)

        def check(ahead: Forecast) -> None:
            _require_space(ahead, config, site)  # before seconds of measurement
            expectation = replace(expect(ahead, options, sizes, executor), site=site)
            watcher.expects(expectation)
            refuse_long_cpu_run(expectation, options)

        ahead = forecast(jobs, config, executor.numerics.precision, force=options.force)
        check(ahead)
        sweep_temporaries(config.store, through_links=True)
        keep_photos(config, jobs)
        weights = load_configured_weights(config)
        for job in jobs:
            job.target.check_classes(len(weights.id.classes), weights.id.name)
        run = _Run(config, options, watcher, executor, weights)
        pending = run.split_fresh(jobs)
        if len(pending) > len(ahead.pending):  # masters of other weights, or damaged, looked up to date
            check(Forecast(tuple(jobs), tuple(pending)))
        write_weights_id(config.store, weights.id)
        watcher.progress("rendering", len(jobs) - len(pending), len(jobs))
        first, *others = _rounds(pending, sizes, executor) or [[]]
        run.render(first)
        if others:
            if on_first_round:
                on_first_round(weights.id)
            run.render(list(chain.from_iterable(others)))  # in one go, so that no worker waits for the end of a round
        if rescue:
            # few of each layer: on a CPU, where a batch is hardly faster than single rows, most of it would be padding
            run.rescue(1 if sizes is None and executor.device.type == "cpu" else sizes, site)
    return run.report, weights


def expect(ahead: Forecast, options: RunOptions, sizes: BatchSizes, executor: Executor) -> Expectation:
    """Say what a run will take, from what is left to render and, unless that is little, seconds of measurement."""
    by_recipe: dict[Recipe, list[Batch]] = {}
    for batch in chain.from_iterable(_rounds(ahead.pending, sizes, executor)):
        by_recipe.setdefault(batch.recipe, []).append(batch)
    costs: list[Cost] = []
    if by_recipe:
        work = sum(batch.flops for batches in by_recipe.values() for batch in batches)
        pace = executor.measure_pace(by_recipe) if work > WORTH_MEASURING else rough_pace(by_recipe)
        for recipe, batches in by_recipe.items():
            count, flops = sum(len(batch.jobs) for batch in batches), sum(batch.flops for batch in batches)
            costs.append(Cost(recipe.name, count, flops, sum(map(pace.seconds, batches))))
    costs.sort(key=lambda cost: -cost.seconds)
    here = find_cores().source if options.executor == "plain" else ""  # a worker elsewhere has a number of its own
    threads_from = "--threads" if options.threads else here
    return Expectation(ahead, executor, tuple(costs), threads_from)


def _require_space(ahead: Forecast, config: Config, site: SitePlan | None) -> None:
    require_space(ahead, config.store, (site.folder, site.expected.bytes) if site else None)


def refuse_long_cpu_run(expectation: Expectation, options: RunOptions) -> None:
    """Stop before hours on a CPU that was not asked for.

    Raises:
        ConfigError: the device is "auto", there is no GPU, and the run would take more than 30 minutes.
    """
    is_meant = options.device != "auto" or expectation.executor.device.type != "cpu"
    if is_meant or expectation.seconds <= LONGEST_UNASKED:
        return
    why = why_no_gpu() if options.executor == "plain" else "the Ray cluster has none, or none was asked for"
    raise ConfigError(
        f"this would take about {format_seconds(expectation.seconds)} on the CPU, and no GPU can be used: {why}. "
        "Add --device cpu to run it all the same, select fewer features (--features 1), or try --config demo"
    )


def _rounds(jobs: Sequence[Job], sizes: BatchSizes, executor: Executor) -> list[list[Batch]]:
    return planning.rounds(jobs, executor.device.type, sizes, executor.memory)


def connect_executor(options: RunOptions) -> AbstractContextManager[Executor]:
    """Where batches are rendered.

    Raises:
        ConfigError: no such executor, device, precision or cluster, or options of another executor.
    """
    if options.executor == "ray":
        return cluster.connect(
            options.address, options.device, options.precision, options.threads, options.gpus_per_task
        )
    if options.executor != "plain":
        raise ConfigError(f'--executor "{options.executor}": {did_you_mean(options.executor, ("plain", "ray"))}')
    if (options.address, options.gpus_per_task) != (None, None):
        raise ConfigError("--address and --gpus-per-task belong to --executor ray: add that, or leave them out")
    device = resolve_device(options.device)
    return nullcontext(LocalExecutor(device, resolve_numerics(device, options.precision, options.threads)))


def load_configured_weights(config: Config) -> Weights:
    """The configuration's weights, with the input map that they were trained with."""
    weights = load_weights(config.weights)
    weights = replace(weights, id=with_class_names(weights.id, config.class_names))
    return with_input(weights, config.weights_input or noted_input(config.store, weights.id))


def resolve_config(config: Config) -> Config:
    """The configuration with what depends on its weights and on results: their classes, and features that studies name.

    What the store notes of the weights counts; if it notes nothing, a file of weights is read.

    Raises:
        AtlasError: the weights cannot be read, or lack a class that is named, or all that is wanted.
    """
    if FC not in config.layers and not any(term.layer == FC for term in config.terms):
        return config
    found = find_weights_ids(config.store, config.weights)
    noted = next((ids for ids in found if ids.classes), None)
    if noted:
        count = len(noted.classes)
    else:  # a folder of the store names weights too
        is_folder = found and config.weights not in BUILT_IN_WEIGHTS and not is_there(Path(config.weights))
        count = 0 if is_folder else count_classes(config.weights)
    if not count:
        log.notice(f"weights {config.weights}: no {FC} layer that can be used, so the atlas shows no classes")
    config.check_classes(count)
    return with_weights(config, noted, pages()) if noted else config.with_classes(count)


@dataclass
class _Run:
    """Jobs on their way into the store."""

    config: Config
    options: RunOptions
    watcher: Watcher
    executor: Executor
    weights: Weights
    report: Report = field(default_factory=Report)

    @cached_property
    def render_batches(self) -> RenderBatches:
        """What renders batches; it is loaded when there is a batch."""
        return self.executor.load(self.weights, partial(open_photo, self.config.store))

    def split_fresh(self, jobs: Sequence[Job]) -> list[Job]:
        """Report the jobs that are up to date; returns the others."""
        precision = self.executor.numerics.precision
        fresh, pending = split_fresh(jobs, self.weights.id, precision, self.config.store, force=self.options.force)
        self.report.outcomes += fresh
        return pending

    def render(self, batches: Sequence[Batch]) -> None:
        if batches:
            attempts = self.render_batches(batches)
            keep_attempts(attempts, self.weights.id, self.config.store, self.report, self.watcher.renders)

    def rescue(self, sizes: BatchSizes, site: SitePlan | None) -> None:
        """Render those features once more that have no gradient or were not raised, by the recipe that rescues them.

        Of a shard, those that it rendered itself.

        Args:
            sizes: of batches.
            site: what is written beside, and needs space too.
        """
        dead = [one.job for one in self.report.outcomes if one.record and one.record.needs_rescue]
        known = {one.job for one in self.report.outcomes}
        jobs = [rescued for _, rescued in rescues(self.config, dead) if rescued not in known]
        pending = self.split_fresh(jobs)
        if pending:
            _require_space(Forecast(tuple(jobs), tuple(pending)), self.config, site)
            self.watcher.progress("rendering", len(jobs) - len(pending), len(jobs))
            self.render(list(chain.from_iterable(_rounds(pending, sizes, self.executor))))
