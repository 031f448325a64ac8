"""The sample store that ships with the tests, and what a browser gets of its site: bytes, shifts, hosts, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from atlas import studies
from atlas.cli.settings import with_photos
from atlas.plan.config import Config, override
from atlas.plan.jobs import feature_jobs
from atlas.site.build import SiteReport, build_site, templates_folder
from atlas.site.catalogue import gather_atlas
from atlas.site.check import check_site, check_store
from atlas.site.pages import make_pages
from atlas.site.study_page import with_weights
from atlas.store.masters import list_masters, master_path, write_master
from atlas.store.weights_ids import resolve_weights, write_weights_id
from atlas.studies import all_jobs, load_config
from browser import chromium, served
from stores import WEIGHTS, record

DATA = Path(__file__).parent / "data"
LARGEST_STORE = 4_000_000  # bytes
MOST_LINKS = 30  # that repeat on every page
LONGEST_SHIFT = 0.01
SHIFT = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 300);
})"""


@dataclass(frozen=True)
class Sample:
    config: Config
    report: SiteReport
    kinds: dict[str, str]  # template → path of a page


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    config = with_photos(load_config(str(DATA / "demo-store.toml")))
    config = replace(config, site=tmp_path_factory.mktemp("sample") / "site")
    weights = resolve_weights(config.store, config.weights)
    report = build_site(config, weights, studies.pages())
    pages = make_pages(gather_atlas(config, weights, studies.pages()))
    return Sample(config, report, {page.template: page.path for page in reversed(pages)})


def test_the_store_is_small_and_whole() -> None:
    store = DATA / "demo-store"
    assert sum(path.stat().st_size for path in store.rglob("*") if path.is_file()) <= LARGEST_STORE
    assert check_store(store, studies.pages()) == []


def test_the_store_has_all_that_its_configuration_names(sample: Sample) -> None:
    weights = resolve_weights(sample.config.store, sample.config.weights)
    config = with_weights(sample.config, weights, studies.pages())
    assert [str(job.target) for job in all_jobs(config) if not master_path(config.store, weights, job).exists()] == []
    assert (sample.report.pending, sample.report.damaged, sample.report.videos) == (0, (), 1)


def test_every_kind_of_page_is_in_the_sample(sample: Sample) -> None:
    def is_page(template: Path) -> bool:
        return '{% extends "base.html" %}' in template.read_text()

    folder = templates_folder()
    templates = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html") if is_page(path)}
    assert sample.kinds.keys() == templates - {"404.html"}


def test_the_site_is_sound(sample: Sample) -> None:
    result = check_site(sample.config.site)
    assert result.faults == ()
    assert result.pages == sample.report.pages > 70


def test_few_links_repeat_on_every_page(sample: Sample) -> None:
    pages = [(sample.config.site / path).read_text() for path in sample.kinds.values()]
    repeated = set.intersection(*(set(re.findall(r">([^<>]+)</a>", page)) for page in pages))
    assert 5 <= len(repeated) <= MOST_LINKS


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served_sample(sample: Sample) -> str:
    return served(sample.config.site)


@pytest.mark.parametrize("width", [360, 1440])
def test_no_page_shifts_or_asks_another_host(sample: Sample, served_sample: str, browser: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, bypass_csp=True)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    shifts = {}
    for path in sample.kinds.values():
        page.goto(served_sample + path)
        shifts[path] = page.evaluate(SHIFT)
    context.close()
    assert {path: shift for path, shift in shifts.items() if shift > LONGEST_SHIFT} == {}
    assert [url for url in asked if not url.startswith((served_sample, "data:"))] == []


@pytest.mark.parametrize(
    ("features", "recipe", "path", "most"),
    [
        ("16", "quick", "Mixed_6b/index.html", 450_000),
        ("64", "quick", "Mixed_6b/index.html", 700_000),
        ("2", "octaves", "Mixed_6b/1/index.html", 100_000),
    ],
)
def test_few_bytes_are_needed_for_the_first_view(
    sample: Sample, browser: Any, tmp_path: Path, features: str, recipe: str, path: str, most: int
) -> None:
    config = override(load_config("demo"), layers="Mixed_6b", features=features, recipe=recipe, features_only=True)
    config = replace(config, store=tmp_path / "store", site=tmp_path / "site")
    put_crowd(sample, config)
    build_site(config, WEIGHTS, studies.pages())
    address = served(config.site)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, device_scale_factor=2)
    page = context.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(address + path, wait_until="networkidle")
    context.close()
    assert 10_000 < sum(sizes) <= most


def put_crowd(sample: Sample, config: Config) -> None:
    """Masters for all features, which are the sample's pictures, mirrored to fill the size, as heavy as real ones."""
    write_weights_id(config.store, WEIGHTS)
    masters = sorted(path for path in list_masters(sample.config.store) if path.parent.name.startswith("small-0"))
    for at, job in enumerate(feature_jobs(config)):
        size = job.sizes[-1][0]
        picture = Image.open(masters[at % len(masters)]).convert("RGB")
        tile = Image.new("RGB", (2 * picture.width, 2 * picture.height))
        for col, upper in enumerate((picture, ImageOps.mirror(picture))):
            tile.paste(upper, (col * picture.width, 0))
            tile.paste(ImageOps.flip(upper), (col * picture.width, picture.height))
        whole = Image.new("RGB", (size, size))
        for left in range(0, size, tile.width):
            for top in range(0, size, tile.height):
                whole.paste(tile, (left, top))
        pixels = whole.rotate(90 * (at // len(masters))).tobytes()
        write_master(master_path(config.store, WEIGHTS, job), pixels, record(job, pixels))
