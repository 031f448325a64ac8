"""Rendering on a real Ray cluster of this machine: the plain executor's bytes, whatever dies meanwhile."""

import os
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from atlas.errors import AtlasError, ConfigError
from atlas.plan.jobs import Job, rounds
from atlas.plan.recipes import Octave, Recipe
from atlas.plan.starts import Photo
from atlas.plan.targets import parse
from atlas.render import crew
from atlas.render.batches import PlainExecutor
from atlas.render.cluster import connect
from atlas.render.execute import Report, keep_attempts
from atlas.render.numerics import resolve_numerics
from atlas.store.masters import list_masters, read_record

pytestmark = pytest.mark.filterwarnings("ignore:::ray")
CPU = torch.device("cpu")
RECIPE = Recipe("tiny", (Octave(75, 3, (0.05, 0.02), (1, 0.5)),), gradient="rms")
LONG = replace(RECIPE, name="long", octaves=(Octave(75, 60, (0.05, 0.02), (1, 0.5)),))
JOBS = [Job(parse(f"{layer}[{f}]"), RECIPE, 999) for layer in ("Conv2d_2a_3x3", "Mixed_5b") for f in range(5)]


class Poison:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


class Greedy:
    """A picture for which there is no memory at first."""

    def __init__(self, picture):
        self.picture, self.asked = picture, 0

    def tobytes(self):
        self.asked += 1
        if self.asked == 1:
            raise MemoryError
        return self.picture.tobytes()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.picture, name)


class Broken:
    """A picture that a worker cannot use."""

    def tobytes(self):
        raise ConfigError("no GPU here")


def photo(letter):
    return Photo(letter * 64, (75, 90))


@pytest.fixture(scope="module")
def pictures():
    """What jobs of this file start from."""
    drawn = Image.effect_noise((90, 75), 60).convert("RGB")
    return {photo("a"): drawn, photo("b"): Poison(), photo("c"): Greedy(drawn), photo("d"): Broken()}


@pytest.fixture(scope="module")
def executor(address):
    from ray.cloudpickle import register_pickle_by_value

    register_pickle_by_value(sys.modules[__name__])  # workers have the program, and not its tests
    with connect(address, "auto", "fp32", None, None) as executor:
        yield executor


@pytest.fixture(scope="module")
def on_ray(executor, weights, pictures):
    return executor.load(weights, pictures.__getitem__)


@pytest.fixture(scope="module")
def plain(weights, pictures):
    return PlainExecutor(CPU, resolve_numerics(CPU, "fp32", 1)).load(weights, pictures.__getitem__)


def run(jobs, render, weights, store, size=2, on_done=lambda outcome: None):
    report = Report()
    batches = [batch for column in rounds(jobs, "cpu", size) for batch in column]
    keep_attempts(render(batches), weights.id, store, report, on_done)
    return report


def contents(store):
    return {path.relative_to(store): path.read_bytes() for path in list_masters(store)}


def workers(doing=""):
    """Processes of workers that do something; of clusters that this process started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_text()
            parents = _ancestors(int(folder.name))
        except (OSError, ValueError):
            continue
        if title.startswith(f"ray::_Worker{doing}") and os.getpid() in parents:
            found.append(int(folder.name))
    return found


def _ancestors(pid):
    found = []
    while pid > 1:
        pid = int(re.search(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
        found.append(pid)
    return found


def test_a_cluster_gives_the_bytes_of_the_plain_executor_with_one_thread(executor, on_ray, plain, weights, tmp_path):
    """Photographs included, which only the driver can open."""
    jobs = [*JOBS, *(Job(parse("Mixed_5b[:]"), RECIPE, seed, photo("a")) for seed in (1, 2))]
    report = run(jobs, on_ray, weights, tmp_path / "ray")
    run(jobs, plain, weights, tmp_path / "plain")
    assert (report.rendered, report.failures) == (12, [])
    assert {outcome.job for outcome in report.outcomes} == set(jobs)
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")
    assert len(workers()) == 2
    assert (executor.numerics.threads, executor.device_name) == (1, "Ray, 2 workers with CPU each")


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(on_ray, plain, weights, tmp_path):
    jobs = [Job(parse(f"Mixed_5b[{f}]"), LONG, 999) for f in range(6)]
    killed = []

    def kill_one():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not killed:
            for pid in workers(".render")[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = threading.Thread(target=kill_one)
    thread.start()
    report = run(jobs, on_ray, weights, tmp_path / "ray")
    thread.join()
    assert killed
    assert (report.rendered, report.failures) == (6, [])
    run(jobs, plain, weights, tmp_path / "plain")
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")


def test_a_batch_that_kills_every_worker_fails_and_the_rest_goes_on(on_ray, weights, tmp_path):
    deadly = Job(parse("Mixed_5b[:]"), RECIPE, 999, photo("b"))
    report = run([deadly, *JOBS[:3]], on_ray, weights, tmp_path)
    (failure,) = report.failures
    assert failure.job == deadly
    assert "3 workers on Ray died of it; nothing was stored" in failure.failure
    assert report.rendered == len(list(list_masters(tmp_path))) == 3


def test_a_cluster_that_only_loses_workers_ends_the_run(on_ray, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "HOPELESS", 1)
    deadly = Job(parse("Mixed_5b[:]"), RECIPE, 999, photo("b"))
    with pytest.raises(AtlasError, match="3 workers on Ray died, one after the other"):
        run([deadly], on_ray, weights, tmp_path)


def test_memory_that_runs_out_on_a_worker_halves_the_batch(on_ray, weights, tmp_path):
    jobs = [Job(parse("Mixed_5b[:]"), RECIPE, seed, photo("c")) for seed in (1, 2)]
    report = run(jobs, on_ray, weights, tmp_path)
    assert (report.rendered, report.failures) == (2, [])
    assert {read_record(path).numerics.batch_size for path in list_masters(tmp_path)} == {1}


def test_what_a_worker_raises_is_raised_here(on_ray, weights, tmp_path):
    broken = Job(parse("Mixed_5b[:]"), RECIPE, 999, photo("d"))
    with pytest.raises(ConfigError, match="no GPU here"):
        run([broken], on_ray, weights, tmp_path)
