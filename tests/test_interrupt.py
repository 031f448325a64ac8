"""Ctrl-C at every stage of a build, and what comes of it: one line, exit code 130, and in the end the same bytes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atlas.common.errors import RESUME

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a group of processes")

ROOT = Path(__file__).parent.parent
PLAN = """
[atlas]
weights = {weights!r}
[features]
layers = ["Conv2d_1a_3x3", "Mixed_5b"]
count = 3
recipe = "tiny"
only = true
[dead]
features = 0
[recipes.tiny]
gradient = "rms"
octaves = [{{ size = 75, steps = 2, lr = [0.05, 0.02] }}]
"""
# The command line as it is, but for a place at which it says so and waits.
DRIVER = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
moment = sys.argv.pop(1)

def here():
    os.write(int(os.environ["TELL"]), b".")
    time.sleep(60)

def after(owner, name, count, task=None):
    plain, calls = getattr(owner, name), []
    def wrapped(*given, **named):
        found = plain(*given, **named)
        if task in (None, *given[1:2]):
            calls.append(1)
            if len(calls) == count:
                here()
        return found
    setattr(owner, name, wrapped)

class Importing:
    def find_spec(self, name, path=None, target=None):
        if name == "torch.nn":
            here()

if moment == "import":
    sys.meta_path.insert(0, Importing())
elif moment != "none":
    import atlas.cli.console, atlas.rendering.outcomes, atlas.store.video
    after(*{
        "render": (atlas.cli.console.RunConsole, "renders", 2),
        "write": (atlas.rendering.outcomes, "write_stages", 1),
        "study": (atlas.cli.console.RunConsole, "studies", 2),
        "site": (atlas.cli.console.RunConsole, "progress", 5, "writing the site"),
        "video": (atlas.store.video, "_even", 3),
    }[moment])
from atlas.__main__ import main
main()
"""


def start(moment, *arguments, seed="0", **options):
    """The command line in a group of its own, as a terminal starts it; and a pipe that tells of the moment."""
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "COLUMNS": "200"}
    environment["TELL"] = str(writing)
    command = [sys.executable, "-c", DRIVER, moment, *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        pass_fds=[writing],
        start_new_session=True,
        **options,
    )
    os.close(writing)
    return process, reading


def interrupt(moment, *arguments, times=1, seed="0"):
    """Run up to a moment, press Ctrl-C there so many times, and return what was said; nothing may be left running."""
    process, reading = start(moment, *arguments, seed=seed)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read(1) == b".", process.communicate()
    for at in range(times):
        os.killpg(process.pid, signal.SIGINT)
        if at + 1 < times:
            with pytest.raises(subprocess.TimeoutExpired):  # the first one waits for what is being written
                process.wait(timeout=1)
    _, said = process.communicate(timeout=50)
    assert process.returncode == 130, said
    assert "Traceback" not in said, said
    assert has_ended(process.pid)
    return [line for line in said.splitlines() if line.startswith("atlas: ")]


def has_ended(group):
    """Whether a group of processes ends; children take a moment."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def run(*arguments, seed="0"):
    process, reading = start("none", *arguments, seed=seed)
    os.close(reading)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def config(weights_file, tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text(PLAN.format(weights=str(weights_file)))
    return ["--config", file, "--device", "cpu", "--threads", "1", "--batch-size", "2"]


def test_shards_interruptions_and_hashing_change_no_byte(config, tmp_path):
    """One build undisturbed; another in shards, in the other order, stopped at every stage, with other hashes."""
    calm, other = ([["--store", tmp_path / name], ["--out", tmp_path / f"{name}-site"]] for name in ("calm", "other"))
    log = tmp_path / "run.jsonl"
    run("build", *config, *calm[0], *calm[1], "--quiet", seed="1")
    run("render", *config, *other[0], "--shard", "2/2", seed="2")
    said = {}
    for moment in ("import", "render", "study", "site"):
        extra = ["--log-file", log] if moment == "render" else []
        said[moment] = interrupt(moment, "build", *config, *other[0], *other[1], *extra, seed="3")
    for lines in said.values():
        assert len(lines) == 1
        assert RESUME in lines[0]
    assert re.search(r"rendering: \d+ of \d+", said["render"][0])
    assert re.search(r"writing the site: \d+ of \d+", said["site"][0])
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()][-1] == "interrupted"
    assert "0 to make" in run("build", *config, *other[0], *other[1], seed="4")
    assert tree(tmp_path / "calm") == tree(tmp_path / "other")
    assert tree(tmp_path / "calm-site") == tree(tmp_path / "other-site")


def test_a_second_ctrl_c_stops_at_once(config, tmp_path):
    """While a master is being written, which the first one waits for."""
    lines = interrupt("write", "render", *config, "--store", tmp_path / "store", times=2)
    # on a slow machine the first one may have its say before the second comes
    assert lines[-1] == f"atlas: stopped at once; {RESUME}"
    assert len(list((tmp_path / "store").rglob("*.png"))) < 2  # the other one of its batch may be there, whole


def test_an_interrupted_video_leaves_no_file_and_no_encoder(config, tmp_path):
    arguments = ["raster", "Mixed_6a[0]", *config, "--recipe", "tiny", "--store", tmp_path / "store"]
    lines = interrupt("video", *arguments)
    assert len(lines) == 1
    assert "encoding videos: 0 of 1" in lines[0]
    assert len(list((tmp_path / "store").rglob("*.png"))) == 9
    assert not list((tmp_path / "store").rglob("*.mp4"))
