"""What strangers may write: words of configurations, records and files make no markup, and no page asks elsewhere."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from atlas import studies
from atlas.plan.config import Config
from atlas.plan.jobs import feature_jobs
from atlas.site.build import build_site
from atlas.store.masters import master_path, open_master, write_master
from atlas.store.records import WeightsId
from atlas.store.stages import write_stages
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from atlas.studies.dreams.jobs import config_dreams
from atlas.studies.dreams.starts import identify_photos, keep_photos
from browser import chromium
from stores import WEIGHTS, put

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{ 7 * 7 }}</title>&lt;"
TEXT = """
extends = "demo"
[atlas]
title = {title}
store = "store"
site = "site"
base_url = ""
[features]
layers = ["Mixed_5b"]
count = 2
only = false
[raster]
targets = []
[neurons]
targets = ["Mixed_5b[1, 2, 3]"]
[dream]
photos = [{photo}]
targets = ["Mixed_5b[1]"]
size = 160
[examples]
title = {title}
"""


class Markup(HTMLParser):
    """Elements with their attributes' names, in order; and the attributes' values."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.values: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.values += [(tag, name, value or "") for name, value in attrs]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def site_of(folder: Path, words: str, photo: str) -> Config:
    """A site in which everything that a person or a file can say says these words."""
    folder.mkdir(exist_ok=True)
    Image.linear_gradient("L").convert("RGB").resize((90, 80)).save(folder / photo)
    (folder / "atlas.toml").write_text(TEXT.format(title=quoted(words), photo=quoted(photo)), encoding="utf-8")
    config = identify_photos(load_config(str(folder / "atlas.toml")), lambda line: None)
    dreams = config_dreams(config)
    keep_photos(config, [dream.job for dream in dreams])
    weights = WeightsId("demo", WEIGHTS.sha256, words)
    write_weights_id(config.store, weights)
    for job in (*feature_jobs(config), *(dream.job for dream in dreams)):
        put(config.store, job, weights=weights)
        path = master_path(config.store, weights, job)
        picture, record = open_master(path)
        numerics = replace(record.numerics, device=words, precision=words, model=words, cudnn=words)
        record = replace(record, torch=words, torchvision=words, numerics=numerics)
        write_master(path, picture.tobytes(), record)
        if job in feature_jobs(config):
            write_stages(path, [picture.resize((160, 160))] * 3, record)
    build_site(config, weights, studies.pages())
    return config


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Config]:
    """One site of plain words, and one of hostile ones."""
    folder = tmp_path_factory.mktemp("safe")
    hostile = site_of(folder / "hostile", HOSTILE, '"><script>x.png')
    return site_of(folder / "plain", "plain words", "script-x.png"), hostile


def pages(config: Config) -> dict[str, Markup]:
    found = {}
    for path in sorted(config.site.rglob("*.html")):
        markup = Markup()
        markup.feed(path.read_text(encoding="utf-8"))
        found[path.relative_to(config.site).as_posix()] = markup
    return found


def test_hostile_words_make_no_element_and_no_attribute(sites: tuple[Config, Config]) -> None:
    plain, hostile = (pages(config) for config in sites)
    assert len(plain) > 8
    assert hostile.keys() == plain.keys()
    for path, markup in plain.items():
        assert hostile[path].elements == markup.elements, path


def test_the_hostile_words_are_there_and_are_words(sites: tuple[Config, Config]) -> None:
    """Otherwise the test above would say nothing."""
    page = (sites[1].site / "Mixed_5b/1/index.html").read_text(encoding="utf-8")
    shown = re.sub("<[^>]+>", "", page)
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 8  # title, brand, note, footer, numerics, torch …
    numerics = re.search("Numerics(.*)", shown)
    assert numerics
    assert numerics[1].count("&lt;script&gt;alert(1)&lt;/script&gt;") == 6  # device, model, cuDNN, precision, versions
    assert "{{ 7 * 7 }}" in shown
    dream = next(path for path in sites[1].site.rglob("*.html") if path.parent.name.startswith("script-x"))
    assert "&lt;script&gt;x.png" in dream.read_text(encoding="utf-8")


def test_links_lead_to_paths_and_never_to_code(sites: tuple[Config, Config]) -> None:
    for path, markup in pages(sites[1]).items():
        for tag, name, value in markup.values:
            if name in ("href", "src", "srcset", "poster", "data-poster"):
                candidates = re.sub(r" \d+w", "", value).split(", ") if name == "srcset" else [value]
                for one in candidates:
                    assert re.fullmatch(r"(\.\./)*[\w.+~/,-]*(#[\w,-]+)?", one), (path, tag, name, value)


def test_every_page_has_a_policy_that_allows_nothing_from_elsewhere_and_nothing_inline(sites) -> None:
    for path, markup in pages(sites[1]).items():
        (policy,) = [
            value for tag, name, value in markup.values if tag == "meta" and name == "content" and "-src" in value
        ]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules.pop("default-src") == "'none'", path
        assert {"base-uri", "form-action"} <= rules.keys()
        assert set(rules.values()) <= {"'self'", "'none'"}, path
        names = [element[0] for element in markup.elements]
        # it must stand before whatever it is to hold back
        assert names.index("meta") < names.index("link") < names.index("body")
        assert "style" not in names
        assert not [
            element for element in markup.elements for name in element[1:] if name == "style" or name[:2] == "on"
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@contextmanager
def under_a_path(site: Path) -> Iterator[str]:
    """Serve a site as GitHub Pages does a project's: under a folder of its own."""
    root = site.parent / "www"
    root.mkdir(exist_ok=True)
    if not (root / "project").exists():
        (root / "project").symlink_to(site, target_is_directory=True)
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/project/"
        server.shutdown()


@pytest.mark.parametrize("kind", ["file", "http"])
def test_no_request_leaves_the_site_and_the_policy_refuses_nothing(browser: Any, sites, kind: str) -> None:
    """Every page of the hostile site, scrolled to its end; an alert, an error or a request to elsewhere fails."""
    config = sites[1]
    with under_a_path(config.site) as address:
        home = address if kind == "http" else config.site.as_uri() + "/"
        context = browser.new_context(viewport={"width": 900, "height": 900})
        page = context.new_page()
        requests: list[str] = []
        faults: list[str] = []
        failed: list[tuple[str, str]] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        for path in pages(config):
            page.goto(home + path)
            page.keyboard.press("End")  # so that pictures further down are asked for
            page.wait_for_timeout(100)
        context.close()
        assert faults == []
        # on a busy machine the browser may still be loading a page's icon when it leaves the page
        assert [one for one in failed if one[1] != "net::ERR_ABORTED"] == []
        assert all(url.startswith(home) for url in requests)
        kinds = {url.rsplit(".", 1)[-1] for url in requests}
        assert {"html", "css", "js", "avif"} <= kinds


@pytest.mark.parametrize("kind", ["file", "http"])
def test_the_policy_refuses_what_is_inline_or_from_elsewhere(browser: Any, sites, kind: str, tmp_path: Path) -> None:
    """A page into which markup did get, by some other way, still runs nothing."""
    config = sites[0]
    page_path = config.site / "method" / "index.html"
    whole = page_path.read_text(encoding="utf-8")
    bad = (
        "<script>document.title = 'run'</script><img src='nothing.png' alt='' onerror=\"document.title = 'run'\">"
        "<script src='http://127.0.0.1:9/x.js'></script><p style='color: red' id='bad'>x</p>"
        "<img src='http://127.0.0.1:9/x.png' alt=''>"
    )
    try:
        page_path.write_text(whole.replace('<main id="main">', f'<main id="main">{bad}'), encoding="utf-8")
        with under_a_path(config.site) as address:
            context = browser.new_context()
            page = context.new_page()
            refused: list[str] = []
            page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
            page.goto((address if kind == "http" else config.site.as_uri() + "/") + "method/index.html")
            page.wait_for_timeout(300)
            assert "run" not in page.title()
            assert page.locator("#bad").evaluate("node => getComputedStyle(node).color") != "rgb(255, 0, 0)"
            policy = [text for text in refused if "Content Security Policy" in text]
            assert len(policy) >= 5
            assert page.get_by_role("slider", name="Step").is_visible()  # the site's own script did run
            context.close()
    finally:
        page_path.write_text(whole, encoding="utf-8")
