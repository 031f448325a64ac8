"""Checks the pages of a site: HTML, styles and sitemap → one line for each fault."""

import json
import re
from contextlib import suppress
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from atlas.common.errors import AtlasError, StoreError, shorten
from atlas.common.paths import read_file
from atlas.plan.features import parse_features
from atlas.store.records import Record, read_json

FEATURES_IN_A_GRID = 64
INDEX = "index.html"
MISSING = "404.html"  # served at any depth, so its links are absolute
SITEMAP = "sitemap.xml"
MAP_DATA = "data.js"  # beside a page that draws a map of features: what lies where
PENDING = "pending"
REBUILD = "build the site again"
MOST_BYTES = 2**26  # of a page or a record; the largest page has a hundredth
_ADDRESSES = ("href", "xlink:href", "src", "poster", "data-poster")
_CARDS = ("og:url", "og:image")  # absolute, as is the canonical address


def check_pages(site: Path, files: dict[str, int]) -> tuple[list[str], int, int]:
    """Check every page, every style sheet and the sitemap of a site.

    Args:
        site: its folder.
        files: all its files, by path, with their sizes.

    Returns:
        The faults, and how many pages and links there are.

    Raises:
        StoreError: a file cannot be read.
    """
    checker = _PageChecker(site, files)
    pages = [INDEX, *(path for path in files if path.endswith(".html") and path != INDEX)]
    for page in pages:
        checker.check(page)
    for sheet in (path for path in files if path.endswith(".css")):
        checker.check_style(sheet)
    return checker.finish(), len(pages), checker.links


class _Markup(HTMLParser):
    """What a page links to and contains."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[tuple[str, bool]] = []  # address, and whether it may be absolute
        self.ids: set[str] = set()
        self.bare_images: list[str] = []  # without width, height or alt
        self.grids: list[int] = [0]  # features in each
        self.neurons: list[tuple[int, int]] = []  # rows and cols of the grids on which videos are scrubbed
        self.canonical = ""
        self.status: str | None = None
        self.is_whole = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element says."""
        given = {name: value or "" for name, value in attrs}
        is_canonical = tag == "link" and given.get("rel") == "canonical"
        self.references += [(given[name], is_canonical) for name in _ADDRESSES if name in given]
        if is_canonical:
            self.canonical = given.get("href", "")
        if tag == "meta" and given.get("property") in _CARDS:
            self.references.append((given.get("content", ""), True))
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
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            rows, cols = json.loads(given["data-player"])["grid"]
            if isinstance(rows, int) and isinstance(cols, int):
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
        self._maps: dict[str, set[str]] = {}  # page → features on its map
        self._anchored: list[tuple[str, str, str, str]] = []  # page, address, path, fragment
        self._base = ""  # where the site will be published, as its home page says
        self._leads: dict[str, set[str]] = {}  # page → what it links to
        self._faults: list[str] = []

    def check(self, page: str) -> None:
        """Read a page and note its faults."""
        markup, text = _Markup(), self._read(page)
        try:
            markup.feed(text)
        except (AssertionError, ValueError) as error:  # what html.parser says of what is no HTML
            self._note(page, f"is no HTML ({shorten(str(error))})")
        else:
            if not markup.is_whole:
                self._note(page, "cut off before its end")
        if page == INDEX:
            self._base = markup.canonical
        self._ids[page] = markup.ids
        self._neurons[page] = markup.neurons
        for address, may_be_absolute in markup.references:
            self.links += 1
            self._check_reference(page, address, may_be_absolute or page == MISSING)
        for source in markup.bare_images:
            self._note(page, f'the image "{source}" lacks width, height or alt')
        if max(markup.grids) > FEATURES_IN_A_GRID:
            self._note(page, f"{max(markup.grids)} features in a grid, and {FEATURES_IN_A_GRID} are the most")
        if markup.status not in (None, PENDING):
            self._check_record(page)

    def check_style(self, sheet: str) -> None:
        """Read a style sheet: what it names must be there."""
        text = self._read(sheet)
        for address in re.findall(r"""url\(\s*["']?([^"')]*)""", text):
            self.links += 1
            self._check_reference(sheet, address, may_be_absolute=False)

    def finish(self) -> list[str]:
        """The faults of all pages."""
        self._check_sitemap()
        self._check_ways()
        for page, address, path, fragment in self._anchored:
            is_known = fragment in self._ids.get(path, ()) or fragment in self._on_map(path)
            if not is_known and not self._is_neuron(path, fragment):
                self._note(page, f'the link "{address}" leads to a place that {path} does not have')
        return self._faults

    def _is_neuron(self, path: str, fragment: str) -> bool:
        """Whether a fragment is the row and column of a neuron that a page's video is scrubbed to."""
        found = re.fullmatch("([0-9]{1,3}),([0-9]{1,3})", fragment)
        return found is not None and any(
            int(found[1]) < rows and int(found[2]) < cols for rows, cols in self._neurons.get(path, ())
        )

    def _on_map(self, page: str) -> set[str]:
        """The features that a page's map has, such as Mixed_6b-654."""
        data, found = join(dirname(page), MAP_DATA), self._maps.setdefault(page, set())
        if found or data not in self._files:
            return found
        with suppress(ValueError, LookupError, TypeError, AtlasError, RecursionError):  # of what is no such script
            for layer in json.loads(self._read(data).split("=", 1)[1].rstrip(";\n"))["layers"]:
                numbers = parse_features(f"{layer['numbers']},").of(layer["name"])
                for number, cell in zip(numbers, layer["cells"], strict=True):
                    found.update([f"{layer['name']}-{number}"] if cell >= 0 else [])
        return found

    def _note(self, page: str, what: str) -> None:
        self._faults.append(f"{self._site / page}: {what}: {REBUILD}")

    def _check_reference(self, page: str, address: str, may_be_absolute: bool) -> None:
        try:
            parts = urlsplit(address)
        except ValueError:
            self._note(page, f'the link "{address}" is no address')
            return
        if parts.scheme in ("http", "https") and parts.netloc and may_be_absolute:
            self._check_absolute(page, address)
            return
        if parts.scheme or parts.netloc or parts.query or address.startswith("/") or not address:
            self._note(page, f'the link "{address}" is not relative to the page')
            return
        path = normpath(join(dirname(page), unquote(parts.path))) if parts.path else page
        if path in self._files:
            self._leads.setdefault(page, set()).add(path)
            if parts.fragment:
                self._anchored.append((page, address, path, unquote(parts.fragment)))
        elif path in self._folders or path == ".":
            self._note(page, f'the link "{address}" leads to a folder and not to its {INDEX}')
        elif path.startswith(".."):
            self._note(page, f'the link "{address}" leads out of the site')
        else:
            self._note(page, f'the link "{address}" leads to no file')

    def _check_absolute(self, page: str, address: str) -> None:
        """An absolute address leads to a file of the site, where it will be published."""
        if not self._base or not address.startswith(self._base):
            self._note(page, f'the address "{address}" is not where the home page says that the site will be')
            return
        path = unquote(re.split("[?#]", address[len(self._base) :])[0])
        if path == "" or path.endswith("/"):
            path += INDEX
        if path not in self._files:
            self._note(page, f'the address "{address}" leads to no file')

    def _check_sitemap(self) -> None:
        """The sitemap names every page but the one for those that are missing, and nothing else."""
        if SITEMAP not in self._files:
            return
        try:
            listed = [unescape(address) for address in re.findall("<loc>([^<]*)</loc>", self._read(SITEMAP))]
        except ValueError:
            self._note(SITEMAP, "has an address that cannot be read")
            return
        for address in listed:
            self._check_absolute(SITEMAP, address)
        pages = {page.removesuffix(INDEX) for page in self._ids if page != MISSING}
        for page in sorted(pages - {unquote(address.removeprefix(self._base)) for address in listed}):
            self._note(SITEMAP, f'lacks the page "{page or INDEX}"')

    def _check_ways(self) -> None:
        """Every page can be reached by links from the home page."""
        seen, ahead = {INDEX}, [INDEX]
        while ahead:
            new = self._leads.get(ahead.pop(), set()) - seen
            seen |= new
            ahead += new
        for page in sorted(self._ids.keys() - seen - {MISSING}):
            self._note(page, "no links lead there from the home page")

    def _read(self, name: str) -> str:
        try:
            return read_file(self._site / name, MOST_BYTES).decode()
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._site / name}: cannot be read ({error}); {REBUILD}") from None

    def _check_record(self, page: str) -> None:
        path = self._site / dirname(page) / "record.json"
        try:
            read_json(read_file(path, MOST_BYTES), Record)
        except (OSError, ValueError, StoreError):
            self._note(page, "its record.json is missing or damaged")
