"""Paths that people give: whatever lies there, or may not be looked at, each command says so with its exit code."""

import os
import re
import threading
from pathlib import Path

import pytest
import typer.main

from atlas.cli import app
from atlas.common import paths
from atlas.common.errors import StoreError
from atlas.common.paths import PathError, check_file, check_folder, is_folder, is_there, read_file
from atlas.store import picture_files
from atlas.store.files import locked_folder
from atlas.store.masters import read_record
from test_cli import TINY, run

UNREADABLE = Path("/proc/self/mem")  # a plain file, to look at; reading it fails, even for root
LONG = "x" * 300

on_linux = pytest.mark.skipif(not UNREADABLE.exists(), reason="the system has no file that root cannot read")


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A folder that may not be entered, as it looks to somebody who is not root."""
    folder = tmp_path / "closed"
    real = {name: getattr(os, name) for name in ("stat", "scandir")}

    def refuse(name):
        def instead(path, *arguments, **named):
            if str(path).startswith(f"{folder}/"):
                raise PermissionError(13, "Permission denied", str(path))
            return real[name](path, *arguments, **named)

        return instead

    for name in real:
        monkeypatch.setattr(os, name, refuse(name))
    return folder


@pytest.fixture
def pipe(tmp_path):
    """Makes pipes with nothing at their other end, until 20 seconds later: who waits fails, and does not hang."""
    timers = []

    def make(name):
        os.mkfifo(tmp_path / name)
        timers.append(threading.Timer(20, lambda: os.close(os.open(tmp_path / name, os.O_RDWR))))
        timers[-1].start()

    yield make
    for timer in timers:
        timer.cancel()


def words(function, *arguments):
    with pytest.raises(PathError) as caught:
        function(*arguments)
    return str(caught.value)


def test_what_lies_at_a_path(tmp_path, closed, pipe):
    (tmp_path / "file").write_bytes(b"12345")
    pipe("pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    assert read_file(tmp_path / "file", 5) == b"12345"
    assert "has 5 bytes, and at most 4" in words(read_file, tmp_path / "file", 4)
    for name in ("none", "broken", "file/inside"):
        assert words(read_file, tmp_path / name, 9) == words(check_file, tmp_path / name, 9) == "no such file"
        assert not is_there(tmp_path / name)
    assert words(read_file, tmp_path, 9) == "is no file, but a folder"
    assert words(read_file, tmp_path / "pipe", 9) == "is no file, but a pipe or a device"
    for path in (tmp_path / "circle", tmp_path / LONG, closed / "file"):
        assert words(read_file, path, 9).startswith("cannot be read: ")
        assert words(check_folder, path).startswith("cannot be read: ")
        assert is_there(path)
        assert not is_folder(path)
    check_folder(tmp_path)
    assert words(check_folder, tmp_path / "none") == "no such folder"
    assert words(check_folder, tmp_path / "file") == "is no folder"
    assert not is_there(Path("a\0b"))


@on_linux
def test_a_file_that_says_it_is_empty_is_not_read_beyond_the_limit():
    assert "larger than 9 bytes" in words(read_file, Path("/proc/self/maps"), 9)
    assert words(read_file, UNREADABLE, 9).startswith("cannot be read: ")


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text(TINY.format(weights="demo"))
    (tmp_path / "store").mkdir()
    return file


COMMANDS = {
    "weights": ["render", "Mixed_5b[1]", "--weights", "PATH.pth"],
    "weights of a plan": ["plan", "--weights", "PATH.pth"],
    "weights of a site": ["site", "--weights", "PATH.pth"],
    "configuration": ["plan", "--config", "PATH"],
    "photograph": ["dream", "PATH.png", "--target", "Mixed_5b[1]"],
    "folder of examples": ["examples", "PATH"],
}


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("place", ["closed", "long", "circle"])
def test_a_path_at_which_nobody_may_look_has_the_exit_code_of_its_kind(kind, place, config, closed, tmp_path):
    path = {"closed": closed / "it", "long": tmp_path / LONG, "circle": tmp_path / "circle"}[place]
    for ending in ("", ".pth", ".png"):
        (tmp_path / f"circle{ending}").symlink_to(f"circle{ending}")
    command = [word.replace("PATH", str(path)) for word in COMMANDS[kind]]
    given = [] if "--config" in command else ["--config", config]
    result = run(*command, *given)
    assert result.exit_code == (3 if "weights" in kind else 2), result.output
    assert str(path) in result.output or "longer than a path can be" in result.output


@on_linux
@pytest.mark.parametrize("kind", ["weights", "weights of a plan", "weights of a site"])
def test_weights_that_are_there_and_cannot_be_read_exit_3(kind, config, tmp_path):
    (tmp_path / "it.pth").symlink_to(UNREADABLE)
    result = run(*[word.replace("PATH", str(tmp_path / "it")) for word in COMMANDS[kind]], "--config", config)
    assert result.exit_code == 3, result.output
    assert "it.pth: cannot be read" in result.output


@pytest.mark.parametrize("kind", ["configuration", "photograph", "weights of a plan"])
def test_a_file_of_any_size_is_refused_before_it_is_read(kind, config, tmp_path, monkeypatch):
    for ending in ("", ".png", ".pth"):
        with open(tmp_path / f"it{ending}", "wb") as file:
            file.truncate(2**35)  # takes no room on the disk

    def open_small(path, mode, **options):
        return pytest.fail("it was opened") if path.stat().st_size > 2**30 else open(path, mode, **options)

    monkeypatch.setattr(paths, "open", open_small, raising=False)
    command = [word.replace("PATH", str(tmp_path / "it")) for word in COMMANDS[kind]]
    result = run(*command, *([] if "--config" in command else ["--config", config]))
    assert result.exit_code == (3 if "weights" in kind else 2), result.output
    assert "has 34,359,738,368 bytes" in result.output


@pytest.mark.parametrize("kind", ["configuration", "photograph", "weights"])
def test_a_pipe_is_refused_and_not_waited_for(kind, config, pipe, tmp_path):
    for ending in ("", ".png", ".pth"):
        pipe(f"it{ending}")
    command = [word.replace("PATH", str(tmp_path / "it")) for word in COMMANDS[kind]]
    result = run(*command, *([] if "--config" in command else ["--config", config]))
    assert result.exit_code == (3 if "weights" in kind else 2), result.output
    assert "is no file, but a pipe" in result.output


def test_a_photograph_may_have_a_quarter_of_a_gigabyte():
    assert picture_files.LARGEST_FILE == 2**28


COMMAND_LINE = [
    (name, one.opts[0] if one.opts[0].startswith("--") else "")
    for name, command in typer.main.get_command(app).commands.items()
    for one in command.params
    if {"DIR", "FILE", "FOLDER", "PHOTO"} & set(re.split(r"\W+", one.metavar or ""))
]


@pytest.mark.parametrize(("command", "option"), COMMAND_LINE, ids=" ".join)
def test_an_empty_path_is_not_the_current_folder(command, option, monkeypatch, tmp_path):
    """Of every option and argument that is a path, by its name in the help."""
    monkeypatch.chdir(tmp_path)
    result = run(command, *([option] if option else []), "")
    assert result.exit_code == 2
    assert "a path must not be empty" in result.output
    assert list(tmp_path.iterdir()) == []


def test_those_are_of_every_kind():
    assert {"--config", "--weights", "--store", "--out", "--log-file", "--site", ""} == {one for _, one in COMMAND_LINE}


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(pipe, tmp_path, monkeypatch):
    pipe("swapped")
    monkeypatch.setattr(paths, "check_file", lambda path, most: None)
    assert words(read_file, tmp_path / "swapped", 9) == "is no file, but a pipe or a device"


def test_a_master_that_may_not_be_read_is_not_called_damaged(closed):
    with pytest.raises(StoreError) as caught:
        read_record(closed / "master.png")
    assert str(caught.value) == f"{closed / 'master.png'}: cannot be read: Permission denied"


def test_a_folder_that_may_not_be_opened_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError) as caught, locked_folder(tmp_path):
        pass
    assert str(caught.value) == f"{tmp_path}: cannot be used as a folder: Permission denied; choose another"
