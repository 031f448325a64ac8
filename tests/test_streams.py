"""The streams of a process may be closed, break, or lack signs for what is to be said: nothing ends for that."""

import errno
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.main

from atlas.cli import app
from atlas.common.streams import SteadyFile, text_stream

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


def start(*arguments, closed=(), encoding="utf-8:strict", redirect="", **streams):
    """Start the program by a shell, which can close streams."""
    redirects = "".join(f" {number}>&-" for number in closed) + redirect
    command = ["sh", "-c", f'exec "$@"{redirects}', "sh", sys.executable, "-m", "atlas", *arguments]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **streams)


def atlas(*arguments, **how):
    """What it prints, if it ends well."""
    process = start(*arguments, **how)
    said, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors.decode(errors="replace")
    return said


def test_a_run_without_streams_is_like_any_other(config, tmp_path):
    """What it says is for the log; no file gets a number to which somebody writes."""
    store, log = tmp_path / "store", tmp_path / "log"
    more = ["--store", store, "--device", "cpu", "--threads", "1", "--verbose", "--log-file", log]
    atlas("render", "--config", config, *more, closed=(0, 1, 2))
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


class Breaking(io.FileIO):
    """A file that takes one line, and then fails, until something else is put in its place."""

    code = 0
    lines = 0

    def write(self, data):
        if self.lines and os.fstat(self.fileno()).st_ino != os.stat(os.devnull).st_ino:  # noqa: PTH116  # a handle is no path
            raise OSError(self.code, os.strerror(self.code))
        self.lines += bytes(data).count(b"\n")
        return super().write(data)


def break_stream(monkeypatch, name, title, file, code):
    """Put a stream that breaks into the place of one of this process."""

    class Steady(SteadyFile, Breaking):
        pass

    raw = Steady(os.open(file, os.O_WRONLY | os.O_CREAT), title)
    raw.code = code
    monkeypatch.setattr(sys, name, text_stream(raw, like=io.TextIOWrapper(io.BytesIO(), "utf-8")))


@pytest.mark.parametrize("code", [errno.EPIPE, errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_run_goes_on_when_its_streams_break(code, weights_file, config, tmp_path, monkeypatch):
    """Both after their first line: expectations, progress, a failure, results and last lines have nowhere to go."""
    store, log = tmp_path / "store", tmp_path / "log"
    break_stream(monkeypatch, "stdout", "standard output", tmp_path / "out", code)
    break_stream(monkeypatch, "stderr", "standard error", tmp_path / "err", code)
    command = ["render", "Conv2d_1a_3x3[0]", "Conv2d_1a_3x3[1]", "Conv2d_1a_3x3[2]", "--recipe", "tiny"]
    command += ["--config", config, "--weights", weights_file, "--store", store, "--device", "cpu", "--verbose"]
    command += ["--threads", "1", "--log-file", log]
    assert typer.main.get_command(app).main([str(word) for word in command], standalone_mode=False) in (None, 0)
    assert len(list(store.rglob("*.png"))) == 3
    assert (tmp_path / "out").read_bytes().count(b"\n") == 1
    assert b"rendered" not in (tmp_path / "err").read_bytes()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    lost = [(one["stream"], one["why"]) for one in events if one["event"] == "stream lost"]
    assert sorted(lost) == [("standard error", os.strerror(code)), ("standard output", os.strerror(code))]
    assert events[-1]["event"] == "ended"


@pytest.mark.parametrize(("code", "says"), [(errno.ENOSPC, True), (errno.EPIPE, False)])
def test_results_that_are_lost_are_named_unless_their_reader_has_seen_enough(code, says, tmp_path, monkeypatch, capsys):
    break_stream(monkeypatch, "stdout", "standard output", tmp_path / "out", code)
    for word in ("one", "two", "three"):
        typer.echo(word)
    warned = f"warning: standard output takes no more text ({os.strerror(code)}); the run continues without it\n"
    assert capsys.readouterr().err == (warned if says else "")


def test_a_pipe_that_is_full_and_must_not_be_waited_for_is_waited_for(tmp_path):
    """As parents make them that read several pipes at once, and leave them to the processes that they start."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    like = io.TextIOWrapper(io.BytesIO(), "utf-8")
    lines = "".join(f"{number:01023d}\n" for number in range(200))  # more than a pipe holds
    with open(tmp_path / "out", "wb") as out:
        reader = subprocess.Popen(["sh", "-c", "sleep 0.3; cat"], stdin=reading, stdout=out)
    os.close(reading)
    with text_stream(SteadyFile(writing, "standard output"), like=like) as stream:
        for line in lines.splitlines(keepends=True):
            stream.write(line)
            stream.flush()
    os.close(writing)
    assert reader.wait(timeout=20) == 0
    assert (tmp_path / "out").read_text() == lines


def test_a_reader_that_leaves_costs_no_picture(config, tmp_path):
    """`atlas render 2>&1 | head -1`, with the file that head would have read from still there."""
    reading, writing = os.pipe()
    store, log = tmp_path / "store", tmp_path / "log"
    more = ["--store", store, "--device", "cpu", "--log-file", log]
    process = start("render", "--config", config, *more, stdout=writing, stderr=writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert b"fp32, 1 thread (from " in pipe.readline()
    assert process.wait(timeout=200) == 0
    assert len(list(store.rglob("*.png"))) == 1
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()].count("stream lost") == 2


def test_a_terminal_that_is_closed_costs_no_picture(config, tmp_path):
    """As after `disown`: the shell is gone, its terminal with it, and SIGHUP is ignored."""
    ours, theirs = os.openpty()
    store, log = tmp_path / "store", tmp_path / "log"
    more = ["--store", store, "--device", "cpu", "--threads", "1", "--log-file", log]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start("render", "--config", config, *more, **streams)
    finally:
        signal.signal(signal.SIGHUP, before)
    os.close(theirs)
    seen = b""
    while b"disk space" not in seen:
        seen += os.read(ours, 1000)
    os.close(ours)
    assert process.wait(timeout=200) == 0
    assert len(list(store.rglob("*.png"))) == 1
    assert json.loads(log.read_text().splitlines()[-1])["event"] == "ended"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is full")
@pytest.mark.parametrize(("broken", "other"), [(1, "stderr"), (2, "stdout")])
def test_a_full_disk_costs_only_what_was_to_be_written_to_it(broken, other):
    process = start("layers", "--no-such-option" if broken == 2 else "--json", redirect=f" {broken}>/dev/full")
    said = dict(zip(("stdout", "stderr"), process.communicate(timeout=60), strict=True))
    assert process.returncode == (2 if broken == 2 else 0)
    assert (b"takes no more text (No space left on device)" in said[other]) is (broken == 1)
