"""The pages of dreams: before and after, what they say, and a slider that a browser moves."""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

import icc
from atlas import studies
from atlas.plan.config import Config
from atlas.site.build import SiteReport, build_site
from atlas.site.check import check_site
from atlas.store import photos
from atlas.store.records import Status
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from atlas.studies.dreams.jobs import Dream, config_dreams
from atlas.studies.dreams.page import dream_page
from atlas.studies.dreams.settings import Settings as DreamsSettings
from atlas.studies.dreams.starts import identify_photos, keep_photos
from browser import chromium
from stores import WEIGHTS, put

ROOT = Path(__file__).parent.parent.parent
TEXT = """
extends = "demo"
[atlas]
store = "store"
site = "site"
base_url = "https://example.org/atlas/"
[features]
layers = ["Mixed_5b"]
count = 1
only = false
[dream]
photos = ["secret folder/tall one.png", "drawn"]
targets = ["Mixed_5b[:]", "Mixed_5b[2] + Mixed_5b[5]"]
recipe = "dream"
size = 200
[tuning]
size = 0
"""


def make(folder: Path, statuses: tuple[Status | None, ...] = ("ok",)) -> tuple[Config, tuple[Dream, ...]]:
    """A configuration, its photographs kept, and masters in turn with these statuses; None: pending."""
    (folder / "secret folder").mkdir()
    Image.linear_gradient("L").resize((120, 180)).convert("RGB").save(folder / "secret folder" / "tall one.png")
    (folder / "atlas.toml").write_text(TEXT)
    config = identify_photos(load_config(str(folder / "atlas.toml")), lambda line: None)
    dreams = config_dreams(config)
    keep_photos(config, [dream.job for dream in dreams])
    write_weights_id(config.store, WEIGHTS)
    for at, dream in enumerate(dreams):
        if status := statuses[at % len(statuses)]:
            put(config.store, dream.job, status=status, seed=dream.title)
    return config, dreams


def built(config: Config) -> SiteReport:
    report = build_site(config, WEIGHTS, studies.pages())
    assert check_site(config.site).faults == ()
    return report


def page_of(config: Config, dream: Dream) -> str:
    return (config.site / dream_page(dream)).read_text(encoding="utf-8")


def words_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_each_dream_has_a_page_two_clicks_from_home(tmp_path: Path) -> None:
    config, dreams = make(tmp_path)
    built(config)
    assert 'href="dreams/index.html"' in (config.site / "index.html").read_text()
    listed = (config.site / "dreams/index.html").read_text()
    for dream in dreams:
        assert f'href="{dream_page(dream).removeprefix("dreams/")}"' in listed
    assert [dream_page(dream) for dream in dreams][::3] == [
        "dreams/tall-one-Mixed_5b_all/index.html",
        "dreams/drawn-Mixed_5b_0002+Mixed_5b_0005/index.html",
    ]
    assert (config.site / "Mixed_5b/5/index.html").exists(), "a feature that is named has a page"


def test_before_and_after_are_of_one_size_and_before_is_the_photograph(tmp_path: Path) -> None:
    config, dreams = make(tmp_path)
    built(config)
    html = page_of(config, dreams[0])
    height, width = dreams[0].job.sizes[-1]
    assert (width, height) == (200, 300)
    sources = re.findall(r'<img src="([^"]+)" width="(\d+)" height="(\d+)" alt="([^"]+)"', html)
    assert [source[1:3] for source in sources] == [("200", "300")] * 2
    assert all("tall one.png" in source[3] for source in sources)
    folder = (config.site / dream_page(dreams[0])).parent
    for name in re.findall(r'srcset="([^"]+)"', html):
        with Image.open(folder / name) as image:
            assert image.size == (200, 300)
    with Image.open(folder / sources[0][0]) as image:
        assert abs(image.convert("L").getpixel((50, image.height // 2)) - 128) < 8


def keep_with_profile(config: Config, dream: Dream) -> None:
    """Keep a photograph as earlier versions kept a scan in grey: RGB with the profile of grey."""
    path = photos.photo_path(config.store, dream.job.start)
    with Image.open(path) as image:
        image.load()
    info = PngImagePlugin.PngInfo()
    info.add_itxt("atlas-photo", image.info["atlas-photo"])
    image.save(path, pnginfo=info, icc_profile=icc.grey(2.2))


def test_a_profile_in_the_store_enters_no_copy(tmp_path: Path) -> None:
    config, dreams = make(tmp_path)
    keep_with_profile(config, dreams[0])
    built(config)
    copies = list(config.site.rglob("before.*"))
    assert len(copies) == 2 * len(dreams)
    for copy in copies:
        with Image.open(copy) as image:
            assert "icc_profile" not in image.info


def test_people_read_the_files_name_and_paths_have_what_is_safe(tmp_path: Path) -> None:
    texts = {"夏 & <b>.png": (9, 90, 9), "冬.png": (90, 9, 9)}
    for text, colour in texts.items():
        Image.new("RGB", (120, 180), colour).save(tmp_path / text)
    lines = TEXT.replace('"secret folder/tall one.png", "drawn"', ", ".join(f'"{text}"' for text in texts))
    (tmp_path / "atlas.toml").write_text(lines, encoding="utf-8")
    config = identify_photos(load_config(str(tmp_path / "atlas.toml")), lambda line: None)
    dreams = config_dreams(config)
    keep_photos(config, [dream.job for dream in dreams])
    write_weights_id(config.store, WEIGHTS)
    for dream in dreams:
        put(config.store, dream.job, seed=dream.title)
    built(config)
    first, page = dreams[0], page_of(config, dreams[0])
    assert dream_page(first) == "dreams/b-Mixed_5b_all/index.html"
    assert dream_page(dreams[2]) == f"dreams/photo-{dreams[2].job.start.sha256[:8]}-Mixed_5b_all/index.html"
    assert "<title>夏 &amp; &lt;b&gt;.png, Mixed_5b[:]" in page
    assert 'alt="The picture 夏 &amp; &lt;b&gt;.png as it was."' in page
    assert "<b>" not in page
    listed = (config.site / "dreams/index.html").read_text(encoding="utf-8")
    assert "夏 &amp; &lt;b&gt;.png → " in listed
    assert "冬.png → " in listed


def test_a_page_says_how_to_make_the_dream_again_and_nothing_of_the_machine(tmp_path: Path) -> None:
    config, dreams = make(tmp_path)
    built(config)
    text = words_of(page_of(config, dreams[0])).replace("&#39;", "'").replace("&#34;", '"')
    assert "atlas dream 'tall one.png' --target \"Mixed_5b[:]\" --weights demo --recipe dream" in text
    assert "--seed 999 --size 200 --device cpu" in text
    assert "0.01235 before, at the same size; 3.142 after" in text
    assert "1 130 × 195 px 0.1 → 1.1 100 0.25 → 0.2 0.4 → 0.25 22 × 13" in text
    assert dreams[0].job.start.sha256 in text
    for path in config.site.rglob("*"):
        if path.is_file():
            assert b"secret folder" not in path.read_bytes(), path
            assert str(tmp_path).encode() not in path.read_bytes(), path


def test_every_status_has_its_words(tmp_path: Path) -> None:
    config, dreams = make(tmp_path, ("not_raised", "no_gradient", "failed", None))
    built(config)
    texts = [words_of(page_of(config, dream)) for dream in dreams]
    assert "did not raise the score above that of the picture" in texts[0]
    assert "no step could activate a neuron of the target" in texts[1]
    assert "became infinite or NaN in octave 2, at step 13" in texts[2]
    assert "Planned, not rendered yet" in texts[3]
    assert "<label>" not in page_of(config, dreams[3])


def test_a_photograph_that_is_gone_or_damaged_leaves_the_dream(tmp_path: Path) -> None:
    config, dreams = make(tmp_path)
    kept = photos.photo_path(config.store, dreams[0].job.start)
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 255
    kept.write_bytes(data)
    report = built(config)
    (line,) = report.damaged
    assert str(kept) in line
    assert "which the store no longer has" in page_of(config, dreams[0])
    assert "<label>" not in page_of(config, dreams[0])
    assert "<label>" in page_of(config, dreams[2])
    kept.unlink()
    assert built(config).damaged == ()
    assert "which the store no longer has" in page_of(config, dreams[0])


def test_nothing_is_encoded_twice_and_another_photograph_anew(tmp_path: Path) -> None:
    config, _ = make(tmp_path)
    assert built(config).encoded > 0
    assert built(config).encoded == 0
    (named, drawn), file = config.study(DreamsSettings).photos, tmp_path / "secret folder" / "tall one.png"
    Image.new("RGB", (120, 180), (9, 99, 9)).save(file)
    other = identify_photos(config, lambda line: None)
    assert other.study(DreamsSettings).photos[0].photo != named.photo
    assert other.study(DreamsSettings).photos[1] == drawn
    built(other)
    assert "Planned, not rendered yet" in page_of(other, config_dreams(other)[0]), "the old dream is not shown"


def test_the_site_needs_neither_torch_nor_the_photographs(tmp_path: Path) -> None:
    config, _ = make(tmp_path)
    built(config)
    before = {path: path.read_bytes() for path in config.site.rglob("*") if path.is_file()}
    (tmp_path / "secret folder" / "tall one.png").unlink()
    program = (
        "import sys\nfor name in ('torch', 'torchvision', 'numpy'): sys.modules[name] = None\n"
        "from atlas.cli import app\napp()"
    )
    command = [sys.executable, "-c", program, "site", "--config", tmp_path / "atlas.toml"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    assert {path: path.read_bytes() for path in config.site.rglob("*") if path.is_file()} == before


def test_without_dreams_there_is_no_page(tmp_path: Path) -> None:
    config, _ = make(tmp_path)
    built(config.with_study(config.study(DreamsSettings).emptied()))
    assert not (config.site / "dreams").exists()
    assert "dreams/" not in (config.site / "index.html").read_text()


# In a browser


@pytest.fixture(scope="module")
def page_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    config, dreams = make(tmp_path_factory.mktemp("dreams"))
    built(config)
    return (config.site / dream_page(dreams[2])).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Any, page_url: str) -> Iterator[Any]:
    """A page from a disk; whatever its Content-Security-Policy refuses fails the test."""
    context = browser.new_context(viewport={"width": 900, "height": 900})
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    found.goto(page_url)
    yield found
    context.close()
    assert errors == []


def box_of(page: Any, at: int) -> tuple[float, ...]:
    box = page.locator(".dream img").nth(at).bounding_box()
    return box["x"], box["y"], box["width"], box["height"]


def shown(page: Any) -> list[bytes]:
    """What is seen in ten strips across the pictures."""
    whole = Image.open(io.BytesIO(page.locator(".dream img").nth(1).screenshot()))
    middles = [(k + 0.5) * whole.width / 10 for k in range(10)]
    return [whole.crop((round(at) - 5, 0, round(at) + 5, whole.height)).tobytes() for at in middles]


def difference(one: bytes, other: bytes) -> float:
    """The mean of the channels' differences, from 0 to 255; an enlarged picture is not drawn alike to the byte."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def test_the_slider_uncovers_the_picture_before(page: Any) -> None:
    assert box_of(page, 0) == box_of(page, 1)
    slider = page.get_by_role("slider", name="Boundary between before and after")
    seen = {}
    for value, key in ((0, "Home"), (100, "End")):
        slider.press(key)
        assert slider.input_value() == str(value)
        seen[value] = shown(page)
    assert all(difference(*both) > 5 for both in zip(seen[0], seen[100], strict=True))
    slider.press("Home")
    for _ in range(30):
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "before 30 %, after 70 %"
    expected = seen[100][:3] + seen[0][3:]
    assert all(difference(*both) < 1 for both in zip(shown(page), expected, strict=True))


def test_a_scan_in_grey_is_shown(browser: Any, tmp_path: Path) -> None:
    config, _ = make(tmp_path)
    ramp = Image.linear_gradient("L").resize((120, 180))
    ramp.save(tmp_path / "secret folder" / "tall one.png", icc_profile=icc.grey(1.8))
    config = identify_photos(config, lambda line: None)
    dream = config_dreams(config)[0]
    keep_photos(config, [dream.job])
    put(config.store, dream.job)
    built(config)
    found = browser.new_page()
    found.goto((config.site / dream_page(dream)).as_uri())
    before = found.locator(".dream img").first
    assert before.evaluate("image => image.decode().then(() => [image.currentSrc.slice(-5), image.naturalWidth])") == [
        ".avif",
        200,
    ]
    found.close()


def test_a_press_on_the_picture_moves_the_slider(page: Any) -> None:
    left, top, width, height = box_of(page, 1)
    page.mouse.move(left + 0.2 * width, top + height / 2)
    page.mouse.down()
    page.mouse.move(left + 0.75 * width, top + height / 2)
    page.mouse.up()
    page.mouse.move(left + 0.9 * width, top + height / 2)
    assert page.get_by_role("slider").input_value() == "75"


def test_without_scripts_and_on_paper_both_are_whole(browser: Any, page: Any, page_url: str) -> None:
    page.get_by_role("slider").press("End")
    page.emulate_media(media="print")
    assert box_of(page, 0)[0] < box_of(page, 1)[0]
    assert not page.get_by_role("slider").is_visible()
    assert page.locator(".dream img").nth(1).evaluate("image => getComputedStyle(image).clipPath") == "none"
    context = browser.new_context(java_script_enabled=False, viewport={"width": 900, "height": 900})
    plain = context.new_page()
    plain.goto(page_url)
    assert box_of(plain, 0)[0] + box_of(plain, 0)[2] <= box_of(plain, 1)[0]
    assert not plain.get_by_role("slider").is_visible()
    context.close()
