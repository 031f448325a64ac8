"""Videos in the site: what is copied, what pages say of them, and what a check finds."""

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from atlas import studies
from atlas.plan.config import Config
from atlas.plan.jobs import feature_jobs
from atlas.plan.recipes import Octave, Recipe
from atlas.site.build import build_site
from atlas.site.check import check_site, check_store
from atlas.store.clips import clip_folder
from atlas.store.video import encode_clip
from atlas.studies import load_config
from atlas.studies.raster.jobs import config_clips
from frames import pattern, put_frames, with_videos
from stores import WEIGHTS, put

SMALL = Recipe("small", (Octave(75, 1, (1, 1)),))
COPIES = ("video.mp4", "poster.jpg", "sheet.avif", "sheet.jpg", "clip.json")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two videos, of which one is encoded."""
    plain = replace(
        load_config("demo"), store=tmp_path / "store", site=tmp_path / "site", layers=("Mixed_5b", "Mixed_5c")
    )
    config = with_videos(plain, "Mixed_5b[3]", "Mixed_5c[200]", recipe=SMALL)
    clip = config_clips(config)[0]
    put_frames(config.store, clip, pattern)
    encode_clip(config.store, WEIGHTS, clip)
    for job in feature_jobs(config):
        put(config.store, job)
    return config


def text(config: Config, path: str) -> str:
    return (config.site / path).read_text(encoding="utf-8")


def test_a_video_lies_beside_its_features_page(config: Config) -> None:
    report = build_site(config, WEIGHTS, studies.pages())
    assert report.videos == 1
    folder = clip_folder(config.store, WEIGHTS, config_clips(config)[0])
    for name in COPIES:
        assert (config.site / "Mixed_5b/3" / name).read_bytes() == (folder / name).read_bytes()
    assert check_site(config.site).faults == ()
    assert check_store(config.store) == []


def test_its_page_says_what_the_player_needs(config: Config) -> None:
    build_site(config, WEIGHTS, studies.pages())
    page = text(config, "Mixed_5b/3/index.html")
    assert '<h2 id="video">Neurons in reading order</h2>' in page
    assert "49 frames on a grid of 7&nbsp;×&nbsp;7 neurons, 7 a second" in page
    player = json.loads(unescape(re.findall('data-player="([^"]*)"', page)[0]))
    assert player == {
        "layer": "Mixed_5b", "feature": 3, "grid": [7, 7], "cells": [7, 7], "stride": 1, "fps": 7, "picture": [75, 75],
        "field": [-2.0, -2.0, 29.0, 29.0], "jump": 8.0,
    }  # fmt: skip
    assert 'preload="none" muted playsinline' in page
    assert '<script src="../../static/raster.js" defer></script>' in page
    assert 'alt="Contact sheet of the video of Mixed_5b feature 3: 49 frames in 7 rows of 7' in page
    assert "atlas raster</span> <span>&#34;Mixed_5b[3]&#34;" in page
    assert len(page) < 20_000


def test_pages_without_a_video_have_neither_player_nor_its_script(config: Config) -> None:
    build_site(config, WEIGHTS, studies.pages())
    for path in config.site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        if path.parent.relative_to(config.site).as_posix() != "Mixed_5b/3":
            assert "raster.js" not in page
            assert "<video" not in page


def test_all_videos_are_listed_and_the_list_is_linked_from_home(config: Config) -> None:
    build_site(config, WEIGHTS, studies.pages())
    assert 'href="videos/index.html"' in text(config, "index.html")
    page = text(config, "videos/index.html")
    assert 'href="../Mixed_5b/3/index.html#video"' in page
    assert 'src="../Mixed_5b/3/poster.jpg" width="76" height="76"' in page
    assert 'href="../Mixed_5c/200/index.html"' in page  # without a frame to go to
    assert page.count('<span class="status pending">') == 1


def test_an_atlas_without_videos_does_not_speak_of_them(config: Config) -> None:
    build_site(config.only_features(), WEIGHTS, studies.pages())
    assert "videos" not in text(config, "index.html")
    assert not (config.site / "videos").exists()


def test_nothing_is_copied_twice_and_what_is_no_longer_shown_goes(config: Config) -> None:
    build_site(config, WEIGHTS, studies.pages())
    times = {path: path.stat().st_mtime_ns for path in config.site.rglob("*")}
    build_site(config, WEIGHTS, studies.pages())
    assert {path: path.stat().st_mtime_ns for path in config.site.rglob("*")} == times
    (config.site / "Mixed_5b/3/video.mp4").unlink()
    build_site(config, WEIGHTS, studies.pages())
    assert (config.site / "Mixed_5b/3/video.mp4").is_file()
    next(config.store.rglob("*_k0020.png")).unlink()  # not fresh: its frames are not all there
    assert build_site(config, WEIGHTS, studies.pages()).videos == 0
    assert not (config.site / "Mixed_5b/3/video.mp4").exists()
    assert "<video" not in text(config, "Mixed_5b/3/index.html")
    assert check_site(config.site).faults == ()


def _cut(data: bytes) -> bytes:
    return data[:-100]


def _without_index(data: bytes) -> bytes:
    return data.replace(b"moov", b"free", 1)


def _index_last(data: bytes) -> bytes:
    """The same boxes with moov at the end."""
    boxes, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        boxes.append(data[at : at + size])
        at += size
    return b"".join(sorted(boxes, key=lambda box: box[4:8] == b"moov"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_cut, "cut off"),
        (_without_index, "not a video"),
        (_index_last, "its index is at its end"),
        (lambda _: b"", "not a"),
    ],
)
def test_a_spoilt_video_is_found_in_site_and_store(config: Config, change, words: str) -> None:
    build_site(config, WEIGHTS, studies.pages())
    for folder in (config.site / "Mixed_5b/3", clip_folder(config.store, WEIGHTS, config_clips(config)[0])):
        path = folder / "video.mp4"
        path.write_bytes(change(path.read_bytes()))
    assert any(f"Mixed_5b/3/video.mp4: {words}" in fault for fault in check_site(config.site).faults)
    (fault,) = check_store(config.store)
    assert "video.mp4: missing, or not what was written; encode the video again" in fault


def test_a_spoilt_record_is_found_in_the_store(config: Config) -> None:
    path = clip_folder(config.store, WEIGHTS, config_clips(config)[0]) / "clip.json"
    path.write_bytes(b"{}")
    (fault,) = check_store(config.store)
    assert fault.startswith(f"{path}: not a record that this version reads")


def test_links_to_posters_and_to_neurons_are_checked(config: Config) -> None:
    build_site(config, WEIGHTS, studies.pages())
    page = config.site / "method/index.html"
    whole = page.read_text()
    good, bad = '<a href="../Mixed_5b/3/index.html#6,6">', '<a href="../Mixed_5b/3/index.html#7,0">'
    page.write_text(whole.replace("</main>", f"{good}there</a></main>"))
    assert check_site(config.site).faults == ()
    page.write_text(whole.replace("</main>", f"{bad}there</a></main>"))
    assert "leads to a place that Mixed_5b/3/index.html does not have" in check_site(config.site).faults[0]
    page.write_text(whole)
    (config.site / "Mixed_5b/3/poster.jpg").unlink()
    faults = check_site(config.site).faults
    assert any('the link "poster.jpg" leads to no file' in fault for fault in faults)


def test_the_script_is_small_and_connects_to_nothing() -> None:
    script = (Path(__file__).parent.parent / "templates/static/raster.js").read_text()
    assert len(script.encode()) <= 6 * 1024
    for forbidden in ("fetch(", "http", "XMLHttpRequest", "import", "eval", "innerHTML"):
        assert forbidden not in script
