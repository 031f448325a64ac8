"""`atlas bench` measures what it says; no timing is asserted."""

import json

import torch
from typer.testing import CliRunner

from atlas.cli import app
from atlas.inception import layers
from atlas.rendering import bench
from atlas.rendering.bench import measure_peak


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)], env={"COLUMNS": "200"})


def test_a_line_for_each_layer_and_batch_size(tmp_path):
    out = tmp_path / "bench.json"
    result = run(
        "--layers", "Conv2d_1a_3x3,Mixed_5b", "--size", 75, "--repeats", 1, "--batch-size", "1,2", "--device", "cpu",
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    timings = [(one["layer"], one["batch_size"]) for one in found["timings"]]
    assert timings == [("Conv2d_1a_3x3", 1), ("Conv2d_1a_3x3", 2), ("Mixed_5b", 1), ("Mixed_5b", 2)]
    assert result.output.count("| Mixed_5b |") == 2
    assert found["precision"] == "fp32"
    assert found["peak"] > 0
    block = layers.get_layer("Mixed_5b")
    work = sum(layers.step_flops("Mixed_5b", (75, 75), branch.first) * branch.features for branch in block.branches)
    assert found["timings"][2]["flops"] == work / block.features


def test_what_is_not_allowed_is_said():
    for arguments, said in (
        (("--batch-size", "2,x"), "allowed: auto, or a number from 1 to 4096"),
        (("--batch-size", "auto,4"), '--batch-size "auto": allowed: auto, or a number from 1 to 4096'),
        (("--layers", "Mixed_9z"), "Mixed_9z"),
        (("--precision", "fp8"), "--precision"),
    ):
        result = run("--size", 75, "--device", "cpu", *arguments)
        assert result.exit_code == 2
        assert said in result.output


def test_the_peak_does_not_depend_on_what_ran_before():
    """It leaves threads and determinism alone."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    measure_peak(torch.device("cpu"), "fp32", 1)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_batch_that_is_too_large_costs_no_measurement(monkeypatch):
    measure, freed = bench._measure, []

    def cramped(network, layer, rows, options):
        if rows > 1:
            raise MemoryError
        return measure(network, layer, rows, options)

    monkeypatch.setattr(bench, "_measure", cramped)
    monkeypatch.setattr(bench, "free_memory", lambda: freed.append(1))
    result = run("--layers", "Conv2d_1a_3x3", "--size", 75, "--repeats", 1, "--batch-size", "1,2", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.output.count("| Conv2d_1a_3x3 | 1 |") == 1
    assert "out of memory: Conv2d_1a_3x3, batch size 2" in result.output
    assert freed == [1]  # only after a failure: what glibc no longer keeps makes later steps slower
