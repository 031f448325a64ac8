"""Runs: what is fresh stays, what is missing is made, and memory that runs out halves the batch."""

import json
import random
import subprocess
import sys
import threading
import time

import pytest
import torch

from atlas.common.errors import StoreError
from atlas.inception.targets import parse
from atlas.plan import jobs as planning
from atlas.plan.jobs import Batch, Job
from atlas.rendering import outcomes as execute
from atlas.rendering.batches import BatchLimits, render_batches
from atlas.rendering.memory import is_out_of_memory, may_be_out_of_memory
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report, keep_attempts, split_fresh
from atlas.rendering.renderer import Renderer
from atlas.store.masters import list_masters, read_record, write_master
from atlas.studies import load_config
from studied import run_batches

CPU = torch.device("cpu")
RECIPE = load_config().recipes["quick"].scaled(75, 2)
JOBS = [Job(parse(f"{layer}[{f}]"), RECIPE, 999) for layer in ("Conv2d_2a_3x3", "Mixed_5b") for f in range(5)]


@pytest.fixture
def renderer(weights):
    return Renderer(weights, CPU, resolve_numerics(CPU, "auto", 1))


def run(jobs, renderer, store, size=2, *, force=False):
    fresh, pending = split_fresh(jobs, renderer.weights.id, renderer.numerics.precision, store, force=force)
    report = Report(list(fresh))
    for batches in planning.rounds(pending, "cpu", size):
        run_batches(batches, renderer, store, report, lambda outcome: None)
    return report


def contents(store):
    return {path.relative_to(store): path.read_bytes() for path in list_masters(store)}


def test_a_second_run_renders_nothing_and_force_renders_all(renderer, tmp_path):
    first = run(JOBS, renderer, tmp_path)
    assert (first.rendered, first.failures) == (len(JOBS), [])
    assert run(JOBS, renderer, tmp_path).rendered == 0
    before = contents(tmp_path)
    assert run(JOBS, renderer, tmp_path, force=True).rendered == len(JOBS)
    assert contents(tmp_path) == before


def test_only_what_is_missing_or_spoilt_is_rendered(renderer, tmp_path):
    run(JOBS, renderer, tmp_path)
    before = contents(tmp_path)
    paths = list(list_masters(tmp_path))
    paths[1].unlink()
    paths[7].write_bytes(paths[7].read_bytes()[:-9])
    assert run(JOBS, renderer, tmp_path).rendered == 2
    assert contents(tmp_path) == before


def test_order_and_company_change_no_byte(renderer, tmp_path):
    run(JOBS, renderer, tmp_path / "one")
    run(random.Random(1).sample(JOBS, len(JOBS)), renderer, tmp_path / "two")
    for job in JOBS[::3]:
        run([job], renderer, tmp_path / "three")
    one = contents(tmp_path / "one")
    assert contents(tmp_path / "two") == one
    assert contents(tmp_path / "three").items() <= one.items()


class Cramped:
    """A renderer with memory for a few rows only."""

    def __init__(self, renderer, rows, error):
        self.renderer, self.rows, self.error = renderer, rows, error
        self.weights, self.numerics = renderer.weights, renderer.numerics
        self.asked = []

    def render(self, jobs, size):
        self.asked.append(size)
        if size > self.rows:
            raise self.error
        return self.renderer.render(jobs, size)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("could not create a primitive"),
    ],
    ids=["cuda", "host", "allocator", "onednn"],
)
def test_out_of_memory_halves_the_batch_and_the_record_says_so(error, renderer, tmp_path):
    report = run(JOBS[:5], Cramped(renderer, 2, error), tmp_path, size=8)
    assert report.rendered == 5
    assert {read_record(path).numerics.batch_size for path in list_masters(tmp_path)} == {2}


def test_out_of_memory_even_alone_is_a_failure_without_a_master(renderer, tmp_path):
    report = run(JOBS[:3], Cramped(renderer, 0, MemoryError()), tmp_path, size=2)
    assert [outcome.record for outcome in report.failures] == [None] * 3
    assert "out of memory" in report.failures[0].failure
    assert list(list_masters(tmp_path)) == []
    assert run(JOBS[:3], renderer, tmp_path).rendered == 3


UNSUPPORTED = "GET was unable to find an engine to execute this computation"


def test_the_user_sees_the_error_of_a_configuration_that_no_kernel_supports(renderer, tmp_path):
    """And each job is tried once, not in halves again batch after batch."""
    none_fits = Cramped(renderer, 0, RuntimeError(f"{UNSUPPORTED}\nat some place in C++"))
    batches = [Batch(tuple(JOBS[n : n + 2]), 4) for n in (5, 7)]  # both of Mixed_5b
    report = Report()
    run_batches(batches, none_fits, tmp_path, report, lambda outcome: None)
    assert [outcome.failure for outcome in report.outcomes] == [f"{UNSUPPORTED} (with a batch of 1)"] * 4
    assert none_fits.asked == [4, 2, 1, 1, 1, 1]


def test_the_size_that_fits_is_remembered_and_said_once(renderer, tmp_path, caplog):
    cramped = Cramped(renderer, 2, torch.OutOfMemoryError("CUDA out of memory"))
    batches = [Batch(tuple(JOBS[n : n + 2]), 8) for n in (5, 0, 7, 2)]  # of Mixed_5b and Conv2d_2a in turn
    with caplog.at_level("INFO", logger="atlas"):
        run_batches(batches, cramped, tmp_path, Report(), lambda outcome: None)
    assert cramped.asked == [8, 4, 2, 8, 4, 2, 2, 2]  # each layer's first batch, and then no more in vain
    said = [record.atlas_fields["message"] for record in caplog.records]
    assert said == [
        f"{layer} at 94×94 px is tried in batches of 2 for the rest of this run: out of memory"
        for layer in ("Mixed_5b", "Conv2d_2a_3x3")
    ]


# Room for some rows of 299 px, and not for eight; a row has been rendered before, as it has when a batch is too large.
SHORT = """
import json, resource, sys, torch
from pathlib import Path
from atlas.studies import load_config
from atlas.plan.jobs import Batch, Job
from atlas.inception.targets import parse
from atlas.rendering import batches
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import load_weights

recipe = load_config().recipes["quick"].scaled(299, 1)
jobs = tuple(Job(parse(f"Mixed_5b[{number}]"), recipe, 999) for number in range(8))
device = torch.device("cpu")
renderer = Renderer(load_weights(sys.argv[1]), device, resolve_numerics(device, "fp32", 1))
limits = batches.BatchLimits()
list(batches.render_batches([Batch(jobs[:1], 1)], renderer, limits))
taken = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
most = int(taken.split()[1]) * 1024 + 40 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
errors, judge = [], batches.is_out_of_memory
batches.is_out_of_memory = lambda error: errors.append(str(error)) or judge(error)
attempts = [one for part in batches.render_batches([Batch(jobs, 8)], renderer, limits) for one in part]
print(json.dumps({"errors": errors, "rendered": [str(one.job.target) for one in attempts if one.rendering]}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process's memory cannot be limited like this")
def test_memory_of_the_host_that_really_runs_out(weights_file):
    """The system refuses more, and what the libraries make of that is understood."""
    result = subprocess.run([sys.executable, "-c", SHORT, weights_file], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["errors"]
    assert sorted(found["rendered"]) == [f"Mixed_5b[{number}]" for number in range(8)]


def test_any_other_error_is_not_hidden(renderer, tmp_path):
    with pytest.raises(RuntimeError, match="cuDNN"):
        run(JOBS[:1], Cramped(renderer, 0, RuntimeError("cuDNN broke")), tmp_path)


def test_a_failed_rendering_is_stored_named_and_the_rest_goes_on(renderer, tmp_path):
    wild = type(RECIPE)("wild", (type(RECIPE.octaves[0])(75, 3, (1e38, 1e38)),))
    jobs = [Job(parse("Mixed_5b[3]"), wild, 999), JOBS[0]]
    report = run(jobs, renderer, tmp_path)
    assert [str(outcome.job.target) for outcome in report.failures] == ["Mixed_5b[3]"]
    assert "non-finite in octave 1, step" in report.failures[0].failure
    assert report.rendered == 2
    again = run(jobs, renderer, tmp_path)
    assert (again.rendered, len(again.failures)) == (0, 1)


# Writing in other threads


def writers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("write-masters")]


def test_outcomes_come_in_the_order_of_the_batches(renderer, tmp_path, monkeypatch):
    """However long each master takes to write."""
    delays = iter([0.3, 0.0, 0.1, 0.0] * 5)

    def slow(*arguments):
        time.sleep(next(delays))
        write_master(*arguments)

    monkeypatch.setattr("atlas.rendering.outcomes.write_master", slow)
    report = run(JOBS, renderer, tmp_path)
    batches = [batch for column in planning.rounds(JOBS, "cpu", 2) for batch in column]
    assert [outcome.job for outcome in report.outcomes] == [job for batch in batches for job in batch.jobs]
    assert not writers()


def test_no_more_than_two_batches_wait_to_be_written(renderer, tmp_path, monkeypatch):
    """While the disk stands still, the fourth batch is not asked for."""
    asked, seen, gate = [], [], threading.Event()

    def attempts():
        for part in render_batches([Batch(tuple(JOBS[:5]), 1)], renderer, BatchLimits()):
            asked.append(part)
            yield part

    def stuck(*arguments):
        gate.wait(60)
        write_master(*arguments)

    def mend():
        while len(asked) < 3:
            time.sleep(0.01)
        time.sleep(0.5)
        seen.append(len(asked))
        gate.set()

    monkeypatch.setattr("atlas.rendering.outcomes.write_master", stuck)
    mending = threading.Thread(target=mend)
    mending.start()
    report = Report()
    keep_attempts(attempts(), renderer.weights.id, tmp_path, report, lambda outcome: None)
    mending.join()
    assert (seen, report.rendered) == ([3], 5)


def test_a_disk_that_is_full_stops_the_run_and_leaves_no_half_file(renderer, tmp_path, monkeypatch):
    written = []

    def full(path, *arguments):
        if len(written) == 3:
            raise StoreError(f"{path}: no room")
        write_master(path, *arguments)
        written.append(path)

    monkeypatch.setattr("atlas.rendering.outcomes.WRITERS", 1)
    monkeypatch.setattr("atlas.rendering.outcomes.write_master", full)
    report, rendered = Report(), []

    def attempts():
        for batch in render_batches([Batch(tuple(JOBS[:5]), 1)], renderer, BatchLimits()):
            rendered.append(batch)
            yield batch

    with pytest.raises(StoreError, match="no room"):
        keep_attempts(attempts(), renderer.weights.id, tmp_path, report, lambda outcome: None)
    assert [outcome.path for outcome in report.outcomes] == written
    assert {path.name for path in tmp_path.rglob("*.png")} == {path.name for path in written}
    assert not list(tmp_path.rglob("*.tmp"))
    assert not writers()


def test_an_interruption_keeps_what_is_rendered_and_leaves_no_thread(renderer, tmp_path):
    def attempts():
        yield from render_batches([Batch(tuple(JOBS[:3]), 4)], renderer, BatchLimits())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_attempts(attempts(), renderer.weights.id, tmp_path, Report(), lambda outcome: None)
    assert len(list(list_masters(tmp_path))) == 3
    assert not list(tmp_path.rglob("*.tmp"))
    assert not writers()


def test_memory_that_runs_out_while_a_picture_is_encoded(renderer, tmp_path, monkeypatch):
    """Pillow says so in several ways; the strip of stages is an extra, and a picture is whole without it."""

    def never(*_):
        raise RuntimeError("Failed to encode image: Encoding of color planes failed")

    monkeypatch.setattr(execute, "write_stages", never)
    assert run(JOBS[:2], renderer, tmp_path).rendered == 2
    assert not list(tmp_path.rglob("*.avif"))
    monkeypatch.setattr(execute, "write_master", never)
    report = run(JOBS[:3], renderer, tmp_path)
    assert [str(outcome.job.target) for outcome in report.failures] == [str(JOBS[2].target)]
    assert "out of memory" in report.failures[0].failure


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "std::bad_alloc",
    ],
)
def test_what_libraries_say_when_memory_runs_out(words):
    assert may_be_out_of_memory(RuntimeError(words))
    assert is_out_of_memory(RuntimeError(words)) == ("engine" not in words)  # no engine: perhaps no kernel at all
    assert not may_be_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"))


def test_graphs_give_way_before_a_batch_is_halved(renderer, monkeypatch):
    """So that the size of a batch, on which bytes depend, does not depend on what ran before."""
    held, asked, make = [1], [], renderer._render

    def cramped(jobs, size):
        asked.append(size)
        if held:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return make(jobs, size)

    class Held:
        def clear(self):
            had_any = bool(held)
            held.clear()
            return had_any

    monkeypatch.setattr(renderer, "_render", cramped)
    monkeypatch.setattr(renderer, "_graphs", Held())
    with pytest.raises(AttributeError, match="repeat"):  # it went on to the descent
        renderer.render(JOBS[:2], 2)
    assert asked == [2, 2]
    asked.clear()
    held.append(1)
    monkeypatch.setattr(Held, "clear", lambda _: False)
    with pytest.raises(torch.OutOfMemoryError):
        renderer.render(JOBS[:2], 2)
    assert asked == [2]
