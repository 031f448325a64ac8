"""Check a site built from the sample store as browsers, screen readers and search engines see it: `make check-site`.

html-validate and links over all pages, axe on one page of every kind, Lighthouse on four. The tools lie in check-site/,
and need node, npm and Chromium. What the pages do when somebody uses them, `pytest -m browser` asks.
"""

from __future__ import annotations

import argparse
import json
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from atlas import studies
from atlas.cli.settings import with_photos
from atlas.common.errors import AtlasError
from atlas.plan.config import Config
from atlas.site.build import build_site
from atlas.site.catalogue import gather_atlas
from atlas.site.check import check_site
from atlas.site.links import MISSING
from atlas.site.pages import make_pages
from atlas.site.serve import serve
from atlas.store.weights_ids import resolve_weights
from atlas.studies import load_config

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "scripts" / "check-site"
SAMPLE = ROOT / "tests" / "data" / "sample-store.toml"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE = (20, 19)
FOUR = ("home.html", "layer.html", "feature.html", "method.html")
VIDEO = "Mixed_6b/654/index.html"  # the feature page with the most on it


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    missing = [*missing_programs()]
    if missing:
        sys.exit("check-site: " + "\n            ".join(missing))
    if not install_tools():
        sys.exit("check-site: npm could not install the tools into scripts/check-site; the lines above say why")
    try:
        kinds, config, pages, address = build_sample()
    except AtlasError as error:
        sys.exit(f"check-site: {error}")
    failed = [name for name, is_good in run_checks(kinds, config, pages, address) if not is_good]
    if failed:
        sys.exit(f"check-site: {', '.join(failed)} found faults; the site is {config.site}")


def missing_programs() -> list[str]:
    """What is not installed, a line each with how to get it."""
    lines = []
    node = shutil.which("node")
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout if node else ""
    version = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
    if version < NODE:
        have = f"is {found.strip()}" if found else "is not installed"
        lines.append(f"node {have}, and {NODE[0]}.{NODE[1]} or newer is needed; Debian: apt install nodejs npm")
    elif not shutil.which("npm"):
        lines.append("npm is not installed; Debian: apt install npm")
    if not chromium():
        lines.append(f"no browser is installed; looked for {', '.join(CHROMIUM)}; Debian: apt install chromium")
    return lines


def chromium() -> str | None:
    return next((found for name in CHROMIUM if (found := shutil.which(name))), None)


def install_tools() -> bool:
    """Install what package-lock.json lists, unless that is done; whether it worked."""
    lock, done = TOOLS / "package-lock.json", TOOLS / "node_modules" / ".installed.json"
    if done.exists() and done.read_bytes() == lock.read_bytes():
        return True
    print("installing the tools that scripts/check-site/package.json names")
    if subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=TOOLS, check=False).returncode:
        return False
    shutil.copyfile(lock, done)
    return True


def build_sample() -> tuple[dict[str, str], Config, int, str]:
    """Build the site of the sample store, and serve it.

    Returns:
        A page of each kind, by template; the configuration; how many pages there are; and the site's address, which is
        its base URL too, since the links of a 404 page begin with it.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = replace(with_photos(load_config(str(SAMPLE))), base_url=f"http://127.0.0.1:{port}/")
    weights = resolve_weights(config.store, config.weights, config.weights_input)
    report = build_site(config, weights, studies.pages())
    pages = make_pages(gather_atlas(config, weights, studies.pages()))
    kinds = {page.template: page.path for page in reversed(pages)}
    ready: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve, args=(config.site, port, ready.put), daemon=True).start()
    return {**kinds, "feature.html": VIDEO, "404.html": MISSING}, config, report.pages, ready.get(timeout=10)


def run_checks(kinds: dict[str, str], config: Config, pages: int, address: str) -> list[tuple[str, bool]]:
    """Run every check; says what each found, and returns whether it was nothing."""
    result = check_site(config.site)
    if result.pages != pages:
        print(f"links: {result.pages} pages were read, and {pages} were built")
    print(f"links: {result.pages} pages, {result.links} links, {len(result.faults)} faults", *result.faults, sep="\n")
    four = [kinds[template].removesuffix("index.html") for template in FOUR]  # the canonical addresses
    work = {"address": address, "chromium": chromium(), "pages": list(kinds.values()), "four": four}
    found = [("links", not result.faults and result.pages == pages), ("html-validate", validate_html(config.site))]
    return [*found, ("axe", run_node(work, "axe")), ("lighthouse", run_lighthouse(work))]


def validate_html(site: Path) -> bool:
    command = ["npx", "--no-install", "html-validate", "--config", "htmlvalidate.json", f"{site}/**/*.html"]
    is_good = subprocess.run(command, cwd=TOOLS, check=False).returncode == 0
    print(f"html-validate: {'no errors' if is_good else 'errors'}")
    return is_good


def run_lighthouse(work: Mapping[str, object]) -> bool:
    """Two at a time, mobile and desktop: a run waits more than it works."""
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda form=form: results.append(run_node({**work, "form": form}, "lighthouse")))
        for form in ("mobile", "desktop")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results == [True, True]


def run_node(work: Mapping[str, object], name: str) -> bool:
    started = time.monotonic()
    result = subprocess.run(["node", f"{name}.mjs"], input=json.dumps(dict(work)), text=True, cwd=TOOLS, check=False)
    print(f"{name}: {time.monotonic() - started:.0f} s")
    return result.returncode == 0


if __name__ == "__main__":
    main()
