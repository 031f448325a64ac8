"""The log of a run, and how much of it is seen."""

import json
import os
import threading
import warnings
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from atlas.cli import app, console
from atlas.common import log
from atlas.common.errors import StoreError
from atlas.inception.targets import parse
from atlas.plan.jobs import Job
from atlas.studies import load_config
from test_cli import TINY


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def events(file):
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for one in found:
        assert datetime.fromisoformat(one["time"]).utcoffset() is not None
        assert one["level"] in ("info", "warning", "error")
    return found


@pytest.fixture
def config(weights_file, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.format(weights=str(weights_file)))
    return path


def test_a_build_says_what_it_did_and_the_next_goes_on_in_the_same_log(config, tmp_path):
    file = tmp_path / "run.jsonl"
    assert run("build", "--config", config, "--layers", "Mixed_5b", "--log-file", file).exit_code == 0
    first = events(file)
    names = [one["event"] for one in first]
    assert (names[0], names[-1]) == ("started", "ended")
    rendered = [one for one in first if one["event"] == "rendered"]
    assert [one["target"] for one in rendered] == ["Mixed_5b[0]", "Mixed_5b[1]", "Mixed_5b[2]"]
    assert all(one["since_start"] > 0 for one in rendered)
    done = {one["event"]: one for one in first}
    assert (done["expected"]["pending"], done["rendering done"]["renderings"]) == (3, 3)
    assert done["study done"]["seconds"] >= 0
    assert done["site"]["bytes"] > 0
    assert not [path for path in (tmp_path / "out").rglob("*.html") if "since_start" in path.read_text()]
    result = run("build", "--config", config, "--layers", "Mixed_5b", "--log-file", file, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert events(file)[: len(first)] == first
    assert "rendered" not in [one["event"] for one in events(file)[len(first) :]]


def test_verbose_prints_every_event_and_contradicts_quiet(config, tmp_path):
    result = run("render", "Mixed_5b[1]", "--config", config, "--verbose")
    assert "rendered target=Mixed_5b[1] recipe=tiny status=" in result.stderr
    assert "rendering done" in result.stderr
    assert run("render", "--quiet", "--verbose").exit_code == 2


def test_failures_and_errors_are_seen_even_if_quiet_and_are_in_the_log(config, tmp_path):
    file = tmp_path / "run.jsonl"
    config.write_text(config.read_text().replace("lr = [0.05, 0.02]", "lr = [1e38, 1e38]"))
    result = run("render", "Mixed_5b[1]", "--config", config, "--quiet", "--log-file", file)
    assert result.exit_code == 1
    assert [line[:20] for line in result.stderr.splitlines()] == ["failed: Mixed_5b[1]:"]
    assert [one["target"] for one in events(file) if one["event"] == "failed"] == ["Mixed_5b[1]"]
    assert events(file)[-1] | {"time": ""} == {"time": "", "level": "info", "event": "ended", "exit_code": 1}
    result = run("render", "Mixed_5b[999]", "--config", config, "--log-file", file)
    assert (events(file)[-1]["event"], events(file)[-1]["exit_code"]) == ("error", result.exit_code)


def test_a_log_that_cannot_be_written_is_refused(tmp_path):
    result = run("site", "--log-file", tmp_path / "none" / "run.jsonl")
    assert result.exit_code == StoreError.exit_code
    assert "the log cannot be written" in result.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_log_may_be_a_pipe_that_somebody_reads(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    waiter = threading.Timer(20, os.open, (pipe, os.O_RDWR))  # so that one who does wait fails, and does not hang
    waiter.start()
    with pytest.raises(StoreError, match="no program reads"), log.watched(pipe, "quiet"):
        pytest.fail("it was opened")
    waiter.cancel()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with log.watched(pipe, "quiet"):
        log.event("rendered")
    said = os.read(reader, 10_000).decode().splitlines()
    os.close(reader)
    assert [json.loads(line)["event"] for line in said] == ["started", "rendered", "ended"]


@pytest.mark.filterwarnings("default")
def test_warnings_are_lines_of_the_log_and_one_line_of_the_terminal(tmp_path, capsys):
    with log.watched(tmp_path / "run.jsonl", "normal"):
        warnings.warn("a step cannot be recorded", stacklevel=1)
    [said] = [one for one in events(tmp_path / "run.jsonl") if one["event"] == "warning"]
    assert (said["level"], "a step cannot be recorded" in said["message"]) == ("warning", True)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_crash_is_in_the_log_with_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), log.watched(tmp_path / "run.jsonl", "quiet"):
        1 / 0  # noqa: B018
    last = events(tmp_path / "run.jsonl")[-1]
    assert (last["event"], last["level"]) == ("crashed", "error")
    assert "ZeroDivisionError" in last["traceback"]


def test_without_a_terminal_a_line_every_ten_seconds_tells_the_progress(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.RunConsole() as shown:
        for done in range(31):
            shown.progress("a task", done, 30)
            now[0] += 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "━" not in line]
    assert lines == ["a task: 11 of 30", "a task: 22 of 30"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_log_on_a_full_disk_ends_and_the_run_goes_on(capsys):
    with log.watched(Path("/dev/full"), "normal"):
        for number in range(3):
            log.event("rendered", target=f"Mixed_5b[{number}]", why="x" * 9000)
    said = capsys.readouterr().err
    assert said.count("No space left on device") == 1
    assert "the log ends here" in said
    assert "Traceback" not in said


def test_a_name_that_is_no_text_is_logged(tmp_path):
    with log.watched(tmp_path / "run.jsonl", "quiet"):
        log.event("skipped", why=b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    [said] = [one for one in events(tmp_path / "run.jsonl") if one["event"] == "skipped"]
    assert said["why"].endswith(".jpg")


def test_times_of_rescues_belong_to_the_run(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    outcome = SimpleNamespace(
        job=Job(parse("Mixed_5b[1]"), load_config().recipes["quick"], 999), record=None, failure="x"
    )
    with console.RunConsole() as shown:
        shown.progress("rendering", 0, 2)
        for _ in range(2):
            now[0] += 10
            shown.renders(outcome)
        shown.progress("rendering", 0, 1)
        now[0] += 10
        shown.renders(outcome)
        assert shown.seconds_per_rendering == 10
