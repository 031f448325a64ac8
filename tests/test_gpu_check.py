"""The check of a GPU, on the CPU in small: that it runs, and that nothing stops it half-way."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gpu_check
import gpu_report
from atlas.inception import layers
from gpu_phases import PHASES, Phase, Setting, SkippedError

ROOT = Path(__file__).resolve().parent.parent
HERE = Setting("cpu", "demo", small=True)
NO_CPU = {"tests", "memory"}  # phases that need a GPU


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """What a small run of all phases finds."""
    out = tmp_path_factory.mktemp("gpu-check") / "found.jsonl"
    command = [sys.executable, "scripts/gpu_check.py", "--device", "cpu", "--small", "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return out


def read(out):
    return gpu_check.read_results(out.read_text().splitlines())


def test_every_phase_runs_on_a_cpu_in_small(results):
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["phase"] for line in lines] == [phase.name for phase in PHASES]
    assert {line["phase"]: line["status"] for line in lines} == {
        phase.name: "skipped" if phase.name in NO_CPU else "ok" for phase in PHASES
    }
    found = read(results)
    cosines = found["correctness"]["found"]["cosines"]
    assert len(cosines) == 2 * 4 * 2  # layers, targets, precisions
    assert min(one["cosine"] for one in cosines if one["precision"] == "fp32") > 0.9999
    assert found["correctness"]["found"]["error_fp64"] < 1e-6
    assert found["whole"]["found"]["layers"][0]["second"] > 0
    assert all(one["seconds"] > 0 for one in found["article"]["found"]["steps"])


def test_the_report_has_a_section_for_whatever_was_found(results):
    report = gpu_report.make_report(read(results))
    for heading in gpu_report.SECTIONS:
        assert (f"## {heading}" in report) == (heading != "Little memory")
    assert "None" not in report.partition("## What ran")[2]


def test_a_report_of_a_run_that_was_cut_off_has_what_is_there(results):
    first = gpu_check.read_results(results.read_text().splitlines()[:2])
    report = gpu_report.make_report(first)
    assert "## Correct" in report
    assert "## Scores" not in report
    assert gpu_report.readme_rows(first) == []


def test_a_report_is_of_the_last_run_and_of_phases_run_again_after_it():
    def line(phase, **found):
        return json.dumps({"phase": phase, "status": "ok" if found else "timed out", "seconds": 1, "found": found})

    lines = [
        line("facts", a=1),
        line("speed", a=1),
        line("facts", a=2),
        line("speed", a=2),
        line("speed"),
        line("bytes"),
    ]
    found = gpu_check.read_results(lines)
    assert {name: one["found"] for name, one in found.items()} == {"facts": {"a": 2}, "speed": {"a": 2}, "bytes": {}}


def breaks(_):
    yield {"rows": [1]}
    raise ValueError("broken on purpose")


def hangs(_):
    yield {"rows": [1]}
    yield {"rows": [2]}
    time.sleep(600)


def dies(_):
    yield {"rows": [1]}
    os.kill(os.getpid(), 9)


def skips(_):
    raise SkippedError("not here")
    yield


def works(_):
    yield {"rows": [7]}


def test_a_phase_that_fails_hangs_or_dies_costs_no_other(tmp_path):
    runs = {"breaks": breaks, "hangs": hangs, "dies": dies, "skips": skips, "works": works}
    phases = [Phase(name, 1.0 if name == "hangs" else 30.0, run) for name, run in runs.items()]
    out = tmp_path / "found.jsonl"
    began = time.monotonic()
    results = gpu_check.run_phases(phases, HERE, out, budget=100)
    assert time.monotonic() - began < 60
    assert results == [json.loads(line) for line in out.read_text().splitlines()]
    by_name = {result["phase"]: result for result in results}
    assert {name: result["status"] for name, result in by_name.items()} == {
        "breaks": "failed", "hangs": "timed out", "dies": "failed", "skips": "skipped", "works": "ok",
    }  # fmt: skip
    assert "broken on purpose" in by_name["breaks"]["why"]
    assert by_name["skips"]["why"] == "not here"
    found = {name: result["found"].get("rows") for name, result in by_name.items()}
    assert found == {"breaks": [1], "hangs": [1, 2], "dies": [1], "skips": None, "works": [7]}


def test_when_the_budget_is_spent_the_rest_is_skipped(tmp_path):
    results = gpu_check.run_phases([Phase("works", 30.0, works)] * 2, HERE, tmp_path / "found.jsonl", budget=1.0)
    assert [(result["status"], result["why"]) for result in results] == [("skipped", "no time left")] * 2


STEPS = [
    {"layer": "Mixed_6b", "precision": "tf32", "graphs": True, "rows": 16, "seconds": 1.2},
    {"layer": "Mixed_6b", "precision": "tf32", "graphs": True, "rows": 32, "seconds": 1.04},
    {"layer": "Mixed_6b", "precision": "tf32", "graphs": True, "rows": 64, "seconds": 1.0},
    {"layer": "Mixed_6b", "precision": "tf32", "graphs": False, "rows": 16, "seconds": 0.1},
    {"layer": "Mixed_6b", "precision": "bf16", "graphs": True, "rows": 16, "seconds": 0.5},
    {"layer": "Mixed_7c", "precision": "tf32", "graphs": True, "rows": 64, "error": "out of memory"},
]


def test_the_batch_table_takes_the_least_size_near_the_best():
    assert gpu_report.best_rows(STEPS, "tf32") == {"Mixed_6b": 32}


def test_the_time_of_all_features_at_a_constant_speed_is_their_work_over_it():
    speed = 1e14
    measured = [
        {"layer": layer, "rows": 32, "flops": flops, "first": 5 + 32 * flops / speed, "second": 32 * flops / speed}
        for layer, flops in (("Conv2d_2b_3x3", 7e11), ("Mixed_7c", 9e12))
    ]
    seconds = gpu_report.all_features_seconds({"whole": {"found": {"layers": measured}}})
    branches = sum(len(layer.branches) for layer in layers.LAYERS)  # each records its steps once, in 5 seconds here
    work = 64.6e15  # the article's recipe over all features, of which only the branches needed run
    assert seconds == pytest.approx(work / speed + 5 * branches, rel=0.02)
