"""The streams that a process is given may be closed, or lack signs for what is to be said: nothing ends for that."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="closes streams by their numbers")

ROOT = Path(__file__).parent.parent
PLAN = """
extends = "demo"
[features]
layers = ["Conv2d_1a_3x3"]
count = 1
recipe = "tiny"
only = true
[recipes.tiny]
octaves = [{ size = 75, steps = 1, lr = [0.05, 0.02] }]
"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text(PLAN)
    return file


def start(*arguments, closed=(), encoding="utf-8:strict"):
    """Start the program by a shell, which can close streams."""
    redirects = "".join(f" {number}>&-" for number in closed)
    command = ["sh", "-c", f'exec "$@"{redirects}', "sh", sys.executable, "-m", "atlas", *arguments]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment)


def atlas(*arguments, **how):
    """What it prints, if it ends well."""
    process = start(*arguments, **how)
    said, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors.decode(errors="replace")
    return said


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)])
def test_a_run_without_streams_is_like_any_other(closed, config, tmp_path):
    """What it says is for the log; no file gets a number to which somebody writes."""
    store, log = tmp_path / "store", tmp_path / "log"
    more = ["--store", store, "--device", "cpu", "--threads", "1", "--verbose", "--log-file", log]
    atlas("render", "--config", config, *more, closed=closed)
    assert len(list(store.rglob("*.png"))) == 1
    said = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (said[0], said[-1]) == ("started", "ended")
    assert "rendered" in said


def test_a_build_without_streams_waits_for_another(config, tmp_path):
    """The notice that it waits has nowhere to go but to the log."""
    log, site = tmp_path / "log", tmp_path / "site"
    site.mkdir()
    held = os.open(site, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    more = ["--store", tmp_path / "store", "--out", site, "--device", "cpu", "--threads", "1", "--log-file", log]
    build = start("build", "--config", config, *more, closed=(2,))
    while build.poll() is None and "another" not in (log.read_text() if log.exists() else ""):
        time.sleep(0.2)
    os.close(held)
    build.communicate(timeout=200)
    assert build.returncode == 0
    assert (site / "index.html").is_file()


def test_a_path_that_is_no_text_is_printed_as_it_is(config, tmp_path):
    store = os.fsencode(tmp_path) + b"/m\xfcll"
    assert b"store " + store + b"\n" in atlas("plan", "--config", config, "--store", store)


def test_a_sign_that_the_output_does_not_know_is_printed_as_its_number():
    assert b"149\\xd7149" in atlas("layers", encoding="ascii")
