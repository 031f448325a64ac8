"""What only a CUDA GPU can show: captures that are refused, memory that runs out, and numerics of a device."""

import warnings
from dataclasses import replace

import pytest
import torch

from atlas.inception import targets
from atlas.plan.jobs import Batch, Job
from atlas.rendering.batches import BatchLimits, render_batches
from atlas.rendering.cuda_graphs import CaptureRefusedError, CudaGraphs, cuda_capture
from atlas.rendering.descent import descend
from atlas.rendering.model import Network
from atlas.rendering.numerics import applied, resolve_numerics
from atlas.rendering.parameterization import start_image
from atlas.rendering.renderer import Renderer

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def device():
    return torch.device("cuda", 0)


# first: graphs of other tests hold memory


def test_a_batch_that_does_not_fit_is_halved(device, weights, recipes):
    total = torch.cuda.get_device_properties(device).total_memory
    recipe = recipes["raster"].scaled(299, 5)
    jobs = tuple(Job(targets.parse(f"Mixed_5b[{feature}]"), recipe, 999) for feature in range(32))
    renderer = Renderer(weights, device, resolve_numerics(device, "fp32", None))
    torch.cuda.set_per_process_memory_fraction(1.5e9 / total, device)
    try:
        attempts = [one for part in render_batches([Batch(jobs, 32)], renderer, BatchLimits()) for one in part]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert {one.failure for one in attempts} == {None}
    assert max(one.rendering.record.numerics.batch_size for one in attempts) < 32


def test_memory_that_runs_out_inside_a_capture_is_told_as_such(device):
    sizes = [1, 10**15]  # the first call warms up, and the second is captured

    def body():
        torch.empty(sizes.pop(0), dtype=torch.uint8, device=device)

    with pytest.raises(torch.OutOfMemoryError):
        cuda_capture(device)(body)
    assert torch.ones(3, device=device).sum().item() == 3


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize(
    "text", ["Conv2d_2b_3x3[5]", "Mixed_5d[70]", "Mixed_6a[500, :9]", "Mixed_6b[3] + Mixed_5b[1]", "Mixed_7a[:]"]
)
@pytest.mark.parametrize("name", ["raster", "crisp"])
def test_every_kind_of_step_is_captured_and_has_the_bits_of_a_plain_one(
    name, text, precision, device, weights, recipes
):
    numerics = resolve_numerics(device, precision, None)
    network = Network(weights, device, torch.bfloat16 if precision == "bf16" else torch.float32)
    recipe = replace(recipes[name].scaled(128, 8), rescue_steps=None)
    wanted = [targets.parse(text)] * 4
    start = torch.stack([start_image(recipe, 999, recipe.first_size)] * 4)
    with applied(numerics), warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*CUDA graph")  # that is refused, or differs
        replayed = descend(network, wanted, recipe, start, graphs=CudaGraphs(cuda_capture(device)), seed=999)
        plain = descend(network, wanted, recipe, start, seed=999)
    for one, other in zip(replayed, plain, strict=True):
        assert torch.equal(one.image, other.image)


# refusals last: what they leave behind must not be what the other tests find


def test_a_step_that_waits_for_the_host_is_refused_and_the_device_is_sound(device):
    """Torch leaves its own stream current where a capture cannot end."""
    values, stream = torch.ones(4, device=device), torch.cuda.current_stream(device)

    def body():
        values.add_(1)
        if values.sum().item() > 1e9:  # the host waits for a number, which no capture can hold
            values.zero_()

    with pytest.raises(CaptureRefusedError, match="captur"):
        cuda_capture(device)(body)
    assert torch.cuda.current_stream(device) == stream
    assert (values * 2).sum().item() > 0


def test_after_a_refusal_other_steps_are_captured(device):
    capture, values = cuda_capture(device), torch.zeros((), device=device)
    with pytest.raises(CaptureRefusedError):
        capture(lambda: values.item())
    replay = capture(lambda: values.add_(1))
    before = values.item()
    replay()
    assert values.item() == before + 1
