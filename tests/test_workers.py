"""Web copies made in processes of their own: order, errors, interruptions, and what is left when a process ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from atlas.common.errors import StoreError
from atlas.site.copies import Copy, Encoder, SpoiltError, Work, draw_master
from atlas.site.workers import make_all

JPEG = Encoder("JPEG", 90)


@dataclass(frozen=True)
class Plain:
    """A square of one grey; the lighter it is, the longer it takes."""

    grey: int

    def draw(self) -> Image.Image:
        time.sleep(self.grey / 1000)
        return Image.new("RGB", (16, 16), (self.grey,) * 3)


@dataclass(frozen=True)
class Sleeping:
    """Says in a file which process draws it, and takes a minute."""

    file: Path

    def draw(self) -> Image.Image:
        self.file.write_text(str(os.getpid()))
        time.sleep(60)
        return Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class Marked:
    """Leaves a file behind when it is drawn."""

    file: Path

    def draw(self) -> Image.Image:
        self.file.touch()
        time.sleep(0.01)
        return Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class Flat:
    """A picture in a mode that JPEG does not have."""

    def draw(self) -> Image.Image:
        return Image.new("RGBA", (16, 16))


@dataclass(frozen=True)
class Ending:
    """Ends the process that draws it, as a system that is out of memory would."""

    def draw(self) -> Image.Image:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("not reached")


COPIES = (Copy("a/thumb.jpg", JPEG, 16, "digest"),)


def work(source) -> Work:
    return Work(COPIES, source.draw)


def wait_for(condition, seconds: float = 30) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("processes", [None, 1, 2])
def test_results_come_in_the_order_of_the_works(processes):
    greys = [90, 0, 60, 5, 0, 30, *range(40)]
    results = list(make_all([work(Plain(grey)) for grey in greys], processes))
    assert results == [[JPEG.encode(Image.new("RGB", (16, 16), (grey,) * 3))] for grey in greys]


def test_a_damaged_picture_stops_no_other(tmp_path):
    missing = tmp_path / "none.png"
    results = list(make_all([Work(COPIES, partial(draw_master, missing)), work(Plain(9))], 2))
    assert isinstance(results[0], SpoiltError)
    assert results[0].file == missing
    assert "no such file" in results[0].why
    assert len(results[1]) == 1


@pytest.mark.parametrize("processes", [None, 2])
def test_a_picture_that_cannot_be_encoded_is_named(processes):
    with pytest.raises(StoreError, match=r"a/thumb\.jpg: the web copy cannot be encoded"):
        list(make_all([work(Flat())], processes))


def test_a_process_that_is_killed_ends_the_run_with_words():
    with pytest.raises(StoreError, match=r"ended from outside.*run the same command again"):
        list(make_all([work(Plain(1)), work(Ending()), work(Plain(2))], 2))


def test_closing_does_not_wait_for_what_is_not_begun(tmp_path):
    works = [work(Marked(tmp_path / str(at))) for at in range(100)]
    with closing(make_all(works, 1)) as results:
        next(results)
    assert 1 <= len(list(tmp_path.iterdir())) < 50


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    file = tmp_path / "pid"
    command = f"from test_workers import *; list(make_all([work(Sleeping(Path({str(file)!r})))], 1))"
    process = subprocess.Popen([sys.executable, "-c", command], cwd=Path(__file__).parent, env=_with_path())
    assert wait_for(lambda: file.exists() and file.read_text())
    worker = int(file.read_text())
    assert worker != process.pid
    assert not has_ended(worker)
    process.kill()
    process.wait()
    assert wait_for(lambda: has_ended(worker), seconds=10)


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
