"""Encoded videos: what ffmpeg made, read back; when one is fresh; and what happens when ffmpeg fails."""

import hashlib
import io
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from atlas.common.errors import StoreError, VideoError
from atlas.plan.clips import Clip
from atlas.plan.recipes import Octave, Recipe
from atlas.store import video
from atlas.store.clips import FILES, RECORD, ClipRecord, clip_folder, find_clip, read_clip
from atlas.store.media import media_fault
from atlas.store.records import read_json
from atlas.store.video import Encoding, encode_clip
from atlas.studies import load_config
from frames import Detailed, clip_of, pattern, put_frames, read_pattern
from stores import WEIGHTS

SMALL = Recipe("small", (Octave(75, 1, (1, 1)),))
ROWS = COLS = 7  # of Mixed_5b at 75 px
FRAMES = ROWS * COLS


@pytest.fixture(scope="module")
def clip() -> Clip:
    return clip_of("Mixed_5b[3]", SMALL)


@pytest.fixture(scope="module")
def made(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Encoding:
    """A video of 49 patterns of 75 × 75 pixels."""
    store = tmp_path_factory.mktemp("store")
    put_frames(store, clip, pattern)
    return encode_clip(store, WEIGHTS, clip)


def ffmpeg(*arguments: object) -> str:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def frames_of(path: Path) -> list[np.ndarray]:
    """The frames as a player would show them, [H, W, 3] each."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    width, height = map(int, re.search(r"Video: .* (\d+)x(\d+)[ ,]", ffmpeg("-i", path, "-f", "null", "-")).groups())
    return list(np.frombuffer(data, np.uint8).reshape(-1, height, width, 3))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_scrubbing_finds_a_keyframe_in_every_row_and_no_b_frames(made: Encoding) -> None:
    shown = re.findall(
        r" n: *(\d+) .*?pts_time:([\d.]+).*?fmt:(\w+).*?s:(\w+).*?iskey:(\d) type:(\w)",
        ffmpeg("-i", made.video, "-vf", "showinfo", "-f", "null", "-"),
    )
    assert [int(n) for n, *_ in shown] == list(range(FRAMES))
    assert [float(at) for _, at, *_ in shown] == pytest.approx([k / COLS for k in range(FRAMES)], abs=1e-5)
    assert {(form, size) for _, _, form, size, *_ in shown} == {("yuv420p", "76x76")}
    assert [n for n, *_, is_key, _ in shown if is_key == "1"] == [str(k) for k in range(0, FRAMES, COLS)]
    assert {kind for *_, kind in shown} == {"I", "P"}


def test_its_colours_are_tagged_and_converted_as_bt709(clip: Clip, tmp_path: Path) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [30, 140, 90], [128, 128, 128]], np.uint8)
    put_frames(tmp_path, clip, lambda k, size: np.full((size, size, 3), colours[k % len(colours)]))
    path = encode_clip(tmp_path, WEIGHTS, clip).video
    told = ffmpeg("-i", path, "-vf", "showinfo", "-f", "null", "-")
    assert "h264 (High)" in told
    assert "yuv420p(tv, bt709, progressive)" in told
    assert "color_range:tv color_space:bt709 color_primaries:bt709 color_trc:bt709" in told
    for k, frame in enumerate(frames_of(path)):
        assert np.abs(frame[20:50, 20:50].astype(int) - colours[k % len(colours)]).max() <= 6


def test_it_can_be_played_before_it_is_loaded_whole(made: Encoding) -> None:
    assert media_fault(made.video) is None
    data = made.video.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sides_are_made_even_without_resampling(clip: Clip, tmp_path: Path) -> None:
    put_frames(tmp_path, clip, Detailed(clip, 75))
    made = encode_clip(tmp_path, WEIGHTS, clip)
    assert made.record
    assert (made.record.frame_size, made.record.video_size) == ((75, 75), (76, 76))
    with Image.open(made.folder / "poster.jpg") as poster:
        assert poster.size == (76, 76)
        shown = np.asarray(poster).astype(int)
    master = Detailed(clip, 75)
    for k in range(FRAMES):
        last = master(k, 75).astype(int)
    assert np.abs(shown[:75, :75] - last).mean() < 8  # a JPEG of noise
    assert np.abs(shown[75] - shown[74]).mean() < 8  # repeated, and then JPEG
    luma = np.array([0.2126, 0.7152, 0.0722])
    frame = frames_of(made.video)[-1] @ luma
    assert np.corrcoef(frame[:75, :75].ravel(), (last @ luma).ravel())[0, 1] > 0.97  # shifted by a pixel: below 0.8


def test_every_frame_is_there_once_and_in_order(made: Encoding) -> None:
    assert [read_pattern(Image.fromarray(frame)) for frame in frames_of(made.video)] == list(range(FRAMES))


@pytest.mark.parametrize("name", ["sheet.avif", "sheet.jpg"])
def test_the_contact_sheet_has_each_frame_at_its_cell(made: Encoding, name: str) -> None:
    assert made.record
    with Image.open(made.folder / name) as sheet:
        sheet.load()
    assert (sheet.height, sheet.width) == made.record.sheet_size == (ROWS * 78 - 2, COLS * 78 - 2)
    for k in range(FRAMES):
        left, top = k % COLS * 78, k // COLS * 78
        assert read_pattern(sheet.crop((left, top, left + 76, top + 76))) == k


def test_the_poster_is_the_last_frame_in_full_colour(made: Encoding) -> None:
    data = (made.folder / "poster.jpg").read_bytes()
    with Image.open(io.BytesIO(data)) as poster:
        assert read_pattern(poster) == FRAMES - 1
        assert poster.layer[0][1:3] == poster.layer[1][1:3] == (1, 1)  # no chroma subsampling
        assert "progressive" not in poster.info


def test_equal_frames_give_equal_bytes(made: Encoding, clip: Clip, tmp_path: Path) -> None:
    put_frames(tmp_path, clip, pattern)
    other = encode_clip(tmp_path, WEIGHTS, clip)
    assert contents(other.folder) == contents(made.folder)
    assert contents(other.folder).keys() == {*FILES, RECORD}
    assert contents(encode_clip(tmp_path, WEIGHTS, clip, force=True).folder) == contents(made.folder)


def test_the_record_says_all_of_it(made: Encoding, clip: Clip) -> None:
    record = read_clip(made.folder / RECORD)
    assert record == made.record
    assert (record.target, record.seed, record.recipe_digest) == ("Mixed_5b[3]", 999, SMALL.digest)
    assert (record.stride, record.fps, record.grid, record.cells) == (1, 7, (7, 7), (7, 7))
    assert "crf=26" in record.encoder
    assert f"ffmpeg={imageio_ffmpeg.get_ffmpeg_version()}" in record.encoder
    for name, note in record.files.items():
        data = (made.folder / name).read_bytes()
        assert (note.bytes, note.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_289_frames_take_less_than_three_megabytes(tmp_path: Path) -> None:
    """Frames about as detailed, and changing about as much, as real ones: those gave 6.6 KB each in mid-video."""
    clip = clip_of("Mixed_6b[654]", load_config().recipes["raster"])
    put_frames(tmp_path, clip, Detailed(clip, 299))
    made = encode_clip(tmp_path, WEIGHTS, clip)
    assert made.record
    assert made.record.video_size == (300, 300)
    assert 1_400_000 < made.record.files["video.mp4"].bytes <= 3_000_000
    assert made.record.files["sheet.avif"].bytes < 1_000_000


def test_a_stride_leaves_one_frame_a_cell(tmp_path: Path) -> None:
    clip = clip_of("Mixed_5b[3]", SMALL, stride=3)
    put_frames(tmp_path, clip, pattern)
    made = encode_clip(tmp_path, WEIGHTS, clip)
    assert made.record
    assert (made.record.cells, made.record.fps) == ((3, 3), 3)
    assert [read_pattern(Image.fromarray(frame)) for frame in frames_of(made.video)] == list(range(9))
    assert made.folder != clip_folder(tmp_path, WEIGHTS, clip_of("Mixed_5b[3]", SMALL))


# Freshness


@pytest.fixture
def kept(clip: Clip, tmp_path: Path) -> Path:
    """A store with all frames and their video."""
    put_frames(tmp_path, clip, pattern)
    assert not encode_clip(tmp_path, WEIGHTS, clip).was_fresh
    return tmp_path


def test_a_fresh_video_is_not_made_again(kept: Path, clip: Clip) -> None:
    times = {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    assert encode_clip(kept, WEIGHTS, clip).was_fresh
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*")} == times


def test_missing_frames_are_waited_for(kept: Path, clip: Clip) -> None:
    folder = clip_folder(kept, WEIGHTS, clip)
    for path in sorted(kept.rglob("*_k*.png"))[10:13]:
        path.unlink()
    outcome = encode_clip(kept, WEIGHTS, clip)
    assert (outcome.record, outcome.missing, outcome.error) == (None, 3, None)
    assert find_clip(kept, WEIGHTS, clip) is None
    put_frames(kept, clip, pattern)
    assert encode_clip(kept, WEIGHTS, clip).was_fresh  # the same frames came back
    assert folder.is_dir()


def _other_fps(folder: Path) -> None:
    record = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps({**record, "fps": 3}))


def _half_record(folder: Path) -> None:
    (folder / RECORD).write_bytes((folder / RECORD).read_bytes()[:200])


def _other_byte(folder: Path) -> None:
    data = bytearray((folder / "video.mp4").read_bytes())
    data[-1] ^= 1
    (folder / "video.mp4").write_bytes(data)


def _no_poster(folder: Path) -> None:
    (folder / "poster.jpg").unlink()


def _cut_sheet(folder: Path) -> None:
    (folder / "sheet.avif").write_bytes((folder / "sheet.avif").read_bytes()[:-5])


@pytest.mark.parametrize("spoil", [_other_fps, _half_record, _other_byte, _no_poster, _cut_sheet])
def test_what_is_not_as_it_was_written_is_made_again(kept: Path, clip: Clip, spoil: Callable[[Path], None]) -> None:
    folder = clip_folder(kept, WEIGHTS, clip)
    before = contents(folder)
    spoil(folder)
    assert find_clip(kept, WEIGHTS, clip) is None
    assert not encode_clip(kept, WEIGHTS, clip).was_fresh
    assert contents(folder) == before


def test_other_frames_are_another_video(kept: Path, clip: Clip) -> None:
    before = contents(clip_folder(kept, WEIGHTS, clip))
    put_frames(kept, clip, lambda k, size: pattern(FRAMES - 1 - k, size))
    assert find_clip(kept, WEIGHTS, clip) is None
    assert contents(encode_clip(kept, WEIGHTS, clip).folder) != before


def test_another_encoder_makes_it_anew_and_shows_it_meanwhile(
    kept: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(video._CODEC, "crf", 40)
    assert find_clip(kept, WEIGHTS, clip)
    assert not encode_clip(kept, WEIGHTS, clip).was_fresh


@pytest.mark.parametrize(
    "change",
    [{"fps": "7"}, {"grid": [7]}, {"grid": 7}, {"grid": [7, 0]}, {"files": {}}, {"files": []}, {"seed": -1},
     {"more": 1}, {"format": 2}, {"target": None}, {"files": {"video.mp4": {"bytes": 1}}}],
)  # fmt: skip
def test_a_record_of_another_form_is_refused(made: Encoding, change: dict[str, object]) -> None:
    data = json.loads((made.folder / RECORD).read_text())
    assert read_json(json.dumps(data), ClipRecord) == made.record
    with pytest.raises(StoreError):
        read_json(json.dumps({**data, **change}), ClipRecord)


def test_a_file_of_a_record_has_no_more_fields(made: Encoding) -> None:
    data = json.loads((made.folder / RECORD).read_text())
    data["files"]["poster.jpg"]["more"] = 1
    with pytest.raises(StoreError, match="unknown field 'more'"):
        read_json(json.dumps(data), ClipRecord)


# Failure


FAILING = """#!/bin/sh
head -c 20000 >/dev/null
i=0
while [ $i -lt 3000 ]; do echo "a line that nobody reads, and then another, and so on" >&2; i=$((i + 1)); done
echo "[libx264] malloc of size 1 failed" >&2
echo "Conversion failed!" >&2
exit 7
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program in the place of ffmpeg."""

    def put(text: str) -> None:
        path = tmp_path / "ffmpeg"
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(path))

    return put


def test_a_failing_encoder_is_named_and_the_frames_stay(clip: Clip, tmp_path: Path, program) -> None:
    masters = put_frames(tmp_path / "store", clip, pattern)
    program(FAILING)
    with pytest.raises(VideoError) as caught:
        encode_clip(tmp_path / "store", WEIGHTS, clip)
    message = str(caught.value)
    assert caught.value.exit_code == 5
    for words in ("Mixed_5b[3]", "malloc of size 1 failed / Conversion failed!", "49 frames are kept", "same command"):
        assert words in message
    assert len(message) < 700
    assert all(path.is_file() for path in masters)
    assert not clip_folder(tmp_path / "store", WEIGHTS, clip).exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\nexec cat >/dev/null\n", "read back"),
        ("#!/bin/sh\nkill -9 $$\n", "code -9"),
        ("#!/nowhere/sh\n", "cannot be run"),
        ("not a program", "cannot be run"),
    ],
)
def test_other_ways_to_fail(clip: Clip, tmp_path: Path, program, text: str, words: str) -> None:
    put_frames(tmp_path / "store", clip, pattern)
    program(text)
    with pytest.raises(VideoError, match=words):
        encode_clip(tmp_path / "store", WEIGHTS, clip)


def test_a_failure_leaves_the_video_that_was_there(kept: Path, clip: Clip, program) -> None:
    before = contents(clip_folder(kept, WEIGHTS, clip))
    program(FAILING)
    with pytest.raises(VideoError):
        encode_clip(kept, WEIGHTS, clip, force=True)
    assert contents(clip_folder(kept, WEIGHTS, clip)) == before


def test_without_ffmpeg_it_says_what_to_install(kept: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(VideoError, match=r"install imageio-ffmpeg again.*IMAGEIO_FFMPEG_EXE"):
        encode_clip(kept, WEIGHTS, clip)


def test_a_spoilt_frame_stops_the_video_and_leaves_no_process(kept: Path, clip: Clip) -> None:
    path = sorted(kept.rglob("*_k*.png"))[30]
    data = bytearray(path.read_bytes())
    data[-40] ^= 255
    path.write_bytes(data)
    with pytest.raises(StoreError, match=re.escape(path.name)):
        encode_clip(kept, WEIGHTS, clip, force=True)
