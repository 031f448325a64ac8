"""How fast a descent goes here, measured before a run, so that a person knows how long it will take.

The seconds of a step are in proportion to the pixels of the image and, by pixel, to the operations of the network.
Operations are slower in the first convolutions, whose maps are large and whose features are few. What a recipe does
beside the network (parameterization, transforms, optimizer, blur) is measured for each recipe.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch

from atlas.common.cores import count_cores
from atlas.inception import layers
from atlas.inception.targets import feature_target
from atlas.plan.jobs import DEFAULT_SEED, Batch, batch_size
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering import numerics as arithmetic
from atlas.rendering.cuda_graphs import CudaGraphs, cuda_capture
from atlas.rendering.descent import descend
from atlas.rendering.model import Network
from atlas.rendering.parameterization import start_image
from atlas.rendering.weights import Weights, expected_shapes
from atlas.store.records import Numerics, WeightsId

SIZE = 224  # pixels at which steps are measured; smaller recipes are at their own size
_NO_NETWORK, _FIRST, _DEEP = "Conv2d_1a_3x3", "Conv2d_2b_3x3", "Mixed_6e"  # layers that are measured
_STEPS = {"cuda": (8, 40)}  # of a short and a long descent, whose difference counts: what is done once is no step
_FEW_STEPS = (1, 3)
_REPEATS = 2
_SLOWEST_CORE = 30e9  # FLOP/s: a core that measures slower is busy with something else just now
_PLAIN = Recipe("pace", (Octave(SIZE, 1, (0.1, 0.1)),))


@dataclass(frozen=True)
class Pace:
    """What descents take; seconds of one pixel of one image in one step."""

    first: float  # for each operation of the network by pixel, up to `bend` of them
    deep: float  # for each one beyond
    bend: float  # operations by pixel
    beside: Mapping[Recipe, float]  # by recipe: for what is not the network
    workers: int = 1  # that share the batches

    def seconds(self, batch: Batch) -> float:
        """What a batch takes of the time of all."""
        job = batch.jobs[0]
        flops = job.flops / job.pixels
        network = self.first * min(flops, self.bend) + self.deep * max(0.0, flops - self.bend)
        return batch.size * job.pixels * (network + self.beside[job.recipe]) / self.workers


def rough_pace(recipes: Iterable[Recipe]) -> Pace:
    """That of a slow core, without any measurement."""
    return Pace(first=1 / _SLOWEST_CORE, deep=1 / _SLOWEST_CORE, bend=0.0, beside=dict.fromkeys(recipes, 0.0))


def measure_pace(device: torch.device, numerics: Numerics, recipes: Iterable[Recipe]) -> Pace:
    """Measure the network by descents to an early and a late layer, and each recipe by one to the very first.

    Takes some seconds on a CPU. Nothing that is rendered depends on it.

    Args:
        device: where.
        numerics: precision and threads.
        recipes: all that batches have.
    """
    if device.type == "cpu":  # more threads than cores would take minutes, and tell nothing
        numerics = replace(numerics, threads=min(numerics.threads, count_cores()))
    clock = _Clock(device, numerics)
    with arithmetic.applied(numerics):
        plain, first, deep = (clock.pixel(_PLAIN, layer) for layer in (_NO_NETWORK, _FIRST, _DEEP))
        beside = {recipe: clock.pixel(recipe, _NO_NETWORK) for recipe in dict.fromkeys(recipes)}
    bend, end = _flops(_FIRST), _flops(_DEEP)
    slowest = 1 / (_SLOWEST_CORE * numerics.threads) if device.type == "cpu" else float("inf")
    return Pace(
        first=min(max(0.0, first - plain) / bend, 2 * slowest),
        deep=min(max(0.0, deep - first) / (end - bend), slowest),
        bend=bend,
        beside=beside,
    )


class _Clock:
    """Times steps on a device, with weights that do not matter."""

    def __init__(self, device: torch.device, numerics: Numerics) -> None:
        tensors = {name: torch.full(shape, 0.01) for name, shape in expected_shapes().items()}
        weights = Weights(WeightsId("pace", "0" * 64, "all alike"), tensors)
        self.network = Network(weights, device, arithmetic.dtype_of(numerics.precision))
        self.dtype = torch.float64 if numerics.precision == "fp64" else torch.float32
        self.graphs = CudaGraphs(cuda_capture(device)) if device.type == "cuda" else None

    def pixel(self, recipe: Recipe, layer: str) -> float:
        """Seconds of one pixel of one image in a step of the last octave towards the first feature of a layer."""
        device = self.network.device
        last = recipe.octaves[-1]
        size = min(SIZE, last.size)
        rows = batch_size(layer, device.type)
        start = start_image(recipe, DEFAULT_SEED, (size, size)).to(device, self.dtype).expand(rows, -1, -1, -1)
        wanted = [feature_target(layer, 0)] * rows

        def take(steps: int) -> float:
            alone = replace(recipe, octaves=(replace(last, size=size, steps=steps),), rescue_steps=None)
            work = (self.network, wanted, alone, start)
            return arithmetic.seconds_of(lambda: descend(*work, seed=DEFAULT_SEED, graphs=self.graphs), device)

        few, many = _STEPS.get(device.type, _FEW_STEPS)
        take(few)  # libraries set themselves up, and steps are captured
        seconds = min(take(many) for _ in range(_REPEATS)) - min(take(few) for _ in range(_REPEATS))
        return max(0.0, seconds) / (many - few) / rows / size**2


def _flops(layer: str) -> float:
    """Operations of the network by pixel in a step towards the first feature of a layer."""
    return layers.step_flops(layer, (SIZE, SIZE), 0) / SIZE**2
