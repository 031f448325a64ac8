"""What depends on the device itself: what records say of it. Graphics cards are made up."""

import re
from dataclasses import replace

import pytest
import torch

from atlas import pipeline
from atlas.errors import ConfigError
from atlas.forecast import forecast_of
from atlas.plan import targets
from atlas.plan.config import load_config
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, Recipe
from atlas.render import numerics as arithmetic
from atlas.render import renderer as rendering
from atlas.render.batches import PlainExecutor
from atlas.render.hardware import Hardware, hardware_of
from atlas.render.numerics import allowed_on, resolve_numerics
from atlas.render.renderer import Renderer
from atlas.runs import RunOptions, expect

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
TINY = Recipe("tiny", (Octave(75, 1, (0.04, 0.02)),), gradient="rms")
H100 = Hardware("NVIDIA H100 80GB HBM3", "91002", (9, 0), 85 * 10**9)


@pytest.fixture
def card(monkeypatch):
    """Puts a graphics card into this machine, as far as torch tells of it."""

    def put(hardware):
        memory = type("Properties", (), {"total_memory": hardware.memory})
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: hardware.model)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: hardware.capability)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
        monkeypatch.setattr(torch.backends.cudnn, "version", lambda: int(hardware.cudnn))

    return put


V100 = Hardware("Tesla V100-SXM2-16GB", "91002", (7, 0), 17 * 10**9)
A100 = Hardware("NVIDIA A100-SXM4-40GB", "91002", (8, 0), 42 * 10**9)


@pytest.mark.parametrize(
    ("hardware", "auto", "allowed"),
    [
        (V100, "fp32", ("fp64", "fp32")),
        (A100, "tf32", ("fp64", "fp32", "tf32", "bf16")),
        (H100, "tf32", ("fp64", "fp32", "tf32", "bf16")),
    ],
)
def test_a_card_has_tf32_from_ampere_on(hardware, auto, allowed, card):
    """Before, torch would compute in float32 without a word."""
    card(hardware)
    assert allowed_on(CUDA) == allowed
    assert resolve_numerics(CUDA, "auto", 1).precision == auto
    assert [resolve_numerics(CUDA, precision, 1).precision for precision in allowed] == list(allowed)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_precision_that_an_older_card_lacks_is_refused(precision, card):
    card(V100)
    words = (
        f"--precision {precision}: Tesla V100-SXM2-16GB has compute capability 7.0, and {precision} needs 8.0 or "
        "higher; allowed on it: auto, fp64, fp32"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(words)}$"):
        resolve_numerics(CUDA, precision, 1)


def test_a_made_up_precision_is_refused_on_any_card(card):
    card(V100)
    with pytest.raises(ConfigError, match=r"^--precision fp8: on cuda, allowed: auto, fp64, fp32$"):
        resolve_numerics(CUDA, "fp8", 1)


def test_the_size_of_a_batch_follows_the_memory_of_the_card(card):
    card(H100)
    executor = PlainExecutor(CUDA, resolve_numerics(CUDA, "auto", 1))
    assert executor.memory == H100.memory
    assert PlainExecutor(CPU, resolve_numerics(CPU, "auto", 1)).memory is None


@pytest.mark.parametrize(("memory", "rows"), [(8 * 10**9, 8), (85 * 10**9, 16)])
def test_a_run_is_planned_for_the_card_it_runs_on(memory, rows, card, monkeypatch):
    card(replace(H100, memory=memory))
    monkeypatch.setattr(arithmetic, "measure_speed", lambda device, numerics: 1e12)
    executor = PlainExecutor(CUDA, resolve_numerics(CUDA, "auto", 1))
    jobs = [Job(targets.parse("Mixed_7c[0]"), TINY, 999)]
    assert expect(forecast_of(jobs, set(jobs)), RunOptions(), executor).flops == rows * jobs[0].flops
    run = pipeline._Run(load_config(), RunOptions(), None, executor, None, None)
    assert [batch.size for batches in run.rounds(jobs) for batch in batches] == [rows]


def test_a_card_is_asked_for_what_it_is(card):
    card(H100)
    assert hardware_of(CUDA) == H100


def test_a_record_says_on_what_it_was_rendered(weights, monkeypatch):
    job = Job(targets.parse("Conv2d_1a_3x3[0]"), TINY, 999)
    numerics = resolve_numerics(CPU, "fp32", 1)
    (here,) = Renderer(weights, CPU, numerics).render([job], 1)
    found = here.record.numerics
    assert (found.model, found.cudnn) == (torch.backends.cpu.get_cpu_capability(), None)
    monkeypatch.setattr(rendering, "hardware_of", lambda device: H100)
    (there,) = Renderer(weights, CPU, numerics).render([job], 1)
    found = there.record.numerics
    assert (found.model, found.cudnn) == (H100.model, H100.cudnn)
    assert there.pixels == here.pixels
