"""Rendering on a real Ray cluster of this machine: the plain executor's bytes, whatever dies meanwhile."""

import os
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from atlas import __version__
from atlas.common.errors import AtlasError, ConfigError
from atlas.inception.targets import parse
from atlas.plan.jobs import Job, rounds
from atlas.plan.recipes import Octave, Recipe
from atlas.plan.starts import Photo
from atlas.rendering import numerics
from atlas.rendering.executors import ray_cluster as cluster
from atlas.rendering.executors import worker_pool as pool
from atlas.rendering.executors.local import LocalExecutor
from atlas.rendering.executors.ray_cluster import connect
from atlas.rendering.numerics import Hardware, resolve_numerics
from atlas.rendering.outcomes import Report, keep_attempts
from atlas.rendering.pace import Pace
from atlas.store.masters import list_masters, read_record
from atlas.store.records import Numerics

pytestmark = pytest.mark.filterwarnings("ignore:::ray")
CPU = torch.device("cpu")
RECIPE = Recipe("tiny", (Octave(75, 3, (0.05, 0.02), (1, 0.5)),), gradient="rms")
LONG = replace(RECIPE, name="long", octaves=(Octave(75, 60, (0.05, 0.02), (1, 0.5)),))
JOBS = [Job(parse(f"{layer}[{f}]"), RECIPE, 999) for layer in ("Conv2d_2a_3x3", "Mixed_5b") for f in range(5)]


class FakeRay:
    """A cluster that runs everything here, when its answer is wanted."""

    exceptions = SimpleNamespace(
        **{name: type(name, (Exception,), {}) for name in ("RayError", "RayTaskError", *pool._LOST)}
    )

    def __init__(self, gpus):
        self.resources = {"CPU": 8, "GPU": gpus}
        self.hired = []

    def init(self, *_, **__):
        pass

    def shutdown(self):
        pass

    def nodes(self):
        return [{"Alive": True, "Resources": self.resources}]

    def remote(self, **options):
        def hire(kind):
            self.hired.append(options)
            actor = kind()
            methods = [name for name in dir(kind) if not name.startswith("_")]
            calls = {name: SimpleNamespace(remote=partial(partial, getattr(actor, name))) for name in methods}
            return SimpleNamespace(**calls)

        return lambda kind: SimpleNamespace(remote=lambda: hire(kind))

    def wait(self, calls, timeout):
        return calls, []

    def get(self, call):
        return call()


V100 = Hardware("Tesla V100-SXM2-16GB", "91002", (7, 0), 17 * 10**9)
H100 = Hardware("NVIDIA H100 80GB HBM3", "91002", (9, 0), 85 * 10**9)


@pytest.fixture
def cards(monkeypatch):
    """Puts cards into the workers' machines, and none into this one; gives the cluster."""

    def put(hardware, gpus=2):
        ray = FakeRay(gpus)
        monkeypatch.setattr(cluster, "_import_ray", lambda: ray)
        monkeypatch.setattr(cluster, "resolve_device", torch.device)
        monkeypatch.setattr(cluster, "hardware_of", lambda device: hardware)
        monkeypatch.setattr(numerics, "hardware_of", lambda device: hardware)
        monkeypatch.setattr(cluster, "measure_pace", lambda device, numerics, recipes: Pace(1e-12, 1e-12, 1, {}))
        return ray

    return put


@pytest.mark.parametrize(
    ("hardware", "share", "precision", "memory"),
    [(V100, None, "fp32", 17 * 10**9), (H100, None, "tf32", 85 * 10**9), (H100, 0.25, "tf32", 85 * 10**9 // 4)],
)
def test_one_worker_says_what_the_gpus_are_and_stays(hardware, share, precision, memory, cards):
    ray = cards(hardware)
    with connect("there", "auto", "auto", None, share) as executor:
        assert (executor.numerics.precision, executor.memory) == (precision, memory)
        assert executor.measure_pace([]).workers == 2 / (share or 1)
    assert ray.hired == [{"num_cpus": 1, "num_gpus": share or 1, "max_restarts": 0}]


def test_a_precision_that_the_workers_lack_is_refused(cards):
    cards(V100)
    with pytest.raises(ConfigError, match=r"Tesla V100-SXM2-16GB has compute capability 7\.0"):
        connect("there", "auto", "tf32", None, None).__enter__()


def test_a_cluster_without_gpus_is_asked_nothing(cards):
    ray = cards(Hardware("AVX512"), gpus=0)
    with connect("there", "auto", "fp32", None, None) as executor:
        assert (executor.device, executor.memory) == (CPU, None)
    assert ray.hired == []


@pytest.mark.parametrize(("share", "caps"), [(0, []), (0.5, [(0.5, torch.device("cuda"))]), (1, [])])
def test_a_worker_with_a_share_of_a_gpu_takes_no_more_of_its_memory(share, caps, cards, weights, monkeypatch):
    cards(H100)
    found = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *cap: found.append(cap))
    monkeypatch.setattr(cluster, "Renderer", lambda *_: None)
    cluster._Worker().prepare(__version__, weights, "cuda", Numerics("cuda", "tf32", 1, 1), share)
    assert found == caps


def test_a_worker_whose_card_differs_says_so(cards, weights):
    cards(V100)
    with pytest.raises(ConfigError, match=r"Tesla V100.* allowed on it: auto, fp64, fp32"):
        cluster._Worker().prepare(__version__, weights, "cuda", Numerics("cuda", "tf32", 1, 1), 1)


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
    return LocalExecutor(CPU, resolve_numerics(CPU, "fp32", 1)).load(weights, pictures.__getitem__)


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
    monkeypatch.setattr(pool, "HOPELESS", 1)
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
