"""How fast this machine renders: seconds of a step by layer and batch size, against what its arithmetic reaches."""

import math
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from atlas.inception import layers, targets
from atlas.plan import jobs as planning
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering import numerics as arithmetic
from atlas.rendering.cuda_graphs import CudaGraphs, cuda_capture
from atlas.rendering.descent import Rows, descend, make_schedule, take_step
from atlas.rendering.executors.local import LocalExecutor
from atlas.rendering.memory import free_memory, is_out_of_memory, may_be_out_of_memory
from atlas.rendering.model import Network
from atlas.rendering.numerics import hardware_of, seconds_of
from atlas.rendering.parameterization import make_parameterization, start_noise
from atlas.rendering.renderer import Renderer

_FEW, _MANY = 4, 10  # steps of two descents; the six between them are measured, in a CUDA graph as in rendering
_GPU_SECONDS, _MOST_STEPS = 0.15, 400  # on a GPU more steps are measured, for so long: six take milliseconds
_CUDA_LAUNCHES = 20  # of a kernel in one timing of the peak


@dataclass(frozen=True)
class Options:
    """What to measure."""

    layers: tuple[str, ...]
    size: int = 299  # pixels
    batch_sizes: tuple[int, ...] = ()  # none: the table's
    repeats: int = 5


@dataclass(frozen=True)
class Timing:
    """One layer at one batch size; seconds are medians, the mean over the layer's branches by their features."""

    layer: str
    batch_size: int
    step: float  # seconds of one step on one image, all in
    update: float  # of it, update and blur
    flops: float  # operations of one step on one image
    memory: int | None  # bytes of the GPU at most; None on a CPU


@dataclass(frozen=True)
class Report:
    """What was measured, and on what."""

    device: str  # its name
    precision: str
    threads: int  # of the CPU
    size: int
    repeats: int
    torch: str
    peak: float  # operations per second that a convolution reaches
    timings: tuple[Timing, ...]
    out_of_memory: tuple[tuple[str, int], ...]  # layers and batch sizes that could not be measured
    host_memory: int  # bytes of this process at most

    def table(self) -> str:
        """The timings in Markdown."""
        lines = ["| layer | batch | ms per step | of it update | GFLOP/s | of the peak | GPU memory |"]
        lines.append("|---|---|---|---|---|---|---|")
        for one in self.timings:
            speed = one.flops / one.step  # operations per second
            memory = "–" if one.memory is None else f"{one.memory / 1e9:.1f} GB"
            lines.append(
                f"| {one.layer} | {one.batch_size} | {1e3 * one.step:.2f} | {one.update / one.step:.0%} "
                f"| {speed / 1e9:,.0f} | {speed / self.peak:.0%} | {memory} |"
            )
        return "\n".join(lines)

    def summary(self) -> str:
        """What holds for all layers, in a few lines."""
        return (
            f"{self.device}, {self.precision}, {self.threads} threads, torch {self.torch}, {self.size} px, "
            f"medians of {self.repeats}\n"
            f"peak (a large convolution): {self.peak / 1e9:,.0f} GFLOP/s\n"
            f"memory of the process: at most {self.host_memory / 1e9:.1f} GB"
            + "".join(f"\nout of memory: {layer}, batch size {rows}" for layer, rows in self.out_of_memory)
        )


def run(renderer: Renderer, options: Options, on_timing: Callable[[Timing], None]) -> Report:
    """Measure each layer at each batch size.

    Args:
        renderer: of any weights, since no timing depends on them; its precision and threads are measured.
        options: what to measure.
        on_timing: called after each measurement.
    """
    device, numerics = renderer.device, renderer.numerics
    timings, lost = [], []
    with arithmetic.applied(numerics):
        peak = measure_peak(device, numerics.precision, options.repeats)
        network, memory = renderer.network(numerics.precision), hardware_of(device).memory
        for layer in options.layers:
            for rows in options.batch_sizes or (planning.batch_size(layer, device.type, memory),):
                try:
                    timings.append(_measure(network, layer, rows, options))
                    on_timing(timings[-1])
                    continue
                except (RuntimeError, MemoryError) as error:
                    if not (is_out_of_memory(error) or (rows > 1 and may_be_out_of_memory(error))):
                        raise
                    lost.append((layer, rows))
                # Not after every measurement, since it slows down what follows; and outside the except block, whose
                # traceback keeps the batch's tensors alive.
                free_memory()
    return Report(
        device=LocalExecutor(device, numerics).device_name,
        precision=numerics.precision,
        threads=numerics.threads,
        size=options.size,
        repeats=options.repeats,
        torch=str(torch.__version__),
        peak=peak,
        timings=tuple(timings),
        out_of_memory=tuple(lost),
        host_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


def measure_peak(device: torch.device, precision: str, repeats: int) -> float:
    """Operations per second of a large convolution: 3×3, 192 to 192 features, maps of 35 × 35."""
    rows, launches = (256, _CUDA_LAUNCHES) if device.type == "cuda" else (8, 1)
    generator = torch.Generator().manual_seed(0)  # a GPU is faster on numbers that are all the same
    maps, kernel = (
        torch.randn(shape, generator=generator)
        .to(device, arithmetic.dtype_of(precision))
        .contiguous(memory_format=torch.channels_last)
        for shape in ((rows, 192, 35, 35), (192, 192, 3, 3))
    )

    def convolve() -> None:
        for _ in range(launches):
            F.conv2d(maps, kernel, padding=1)

    return launches * 2 * rows * 35 * 35 * 192 * 192 * 9 / min(_times(convolve, device, repeats))


def _measure(network: Network, layer: str, rows: int, options: Options) -> Timing:
    """One layer: a feature of each branch is timed, and counts as often as the branch has features."""
    device, size = network.device, (options.size, options.size)
    block = layers.get_layer(layer)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    step = update = flops = 0.0
    for branch in block.branches:
        share = branch.features / block.features
        seconds = measure_feature(network, layer, branch.first, rows, options.size, options.repeats)
        step += share * seconds[0]
        update += share * seconds[1]
        flops += share * layers.step_flops(layer, size, branch.first)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Timing(layer, rows, step, update, flops, memory)


def measure_feature(
    network: Network, layer: str, feature: int, rows: int, size: int, repeats: int, *, with_graphs: bool = True
) -> tuple[float, float]:
    """Time a step of the descent on one feature; the caller applies the numerics.

    Args:
        network: in the precision that is measured.
        layer: its name.
        feature: of that layer.
        rows: of the batch, all of this feature.
        size: of the images, in pixels.
        repeats: of each measurement.
        with_graphs: use CUDA graphs, as rendering does; without effect on a CPU.

    Returns:
        Seconds of a step on one image, and of its update alone; medians.
    """
    device, wanted = network.device, [targets.feature_target(layer, feature)] * rows
    start = torch.stack([start_noise(planning.DEFAULT_SEED, (size, size))] * rows).to(device)  # [B, 3, H, W]
    graphs = CudaGraphs(cuda_capture(device)) if device.type == "cuda" and with_graphs else None
    many = _MANY

    def descend_for(steps: int) -> float:
        """Seconds of a descent."""
        return seconds_of(lambda: descend(network, wanted, _recipe(size, steps), start, graphs=graphs), device)

    descend_for(_FEW)  # libraries set themselves up, and the step is captured
    descend_for(many)
    if device.type == "cuda":
        step = max(1e-6, (descend_for(many) - descend_for(_FEW)) / (many - _FEW))
        many = _FEW + min(_MOST_STEPS, max(many - _FEW, math.ceil(_GPU_SECONDS / step)))
        descend_for(many)
    # the difference of a long and a short descent: what is done once is no part of a step
    steps = [descend_for(many) - descend_for(_FEW) for _ in range(repeats)]
    one = _recipe(size, 1)
    form = make_parameterization(one, (size, size), 0, start)
    state = Rows.first(form.params(start))
    schedule = make_schedule(one.octaves[0], 0, wanted, one, form, (), start)
    update = _times(lambda: take_step(state, state.params, state.params, schedule), device, repeats)
    return statistics.median(steps) / (many - _FEW) / rows, statistics.median(update) / rows


def _recipe(size: int, steps: int) -> Recipe:
    return Recipe("bench", (Octave(size, steps, (0.4, 0.3), (2.4, 0.8)),))


def _times(work: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Seconds of each repetition, after one to warm up."""
    work()
    return [seconds_of(work, device) for _ in range(repeats)]
