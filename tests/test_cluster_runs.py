"""Runs on a Ray cluster through the pipeline and the command line; most join one by its address."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atlas import pipeline, runs
from atlas.cli import app
from atlas.plan.jobs import feature_jobs
from atlas.rendering.executors import ray_cluster as clusters
from atlas.runs import RunOptions
from atlas.store.masters import list_masters
from atlas.studies import load_config
from seeded import closed

pytestmark = pytest.mark.filterwarnings("ignore:::ray")
TINY = """
[atlas]
weights = {weights!r}
store = "store"
[features]
layers = ["Conv2d_2a_3x3", "Mixed_5b"]
count = 3
recipe = "tiny"
only = true
[recipes.tiny]
gradient = "rms"
octaves = [{{ size = 75, steps = 3, lr = [0.05, 0.02], sigma = [1, 0.5] }}]
[dead]
recipe = "saved"
features = 3
[recipes.saved]
gradient = "rms"
rescue_steps = 3
octaves = [{{ size = 75, steps = 3, lr = [0.05, 0.02], sigma = [1, 0.5] }}]
"""


@pytest.fixture
def config(weights_file, tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text(TINY.format(weights=str(weights_file)))
    return file


def atlas(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def contents(store):
    return {path.relative_to(store): path.read_bytes() for path in list_masters(store)}


class Quiet:
    """Hears nothing."""

    def __getattr__(self, name):
        return lambda *_: None


def test_the_second_pass_runs_on_the_cluster_too(address, config, weights, tmp_path, monkeypatch):
    """A build's way, from plan to rescue, with one feature that is dead on the start noise."""
    dead = replace(weights, tensors=closed(weights.tensors, "Mixed_5b.branch1x1", 2))
    monkeypatch.setattr(runs, "load_weights", lambda _: dead)
    config.write_text(config.read_text().replace("only = true", ""))
    settings = load_config(str(config))
    reports = {}
    for name, options in {
        "plain": RunOptions(device="cpu", threads=1),
        "ray": RunOptions(executor="ray", address=address),
    }.items():
        here = replace(settings, store=tmp_path / name)
        reports[name] = pipeline.render(here, feature_jobs(here), options, Quiet(), rescue=True)
    assert [report.rendered for report in reports.values()] == [7, 7]
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")


def test_a_full_disk_stops_a_run_on_a_cluster(address, config, tmp_path):
    (tmp_path / "taken").write_text("a file")
    on_ray = ["--config", config, "--executor", "ray", "--address", address]
    result = atlas("render", "Mixed_5b[1]", *on_ray, "--store", tmp_path / "taken")
    assert (result.exit_code, str(tmp_path / "taken") in result.output) == (4, True)


def test_a_cluster_of_this_machine_is_started_and_ended_without_a_word(config, tmp_path):
    """Standard output holds paths alone, and no process stays."""
    command = [sys.executable, "-m", "atlas", "render", "--config", str(config), "--executor", "ray", "--device", "cpu"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    token = f"ATLAS_TEST={tmp_path}"
    environment |= {"COLUMNS": "200", "ATLAS_TEST": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    out, told = result.stdout, result.stderr
    assert result.returncode == 0, told
    assert {Path(line) for line in out.splitlines()} == set(list_masters(tmp_path / "store"))
    assert len(out.splitlines()) == 6
    assert told.startswith("device     Ray, ")
    assert "ray" not in told.partition("\n")[2].lower(), told
    deadline = time.monotonic() + 20
    while _processes_with(token) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not _processes_with(token)


def _processes_with(token):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found += [folder.name] if token.encode() in (folder / "environ").read_bytes() else []
    return found


USAGE = [
    (["--executor", "rey"], 'did you mean "ray"?'),
    (["--address", "127.0.0.1:6379"], "belong to --executor ray"),
    (["--gpus-per-task", "0.5"], "belong to --executor ray"),
    (["--executor", "ray", "--device", "cuda:1"], "on Ray, allowed: auto, cpu, cuda"),
    (["--executor", "ray", "--device", "cuda"], "the Ray cluster has 0 GPUs, and a worker wants 1"),
    (["--executor", "ray", "--device", "cpu", "--gpus-per-task", "0.5"], "exclude each other"),
    (["--executor", "ray", "--threads", "1000"], "has 1,000 cores"),
]


@pytest.mark.parametrize(("flags", "words"), USAGE, ids=[" ".join(flags) for flags, _ in USAGE])
def test_mistakes_of_usage_exit_2_and_say_what(flags, words, address, config):
    flags = [*flags, "--address", address] if "ray" in flags else flags
    result = atlas("render", "Mixed_5b[1]", "--config", config, *flags)
    assert (result.exit_code, words in result.output) == (2, True), result.output


def test_without_ray_the_message_says_how_to_get_it(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = atlas("render", "Mixed_5b[1]", "--config", config, "--executor", "ray")
    assert result.exit_code == 2
    assert "make cluster" in result.output


def test_an_address_where_nothing_listens_exits_2(config):
    result = atlas("render", "Mixed_5b[1]", "--config", config, "--executor", "ray", "--address", "nonsense")
    assert result.exit_code == 2
    assert "Ray cluster nonsense: cannot be reached" in result.output


def test_workers_of_another_version_are_refused(address, config, monkeypatch):
    monkeypatch.setattr(clusters, "__version__", "0.0.1")
    result = atlas("render", "Mixed_5b[1]", "--config", config, "--executor", "ray", "--address", address)
    assert result.exit_code == 2
    assert "here it is 0.0.1: install the same on all machines" in result.output


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "places"),
    [
        ([{"CPU": 8}, {"CPU": 3}], 2, 0, 5),
        ([{"CPU": 64, "GPU": 8}, {"CPU": 4}], 1, 1, 8),
        ([{"CPU": 64, "GPU": 2}], 1, 0.3, 6),
        ([{"CPU": 3, "GPU": 2}], 1, 0.25, 3),
    ],
)
def test_a_cluster_has_room_for_so_many_workers(nodes, cpus, gpus, places):
    assert clusters._places(nodes, cpus, gpus) == places
