"""`atlas raster` and the videos of `atlas build`, on real weights at small sizes."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio_ffmpeg
import pytest
from typer.testing import CliRunner

from atlas.cli import app
from atlas.cli.console import rendered_line
from atlas.common.errors import RESUME
from atlas.plan import config as configuration
from atlas.site.check import check_site, check_store
from atlas.store.clips import read_clip
from atlas.store.masters import list_masters, open_master
from atlas.studies.raster.settings import Settings as RasterSettings

CONFIG = """
[atlas]
weights = {weights!r}
store = "store"
site = "out"
[features]
layers = ["Mixed_5b", "Mixed_5c"]
count = 1
recipe = "tiny"
[raster]
targets = ["Mixed_5b[7]", "Mixed_5c[3]"]
recipe = "tiny"
[recipes.tiny]
gradient = "rms"
octaves = [{{ size = 75, steps = 3, lr = [0.05, 0.02], sigma = [1, 0.5] }}]
[tuning]
size = 0
"""


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def config(weights_file, tmp_path, monkeypatch):
    """A feature of each of two layers and two videos, and nothing else that the article's preset lists."""
    file = tmp_path / "atlas.toml"
    file.write_text(CONFIG.format(weights=str(weights_file)))
    override = configuration.override

    def videos_alone(*arguments, **flags):
        found = override(*arguments, **flags)
        return found.only_features().with_study(found.study(RasterSettings))

    monkeypatch.setattr("atlas.cli.settings.override", videos_alone)
    return file


def change(config, old, new):
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def frames(store):
    return [path for path in list_masters(store) if "_k" in path.stem]


def test_a_video_has_a_frame_for_each_neuron_in_order(config, tmp_path):
    result = run("raster", "Mixed_5b[7]", "--config", config, "--batch-size", "4", "--threads", "1")
    assert result.exit_code == 0
    path = Path(result.stdout.strip())
    assert path.name == "video.mp4"
    assert path.is_file()
    record = read_clip(path.parent / "clip.json")
    assert (record.target, record.grid, record.fps, record.stride) == ("Mixed_5b[7]", (7, 7), 7, 1)
    wanted = [f"Mixed_5b[7, :{k}]" for k in range(1, 50)]
    assert [open_master(path)[1].target for path in frames(tmp_path / "store")] == wanted
    assert "49 frames of a 7×7 grid, stride 1, 7 frames per second" in result.stderr
    assert f"{record.files['video.mp4'].bytes:,} bytes" in result.stderr
    assert re.search(r"\d\.\d\d seconds per frame", result.stderr)
    again = run("raster", "Mixed_5b[7]", "--config", config, "--batch-size", "4", "--threads", "1")
    assert again.stdout == result.stdout
    assert rendered_line(0, 49) in again.stderr
    assert "(up to date)" in again.stderr
    assert "seconds per frame" not in again.stderr


def test_frame_k_is_what_rendering_it_alone_gives_to_the_byte(config, tmp_path):
    numerics = ["--config", config, "--batch-size", "4", "--threads", "1"]
    assert run("raster", "Mixed_5b[7]", *numerics).exit_code == 0
    made = {open_master(path)[1].target: path for path in frames(tmp_path / "store")}
    for k in (1, 10, 26, 49):
        target = f"Mixed_5b[7, :{k}]"
        result = run("render", target, *numerics, "--recipe", "tiny", "--store", tmp_path / "other")
        assert Path(result.stdout.strip()).read_bytes() == made[target].read_bytes()
    assert made["Mixed_5b[7, :10]"].read_bytes() != made["Mixed_5b[7, :26]"].read_bytes()


def test_options_replace_what_the_configuration_says(config, tmp_path):
    flags = ["--stride", "3", "--fps", "5", "--size", "80", "--seed", "7", "--recipe", "tiny"]
    result = run("raster", "Mixed_5c[9]", "--config", config, *flags)
    assert result.exit_code == 0
    path = Path(result.stdout.strip())
    assert path.parent.name == "Mixed_5c_0009~s7_video-3-5"
    record = read_clip(path.parent / "clip.json")
    assert (record.grid, record.cells, record.fps, record.seed, record.frame_size) == ((7, 7), (3, 3), 5, 7, (80, 80))
    targets = [open_master(path)[1].target for path in frames(tmp_path / "store")]
    assert targets == [f"Mixed_5c[9, :{k}]" for k in (17, 20, 21, 38, 41, 42, 45, 48, 49)]


def test_without_a_target_it_makes_those_of_the_configuration(config):
    result = run("raster", "--config", config, "--stride", "4")
    assert result.exit_code == 0
    assert [Path(line).parent.name for line in result.stdout.splitlines()] == [
        "Mixed_5b_0007_video-4-2",
        "Mixed_5c_0003_video-4-2",
    ]


def test_a_layer_that_the_configuration_leaves_out_has_a_video_if_it_is_named(config):
    result = run("raster", "Mixed_5d[1]", "--config", config, "--stride", "7")
    assert result.exit_code == 0
    assert "Mixed_5d_0001_video-7-1" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Mixed_5b[7, 3, 3]"], "one whole feature"),
        (["Mixed_5b[7] + Mixed_5b[8]"], "one whole feature"),
        (["Mixed_5b[256]"], "its 256 features are 0 to 255"),
        (["Mixed_5b[7]", "--stride", "8"], "the grid of Mixed_5b is 7×7"),
        (["Mixed_5b[7]", "--stride", "0"], "--stride"),
        (["Mixed_5b[7]", "--fps", "0"], "--fps"),
        (["Mixed_5b[7]", "--size", "74"], "--size"),
        (["Mixed_5b[7]", "--recipe", "tinny"], 'did you mean "tiny"?'),
    ],
)
def test_mistakes_of_usage_exit_2_and_say_what(config, arguments, words):
    result = run("raster", "--config", config, *arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_configuration_without_videos_says_so(config):
    change(config, 'targets = ["Mixed_5b[7]", "Mixed_5c[3]"]', "targets = []")
    result = run("raster", "--config", config)
    assert result.exit_code == 2
    assert "names no videos" in result.output


def test_build_makes_the_videos_and_shows_them(config, tmp_path):
    change(config, "[raster]", "[raster]\nstride = 2")
    result = run("build", "--config", config)
    assert result.exit_code == 0
    assert "2 videos" in result.stderr
    page = (tmp_path / "out/Mixed_5b/7/index.html").read_text()
    assert '<video src="video.mp4"' in page
    assert "../Mixed_5c/3/index.html#video" in (tmp_path / "out/videos/index.html").read_text()
    assert run("check", "--config", config).exit_code == 0
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = run("build", "--config", config)
    assert again.stderr.count("(up to date)") == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == times


FAILS_ONCE = """#!/bin/sh
if [ ! -e {mark} ]; then touch {mark}; echo "no more of it" >&2; exit 1; fi
exec {ffmpeg} "$@"
"""


def test_a_failing_encoder_exits_5_and_loses_neither_the_others_nor_the_site(config, tmp_path, monkeypatch):
    change(config, "[raster]", "[raster]\nstride = 4")
    program = tmp_path / "ffmpeg"
    program.write_text(FAILS_ONCE.format(mark=tmp_path / "mark", ffmpeg=imageio_ffmpeg.get_ffmpeg_exe()))
    program.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(program))
    result = run("build", "--config", config)
    assert result.exit_code == 5
    assert "failed: the video of Mixed_5b[7] cannot be encoded: no more of it. Its 4 frames are kept" in result.stderr
    assert (tmp_path / "out/Mixed_5c/3/video.mp4").is_file()
    assert not (tmp_path / "out/Mixed_5b/7/video.mp4").exists()
    assert "<video" not in (tmp_path / "out/Mixed_5b/7/index.html").read_text()
    assert check_site(tmp_path / "out").faults == ()
    assert len(frames(tmp_path / "store")) == 8
    (tmp_path / "mark").unlink()
    result = run("raster", "Mixed_5b[7]", "--config", config, "--force")
    assert result.exit_code == 5
    assert result.stdout == ""
    assert run("build", "--config", config).exit_code == 0
    assert (tmp_path / "out/Mixed_5b/7/video.mp4").is_file()


def test_frames_for_which_memory_ran_out_are_counted(config, monkeypatch):
    def no_memory(*_arguments, **_options):
        raise MemoryError("out of memory")

    monkeypatch.setattr("atlas.rendering.renderer.Renderer.render", no_memory)
    result = run("raster", "Mixed_5b[7]", "--config", config, "--stride", "4")
    assert result.exit_code == 1
    assert "no video yet: 4 of 4 frames are missing" in result.stderr
    assert result.stdout == ""


def test_a_broken_off_video_goes_on_at_the_frame_where_it_stopped(config, tmp_path):
    """A SIGKILL cannot be caught, so what is found afterwards is what a power cut would leave."""
    store = tmp_path / "store"
    arguments = ["raster", "Mixed_5b[7]", "--config", str(config), "--batch-size", "4"]
    moments = random.Random(11)
    known: dict[Path, int] = {}
    kills = 0
    while len(known) < 24 and kills < 4:
        command = [sys.executable, "-m", "atlas", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
        deadline = time.monotonic() + 120
        while len(frames(store)) <= len(known) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.random() * 0.2)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = {path: path.stat().st_mtime_ns for path in frames(store)}
        assert known.items() <= now.items(), "a frame was rendered again"
        known = now
        if len(known) == 49:  # it was done already: leave something to do
            for path in sorted(known)[30:]:
                path.unlink()
                del known[path]
    assert kills
    result = run(*arguments)
    assert result.exit_code == 0
    assert rendered_line(49 - len(known), len(known)) in result.stderr
    assert known.items() <= {path: path.stat().st_mtime_ns for path in frames(store)}.items()
    assert check_store(store) == []


def test_a_stop_while_the_files_are_written_leaves_nothing_that_looks_fresh(config, tmp_path, monkeypatch):
    from atlas.store import video

    whole = video.write_atomically

    def stop(path, data):
        if path.name == "clip.json":
            raise KeyboardInterrupt
        whole(path, data)

    arguments = ["raster", "Mixed_5b[7]", "--config", config, "--stride", "4"]
    monkeypatch.setattr(video, "write_atomically", stop)
    result = run(*arguments)
    assert result.exit_code == 130
    assert RESUME in result.output
    monkeypatch.setattr(video, "write_atomically", whole)
    result = run(*arguments)
    assert rendered_line(0, 4) in result.stderr
    assert "(up to date)" not in result.stderr
    assert check_store(tmp_path / "store") == []
