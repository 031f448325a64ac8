"""How fast this machine renders: seconds of a step by layer and batch size, against what its arithmetic reaches."""

import json
import math
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from atlas.inception import layers, targets
from atlas.plan import jobs as planning
from atlas.plan.recipes import Octave, Recipe
from atlas.render import numerics as arithmetic
from atlas.render.cuda_graphs import CudaGraphs, cuda_capture
from atlas.render.descent import Rows, descend, make_schedule, start_noise, take_step, to_pixels
from atlas.render.memory import free_memory, is_out_of_memory, may_be_out_of_memory
from atlas.render.model import Network
from atlas.render.numerics import hardware_of
from atlas.render.renderer import Renderer
from atlas.store.masters import write_master

_FEW, _MANY = 4, 10  # steps of two descents; the six between them are measured, recorded where rendering records
_GPU_SECONDS, _MOST_STEPS = 0.15, 400  # on a GPU so many more steps are measured: six take a millisecond or two
_LAUNCHES = {"cuda": 20}  # of a kernel in one timing of the peak, 1 elsewhere


@dataclass(frozen=True)
class Options:
    """What to measure."""

    layers: tuple[str, ...]
    size: int = 299  # pixels
    batch_sizes: tuple[int, ...] = ()  # none: the table's
    repeats: int = 5


@dataclass(frozen=True)
class Peak:
    """What this machine reaches in the same precision, in operations a second."""

    matrix: float  # product of two matrices, 2048 × 2048 (CPU) or 8192 × 8192
    convolution: float  # 3×3, 192 to 192 features, a map of 35 × 35


@dataclass(frozen=True)
class Timing:
    """One layer at one batch size; seconds are medians, the mean over the layer's branches by their features."""

    layer: str
    batch_size: int
    step: float  # seconds of one step on one image, all in
    update: float  # of it, update and blur
    flops: float  # operations of one step on one image
    memory: int | None  # bytes of the GPU at most; None on a CPU

    @property
    def speed(self) -> float:
        """Operations a second."""
        return self.flops / self.step


@dataclass(frozen=True)
class Report:
    """What was measured, on what."""

    device: str  # in words
    precision: str
    threads: int  # of the CPU
    size: int
    repeats: int
    torch: str
    peak: Peak
    picture: float  # seconds to copy a finished picture to the host, encode it and write it
    timings: tuple[Timing, ...]
    host_memory: int  # bytes of this process at most
    out_of_memory: tuple[tuple[str, int], ...] = ()  # layers and batch sizes that could not be measured

    def to_json(self) -> str:
        """For programs."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def table(self) -> str:
        """For people, in Markdown."""
        lines = ["| layer | batch | ms a step | of it update | GFLOP/s | of the convolution's peak | GPU memory |"]
        lines.append("|---|---|---|---|---|---|---|")
        for one in self.timings:
            memory = "–" if one.memory is None else f"{one.memory / 1e9:.1f} GB"
            lines.append(
                f"| {one.layer} | {one.batch_size} | {1e3 * one.step:.2f} | {one.update / one.step:.0%} "
                f"| {one.speed / 1e9:,.0f} | {one.speed / self.peak.convolution:.0%} | {memory} |"
            )
        return "\n".join(lines)

    def summary(self) -> str:
        """What holds for all layers, in a few lines."""
        return (
            f"{self.device}, {self.precision}, {self.threads} threads, torch {self.torch}, {self.size} px, "
            f"medians of {self.repeats}\n"
            f"peaks: {self.peak.matrix / 1e9:,.0f} GFLOP/s in a matrix product, "
            f"{self.peak.convolution / 1e9:,.0f} in a convolution\n"
            f"a finished picture, copied, encoded and written: {1e3 * self.picture:.0f} ms\n"
            f"memory of the process at most: {self.host_memory / 1e9:.1f} GB"
            + "".join(f"\nout of memory: {layer}, batch size {rows}" for layer, rows in self.out_of_memory)
        )


def run(renderer: Renderer, device_name: str, options: Options, on_timing: Callable[[Timing], None]) -> Report:
    """Measure.

    Args:
        renderer: of any weights, since no timing depends on them; its precision and threads are measured.
        device_name: where it renders, in words.
        options: what to measure.
        on_timing: told of each measurement.
    """
    device, numerics = renderer.device, renderer.numerics
    with arithmetic.applied(numerics):
        peak = measure_peak(device, numerics.precision, options.repeats)
        memory = hardware_of(device).memory
        timings, lost = [], []
        for layer in options.layers:
            for rows in options.batch_sizes or (planning.batch_size(layer, device.type, memory),):
                timing = _try_to_measure(renderer.network(numerics.precision), layer, rows, options)
                if timing is None:
                    lost.append((layer, rows))
                    free_memory()
                    continue
                timings.append(timing)
                on_timing(timing)
    picture = _measure_picture(renderer, options)
    version = str(torch.__version__)
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Report(
        device_name,
        numerics.precision,
        numerics.threads,
        options.size,
        options.repeats,
        version,
        peak,
        picture,
        tuple(timings),
        host,
        tuple(lost),
    )


def measure_peak(device: torch.device, precision: str, repeats: int) -> Peak:
    """What a large matrix product and a large convolution reach."""
    dtype = arithmetic.dtype_of(precision)
    side, rows = (8192, 256) if device.type == "cuda" else (2048, 8)
    generator = torch.Generator().manual_seed(0)  # a GPU is faster on numbers that are all the same

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype).to(device)

    matrix = numbers(side, side)
    maps, kernel = (
        numbers(*shape).contiguous(memory_format=torch.channels_last)
        for shape in ((rows, 192, 35, 35), (192, 192, 3, 3))
    )
    with _matrix_products_in(precision):
        product = _fastest(lambda: matrix @ matrix, device, repeats)
    convolved = _fastest(lambda: F.conv2d(maps, kernel, padding=1), device, repeats)
    return Peak(2 * side**3 / product, 2 * rows * 35 * 35 * 192 * 192 * 9 / convolved)


def _fastest(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Seconds of some work that is one launch on a GPU, where many are timed together, after some to warm up."""
    launches = _LAUNCHES.get(device.type, 1)

    def several() -> None:
        for _ in range(launches):
            work()

    several()
    several()
    return min(_seconds(several, device) for _ in range(repeats)) / launches


@contextmanager
def _matrix_products_in(precision: str) -> Iterator[None]:
    """Matrix products in TF32 too, where convolutions are, to find the peak; those of a rendering never are."""
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(usual)


def _try_to_measure(network: Network, layer: str, rows: int, options: Options) -> Timing | None:
    """One layer at one batch size; None if there is not enough memory for it."""
    try:
        return _measure(network, layer, rows, options)
    except (RuntimeError, MemoryError) as error:
        if not (is_out_of_memory(error) or (rows > 1 and may_be_out_of_memory(error))):
            raise
        return None


def _measure(network: Network, layer: str, rows: int, options: Options) -> Timing:
    """One layer: a feature of each branch is timed, and counts as often as the branch has features."""
    device, size = network.device, (options.size, options.size)
    block = layers.get_layer(layer)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    step = update = flops = 0.0
    for branch in block.branches:
        share = branch.features / block.features
        seconds = measure_feature(network, layer, branch.first, rows, options)
        step += share * seconds[0]
        update += share * seconds[1]
        flops += share * layers.step_flops(layer, size, branch.first)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Timing(layer, rows, step, update, flops, memory)


def measure_feature(
    network: Network, layer: str, feature: int, rows: int, options: Options, *, with_graphs: bool = True
) -> tuple[float, float]:
    """Time a step of descent on one feature; the caller applies the numerics.

    Args:
        network: in the precision that is measured.
        layer: its name.
        feature: of that layer.
        rows: of the batch, all of this feature.
        options: size and repeats.
        with_graphs: replay CUDA graphs, as rendering does; nothing else is measured on a CPU.

    Returns:
        Seconds of a step on one image, and of its update alone; medians.
    """
    size, device = (options.size, options.size), network.device
    wanted = [targets.feature_target(layer, feature)] * rows
    start = torch.stack([start_noise(planning.DEFAULT_SEED, size)] * rows).to(device)  # [B, 3, H, W]
    graphs = CudaGraphs(cuda_capture(device)) if device.type == "cuda" and with_graphs else None
    many = _MANY

    def go(steps: int) -> None:
        descend(network, wanted, _recipe(options.size, steps), start, graphs=graphs)

    go(_FEW)  # libraries set themselves up, and the step is recorded
    go(many)
    if device.type == "cuda":
        step = max(1e-6, (_seconds(lambda: go(many), device) - _seconds(lambda: go(_FEW), device)) / (many - _FEW))
        many = _FEW + min(_MOST_STEPS, max(many - _FEW, math.ceil(_GPU_SECONDS / step)))
        go(many)
    # the difference of a long and a short descent: what is done once does not count as part of a step
    steps = [_seconds(lambda: go(many), device) - _seconds(lambda: go(_FEW), device) for _ in range(options.repeats)]
    update = _median(_updating(network, wanted, start), device, options.repeats)
    return statistics.median(steps) / (many - _FEW) / rows, update / rows


def _updating(network: Network, wanted: Sequence[targets.Target], start: torch.Tensor) -> Callable[[], object]:
    """A function that does what a step does after the gradient is there."""
    recipe = _recipe(start.shape[-1], 1)
    rows = Rows.first(start.to(network.device))
    schedule = make_schedule(recipe.octaves[0], 0, wanted, recipe.gradient, rows.images)
    return lambda: take_step(rows, rows.images, schedule)


def _measure_picture(renderer: Renderer, options: Options) -> float:
    """Seconds from an image on the device to its master in the store."""
    target = targets.feature_target(options.layers[0], 0)
    [rendering] = renderer.render([planning.Job(target, _recipe(options.size, 1), planning.DEFAULT_SEED)], 1)
    image = start_noise(planning.DEFAULT_SEED, (options.size, options.size)).to(renderer.device)
    with tempfile.TemporaryDirectory() as folder:

        def keep() -> None:
            to_pixels(image).permute(1, 2, 0).cpu()
            write_master(Path(folder, "master.png"), rendering.pixels, rendering.record)

        return _median(keep, renderer.device, options.repeats)


def _recipe(size: int, steps: int) -> Recipe:
    return Recipe("bench", (Octave(size, steps, (0.4, 0.3), (2.4, 0.8)),))


def _median(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    work()
    return statistics.median(_seconds(work, device) for _ in range(repeats))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    arithmetic.wait_for(device)
    start = time.perf_counter()
    work()
    arithmetic.wait_for(device)
    return time.perf_counter() - start
