"""Is the store intact, and is the site whole? Folder → one line for each fault: path, what is wrong, what to do."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from atlas.errors import StoreError, TargetError
from atlas.findings.examples import list_examples, missing_crops
from atlas.plan import targets
from atlas.plan.jobs import DEFAULT_SEED
from atlas.store.clips import clip_faults, list_clips, read_clip
from atlas.store.crops import list_crops, open_crop
from atlas.store.masters import list_masters, open_master, read_record
from atlas.store.media import MEDIA, media_fault
from atlas.store.photos import list_photos, open_kept
from atlas.store.records import NOISE, Record
from atlas.store.stages import list_stages, master_of, pixels_of
from atlas.store.weights_ids import WEIGHTS_FILE, read_weights_id

LARGEST_SITE = 1_000_000_000  # bytes that GitHub Pages takes
FEATURES_IN_A_GRID = 64
INDEX = "index.html"
MISSING = "404.html"  # served at any depth, so its links are absolute
MANIFEST = ".atlas-site.json"
PENDING = "pending"
_ADDRESSES = ("href", "src", "poster", "data-poster")
_REBUILD = "build the site again"


@dataclass(frozen=True)
class SiteCheck:
    """What a check of a site found."""

    faults: tuple[str, ...]
    pages: int
    links: int
    bytes: int  # of all files


def check_store(store: Path) -> list[str]:
    """Check that every master opens, shows the pixels of its record, and lies where its record says.

    Returns:
        One line for each fault, by path.

    Raises:
        StoreError: a folder of the store cannot be read.
    """
    if not store.is_dir():
        return [f"{store}: no such folder: render something first, with atlas render or atlas build"]
    list(_walk(store))  # globbing would pass over a folder that cannot be read
    masters = list(list_masters(store))
    if not masters:
        return [f"{store}: holds no masters: render something first, with atlas render or atlas build"]
    faults = []
    for folder in sorted({master.parent.parent for master in masters}):
        faults += _check_weights(folder)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for found in pool.map(_check_master, masters):
            faults += found
    for strip in list_stages(store):
        faults += _check_stages(strip)
    for clip in list_clips(store):
        faults += _check_clip(clip)
    for photo in list_photos(store):
        faults += _check_photo(photo)
    for crop in list_crops(store):
        faults += _check_crop(crop)
    for record in list_examples(store):
        faults += [f"{crop}: missing; run atlas examples --force" for crop in missing_crops(record)]
    return faults


def check_site(site: Path) -> SiteCheck:
    """Check that every link of a site leads to a file of it, and that its pictures, records and size are sound.

    Raises:
        StoreError: a folder or a page cannot be read.
    """
    if not (site / INDEX).is_file():
        return SiteCheck((f"{site}: no {INDEX}: make the site with atlas build or atlas site",), 0, 0, 0)
    files = {path.relative_to(site).as_posix(): path.stat().st_size for path in _walk(site)}
    checker = _PageChecker(site, files)
    pages = [path for path in files if path.endswith(".html")]
    for page in pages:
        checker.check(page)
    faults = checker.finish()
    media = [path for path in files if path.endswith(MEDIA)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for why, path in zip(pool.map(lambda path: media_fault(site / path), media), media, strict=True):
            faults += [f"{site / path}: {why}: {_REBUILD}"] if why else []
    faults += _check_manifest(site, files)
    total = sum(files.values())
    if total > LARGEST_SITE:
        faults.append(f"{site}: {total:,} bytes, and GitHub Pages takes {LARGEST_SITE:,}: show fewer features")
    return SiteCheck(tuple(faults), len(pages), checker.links, total)


def _walk(folder: Path) -> Iterator[Path]:
    """Every file under a folder, sorted."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read: {error.strerror}; allow this user to read it") from None
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry))
        elif entry.is_file():
            yield Path(entry)


def _check_weights(folder: Path) -> list[str]:
    path = folder / WEIGHTS_FILE
    try:
        found = read_weights_id(path).folder
    except StoreError as error:
        return [str(error)]
    if found != folder.name:
        return [f"{path}: is of {found}: give the folder {folder} that name again"]
    return []


def _check_master(path: Path) -> list[str]:
    try:
        record = open_master(path)[1]
        expected = _place(record)
    except StoreError as error:
        return [str(error)]
    except TargetError as error:
        return [f"{path}: {error}: remove it"]
    text = json.dumps(record.recipe, sort_keys=True, separators=(",", ":"))
    if hashlib.sha256(text.encode()).hexdigest()[:8] != record.recipe_digest:
        return [f"{path}: the recipe in its record is not that of its digest {record.recipe_digest}: render it again"]
    if "/".join(path.parts[-3:]) != expected:
        return [f"{path}: its record belongs to {path.parents[2] / expected}: move it there, or remove it"]
    return []


def _check_stages(path: Path) -> list[str]:
    """A strip that belongs to no picture harms nobody, and takes space for nothing."""
    with suppress(StoreError):
        if media_fault(path) is None and pixels_of(path) == read_record(master_of(path)).pixels_sha256:
            return []
    return [f"{path}: belongs to no master, so it is not shown: remove it, or render {master_of(path).name} again"]


def _check_clip(path: Path) -> list[str]:
    try:
        return list(clip_faults(path.parent, read_clip(path)))
    except StoreError as error:
        return [str(error)]


def _check_photo(path: Path) -> list[str]:
    try:
        open_kept(path)
    except StoreError as error:
        return [str(error)]
    return []


def _check_crop(path: Path) -> list[str]:
    try:
        open_crop(path)
    except StoreError as error:
        return [str(error)]
    return []


def _place(record: Record) -> str:
    """Where a rendering lies in the store."""
    name = targets.parse(record.target).slug
    if record.seed != DEFAULT_SEED:
        name += f"~s{record.seed}"
    if record.start != NOISE:
        name += f"~{record.start[:8]}"
    return f"{record.weights.folder}/{record.recipe_name}-{record.recipe_digest}/{name}.png"


class _Markup(HTMLParser):
    """What a page links to and what it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[tuple[str, bool]] = []  # address, and whether it may be absolute
        self.ids: set[str] = set()
        self.bare_images: list[str] = []  # without width, height or alt
        self.grids: list[int] = [0]  # features in each
        self.neurons: list[tuple[int, int]] = []  # rows and cols of the grids on which videos are scrubbed
        self.status: str | None = None
        self.is_whole = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element says."""
        given = {name: value or "" for name, value in attrs}
        is_canonical = tag == "link" and given.get("rel") == "canonical"
        self.references += [(given[name], is_canonical) for name in _ADDRESSES if name in given]
        for candidate in given.get("srcset", "").split(","):
            self.references += [(word, False) for word in candidate.split()[:1]]
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "img" and not given.keys() >= {"width", "height", "alt"}:
            self.bare_images.append(given.get("src", ""))
        if tag == "ul":
            self.grids.append(0)
        if "tile" in given.get("class", "").split():
            self.grids[-1] += 1
        with suppress(ValueError, KeyError, TypeError):
            rows, cols = json.loads(given["data-player"])["grid"]
            self.neurons.append((rows, cols))
        self.status = given.get("data-status", self.status)

    def handle_endtag(self, tag: str) -> None:
        """Note the end of the page."""
        self.is_whole = self.is_whole or tag == "html"


class _PageChecker:
    """Checks pages one by one; links to places inside pages when all are read."""

    def __init__(self, site: Path, files: dict[str, int]) -> None:
        self.links = 0
        self._site = site
        self._files = files
        self._folders = {join(*path.split("/")[:n]) for path in files for n in range(1, path.count("/") + 1)}
        self._ids: dict[str, set[str]] = {}
        self._neurons: dict[str, list[tuple[int, int]]] = {}
        self._anchored: list[tuple[str, str, str, str]] = []  # page, address, path, fragment
        self._faults: list[str] = []

    def check(self, page: str) -> None:
        """Read a page and note its faults."""
        markup = _Markup()
        try:
            markup.feed((self._site / page).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._site / page}: cannot be read: {error}; {_REBUILD}") from None
        self._ids[page] = markup.ids
        self._neurons[page] = markup.neurons
        if not markup.is_whole:
            self._note(page, "cut off before its end")
        for address, may_be_absolute in markup.references:
            self.links += 1
            self._check_reference(page, address, may_be_absolute or page == MISSING)
        for source in markup.bare_images:
            self._note(page, f'the image "{source}" lacks width, height or alt')
        if max(markup.grids) > FEATURES_IN_A_GRID:
            self._note(page, f"{max(markup.grids)} features in a grid, and {FEATURES_IN_A_GRID} are the most")
        if markup.status not in (None, PENDING):
            self._check_record(page)

    def finish(self) -> list[str]:
        """The faults of all pages."""
        for page, address, path, fragment in self._anchored:
            if fragment not in self._ids.get(path, ()) and not self._is_neuron(path, fragment):
                self._note(page, f'the link "{address}" leads to a place that {path} does not have')
        return self._faults

    def _is_neuron(self, path: str, fragment: str) -> bool:
        """Whether a fragment is the row and column of a neuron that a page's video is scrubbed to."""
        found = re.fullmatch("([0-9]{1,3}),([0-9]{1,3})", fragment)
        return found is not None and any(
            int(found[1]) < rows and int(found[2]) < cols for rows, cols in self._neurons.get(path, ())
        )

    def _note(self, page: str, what: str) -> None:
        self._faults.append(f"{self._site / page}: {what}: {_REBUILD}")

    def _check_reference(self, page: str, address: str, may_be_absolute: bool) -> None:
        try:
            parts = urlsplit(address)
        except ValueError:
            self._note(page, f'the link "{address}" is no address')
            return
        if parts.scheme in ("http", "https") and parts.netloc and may_be_absolute:
            return
        if parts.scheme or parts.netloc or parts.query or address.startswith("/") or not address:
            self._note(page, f'the link "{address}" is not relative to the page')
            return
        path = normpath(join(dirname(page), unquote(parts.path))) if parts.path else page
        if path in self._files:
            if parts.fragment:
                self._anchored.append((page, address, path, unquote(parts.fragment)))
        elif path in self._folders or path == ".":
            self._note(page, f'the link "{address}" leads to a folder and not to its {INDEX}')
        elif path.startswith(".."):
            self._note(page, f'the link "{address}" leads out of the site')
        else:
            self._note(page, f'the link "{address}" leads to no file')

    def _check_record(self, page: str) -> None:
        path = self._site / dirname(page) / "record.json"
        try:
            Record.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, StoreError):
            self._note(page, "its record.json is missing or damaged")


def _check_manifest(site: Path, files: dict[str, int]) -> list[str]:
    path = site / MANIFEST
    try:
        listed = {
            name: entry.get("bytes") for name, entry in json.loads(path.read_text(encoding="utf-8"))["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"{path}: missing or damaged: {_REBUILD}"]
    faults = []
    for name, size in sorted(listed.items()):
        if name not in files:
            faults.append(f"{site / name}: missing: {_REBUILD}")
        elif size is not None and size != files[name]:
            faults.append(f"{site / name}: {files[name]:,} bytes, and {size:,} were written: {_REBUILD}")
    return faults
