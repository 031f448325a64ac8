"""What depends on the device itself: precision, size of a batch, and what records say of it. All cards are made up."""

import re
from dataclasses import replace

import pytest
import torch
from torch.overrides import TorchFunctionMode

from atlas import runs
from atlas.common.errors import ConfigError
from atlas.inception import targets
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering import numerics as arithmetic
from atlas.rendering import renderer as rendering
from atlas.rendering.device_check import LEAST_COSINE, least_cosine
from atlas.rendering.executors import local
from atlas.rendering.executors.local import LocalExecutor
from atlas.rendering.model import Network
from atlas.rendering.numerics import Hardware, allowed_on, hardware_of, resolve_device, resolve_numerics
from atlas.rendering.pace import Pace
from atlas.rendering.renderer import Renderer
from atlas.runs import RunOptions, expect
from atlas.store.forecast import Forecast
from atlas.store.records import Numerics

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda", 0), torch.device("mps")
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
    executor = LocalExecutor(CUDA, resolve_numerics(CUDA, "auto", 1))
    assert executor.memory == H100.memory
    assert LocalExecutor(CPU, resolve_numerics(CPU, "auto", 1)).memory is None


@pytest.mark.parametrize(("memory", "rows"), [(8 * 10**9, 8), (85 * 10**9, 16)])
def test_a_run_is_planned_for_the_card_it_runs_on(memory, rows, card, monkeypatch):
    card(replace(H100, memory=memory))
    monkeypatch.setattr(local, "measure_pace", lambda device, numerics, recipes: Pace(1e-12, 1e-12, 1, {TINY: 0.0}))
    executor = LocalExecutor(CUDA, resolve_numerics(CUDA, "auto", 1))
    jobs = (Job(targets.parse("Mixed_7c[0]"), TINY, 999),)
    assert [batch.size for batches in runs._rounds(jobs, None, executor) for batch in batches] == [rows]
    assert expect(Forecast(jobs, jobs), RunOptions(), None, executor).flops == rows * jobs[0].flops


# Apple's GPU, which no machine that runs these has


@pytest.fixture
def apple(monkeypatch):
    """Puts a network that gives other gradients, or raises, in the place of the one on Apple's GPU."""

    def put(kind):
        def make(weights, device, dtype, input_map="x"):
            return (kind if device.type == "mps" else Network)(weights, CPU, dtype, input_map)

        monkeypatch.setattr(rendering, "Network", make)
        monkeypatch.setattr(rendering, "hardware_of", lambda device: Hardware("Apple M9"))
        return resolve_numerics(MPS, "auto", 1, Hardware("Apple M9"))

    return put


class ChangesWithShape(Network):
    """Right scores, and wrong gradients once the shape of the images has changed: what was reported."""

    shape = None

    def activations(self, images, taps, wanted=None):
        self.shape = self.shape or images.shape[-1]
        if images.shape[-1] != self.shape:
            images = images.detach() + images.flip(3) - images.flip(3).detach()
        return super().activations(images, taps, wanted)


class Infinite(Network):
    def activations(self, images, taps, wanted=None):
        return super().activations(images * float("inf"), taps, wanted)


class Lacking(Network):
    def activations(self, images, taps, wanted=None):
        raise NotImplementedError("max_pool2d_backward is not implemented for the MPS device.\nMore words")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ChangesWithShape, r"wrong gradients there: .* is 1\.0000 at 107 px, then -?0\.\d+ at 128 px, and 0\.999 is"),
        (Infinite, r"-1\.0000 at 107 px, then -1\.0000 at 128 px"),
        (Lacking, r"fails there: max_pool2d_backward is not implemented for the MPS device\.; use"),
    ],
)
def test_apples_gpu_is_refused_where_its_gradients_are_wrong(kind, words, weights, apple):
    numerics = apple(kind)
    with pytest.raises(ConfigError, match=f"^--device .*: torch .*{words}.* --device cpu"):
        Renderer(weights, MPS, numerics)


def test_apples_gpu_is_used_where_its_gradients_are_right(weights, apple):
    numerics = apple(Network)
    assert Renderer(weights, MPS, numerics).numerics == replace(numerics, model="Apple M9")


def test_rows_without_a_gradient_on_the_cpu_do_not_count():
    right = torch.rand(3, 3, 8, 8)
    right[1] = 0
    assert least_cosine(right + 1e-6, right) > LEAST_COSINE > least_cosine(right.flip(0), right)


def test_apples_gpu_is_taken_only_if_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert (resolve_device("auto"), resolve_device("mps")) == (CPU, MPS)
    assert "--device mps" in arithmetic.why_no_gpu()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver.",
            f"the NVIDIA driver is too old for this torch, which needs CUDA {torch.version.cuda}: update the driver",
        ),
        (
            "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU.",
            "this machine has no NVIDIA GPU, or no driver for it: then install one",
        ),
        ("No CUDA GPUs are available", "no GPU is visible to CUDA (is CUDA_VISIBLE_DEVICES empty?)"),
        ("Unexpected {error}. Do this.\nMore words", "CUDA does not start: Unexpected {error}"),
    ],
)
def test_why_no_gpu_can_be_used_is_said(message, words, monkeypatch):
    def refuse():
        raise RuntimeError(message)

    monkeypatch.setattr(torch.cuda, "init", refuse)
    monkeypatch.setattr(torch.version, "cuda", torch.version.cuda or "13.0")
    assert arithmetic.why_no_gpu() == words


def test_auto_takes_a_cuda_gpu(card):
    card(H100)
    assert resolve_device("auto") == CUDA


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_deterministic_algorithms_are_asked_for_where_there_are_any(device):
    before = torch.are_deterministic_algorithms_enabled()
    with arithmetic.applied(Numerics(device, "fp32", 1, 1)):
        assert torch.are_deterministic_algorithms_enabled() == (device == "cpu")
    assert torch.are_deterministic_algorithms_enabled() == before


class NoFloat64(TorchFunctionMode):
    """A device that refuses float64, as Apple's GPU does: nothing of that type is moved, and nothing made there."""

    moves = 0

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = named or {}
        devices = [value for value in (*arguments[1:], *named.values()) if isinstance(value, torch.device)]
        found = function(*arguments, **named)
        if devices:
            self.moves += 1
            tensors = [value for value in (*arguments, found) if isinstance(value, torch.Tensor)]
            assert torch.float64 not in [tensor.dtype for tensor in tensors], function
        return found


def test_nothing_of_float64_goes_to_the_device(weights):
    recipe = Recipe(
        "all", (Octave(80, 2, (0.4, 0.2), (1, 0.5)), Octave(90, 2, (0.4, 0.2))), resize=(1, 1.1), rescue_steps=1
    )
    texts = ["Mixed_5b[0, :4]", "0.3*Mixed_5b[70] + Conv2d_2a_3x3[:]"]
    jobs = [Job(targets.parse(text), recipe, 999) for text in texts]
    with NoFloat64() as mode:
        Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1)).render(jobs, 2)
    assert mode.moves > 100


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
