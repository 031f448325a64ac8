"""The whole way in one call: configuration → forecast → renderings in the store → videos → studies → site."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

from atlas import studies
from atlas.common import log
from atlas.common.errors import ConfigError, VideoError
from atlas.plan import jobs as planning
from atlas.plan.clips import Clip
from atlas.plan.config import Config
from atlas.plan.jobs import Batch, Job
from atlas.render.batches import Executor, RenderBatches
from atlas.render.executors.local import LocalExecutor
from atlas.render.numerics import allowed_on, resolve_device, resolve_numerics
from atlas.render.outcomes import Report, keep_attempts, split_fresh
from atlas.render.renderer import Renderer
from atlas.render.weights import Weights, load_weights
from atlas.runs import BatchSizes, RunOptions, Watcher, batch_sizes, connect_executor, expect, refuse_long_cpu_run
from atlas.site.build import SiteReport, build_site, check_folders
from atlas.site.copies import CopySettings
from atlas.store.clips import clip_folder, clip_target
from atlas.store.files import sweep_temporaries
from atlas.store.forecast import forecast, forecast_of, require_room
from atlas.store.photos import open_photo
from atlas.store.records import WeightsId
from atlas.store.results import Results
from atlas.store.video import Encoding, encode_clip
from atlas.store.weights_ids import noted_input, write_weights_id
from atlas.studies import all_jobs
from atlas.studies.dead.rescues import rescues
from atlas.studies.dreams.starts import keep_photos
from atlas.studies.examples.find import FoundExamples, find_examples
from atlas.studies.examples.pictures import check_pictures, open_pictures
from atlas.studies.examples.settings import Settings as ExamplesSettings
from atlas.studies.raster.jobs import config_clips
from atlas.studies.run import run_studies
from atlas.studies.shared.context import MeasureContext


@dataclass(frozen=True)
class BuildReport:
    """What a build came to."""

    rendering: Report
    videos: tuple[Encoding, ...]
    site: SiteReport
    unmeasured: tuple[str, ...] = ()  # which studies failed, and why


def render(
    config: Config, jobs: Sequence[Job], options: RunOptions, watcher: Watcher, *, rescue: bool = False
) -> Report:
    """Render what the store lacks.

    Args:
        config: weights, store, and by which recipe features without a gradient are rescued.
        jobs: what is wanted.
        options: how to run.
        watcher: who wants to see it.
        rescue: render features that turn out to have no gradient, or not to be raised, once more.

    Returns:
        The report: an outcome for every job, those with a fresh master first, and then those of the rescues.

    Raises:
        AtlasError: usage, weights or storage; what was finished before stays whole.
    """
    return _run(config, jobs, options, watcher, rescue=rescue)[0]


def raster(
    config: Config, clips: Sequence[Clip], options: RunOptions, watcher: Watcher
) -> tuple[Report, tuple[Encoding, ...]]:
    """Render the frames of videos that the store lacks, and encode the videos.

    Raises:
        AtlasError: as `render`; a video that cannot be encoded says so in its outcome.
    """
    jobs = tuple(dict.fromkeys(frame.job for clip in clips for frame in clip.frames))
    report, weights = _run(config, jobs, options, watcher)
    return report, encode_clips(config, weights.id, clips, watcher, force=options.force)


def build(config: Config, options: RunOptions, watcher: Watcher) -> BuildReport:
    """Render an atlas, encode its videos, run its studies, and write its site: after the first round, and at the end.

    Raises:
        AtlasError: as `render`, or the site cannot be written; a video that cannot be encoded says so in its outcome.
    """
    check_folders(config)  # before anything is rendered
    check_pictures(config.study(ExamplesSettings).folder)

    had_base_url = False

    def write_site(weights: WeightsId) -> SiteReport:
        nonlocal had_base_url
        copies = CopySettings(options.fine)
        site = build_site(config, weights, studies.pages(), settings=copies, on_progress=watcher.builds_site)
        had_base_url |= site.lost_base_url  # of two builds only the first one sees it go
        return replace(site, lost_base_url=had_base_url)

    report, weights = _run(config, all_jobs(config), options, watcher, rescue=True, show=write_site, site=config.site)
    videos = encode_clips(config, weights.id, config_clips(config), watcher, force=options.force)
    renderer = _renderer_here(config, weights, options)
    lost = [f"study {name}: out of memory" for name in run_studies(config, renderer, watcher.studies)]
    try:
        _find_examples(config, renderer, watcher, rows=None, force=options.force)
    except ConfigError as error:  # what is wrong with a person's pictures costs neither the site nor the report
        lost.append(f"examples: {error}")
    return BuildReport(report, videos, write_site(weights.id), tuple(lost))


def examples(config: Config, options: RunOptions, watcher: Watcher) -> FoundExamples:
    """Keep the strongest crops of the rendered features, out of the pictures that the configuration names.

    Raises:
        AtlasError: no pictures are named or can be read, nothing is rendered, or the store cannot be written.
    """
    device = resolve_device(options.device)
    check_pictures(config.study(ExamplesSettings).folder)
    renderer = Renderer(_load(config), device, resolve_numerics(device, "fp32", options.threads))
    found = _find_examples(config, renderer, watcher, rows=options.batch_size, force=options.force)
    if found is None:
        raise ConfigError("the configuration names no pictures: name a folder of them, or say --drawn")
    return found


def encode_clips(
    config: Config, weights: WeightsId, clips: Sequence[Clip], watcher: Watcher, *, force: bool = False
) -> tuple[Encoding, ...]:
    """Encode the videos whose frames are all there and which are not fresh; one that fails does not stop the others.

    Raises:
        StoreError: a frame cannot be read, or a file not written.
    """
    found: list[Encoding] = []
    for clip in clips:
        watcher.encodes(len(found), len(clips))
        try:
            found.append(encode_clip(config.store, weights, clip, force=force))
        except VideoError as error:
            found.append(Encoding(clip, clip_folder(config.store, weights, clip), None, error=error))
        except MemoryError:
            why = VideoError(f"the video of {clip_target(clip)}: out of memory; its frames are kept, run again")
            found.append(Encoding(clip, clip_folder(config.store, weights, clip), None, error=why))
    if found:
        watcher.encodes(len(found), len(clips))
    return tuple(found)


def _run(
    config: Config,
    jobs: Sequence[Job],
    options: RunOptions,
    watcher: Watcher,
    *,
    rescue: bool = False,
    show: Callable[[WeightsId], object] = lambda _: None,
    site: Path | None = None,
) -> tuple[Report, Weights]:
    """Render what is missing, and say with what weights.

    `show` is called after the first of several rounds; `site` is a folder that needs room too.
    """
    with connect_executor(options) as executor:
        sizes = batch_sizes(jobs, options, executor)
        if options.shard:
            jobs = planning.shard(jobs, *options.shard)
        precision = executor.numerics.precision
        ahead = forecast(
            jobs, config.store, config.weights, config.weights_input, precision=precision, force=options.force
        )
        expectation = expect(ahead, options, sizes, executor)
        watcher.expects(expectation)
        refuse_long_cpu_run(expectation, options, executor)
        require_room(expectation.forecast, config.store, site)
        sweep_temporaries(config.store, through_links=True)
        keep_photos(config, jobs)
        weights = _load(config)
        render_batches = executor.load(weights, partial(open_photo, config.store))
        run = _Run(config, options, watcher, executor, sizes, weights, render_batches)
        pending = run.split_fresh(jobs)
        if len(pending) > len(expectation.forecast.pending):  # masters of other weights, or damaged, looked fresh
            expectation = expect(forecast_of(jobs, set(pending)), options, sizes, executor)
            watcher.expects(expectation)
            refuse_long_cpu_run(expectation, options, executor)
            require_room(expectation.forecast, config.store, site)
        write_weights_id(config.store, weights.id)
        watcher.starts(len(jobs), len(jobs) - len(pending))
        first, *others = run.rounds(pending, sizes) or [[]]
        run.render(first)
        if others:
            show(weights.id)
            run.render(list(chain.from_iterable(others)))  # in one go, so that no worker waits for the end of a round
        if rescue:
            run.rescue(site)
    return run.report, weights


def _load(config: Config) -> Weights:
    """The configuration's weights, with the map that they were trained with."""
    weights = load_weights(config.weights)
    found = config.weights_input or noted_input(config.store, weights.id)
    if found is None and not weights.id.is_known:
        log.notice(
            f"weights {weights.id.name}: taken to expect 2x - 1 for a picture x in [0, 1], as torchvision's do; "
            "if they expect x itself, say --weights-input x"
        )
    return replace(weights, id=replace(weights.id, input=found or weights.id.trained_input))


@dataclass(frozen=True)
class _Run:
    """Jobs on their way into the store."""

    config: Config
    options: RunOptions
    watcher: Watcher
    executor: Executor
    sizes: BatchSizes
    weights: Weights
    render_batches: RenderBatches
    report: Report = field(default_factory=Report)

    def split_fresh(self, jobs: Sequence[Job]) -> list[Job]:
        """Report the jobs that are fresh; returns the others."""
        precision = self.executor.numerics.precision
        fresh, pending = split_fresh(jobs, self.weights.id, precision, self.config.store, force=self.options.force)
        self.report.outcomes += fresh
        return pending

    def rounds(self, jobs: Sequence[Job], sizes: BatchSizes) -> list[list[Batch]]:
        executor = self.executor
        return planning.rounds(jobs, executor.device.type, sizes, executor.memory)

    def render(self, batches: Sequence[Batch]) -> None:
        if batches:
            attempts = self.render_batches(batches)
            keep_attempts(attempts, self.weights.id, self.config.store, self.report, self.watcher.renders)

    def rescue(self, site: Path | None) -> None:
        """Render those features once more that have no gradient or were not raised, by the recipe that rescues them.

        Of a shard, those that it rendered itself.

        Args:
            site: a folder that needs room too.
        """
        dead = [one.job for one in self.report.outcomes if one.record and one.record.needs_rescue]
        known = {one.job for one in self.report.outcomes}
        jobs = [rescue.rescued for rescue in rescues(self.config, dead) if rescue.rescued not in known]
        pending = self.split_fresh(jobs)
        if pending:
            require_room(forecast_of(jobs, set(pending)), self.config.store, site)
            self.watcher.starts(len(jobs), len(jobs) - len(pending))
            # few of each layer: on a CPU, where a batch is hardly faster than single rows, most of it would be padding
            sizes = 1 if self.sizes is None and self.executor.device.type == "cpu" else self.sizes
            self.render(list(chain.from_iterable(self.rounds(pending, sizes))))


def _renderer_here(config: Config, weights: Weights, options: RunOptions) -> Renderer:
    """A renderer on this machine, for studies, wherever the batches were rendered."""
    if options.executor == "plain":
        device, precision = resolve_device(options.device), options.precision
    else:  # a machine that drives a cluster may lack the device, and studies are the same in any precision
        device = resolve_device("cpu" if options.device == "cpu" else "auto")
        precision = options.precision if options.precision in allowed_on(device) else "auto"
    numerics = resolve_numerics(device, precision, options.threads)
    return Renderer(weights, device, numerics, partial(open_photo, config.store))


def _find_examples(
    config: Config, renderer: Renderer, watcher: Watcher, *, rows: int | None, force: bool
) -> FoundExamples | None:
    """The strongest crops out of the configuration's pictures; None if it names none."""
    source = open_pictures(config.study(ExamplesSettings), watcher.skips)
    if source is None:
        return None
    return find_examples(
        MeasureContext(Results(config, renderer.weights.id), renderer), source, watcher, rows=rows, force=force
    )


def make_renderer(config: Config, options: RunOptions) -> tuple[Renderer, str]:
    """A renderer of the configuration's weights, and in words on what it runs.

    Raises:
        AtlasError: no such device or precision here, or the weights cannot be loaded.
    """
    device = resolve_device(options.device)
    numerics = resolve_numerics(device, options.precision, options.threads)
    return Renderer(_load(config), device, numerics), LocalExecutor(device, numerics).device_name
