"""Pages → files: gathers the data of every page first, and then writes every page that changed."""

import gc
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from atlas.common.errors import ConfigError, StoreError
from atlas.common.paths import read_file
from atlas.plan.config import Config
from atlas.site.budget import ExpectedSite, Step, packed_bytes, plan_site, words_of
from atlas.site.catalogue import Atlas, gather_atlas
from atlas.site.exports import CSV, JSON, features_csv, features_json
from atlas.site.finder import index_script
from atlas.site.models import HOME, Link, Page
from atlas.site.output import Output
from atlas.site.pages import make_pages
from atlas.site.pages.orders import make_orders, orders_path, orders_script
from atlas.site.pages.parts import METHOD, MISSING, region_link
from atlas.site.pages.progress import stages_copy
from atlas.site.pictures import Encoded, Progress, encode_all, measure_colours, sheet_copy
from atlas.site.study_page import StudyPage, with_weights
from atlas.site.templates import Templates, templates_folder
from atlas.store.clips import VIDEO
from atlas.store.files import locked_folder
from atlas.store.importance import importance_path
from atlas.store.masters import unknown_folders
from atlas.store.media import MOST_BYTES
from atlas.store.records import Record, WeightsId
from atlas.store.stages import stages_path
from atlas.store.weights_ids import weights_name


@dataclass(frozen=True)
class SiteReport:
    """What a build of the site did."""

    pages: int
    pictures: int  # web copies in the site
    encoded: int  # of them, this time
    videos: int
    pending: int  # features that are planned and not in the store
    bytes: int  # of the whole site
    packed: int  # bytes of it in one archive
    damaged: tuple[str, ...]  # one message for each master, crop, result or folder of masters that cannot be shown
    lost_base_url: bool  # whether the site had a base URL before, and has none now
    left_out: tuple[Step, ...] = ()  # to stay within the budget


class _File(NamedTuple):
    """A file of the site that is no web copy of a picture."""

    make: Callable[[], bytes]
    source: str | None = None  # digest of all that it is made of; None: it is made anew, and compared


def build_site(
    config: Config,
    weights: WeightsId | None,
    studies: Sequence[StudyPage],
    *,
    fine: bool = False,
    on_progress: Progress | None = None,
) -> SiteReport:
    """Write the site of an atlas from its store, or bring it up to date.

    What its budget asks for is left out: first by what the renderings in the store are expected to weigh, and then,
    until it fits, by what the site does weigh.

    Args:
        config: what is shown, the store, and the site's folder.
        weights: with which weights; None if nothing is rendered with them yet, so that everything is pending.
        studies: what is shown beside the features.
        fine: encode web copies slower, and so smaller.
        on_progress: called with the number of web copies made so far and how many there are to make.

    Raises:
        ConfigError: store and site contain each other.
        StoreError: the site's folder holds something else, or cannot be written; or a picture cannot be encoded.
    """
    check_folders(config)  # before a folder is made
    rendered = None
    if config.budget is not None:
        rendered = [one.job for one in gather_atlas(config, weights, studies).shown_or_pending if one.record]
    plan = plan_site(with_weights(config, weights, studies), studies, rendered)
    reports: list[SiteReport] = []
    with _collector_paused(), locked_folder(config.site):  # a second build waits
        expected: ExpectedSite | None = plan.expected
        while expected:
            reports.append(_write(config, weights, studies, expected.left_out, fine=fine, on_progress=on_progress))
            is_small = config.budget is None or reports[-1].packed <= config.budget
            expected = None if is_small else plan.smaller(expected, reports[-1].packed)
    lost_base_url = any(one.lost_base_url for one in reports)  # only the first one sees it go
    return replace(reports[-1], encoded=sum(one.encoded for one in reports), lost_base_url=lost_base_url)


def _write(
    config: Config,
    weights: WeightsId | None,
    studies: Sequence[StudyPage],
    left_out: tuple[Step, ...],
    *,
    fine: bool,
    on_progress: Progress | None,
) -> SiteReport:
    """Write the site without what is left out."""
    output = Output(config.site)
    encode = partial(encode_all, output=output, fine=fine, on_progress=on_progress)
    gather = partial(gather_atlas, config, weights, studies, left_out=left_out)
    atlas, encoded = _encode(gather, encode)
    colours, hues = measure_colours(atlas, config.site, output)
    atlas = replace(atlas, colours=colours, hues=hues)
    pages = make_pages(atlas)
    copies = [copy for study in atlas.studies for copy in study.files(atlas)]
    copies += [(stages_copy(one), stages_path(atlas.master(one))) for one in atlas.features if one.has_stages]
    copies += [(one.importance, importance_path(atlas.master(one))) for one in atlas.shown_or_pending if one.importance]
    files = _files(atlas, pages, copies)
    stale = {path: file for path, file in files.items() if not output.has_copy(path, file.source)}
    output.claim(stale)
    for path, file in stale.items():  # one after another, so that no more than one is in memory
        output.write(path, file.make(), file.source)
    faults = [fault for study in atlas.studies for fault in study.faults(atlas)]
    faults += sorted(atlas.results.damaged.values()) if atlas.results else ()
    lost_base_url = not config.base_url and output.lists(MISSING)  # before the page for it is removed
    sizes = output.finish({*encoded.paths, *files})
    return SiteReport(
        pages=sum(path.endswith(".html") for path in files),
        pictures=len(encoded.paths),
        encoded=encoded.count,
        videos=sum(path.endswith(f"/{VIDEO}") for path in files),
        pending=sum(feature.record is None for feature in atlas.features),
        bytes=sum(sizes.values()),
        packed=packed_bytes(sizes),
        damaged=(*atlas.damaged, *faults, *unknown_folders(config.store)),
        lost_base_url=lost_base_url,
        left_out=left_out,
    )


def check_folders(config: Config) -> None:
    """Refuse a site's folder that could not be written in the end.

    Raises:
        ConfigError: store and site contain each other.
        StoreError: the site's folder holds something else.
    """
    store, site = (Path(os.path.realpath(folder)) for folder in (config.store, config.site))
    if store == site or store in site.parents or site in store.parents:
        raise ConfigError(f"the store {config.store} and the site {config.site} contain each other; choose two folders")
    Output(config.site)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: pages have no cycles and live until the end; it took a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _encode(gather: Callable[..., Atlas], encode: Callable[[Atlas], Encoded]) -> tuple[Atlas, Encoded]:
    """Gather the atlas and make its web copies.

    A master that turns out to be damaged when it is opened makes its feature pending, and all is gathered again.
    """
    spoilt: dict[Path, str] = {}
    count = 0
    while True:
        atlas = gather(spoilt=spoilt)
        encoded = encode(atlas)
        count += encoded.count
        if not encoded.spoilt:
            return atlas, replace(encoded, count=count)
        if encoded.spoilt.keys() <= spoilt.keys():  # each is gathered no more: or this would go on for ever
            raise StoreError(f"{next(iter(encoded.spoilt))}: still damaged; remove it and run again")
        spoilt.update(encoded.spoilt)


def _files(atlas: Atlas, pages: list[Page], copies: list[tuple[str, Path]]) -> dict[str, _File]:
    """Every file of the site but its web copies of pictures, by path."""
    templates = Templates(_facts(atlas, {page.path for page in pages}))
    files = {path: _File(partial(_read, file), hashlib.sha256(_read(file)).hexdigest()) for path, file in copies}
    files.update((page.path, _File(partial(templates.page, page), templates.digest(page))) for page in pages)
    for rendering in atlas.shown_or_pending:
        if rendering.record and rendering.json:
            files[rendering.json] = _File(partial(_json, rendering.record))
    for static in sorted((templates_folder() / "static").iterdir()):
        files[f"static/{static.name}"] = _File(static.read_bytes)
    for path, content in (one for study in atlas.studies for one in study.written(atlas)):
        files[path] = _File(partial(bytes, content))
    files["static/index.js"] = _File(index_script(atlas, pages).encode)
    for layer, orders in atlas.once(make_orders).items():
        if orders:
            files[orders_path(layer)] = _File(partial(orders_script, atlas, layer))
    files[CSV] = _File(partial(features_csv, atlas))
    files[JSON] = _File(partial(features_json, atlas))
    files[".nojekyll"] = _File(bytes)
    files["robots.txt"] = _File(partial(templates.file, "robots.txt"))
    if base_url := atlas.config.base_url:
        urls = [base_url + page.path.removesuffix(HOME) for page in pages]
        files["sitemap.xml"] = _File(partial(templates.file, "sitemap.xml", urls=urls))
        # it is served at any depth, so its links must be absolute
        missing = Page(MISSING, MISSING, "Not found", "There is no such page in this atlas.", (), {})
        files[MISSING] = _File(partial(templates.page, missing, base_url))
    return files


def _facts(atlas: Atlas, paths: Collection[str]) -> dict[str, object]:
    """What every page states of the atlas."""
    regions = (region_link(region.region.slug) for region in atlas.regions if region.planned)
    cards = (study.card for study in atlas.studies if study.card)
    studies = (Link(card.title, card.path) for card in cards if card.in_menu and card.path in paths)
    sheets = (sheet.jpeg for region in atlas.regions if (sheet := sheet_copy(region)))
    return {
        "title": atlas.config.title,
        "base_url": atlas.config.base_url,
        "license": atlas.config.license,
        "weights": atlas.weights,
        "weights_name": atlas.weights.name if atlas.weights else weights_name(atlas.config.weights),
        "menu": (*regions, *studies, Link("Method", METHOD)),
        "left_out": words_of(atlas.left_out),
        "card": next(sheets, None),  # the picture of pages that have none of their own, in link previews
    }


def _read(file: Path) -> bytes:
    """A file of the store.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        return read_file(file, MOST_BYTES)
    except OSError as error:
        raise StoreError(f"{file}: {error}; allow this user to read it, or make it again") from None


def _json(record: Record) -> bytes:
    return msgspec.json.format(record.to_json().encode(), indent=2) + b"\n"
