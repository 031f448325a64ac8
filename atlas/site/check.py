"""Is the store intact, and is the site whole? Folder → one line for each fault: path, what is wrong, what to do."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from atlas.common.cores import count_cores
from atlas.common.errors import StoreError, TargetError
from atlas.inception import targets
from atlas.plan.jobs import DEFAULT_SEED
from atlas.plan.starts import shorten
from atlas.site.budget import LARGEST_SITE, packed_bytes
from atlas.site.links import INDEX, REBUILD, check_pages
from atlas.site.output import MANIFEST, read_sizes
from atlas.site.study_page import StudyPage
from atlas.store.clips import clip_faults, list_clips, read_clip
from atlas.store.crops import list_crops, open_crop
from atlas.store.files import walk
from atlas.store.masters import list_masters, open_master, read_record
from atlas.store.media import MEDIA, media_fault
from atlas.store.photos import list_photos, open_kept
from atlas.store.records import NOISE, Record
from atlas.store.sidecars import list_sidecars, master_of, named_pixels
from atlas.store.weights_ids import WEIGHTS_FILE, read_weights_id

_Build = tuple[str | None, ...]  # device, model, version of torch, version of cuDNN


@dataclass(frozen=True)
class SiteCheck:
    """What a check of a site found."""

    faults: tuple[str, ...]
    pages: int
    links: int
    files: int
    bytes: int  # of all files
    packed: int  # bytes of them in one archive


def check_store(store: Path, studies: Iterable[StudyPage] = ()) -> list[str]:
    """Check that every master opens, shows the pixels of its record, and lies where its record says.

    Args:
        store: folder of masters.
        studies: whose files are checked too.

    Returns:
        One line for each fault, by path.

    Raises:
        StoreError: a folder of the store cannot be read.
    """
    if not store.is_dir():
        return [f"{store}: no such folder: render something first, with atlas render or atlas build"]
    masters = list(list_masters(store))
    if not masters:
        return [f"{store}: holds no masters: render something first, with atlas render or atlas build"]
    faults: list[str] = []
    checks: tuple[tuple[Callable[[Path], object], Iterable[Path]], ...] = (
        (_check_weights, sorted({master.parent.parent for master in masters})),
        (_check_master, masters),
        (_check_sidecar, list_sidecars(store)),
        (open_kept, list_photos(store)),
        (open_crop, list_crops(store)),
    )
    with ThreadPoolExecutor(count_cores()) as pool:
        for check, paths in checks:
            for found in pool.map(partial(_faults, check), paths):
                faults += found
    for clip in list_clips(store):
        try:
            faults += clip_faults(clip.parent, read_clip(clip))
        except StoreError as error:
            faults.append(str(error))
    for study in studies:
        faults += study.store_faults(store)
    return faults


def mixed_hardware(store: Path) -> list[str]:
    """Where a store holds masters of more than one kind of hardware or build, which is no fault.

    What a record does not say, such as the model in older ones, is no difference.

    Returns:
        One line for each such set of weights, by path.

    Raises:
        StoreError: a folder of the store cannot be read.
    """
    by_folder: dict[Path, list[_Build]] = {}
    for path in list_masters(store):
        with suppress(StoreError):  # a fault, which `check_store` tells
            record = read_record(path)
            build = (record.numerics.device, record.numerics.model, record.torch, record.numerics.cudnn)
            by_folder.setdefault(path.parent.parent, []).append(build)
    lines = []
    for folder, builds in sorted(by_folder.items()):
        counts, unknown = _kinds(builds)
        if len(counts) > 1:
            kinds = ", ".join(f"{_words(build, counts)} ({number})" for build, number in counts.items())
            silent = f", and {unknown} whose records do not say" if unknown else ""
            lines.append(
                f"{folder}: masters of {len(counts)} kinds of hardware or builds: {kinds}{silent}; their pictures are "
                "valid, and rendering one again on other hardware gives other bytes"
            )
    return lines


def check_site(site: Path) -> SiteCheck:
    """Check that every link of a site leads to a file of it, and that its pictures, records and size are sound.

    Raises:
        StoreError: a folder or a page cannot be read.
    """
    if not (site / INDEX).is_file():
        return SiteCheck((f"{site}: no {INDEX}: make the site with atlas build or atlas site",), 0, 0, 0, 0, 0)
    files = {path.relative_to(site).as_posix(): path.stat().st_size for path in walk(site) if path.is_file()}
    faults, pages, links = check_pages(site, files)
    media = [path for path in files if path.endswith(MEDIA)]
    listed = None  # by the manifest; None if it cannot be read
    with suppress(StoreError):
        listed = read_sizes(site)
    with ThreadPoolExecutor(count_cores()) as pool:
        found_faults = pool.map(lambda path: media_fault(site / path, is_copy=path in (listed or ())), media)
        for why, path in zip(found_faults, media, strict=True):
            faults += [f"{site / path}: {why}: {REBUILD}"] if why else []
    faults += _check_manifest(site, listed, files)
    packed = packed_bytes(files)
    if packed > LARGEST_SITE:
        takes = f"{len(files):,} files, {packed:,} bytes as one archive, and GitHub Pages takes {LARGEST_SITE:,}"
        faults.append(f"{site}: {takes}: build it with --budget 1GB, or show fewer features")
    return SiteCheck(tuple(faults), pages, links, len(files), sum(files.values()), packed)


def _kinds(builds: Iterable[_Build]) -> tuple[Counter[_Build], int]:
    """Builds that differ in what is known of both, with how many have each; and how many may be any of several.

    One that says less than another belongs to it where they agree; what may belong to several is counted apart.
    """
    kinds: Counter[_Build] = Counter()
    unknown = 0
    known_first = sorted(Counter(builds).items(), key=lambda item: (item[0].count(None), -item[1], str(item[0])))
    for build, number in known_first:
        alike = [kind for kind in kinds if _agree(kind, build)]
        if len(alike) > 1:
            unknown += number
        else:
            kinds[alike[0] if alike else build] += number
    return kinds, unknown


def _agree(one: _Build, other: _Build) -> bool:
    return all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def _words(build: _Build, others: Iterable[_Build]) -> str:
    """A build in words: what it runs on, and those versions in which builds differ."""
    device, model, torch, cudnn = build
    differs = [len(set(values) - {None}) > 1 for values in zip(*others, strict=True)]
    versions = [f"torch {torch}"] if differs[2] else []
    versions += [f"cuDNN {cudnn}"] if differs[3] and cudnn else []
    words = (model or str(device)) + (f" with {' and '.join(versions)}" if versions else "")
    return "".join(letter if letter.isprintable() else "?" for letter in words)  # a record may come from anywhere


def _check_weights(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    found = read_weights_id(path).folder
    if found != folder.name:
        raise StoreError(f"{path}: is of {found}: give the folder {folder} that name again")


def _check_master(path: Path) -> None:
    record = open_master(path)[1]
    try:
        expected = _place(record)
    except TargetError as error:
        raise StoreError(f"{path}: {error}: remove it") from None
    text = json.dumps(record.recipe, sort_keys=True, separators=(",", ":"))
    if hashlib.sha256(text.encode()).hexdigest()[:8] != record.recipe_digest:
        why = f"the recipe in its record is not that of its digest {record.recipe_digest}"
        raise StoreError(f"{path}: {why}: render it again")
    if "/".join(path.parts[-3:]) != expected:
        raise StoreError(f"{path}: its record belongs to {path.parents[2] / expected}: move it there, or remove it")


def _check_sidecar(path: Path) -> None:
    """One that belongs to no picture is not shown, and takes space."""
    with suppress(StoreError):
        if named_pixels(path) == read_record(master_of(path)).pixels_sha256:
            return
    why = "belongs to no master, so it is not shown"
    raise StoreError(f"{path}: {why}: remove it, or render {master_of(path).name} again")


def _faults(check: Callable[[Path], object], path: Path) -> list[str]:
    """What is wrong with a file that cannot be opened, or does not pass a check."""
    try:
        check(path)
    except StoreError as error:
        return [str(error)]
    return []


def _place(record: Record) -> str:
    """Where a rendering lies in the store."""
    name = targets.parse(record.target).slug
    if record.seed != DEFAULT_SEED:
        name += f"~s{record.seed}"
    if record.start != NOISE:
        name += f"~{shorten(record.start)}"
    return f"{record.weights.folder}/{record.recipe_name}-{record.recipe_digest}/{name}{record.input_suffix}.png"


def _check_manifest(site: Path, listed: dict[str, int | None] | None, files: dict[str, int]) -> list[str]:
    if listed is None:
        return [f"{site / MANIFEST}: missing or damaged: {REBUILD}"]
    faults = []
    for name, size in sorted(listed.items()):
        if name not in files:
            faults.append(f"{site / name}: missing: {REBUILD}")
        elif size is not None and size != files[name] and not name.endswith(".html"):  # pages are read in whole
            faults.append(f"{site / name}: {files[name]:,} bytes, and {size:,} were written: {REBUILD}")
    return faults
