"""The player in a real browser: frame k is what is shown after asking for frame k, whichever way it was asked for."""

import base64
import io
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from atlas import studies
from atlas.plan.jobs import feature_jobs
from atlas.plan.recipes import Octave, Recipe
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.store.video import encode_clip
from atlas.studies import load_config
from atlas.studies.raster.jobs import config_clips
from browser import chromium, served
from frames import pattern, put_frames, read_pattern, with_videos
from stores import WEIGHTS, put

ROWS = COLS = 17
LAST = ROWS * COLS - 1
FRAMES = sorted({*range(0, LAST, COLS), LAST, *random.Random(289).sample(range(LAST + 1), 30)})
RASTER = load_config().recipes["raster"]
STRIDED = Recipe("strided", (Octave(75, 1, (1, 1)),))
PAGE = "Mixed_6b/654/index.html"
COVERED = "Mixed_6b/415/index.html"

VIDEO = "document.querySelector('video')"
IS_SETTLED = f"{VIDEO}.readyState >= 2 && {VIDEO}.currentTime > 0 && !{VIDEO}.seeking && {VIDEO}.paused"
SHOWN = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  done(canvas.toDataURL("image/png").split(",")[1]);
})))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of three videos whose frames say which they are: 17 × 17, one of wider fields, and a strided one."""
    folder = tmp_path_factory.mktemp("player")
    config = replace(load_config("demo"), store=folder / "store", site=folder / "site", layers=("Mixed_5b", "Mixed_6b"))
    config = with_videos(config, "Mixed_6b[654]", "Mixed_6b[415]", recipe=RASTER)
    build(config)
    strided = with_videos(replace(config, site=folder / "strided"), "Mixed_5b[3]", recipe=STRIDED, stride=2)
    build(strided)
    return folder


def build(config) -> None:
    for clip in config_clips(config):
        put_frames(config.store, clip, pattern)
        assert encode_clip(config.store, WEIGHTS, clip).record
    for job in feature_jobs(config):
        put(config.store, job)
    build_site(config, WEIGHTS, studies.pages())
    assert check_site(config.site).faults == ()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(site: Path) -> str:
    return served(site / "site")


@contextmanager
def opened(browser: Any, url: str, **settings: Any) -> Iterator[Any]:
    """A page in a fresh context; errors of its script fail the test."""
    settings = {"viewport": {"width": 1280, "height": 900}, **settings}
    context = browser.new_context(**settings)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(url)
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address + PAGE) as found:
        yield found


def until(page: Any, condition: str) -> None:
    """Wait for a condition; Playwright's own way of waiting is forbidden by the page's Content-Security-Policy."""
    deadline = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.01)


def until_named(page: Any, row: int, col: int) -> None:
    until(page, f"document.querySelector('.where code').textContent.endsWith(', {row}, {col}]')")


def board_box(page: Any) -> dict[str, float]:
    """Where the grid lies, once the page has stopped scrolling."""
    board = page.locator(".board")
    board.scroll_into_view_if_needed()
    box, before = board.bounding_box(), None
    while box != before:
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        box, before = board.bounding_box(), box
    return box


def hover(page: Any, k: int, *, rows: int = ROWS, cols: int = COLS) -> None:
    """Put the mouse on the middle of a cell."""
    box = board_box(page)
    row, col = divmod(k, cols)
    page.mouse.move(box["x"] + (col + 0.5) / cols * box["width"], box["y"] + (row + 0.5) / rows * box["height"])


def shown(page: Any) -> int:
    """The frame that the video shows, from its pixels."""
    until(page, IS_SETTLED)
    data = page.evaluate(SHOWN)
    return read_pattern(Image.open(io.BytesIO(base64.b64decode(data))))


def seen(page: Any) -> int:
    """The frame that a person sees, from a picture of the page; a page from a disk may not read its video's pixels."""
    until(page, IS_SETTLED)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return read_pattern(Image.open(io.BytesIO(page.locator("video").screenshot())))


def named(page: Any) -> tuple[str, str]:
    return page.locator(".where code").inner_text(), page.locator(".where span").inner_text()


def test_frame_k_is_shown_after_seeking_to_k(page: Any) -> None:
    wrong = {}
    for k in random.Random(1).sample(FRAMES, len(FRAMES)):
        hover(page, k)
        assert named(page) == (f"Mixed_6b[654, {k // COLS}, {k % COLS}]", f"frame {k + 1} of 289")
        if (found := shown(page)) != k:
            wrong[k] = found
    assert wrong == {}


def test_frame_k_is_shown_from_a_disk_too(browser: Any, site: Path) -> None:
    with opened(browser, (site / "site" / PAGE).as_uri()) as page:
        wrong = {}
        for k in random.Random(2).sample(FRAMES, len(FRAMES)):
            hover(page, k)
            if (found := seen(page)) != k:
                wrong[k] = found
        assert wrong == {}


def test_a_fast_mouse_ends_at_the_newest_frame_with_few_seeks(page: Any) -> None:
    hover(page, 0)
    shown(page)
    page.evaluate(
        "() => { window.seeks = 0; document.querySelector('video').addEventListener('seeking', () => seeks++); }"
    )
    page.evaluate("""() => {
      const board = document.querySelector(".board");
      const { left, top, width, height } = board.getBoundingClientRect();
      for (let k = 0; k < 200; k++) {
        const clientX = left + (k % 17 + 0.5) / 17 * width;
        const clientY = top + (Math.floor(k / 17) + 0.5) / 17 * height;
        board.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
      }
    }""")
    until(page, "Math.abs(document.querySelector('video').currentTime - 199.5 / 17) < 0.001")
    assert shown(page) == 199
    assert page.evaluate("seeks") <= 3


def test_keys_walk_in_reading_order(page: Any) -> None:
    page.evaluate("location.hash = '#4,5'")
    board = page.locator(".board")
    steps = [
        ("ArrowRight", (4, 6)), ("ArrowDown", (5, 6)), ("End", (5, 16)), ("ArrowRight", (6, 0)), ("ArrowLeft", (5, 16)),
        ("Home", (5, 0)), ("ArrowUp", (4, 0)), ("PageDown", (9, 0)), ("PageDown", (14, 0)), ("PageDown", (16, 0)),
        ("ArrowDown", (16, 0)), ("PageUp", (11, 0)), ("Control+Home", (0, 0)), ("ArrowLeft", (0, 0)),
        ("Control+End", (16, 16)), ("ArrowRight", (16, 16)),
    ]  # fmt: skip
    for key, (row, col) in steps:
        board.press(key)
        assert named(page)[0] == f"Mixed_6b[654, {row}, {col}]", key
        assert board.get_attribute("aria-activedescendant") == f"cell-{row * COLS + col + 1}"
        assert page.locator("[aria-selected=true]").get_attribute("aria-label") == f"{row}, {col}"
        assert page.locator(".board .in").count() == row * COLS + col + 1
        assert shown(page) == row * COLS + col
    assert board.evaluate("board => board === document.activeElement")


def test_pressing_and_dragging_seek(browser: Any, address: str) -> None:
    with opened(browser, address + PAGE, has_touch=True) as page:
        box = board_box(page)
        page.touchscreen.tap(box["x"] + 2.5 / COLS * box["width"], box["y"] + 3.5 / ROWS * box["height"])
        assert shown(page) == 3 * COLS + 2
        hover(page, 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] + 300, box["y"] + 10.5 / ROWS * box["height"])  # over the edge
        page.mouse.up()
        assert shown(page) == 10 * COLS + 16


def test_an_address_names_a_frame(browser: Any, address: str) -> None:
    with opened(browser, f"{address}{PAGE}#12,3") as page:
        until(page, IS_SETTLED)
        assert shown(page) == 12 * COLS + 3
        until(page, "document.querySelector('.board').getBoundingClientRect().top < innerHeight")  # it scrolls smoothly
        page.evaluate("location.hash = '#0,16'")
        until_named(page, 0, 16)
        assert shown(page) == 16
        for nothing in ("#17,0", "#0,17", "#again", "#1,2,3", "#-1,0", "#1e1,1"):
            page.evaluate("hash => { location.hash = hash }", nothing)
            page.wait_for_timeout(20)
        assert shown(page) == 16


def test_the_address_follows_a_press_and_not_a_mouse_that_passes_by(page: Any) -> None:
    entries = page.evaluate("history.length")
    hover(page, 40)
    assert shown(page) == 40
    page.wait_for_timeout(600)
    assert page.evaluate("location.hash") == ""
    page.mouse.down()
    hover(page, 41)
    page.mouse.up()
    hover(page, 60)
    page.wait_for_url("**/index.html#2,7", timeout=20000)
    assert named(page)[0] == "Mixed_6b[654, 3, 9]"
    page.locator(".board").press("ArrowDown")
    page.wait_for_url("**/index.html#4,9", timeout=20000)
    assert page.evaluate("history.length") == entries


def swipe(page: Any, across: float, down: float, start: tuple[float, float] = (0.5, 0.5)) -> None:
    """Move a finger from a place of the grid, given by its shares of width and height, by so many pixels."""
    box = board_box(page)
    x, y = box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"]
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", (x, y))
    for step in range(1, 11):
        touch("touchMove", (x + across * step / 10, y + down * step / 10))
        page.wait_for_timeout(20)
    touch("touchEnd")


def test_a_finger_scrubs_sideways_and_scrolls_the_page_downwards(browser: Any, address: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with opened(browser, address + PAGE, **phone) as page:
        box = board_box(page)
        before, words = page.evaluate("scrollY"), named(page)
        swipe(page, 0, -200)
        until(page, f"scrollY > {before} + 100")
        assert named(page) == words, "who scrolls does not scrub"
        assert page.evaluate("document.querySelector('video').preload") == "none"
        swipe(page, 0.3 * box["width"], 0, start=(0.51, 0.51))
        assert shown(page) == 8 * COLS + 13
        page.wait_for_url("**/index.html#8,13", timeout=20000)


def test_the_grid_is_seen_in_colours_that_are_forced(browser: Any, address: str) -> None:
    with opened(browser, address + PAGE, forced_colors="active") as page:
        hover(page, 40)
        cells = [page.locator(f"#cell-{at}") for at in (40, 41, 42)]
        colours = [cell.evaluate("cell => getComputedStyle(cell).backgroundColor") for cell in cells]
        assert len(set(colours)) == 3, "before, current and after"


def test_it_plays_pauses_and_names_what_it_shows(page: Any) -> None:
    button = page.get_by_role("button", name="Play")
    page.get_by_label("Speed").select_option("2")
    button.click()
    until(page, "document.querySelector('video').currentTime > 1")
    assert page.evaluate("document.querySelector('video').playbackRate") == 2
    assert page.evaluate("document.querySelector('video').muted")
    page.get_by_role("button", name="Pause").click()
    k = int(re.findall(r"\d+", named(page)[1])[0]) - 1
    assert k >= 16
    assert shown(page) == k
    board = page.locator(".board")
    board.press("End")
    board.press(" ")
    until(page, "!document.querySelector('video').paused")
    hover(page, 200)  # a mouse that passes by does not stop it
    assert not page.evaluate("document.querySelector('video').paused")
    hover(page, 250)
    page.mouse.down()
    page.mouse.up()
    assert shown(page) == 250


def test_at_its_end_it_stays_on_the_last_frame_and_begins_again(page: Any) -> None:
    page.evaluate("location.hash = '#16,0'")
    until(page, "document.querySelector('video').readyState >= 2")
    shown(page)
    page.get_by_role("button", name="Play").click()
    until(page, "document.querySelector('.where span').textContent === 'frame 289 of 289'")
    until(page, "document.querySelector('video').paused")
    assert shown(page) == LAST
    page.get_by_role("button", name="Play").click()
    until(page, "document.querySelector('video').currentTime < 5")
    assert not page.evaluate("document.querySelector('video').paused")


def test_the_field_of_the_neuron_is_drawn_where_it_lies(page: Any, browser: Any, address: str) -> None:
    def box(page: Any) -> list[float]:
        return [float(page.locator("svg svg").get_attribute(key)) for key in ("x", "y", "width", "height")]

    page.evaluate("location.hash = '#8,8'")
    until_named(page, 8, 8)
    assert box(page) == [54, 54, 191, 191]  # neuron (8, 8) is in the middle of 299 pixels
    page.evaluate("location.hash = '#0,16'")
    until_named(page, 0, 16)
    assert box(page) == [182, 0, 117, 117]
    assert page.locator(".boxed").is_visible()
    with opened(browser, f"{address}{COVERED}#8,8") as wider:
        assert box(wider)[2] == 0
        assert wider.locator(".covered").is_visible()
        assert not wider.locator(".boxed").is_visible()
        wider.locator(".board").press("Home")
        assert box(wider) == [0, 0, 197, 299]


def test_a_strided_grid_says_so_and_takes_every_neurons_address(browser: Any, site: Path) -> None:
    url = served(site / "strided") + "Mixed_5b/3/index.html"
    with opened(browser, f"{url}#5,6") as page:
        assert "A cell of the grid is 2\xa0×\xa02 neurons" in page.locator(".video").inner_text()
        assert page.locator(".board [role=gridcell]").count() == 16
        assert shown(page) == 2 * 4 + 3
        assert named(page) == ("Mixed_5b[3, 5, 6]", "frame 12 of 16")
        hover(page, 15, rows=4, cols=4)
        page.mouse.down()
        page.wait_for_url("**/index.html#6,6", timeout=20000)
        assert shown(page) == 15


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_nothing_of_the_video_is_loaded_before_it_is_wanted(
    browser: Any, address: str, width: int, height: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    sizes: dict[str, int] = {}
    page.on("response", lambda answer: sizes.update({answer.url.rsplit("/", 1)[1]: len(answer.body())}))
    page.goto(address + PAGE, wait_until="networkidle")
    assert "video.mp4" not in sizes
    assert not any(name.startswith(("sheet", "poster")) for name in sizes)
    assert sum(sizes.values()) <= 100_000, sizes
    with page.expect_response("**/video.mp4"):
        hover(page, 5)
    context.close()


def test_without_a_script_there_is_the_sheet(browser: Any, address: str) -> None:
    with opened(browser, address + PAGE, java_script_enabled=False) as page:
        sheet = page.get_by_role("img", name="Contact sheet")
        sheet.scroll_into_view_if_needed()
        assert sheet.is_visible()
        assert not page.locator(".player").is_visible()
        assert not page.locator(".ask").is_visible()
        assert page.get_by_role("link", name="video").get_attribute("href") == "video.mp4"


def test_with_reduced_motion_the_sheet_comes_first(browser: Any, address: str) -> None:
    with opened(browser, address + PAGE, reduced_motion="reduce") as page:
        sheet, player = page.get_by_role("img", name="Contact sheet"), page.locator(".player")
        assert (sheet.is_visible(), player.is_visible()) == (True, False)
        page.get_by_role("button", name="Show the player").click()
        assert (sheet.is_visible(), player.is_visible()) == (False, True)
        hover(page, 100)
        assert shown(page) == 100
    with opened(browser, f"{address}{PAGE}#1,1", reduced_motion="reduce") as page:
        assert shown(page) == 18  # who follows a link to a frame asks for the player


def test_on_paper_there_is_the_sheet(page: Any) -> None:
    page.emulate_media(media="print")
    assert page.get_by_role("img", name="Contact sheet").is_visible()
    assert not page.locator(".player").is_visible()


def test_a_video_that_cannot_be_played_leaves_the_sheet(browser: Any, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site / "site", tmp_path / "site")
    (tmp_path / "site" / "Mixed_6b/654/video.mp4").write_bytes(b"not a video")
    with opened(browser, served(tmp_path / "site") + PAGE) as page:
        hover(page, 5)
        page.get_by_role("img", name="Contact sheet").wait_for(state="visible", timeout=20000)
        assert not page.locator(".player").is_visible()
