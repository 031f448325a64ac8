"""Everything in one call: configuration → renderings in the store → videos → studies → site."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from atlas import studies
from atlas.common.errors import AtlasError, ConfigError, VideoError
from atlas.plan.clips import Clip
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.rendering.numerics import allowed_on, resolve_device, resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights
from atlas.runs import RunOptions, Watcher, load_configured_weights, render_jobs, resolve_config
from atlas.site.budget import plan_site
from atlas.site.build import SiteReport, build_site, check_folders
from atlas.site.study_page import with_weights
from atlas.store.clips import clip_folder, clip_target
from atlas.store.photos import open_photo
from atlas.store.records import WeightsId
from atlas.store.results import Results
from atlas.store.video import Encoding, encode_clip
from atlas.studies import all_jobs
from atlas.studies.examples.find import FoundExamples, find_examples
from atlas.studies.examples.pictures import check_pictures, open_pictures
from atlas.studies.examples.settings import Settings as ExamplesSettings
from atlas.studies.raster.jobs import config_clips
from atlas.studies.run import run_studies
from atlas.studies.shared.context import MeasureContext


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    rendering: Report
    videos: tuple[Encoding, ...]
    site: SiteReport
    unmeasured: tuple[str, ...] = ()  # which studies failed, and why


def render(
    config: Config, jobs: Sequence[Job], options: RunOptions, watcher: Watcher, *, rescue: bool = False
) -> Report:
    """Render what the store lacks; see `render_jobs`."""
    return render_jobs(config, jobs, options, watcher, rescue=rescue)[0]


def raster(
    config: Config, clips: Sequence[Clip], options: RunOptions, watcher: Watcher
) -> tuple[Report, tuple[Encoding, ...]]:
    """Render the frames of videos that the store lacks, and encode the videos.

    Raises:
        AtlasError: as `render_jobs`; a video that cannot be encoded has its error in its `Encoding`.
    """
    jobs = tuple(dict.fromkeys(frame.job for clip in clips for frame in clip.frames))
    report, weights = render_jobs(config, jobs, options, watcher)
    return report, encode_clips(config, weights.id, clips, watcher, force=options.force)


def build(config: Config, options: RunOptions, watcher: Watcher) -> BuildReport:
    """Render an atlas, encode its videos, run its studies, and write its site: after the first round, and at the end.

    Features that a study names by what it measured are rendered last.

    Raises:
        AtlasError: as `raster`, or the site cannot be written.
    """
    check_folders(config)  # before anything is rendered
    config = resolve_config(config)
    check_pictures(config.study(ExamplesSettings).folder)

    sites: list[SiteReport] = []

    def write_site(weights: WeightsId) -> None:
        watch = partial(watcher.progress, "writing the site")
        sites.append(build_site(config, weights, studies.pages(), fine=options.fine, on_progress=watch))

    site = plan_site(config, studies.pages())
    report, weights = render_jobs(
        config, all_jobs(config), options, watcher, rescue=True, on_first_round=write_site, site=site
    )
    renderer = make_renderer(config, options, weights)
    run_studies(config, renderer, watcher.studies, naming=True)
    known, config = frozenset(all_jobs(config)), with_weights(config, weights.id, studies.pages())
    lost = []
    if more := [job for job in all_jobs(config) if job not in known]:
        try:
            report.outcomes += render_jobs(config, more, options, watcher, rescue=True)[0].outcomes
        except AtlasError as error:  # it must cost nothing of what is rendered
            lost.append(f"features that studies name: {error}")
    videos = encode_clips(config, weights.id, config_clips(config), watcher, force=options.force)
    lost += [f"study {name}: out of memory" for name in run_studies(config, renderer, watcher.studies)]
    try:
        _find_examples(config, renderer, watcher, rows=None, force=options.force)
    except ConfigError as error:  # a fault of a person's pictures must not prevent the site
        lost.append(f"examples: {error}")
    write_site(weights.id)
    # only the first of two sites sees a base URL go
    written = replace(sites[-1], lost_base_url=any(one.lost_base_url for one in sites))
    return BuildReport(report, videos, written, tuple(lost))


def examples(config: Config, options: RunOptions, watcher: Watcher) -> FoundExamples:
    """Keep the maximally activating crops of the rendered features, out of the configuration's pictures.

    Raises:
        AtlasError: no pictures are named or can be read, nothing is rendered, or the store cannot be written.
    """
    check_pictures(config.study(ExamplesSettings).folder)
    if not config.map_layers:
        raise ConfigError("classes have no crops: name other layers")
    renderer = make_renderer(config, replace(options, precision="fp32"))
    config = with_weights(config, renderer.weights.id, studies.pages())
    found = _find_examples(config, renderer, watcher, rows=options.batch_size, force=options.force)
    if found is None:
        raise ConfigError("the configuration names no pictures: name a folder of them, or add --drawn")
    return found


def encode_clips(
    config: Config, weights: WeightsId, clips: Sequence[Clip], watcher: Watcher, *, force: bool = False
) -> tuple[Encoding, ...]:
    """Encode the videos that have all frames and are not up to date; one that fails does not stop the others.

    Raises:
        StoreError: a frame cannot be read, or a file not written.
    """
    found: list[Encoding] = []
    for clip in clips:
        watcher.progress("encoding videos", len(found), len(clips))
        try:
            found.append(encode_clip(config.store, weights, clip, force=force))
        except (VideoError, MemoryError) as error:
            if isinstance(error, MemoryError):
                error = VideoError(f"the video of {clip_target(clip)}: out of memory; its frames are kept, run again")
            found.append(Encoding(clip, clip_folder(config.store, weights, clip), None, error=error))
    if found:
        watcher.progress("encoding videos", len(found), len(clips))
    return tuple(found)


def make_renderer(config: Config, options: RunOptions, weights: Weights | None = None) -> Renderer:
    """A renderer on this machine, for studies and measurements, wherever batches are rendered.

    Args:
        config: its store, and its weights if none are given.
        options: device, precision and threads.
        weights: those of a run.

    Raises:
        AtlasError: no such device or precision here, or the weights cannot be loaded.
    """
    device, precision = options.device, options.precision
    if options.executor != "plain":  # a machine that drives a cluster may lack the device
        device = "cpu" if device == "cpu" else "auto"
        precision = precision if precision in allowed_on(resolve_device(device)) else "auto"
    found = resolve_device(device)
    numerics = resolve_numerics(found, precision, options.threads)
    return Renderer(weights or load_configured_weights(config), found, numerics, partial(open_photo, config.store))


def _find_examples(
    config: Config, renderer: Renderer, watcher: Watcher, *, rows: int | None, force: bool
) -> FoundExamples | None:
    """The maximally activating crops of the configuration's pictures; None if it names none, or only classes."""
    source = open_pictures(config.study(ExamplesSettings), watcher.skips) if config.map_layers else None
    if source is None:
        return None
    context = MeasureContext(Results(config, renderer.weights.id), renderer)
    return find_examples(context, source, watcher, rows=rows, force=force)
