"""CUDA graphs of steps: the same bits as plain ones, captured once for batches of one form, and never trusted unseen.

The graphs of these tests call the step again, as a CUDA graph would launch its kernels again: what is tested is
that a replay reads and writes nothing but the tensors that were captured.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from atlas.inception import targets
from atlas.rendering.cuda_graphs import MOST, CaptureRefusedError, CudaGraphs, cuda_capture, reason_of
from atlas.rendering.descent import descend
from atlas.rendering.parameterization import start_noise


class CountingCapture:
    """A capture that counts."""

    def __init__(self):
        self.captured = self.replayed = 0

    def __call__(self, body):
        self.captured += 1

        def replay():
            self.replayed += 1
            body()

        return replay


@pytest.fixture
def capture():
    return CountingCapture()


def made_by(network, recipe, texts, graphs=None):
    start = torch.stack([start_noise(999, recipe.first_size)] * len(texts))
    return descend(network, [targets.parse(text) for text in texts], recipe, start, graphs=graphs)


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.image, other.image)
        assert (one.octaves, one.gradient_norm, one.had_gradient, one.failed_at) == (
            other.octaves,
            other.gradient_norm,
            other.had_gradient,
            other.failed_at,
        )


@pytest.mark.parametrize("name", ["octaves", "raw", "quick", "raster"])
def test_a_captured_descent_has_the_bits_of_a_plain_one(name, network32, recipes, capture):
    recipe = recipes[name].scaled(75, 6)
    batches = [["Mixed_5b[3]", "Mixed_5b[9]"], ["Mixed_5b[60]", "Mixed_5b[4]"]]
    graphs = CudaGraphs(capture)
    for texts in batches:
        assert_equal(made_by(network32, recipe, texts, graphs), made_by(network32, recipe, texts))
    assert capture.captured == len(recipe.octaves)  # once for both batches
    assert capture.replayed == len(recipe.octaves) * (2 * 6 + 1)


def test_positions_and_failures_are_inputs_and_state(network32, recipes, capture):
    recipe = recipes["raster"].scaled(75, 5)
    graphs = CudaGraphs(capture)
    for texts in (["Mixed_5b[3, :5]", "Mixed_5b[3, 2, 2]"], ["Mixed_5b[3, :9]", "Mixed_5b[3, 1, :]"]):
        assert_equal(made_by(network32, recipe, texts, graphs), made_by(network32, recipe, texts))
    wild = type(recipe)("wild", tuple(type(o)(o.size, 6, (1e38, 1e38), o.sigma) for o in recipe.octaves))
    failed = made_by(network32, wild, ["Mixed_5b[3]"], graphs)
    assert failed[0].failed_at is not None
    assert_equal(failed, made_by(network32, wild, ["Mixed_5b[3]"]))


def test_steps_that_may_rescue_are_plain_and_the_others_replayed(network32, recipes, capture):
    recipe = replace(recipes["rescued"].scaled(75, 9), rescue_steps=3)
    texts = ["Mixed_5b[3]", "Mixed_5b[9]"]
    found = made_by(network32, recipe, texts, CudaGraphs(capture))
    assert_equal(found, made_by(network32, recipe, texts))
    octaves = len(recipe.octaves)
    assert capture.replayed == 9 * octaves - 3 + capture.captured  # one more to compare each graph with a plain step


def test_octaves_whose_steps_differ_are_not_captured(network32, recipes, capture):
    recipe = recipes["smooth"].scaled(96, 5)
    start = torch.stack([start_noise(999, recipe.first_size)])
    wanted = [targets.parse("Mixed_5b[3]")]
    found = descend(network32, wanted, recipe, start, seed=999, graphs=CudaGraphs(capture))
    assert_equal(found, descend(network32, wanted, recipe, start, seed=999))
    assert capture.captured == 0


def test_no_more_graphs_are_kept_than_a_few(network32, recipes, capture):
    recipe = recipes["raw"].scaled(75, 4)
    graphs = CudaGraphs(capture)
    layers = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
    for layer in [*layers, layers[-1], layers[0]]:
        made_by(network32, recipe, [f"{layer}[1]"], graphs)
    assert capture.captured == (MOST + 2) * len(recipe.octaves)


def test_a_graph_that_differs_is_not_used(network32, recipes):
    recipe = recipes["raw"].scaled(75, 5)
    with pytest.warns(UserWarning, match="gives another result"):
        found = made_by(network32, recipe, ["Mixed_5b[3]"], CudaGraphs(lambda body: lambda: None))
    assert_equal(found, made_by(network32, recipe, ["Mixed_5b[3]"]))


def test_a_step_that_cannot_be_captured_is_done_plainly(network32, recipes):
    def refuse(body):
        raise CaptureRefusedError("operation not permitted when stream is capturing")

    recipe = recipes["raw"].scaled(75, 5)
    with pytest.warns(UserWarning, match="cannot be captured as a CUDA graph, and runs slower"):
        found = made_by(network32, recipe, ["Mixed_5b[3]"], CudaGraphs(refuse))
    assert_equal(found, made_by(network32, recipe, ["Mixed_5b[3]"]))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
    ],
)
def test_what_capture_did_not_refuse_is_raised(error, network32, recipes):
    """After a CUDA error nothing that the device computes can be trusted."""

    def fail(body):
        raise error

    with pytest.raises(type(error), match=str(error)):
        made_by(network32, recipes["raw"].scaled(75, 5), ["Mixed_5b[3]"], CudaGraphs(fail))


def accelerator_error(text, code):
    error = torch.AcceleratorError(text)
    error.error_code = code
    return error


REFUSALS = [
    accelerator_error("CUDA error: operation not permitted when stream is capturing\nCompile with …", 900),
    accelerator_error("CUDA error: dependency created on uncaptured work in another stream", 905),
    RuntimeError("Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is pinned"),
]
FATAL = [
    torch.OutOfMemoryError("CUDA out of memory during graph capture"),
    accelerator_error("CUDA error: an illegal memory access was encountered while capturing", 700),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
]


@pytest.mark.parametrize("error", REFUSALS)
def test_a_refusal_of_capture_is_told_from_other_errors(error):
    reason = reason_of(error)
    assert isinstance(reason, CaptureRefusedError)
    assert str(reason) == str(error).partition("\n")[0]


@pytest.mark.parametrize("error", FATAL)
def test_an_error_inside_a_capture_is_raised_as_it_is(error):
    assert reason_of(error) is error


class FakeCuda:
    """Captures that end as torch's do: where the body fails, the end fails too, and its stream stays current."""

    def __init__(self):
        self.stream, self.closed, self.pools = "the caller's", [], 0

    def graph_pool_handle(self):
        self.pools += 1
        return self.pools

    @contextmanager
    def graph(self, graph, pool, stream):
        self.stream = "torch's own"
        try:
            yield
        except RuntimeError:
            raise RuntimeError("operation failed due to a previous error during capture") from None
        self.stream = "the caller's"


@pytest.fixture
def fake_cuda(monkeypatch):
    fake = FakeCuda()
    stream = SimpleNamespace(wait_stream=lambda _: None)
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(
        graph_pool_handle=fake.graph_pool_handle, graph=fake.graph, CUDAGraph=lambda: SimpleNamespace(replay=None),
        device=nullcontext, stream=nullcontext, Stream=lambda _: stream, current_stream=lambda: stream,
        set_stream=lambda _: setattr(fake, "stream", "the caller's"), synchronize=lambda: None,
        current_device=lambda: 0,
    ))  # fmt: skip
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", lambda *which: fake.closed.append(which), raising=False)
    return fake


def test_after_a_refused_capture_stream_allocator_and_pool_are_put_in_order(fake_cuda):
    capture = cuda_capture("cuda")
    errors = iter([None, REFUSALS[0]])  # the first call warms up, the second is captured

    def body():
        if error := next(errors):
            raise error

    with pytest.raises(CaptureRefusedError, match="not permitted when stream is capturing"):
        capture(body)
    assert fake_cuda.stream == "the caller's"
    assert fake_cuda.closed == [(0, 1)]
    assert fake_cuda.pools == 2  # the next capture has another one
    capture(lambda: None)


def test_an_error_of_a_step_that_warms_up_is_its_own(fake_cuda):
    def fail():
        raise RuntimeError("cuDNN broke while capturing nothing")

    with pytest.raises(RuntimeError, match="cuDNN broke"):
        cuda_capture("cuda")(fail)
