"""The phases of gpu_check.py: what each asks of a device, in order of worth. Each yields its results as they come."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atlas.common.cores import count_cores
from atlas.common.paths import file_sha256
from atlas.demo.quantised import SCALE, restore
from atlas.inception import layers, targets
from atlas.inception.layers import FC
from atlas.inception.targets import Target
from atlas.plan import jobs as planning
from atlas.plan.clips import make_clip
from atlas.plan.jobs import Batch, Job
from atlas.plan.recipes import Recipe
from atlas.rendering import bench
from atlas.rendering import numerics as arithmetic
from atlas.rendering.batches import Attempt
from atlas.rendering.cuda_graphs import CudaGraphs, cuda_capture
from atlas.rendering.descent import descend, gradient_at
from atlas.rendering.executors.local import LocalExecutor
from atlas.rendering.memory import may_be_out_of_memory
from atlas.rendering.model import Network
from atlas.rendering.numerics import hardware_of
from atlas.rendering.objectives import compile_objective
from atlas.rendering.outcomes import Report, keep_attempts
from atlas.rendering.parameterization import start_image, start_noise
from atlas.rendering.renderer import Renderer, no_photos
from atlas.rendering.weights import Weights, load_weights
from atlas.store.records import Numerics, WeightsId
from atlas.store.results import Results
from atlas.store.weights_ids import LARGEST_WEIGHTS, weights_name
from atlas.studies import load_config
from atlas.studies.shared.context import MeasureContext
from atlas.studies.shared.maps import Array
from atlas.studies.tuning.measure import measure_tuning, respond, to_bytes
from atlas.studies.tuning.settings import Settings as TuningSettings
from atlas.studies.tuning.stimuli import all_stimuli

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ["msgspec", "pydantic", "imageio_ffmpeg", "ffmpeg", "imageio", "rich", "typer", "werkzeug", "skimage"]
NEEDED += ["pytest", "pynvml"]
LEFT_FREE = 3 * 10**9  # bytes of the card that somebody else leaves, in the phase about memory
HOG = """
import sys, torch
free, _ = torch.cuda.mem_get_info(sys.argv[1])
held = torch.empty(max(0, free - int(sys.argv[2])), dtype=torch.uint8, device=sys.argv[1])
print("holds", held.numel(), flush=True)
sys.stdin.read()
"""

Found = dict[str, Any]


class SkippedError(Exception):
    """A phase does not apply here; the message says why."""


@dataclass(frozen=True)
class Setting:
    """Where the check runs, on what, and how much of it."""

    device_name: str  # as `--device`
    source: str  # of the weights
    small: bool

    @cached_property
    def device(self) -> torch.device:
        """The device; the first look at it initialises CUDA."""
        return arithmetic.resolve_device(self.device_name)

    @cached_property
    def weights(self) -> Weights:
        """The weights, which may be a file of 8-bit numbers as gpu_pack.py writes it."""
        path = Path(self.source)
        if path.suffix == ".safetensors" and path.is_file():
            safetensors = importlib.import_module("safetensors.torch")
            tensors = safetensors.load_file(path)
            if any(name.endswith(SCALE) for name in tensors):
                sha256 = file_sha256(path, LARGEST_WEIGHTS)
                return Weights(WeightsId(weights_name(self.source), sha256, "weights of 8 bits"), restore(tensors))
        return load_weights(self.source)

    @property
    def size(self) -> int:
        """Pixels of an image where the article has 299."""
        return 96 if self.small else 299

    @property
    def is_cuda(self) -> bool:
        """Whether there is a GPU to speak of."""
        return self.device.type == "cuda"

    @property
    def fast(self) -> tuple[str, ...]:
        """The precisions that are compared with float32."""
        allowed = arithmetic.allowed_on(self.device)
        return tuple(name for name in ("tf32", "bf16") if name in allowed)

    def numerics(self, precision: str = "auto", rows: int = 1) -> Numerics:
        """Numerics of a precision with so many rows in a batch."""
        return replace(arithmetic.resolve_numerics(self.device, precision, None), batch_size=rows)

    def network(self, precision: str, device: torch.device | None = None) -> Network:
        """The folded network."""
        return Network(self.weights, device or self.device, arithmetic.dtype_of(precision))

    def recipe(self, name: str, steps: int | None = None) -> Recipe:
        """A recipe of the program; small, it has few pixels and steps."""
        recipe = load_config().recipes[name]
        if self.small:
            return recipe.scaled(self.size, 3)
        return recipe if steps is None else recipe.scaled(recipe.octaves[0].size, steps)

    def jobs(self, layer: str, count: int, recipe: Recipe) -> list[Job]:
        """The first features of the layer's widest branch, which fill whole batches."""
        return [
            Job(targets.feature_target(layer, feature), recipe, planning.DEFAULT_SEED)
            for feature in widest_branch(layer)[:count]
        ]

    def batch_size(self, layer: str) -> int:
        """Rows of a batch by the program's own table."""
        return 2 if self.small else planning.batch_size(layer, self.device.type, hardware_of(self.device).memory)


@dataclass(frozen=True)
class Phase:
    """One question to the device."""

    name: str
    seconds: float  # its time box
    run: Callable[[Setting], Iterator[Found]]


def widest_branch(layer: str) -> range:
    """The features of the branch that has most of them."""
    return max((branch.range for branch in layers.get_layer(layer).branches), key=len)


# 1: facts


def facts(setting: Setting) -> Iterator[Found]:
    device = setting.device
    yield {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": importlib.metadata.version("torchvision"),
        "cuda": torch.version.cuda,
        "cores": count_cores(),
        "weights": setting.weights.id.name,
        "small": setting.small,
        "missing": [name for name in NEEDED if find_spec(name) is None],
    }
    if not setting.is_cuda:
        yield {"device": f"CPU ({torch.backends.cpu.get_cpu_capability()})"}
        return
    properties = torch.cuda.get_device_properties(device)
    yield {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "cudnn": str(torch.backends.cudnn.version()),
        "driver": driver_version(),
    }


def driver_version() -> str | None:
    """The version of NVIDIA's driver, if nvidia-smi tells."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


# 2: correctness


def correctness(setting: Setting) -> Iterator[Found]:
    """Gradients of one step against float64 on the CPU; then 20 steps in float64 against the article's loop."""
    cpu, size = torch.device("cpu"), (setting.size, setting.size)
    # a random picture: on the start noise so many neurons are near their kinks that rounding flips a ReLU
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = setting.network("fp64", cpu)
    exactly = Numerics(device="cpu", precision="fp64", batch_size=4, threads=count_cores())
    networks = {precision: setting.network(precision) for precision in ("fp32", *setting.fast)}
    for layer in ("Conv2d_2b_3x3", "Mixed_6b") if setting.small else CHECKED_LAYERS:
        wanted = check_targets(exact, picture, layer)
        expected = gradients(exact, wanted, picture.expand(len(wanted), -1, -1, -1), exactly)
        for precision, network in networks.items():
            images = picture.float().to(setting.device).expand(len(wanted), -1, -1, -1)
            found = gradients(network, wanted, images, setting.numerics(precision, len(wanted)))
            cosines = torch.nn.functional.cosine_similarity(found, expected).tolist()  # [n, 3·H·W] -> [n]
            rows = [
                {"precision": precision, "target": str(target), "cosine": cosine}
                for target, cosine in zip(wanted, cosines, strict=True)
            ]
            yield {"cosines": rows}
            if precision == "fp32" and not min(cosines) >= LEAST_COSINE:
                raise AssertionError(f"a float32 gradient of {layer} has a cosine below {LEAST_COSINE}: {cosines}")
    yield {"error_fp64": article_error(setting, exact)}


LEAST_COSINE = 0.9999  # of a gradient in float32 with that in float64
CHECKED_LAYERS = (
    "Conv2d_1a_3x3",
    "Conv2d_2b_3x3",
    "Conv2d_4a_3x3",
    "Mixed_5d",
    "Mixed_6a",
    "Mixed_6c",
    "Mixed_7a",
    "Mixed_7c",
)


def check_targets(network: Network, picture: Tensor, layer: str) -> list[Target]:
    """Four targets of a layer, of different kinds, at the feature and neuron that respond most to a picture."""
    with torch.inference_mode():
        maps = network.activations(picture, {layer})[layer][0]  # [features, rows, cols]
    cols, number = maps.shape[2], layers.depth(layer)
    feature, row, col = (int(at) for at in torch.unravel_index(maps.argmax(), maps.shape))
    whole = f"{layer}[{feature}]"
    fourth = (f"{layer}[:]", f"{layer}[{feature}, {row}, :]", f"0.3*Conv2d_1a_3x3[1] + 0.7*{whole}")[number % 3]
    texts = (whole, f"{layer}[{feature}, {row}, {col}]", f"{layer}[{feature}, :{row * cols + col + 1}]", fourth)
    return [targets.parse(text) for text in texts]


def gradients(network: Network, wanted: Sequence[Target], images: Tensor, numerics: Numerics) -> Tensor:
    """Gradient of each row's loss at its image, float64 on the CPU, [B, 3·H·W]."""
    size = images.shape[-2], images.shape[-1]
    recipe = load_config().recipes["octaves"]
    with arithmetic.applied(numerics):
        objective = compile_objective(wanted, size, size, network.device, images.dtype)
        return gradient_at(network, objective, recipe, images).double().cpu().flatten(1)


def article_error(setting: Setting, exact: Network) -> float:
    """Greatest difference of a pixel between 20 steps here and by the article's loop, both in float64."""
    sys.path.insert(0, str(ROOT / "tests"))
    oracle = importlib.import_module("oracle")
    recipe = setting.recipe("raster", 20)
    layer = "Mixed_5b" if setting.small else "Mixed_6b"
    start = start_noise(planning.DEFAULT_SEED, recipe.first_size)[None].double()
    with torch.inference_mode():
        feature = int(exact.activations(start, {layer})[layer].mean((0, 2, 3)).argmax())
    network = setting.network("fp64")
    with arithmetic.applied(setting.numerics("fp64")):
        (ours,) = descend(network, [targets.feature_target(layer, feature)], recipe, start)
    model = oracle.torchvision_model(dict(setting.weights.tensors), torch.float64)
    with arithmetic.applied(Numerics(device="cpu", precision="fp64", batch_size=1, threads=count_cores())):
        theirs = oracle.article_render(model, [(1.0, layer, (feature, "whole"))], recipe)
    error = float((ours.image - theirs).abs().max())
    if not error < 1e-6:
        raise AssertionError(f"20 steps in float64 are {error:.2e} from the article's loop; 1e-6 is allowed")
    return error


# the tests that need CUDA


def gpu_tests(setting: Setting) -> Iterator[Found]:
    if not setting.is_cuda:
        raise SkippedError("no CUDA here")
    if missing := [name for name in ("pytest", "msgspec", "pydantic", "ffmpeg") if find_spec(name) is None]:
        raise SkippedError(f"not installed: {', '.join(missing)}")
    options = ["-q", "-m", "gpu", "-p", "no:cacheprovider", "-W", "default"]  # another torch may warn of other things
    command = [sys.executable, "-m", "pytest", *options, "tests/test_gpu.py"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = result.stdout.strip().splitlines()
    yield {"result": lines[-1] if lines else result.stderr[-300:]}
    if result.returncode:
        raise AssertionError("\n".join(lines[-60:]) or result.stderr)


# 3: same bytes


def same_bytes(setting: Setting) -> Iterator[Found]:
    """A picture made twice, beside other neighbours, and by CUDA graphs against plain steps."""
    names = ("Mixed_5b",) if setting.small else ("Conv2d_2b_3x3", "Mixed_5d", "Mixed_6b", "Mixed_7a")
    recipe = setting.recipe("octaves", 12)
    yield from compare_bytes(setting, setting.fast if setting.is_cuda else ("fp32",), names, recipe)


def compare_bytes(setting: Setting, precisions: Sequence[str], names: Sequence[str], recipe: Recipe) -> Iterator[Found]:
    """The checks of `same_bytes` for some layers."""
    renderers = {name: Renderer(setting.weights, setting.device, setting.numerics(name)) for name in precisions}
    differ = []
    for (precision, renderer), layer in product(renderers.items(), names):
        rows = setting.batch_size(layer)
        job, *others = setting.jobs(layer, 2 * rows, recipe)
        once, again = (renderer.render([job, *others[: rows - 1]], rows)[0] for _ in range(2))
        alone = renderer.render([job], rows)[0]
        elsewhere = renderer.render([*others[rows:], job], rows)[-1]
        checks = {
            "twice": once.pixels == again.pixels,
            "alone": once.pixels == alone.pixels,
            "other neighbours": once.pixels == elsewhere.pixels,
            "graph and plain": not setting.is_cuda or is_replayed_alike(setting, precision, job, rows),
        }
        yield {"compared": [{"layer": layer, "precision": precision, **checks}]}
        differ += [f"{layer} in {precision}: {name}" for name, is_same in checks.items() if not is_same]
    if differ:
        raise AssertionError("bytes differ: " + "; ".join(differ))


def is_replayed_alike(setting: Setting, precision: str, job: Job, rows: int) -> bool:
    """Whether a descent by CUDA graphs, none of which was refused, ends at the same images as a plain one."""
    network = setting.network(precision)
    start = torch.stack([start_image(job.recipe, job.seed, job.first_size)] * rows)
    go = partial(descend, network, [job.target] * rows, job.recipe, start, seed=job.seed)
    with arithmetic.applied(setting.numerics(precision, rows)), warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*CUDA graph")  # that is refused, or differs
        replayed = go(graphs=CudaGraphs(cuda_capture(setting.device)))
        plain = go()
    return all(torch.equal(one.image, other.image) for one, other in zip(replayed, plain, strict=True))


# 4: speed of a step


def step_speed(setting: Setting) -> Iterator[Found]:
    """Six layers by batch size and precision, each by its widest branch, against the peak of a convolution."""
    names = ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6b", "Mixed_6e", "Mixed_7c")
    precisions = (setting.fast if setting.is_cuda else ()) or ("fp32",)
    peaks = {}
    for precision in precisions:
        with arithmetic.applied(setting.numerics(precision)):
            peaks[precision] = bench.measure_peak(setting.device, precision, 3)
    yield {"peak": peaks}
    networks = {precision: setting.network(precision) for precision in precisions}
    for layer in WHOLE_LAYERS[:1] if setting.small else names:
        for rows in (1, 2) if setting.small else (16, 64):
            for precision, network in networks.items():
                yield {"steps": [time_step(setting, network, precision, layer, rows, with_graphs=True)]}
    if setting.is_cuda:
        for layer in names:
            precision = precisions[0]
            yield {"steps": [time_step(setting, networks[precision], precision, layer, 32, with_graphs=False)]}


def time_step(
    setting: Setting, network: Network, precision: str, layer: str, rows: int, *, with_graphs: bool
) -> dict[str, Any]:
    feature, size = widest_branch(layer)[0], setting.size
    repeats = 1 if setting.small else 3
    row = {"layer": layer, "rows": rows, "precision": precision, "graphs": with_graphs and setting.is_cuda}
    if setting.is_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(setting.device)
    try:
        with arithmetic.applied(setting.numerics(precision, rows)):
            step, update = bench.measure_feature(network, layer, feature, rows, size, repeats, with_graphs=with_graphs)
    except (RuntimeError, MemoryError) as error:
        if not may_be_out_of_memory(error):
            raise
        return {**row, "error": str(error).splitlines()[0]}
    memory = torch.cuda.max_memory_reserved(setting.device) if setting.is_cuda else None
    flops = layers.step_flops(layer, (size, size), feature)
    return {**row, "seconds": step, "update": update, "flops": flops, "memory": memory}


# 5: do faster precisions reach the same scores?


def score_ratios(setting: Setting) -> Iterator[Found]:
    """`score_shown` of the first 16 features of each layer in each precision, over that in float32."""
    recipe = setting.recipe("raster")
    precisions = setting.fast if setting.is_cuda else ("bf16",)
    renderers = {
        name: Renderer(setting.weights, setting.device, setting.numerics(name)) for name in ("fp32", *precisions)
    }
    names = [layer.name for layer in layers.LAYERS]
    count = 2 if setting.small else 16
    # from all depths early on, so that a phase which is cut off still tells
    for layer in names[5:6] if setting.small else [*names[::4], *names[2::4], *names[1::4], *names[3::4]]:
        features = range(count)
        jobs = [Job(targets.feature_target(layer, f), recipe, planning.DEFAULT_SEED) for f in features]
        made = {name: [one.record for one in renderer.render(jobs, count)] for name, renderer in renderers.items()}
        yield {
            "ratios": [
                {
                    "layer": layer,
                    "feature": feature,
                    **{name: (made[name][feature].score_shown or 0) / exact.score_shown for name in precisions},
                }
                for feature, exact in enumerate(made["fp32"])
                if exact.status == "ok" and exact.score_shown
            ]
        }


# 6: the whole way


def whole_way(setting: Setting) -> Iterator[Found]:
    """Three full batches of five layers by the article's recipe through the executor, masters written.

    The first one records its steps, and the last masters are written after the third; so the second one counts.
    """
    recipe = setting.recipe("octaves")
    with running(setting) as run:
        run.warm_up(setting)
        for layer in WHOLE_LAYERS[:1] if setting.small else WHOLE_LAYERS:
            rows = setting.batch_size(layer)
            jobs = setting.jobs(layer, rows, recipe)
            seeds = (planning.DEFAULT_SEED, 1, 2)  # the layers at the entry have too few features for three batches
            batches = [Batch(tuple(replace(job, seed=seed) for job in jobs), rows) for seed in seeds]
            first, second, _ = run.render(batches)
            yield {"layers": [{"layer": layer, "rows": rows, "first": first, "second": second, "flops": jobs[0].flops}]}


WHOLE_LAYERS = ("Mixed_5d", "Conv2d_2b_3x3", "Mixed_6b", "Mixed_6e", "Mixed_7c")


@dataclass(frozen=True)
class Run:
    """The executor and a store, as a build has them."""

    render_batches: Callable[[Sequence[Batch]], Iterator[list[Attempt]]]
    weights: WeightsId
    store: Path
    report: Report

    def warm_up(self, setting: Setting) -> None:
        """Start CUDA and its libraries and fold the weights, which is done once whatever is rendered."""
        self.render([Batch(tuple(setting.jobs("Mixed_7c", 1, setting.recipe("raster", 4))), 1)])

    def render(self, batches: Sequence[Batch]) -> list[float]:
        """Render batches and write their masters; returns the seconds of each part that was rendered together."""
        times = [time.perf_counter()]

        def timed() -> Iterator[list[Attempt]]:
            for attempts in self.render_batches(batches):
                times.append(time.perf_counter())
                yield attempts

        keep_attempts(timed(), self.weights, self.store, self.report, lambda _: None)
        times[-1] = time.perf_counter()  # the last masters are written
        return [after - before for before, after in pairwise(times)]


@contextmanager
def running(setting: Setting, precision: str = "auto") -> Iterator[Run]:
    executor = LocalExecutor(setting.device, setting.numerics(precision))
    with tempfile.TemporaryDirectory() as folder:
        yield Run(executor.load(setting.weights, no_photos), setting.weights.id, Path(folder), Report())


# 7: spectra, transforms and Adam


def crisp(setting: Setting) -> Iterator[Found]:
    """Recipe crisp: its bytes, its steps beside those of pixels of the same size, and where a GPU's time goes."""
    names = ("Mixed_5b",) if setting.small else ("Mixed_5b", "Mixed_6b", "Mixed_7a")
    yield from compare_bytes(setting, setting.fast[:1] or ("fp32",), names, setting.recipe("crisp", 24))
    usual = setting.recipe("crisp", 40)
    plain = replace(
        usual, parameterization="pixels", color="rgb", optimizer="sgd", transforms=(), rescue_steps=None, name="plain"
    )
    with running(setting) as run:
        run.warm_up(setting)
        for layer in names:
            rows = setting.batch_size(layer)
            seconds = {}
            for recipe in (usual, plain):
                batches = [Batch(tuple(setting.jobs(layer, rows, recipe)), rows)]
                batches.append(Batch(tuple(replace(job, seed=1) for job in batches[0].jobs), rows))
                _, seconds[recipe.name] = run.render([*batches, replace(batches[0], jobs=batches[0].jobs[:1])])[:2]
            yield {"steps": [{"layer": layer, "rows": rows, "crisp": seconds["crisp"], "plain": seconds["plain"]}]}
        jobs = setting.jobs("Mixed_6b", setting.batch_size("Mixed_6b"), setting.recipe("crisp"))
        batch = Batch(tuple(jobs), len(jobs))
        _, second = run.render([batch, replace(batch, jobs=tuple(replace(job, seed=1) for job in jobs))])
        yield {"whole": {"layer": "Mixed_6b", "rows": len(jobs), "seconds": second}}
        if setting.is_cuda:
            run.render([Batch(tuple(setting.jobs("Mixed_5b", 16, usual)), 16)])
            batch = Batch(tuple(replace(job, seed=1) for job in setting.jobs("Mixed_5b", 16, usual)), 16)
            yield {"kernels": gpu_kernels(run, batch, 25)}


def gpu_kernels(run: Run, batch: Batch, count: int) -> list[dict[str, Any]]:
    """The kernels in which the device spends most of the time of a batch, by torch's profiler."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        run.render([batch])
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in events) or 1
    return [
        {"kernel": event.key[:110], "share": event.self_device_time_total / total, "calls": event.count}
        for event in events[:count]
    ]


# 8: phases of a spectrum, and the time that a run is said to take


def pace(setting: Setting) -> Iterator[Found]:
    """The bytes of recipe natural; then the seconds that a batch of each recipe is said to take, and takes."""
    layer = "Mixed_5b" if setting.small else "Mixed_6b"
    yield from compare_bytes(setting, setting.fast[:1] or ("fp32",), (layer,), setting.recipe("natural", 24))
    recipes = [setting.recipe(name) for name in ("octaves", "crisp", "natural")]
    measured = LocalExecutor(setting.device, setting.numerics()).measure_pace(recipes)
    rows = setting.batch_size(layer)
    with running(setting) as run:
        run.warm_up(setting)
        for recipe in recipes:
            batch = Batch(tuple(setting.jobs(layer, rows, recipe)), rows)
            again = Batch(tuple(replace(job, seed=1) for job in batch.jobs), rows)
            _, second = run.render([batch, again])  # the first one records its steps
            yield {
                "batches": [
                    {"recipe": recipe.name, "layer": layer, "rows": rows}
                    | {"predicted": measured.seconds(again), "seconds": second}
                ]
            }


# 9: a study


def tuning(setting: Setting) -> Iterator[Found]:
    """What the study of tuning takes, of all features, and how far its responses are from float64 on the CPU."""
    usual = load_config()
    wanted = usual.study(TuningSettings)
    shuffles, names = (1, usual.layers[:2]) if setting.small else (wanted.shuffles, usual.map_layers)
    config = replace(usual, layers=names).with_study(replace(wanted, shuffles=shuffles))
    renderer = Renderer(setting.weights, setting.device, setting.numerics("fp32"))
    with tempfile.TemporaryDirectory() as folder:
        context = MeasureContext(Results(replace(config, store=Path(folder)), setting.weights.id), renderer)
        began = time.perf_counter()
        measured = measure_tuning(context)
    yield {"seconds": time.perf_counter() - began, "features": sum(len(layer.features) for layer in measured.layers)}
    pictures = np.stack([to_bytes(one, wanted.size) for one in all_stimuli()[:: len(all_stimuli()) // 16]])
    on_cpu = Renderer(setting.weights, torch.device("cpu"), setting.numerics("fp32"))
    networks = renderer.network("fp32", "trained"), on_cpu.network("fp64", "trained")
    ours, exact = (respond(context, network, pictures, names) for network in networks)
    errors = {name: relative_error(ours[name].strongest, exact[name].strongest) for name in names}
    yield {"errors": errors}
    if not max(errors.values()) < LARGEST_ERROR:
        raise AssertionError(f"responses are further from float64 than {LARGEST_ERROR}: {errors}")


LARGEST_ERROR = 1e-4  # of a layer's responses in float32, as a share of their norm


def relative_error(found: Array, exact: Array) -> float:
    """Norm of the difference over the norm of what is exact."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


# 10: classes


def classes(setting: Setting) -> Iterator[Found]:
    """Classes of the weights, or of the demo's: gradients, bytes, and how many pictures are what they should be."""
    chosen = setting if setting.weights.has_classifier else replace(setting, source="demo")
    cpu, size = torch.device("cpu"), (setting.size, setting.size)
    wanted = [targets.parse(text) for text in ("fc[0]", "fc[7]", "fc[54]", "fc[3] + 0.5*Mixed_7c[5]")]
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(
        4, -1, -1, -1
    )
    exactly = Numerics(device="cpu", precision="fp64", batch_size=4, threads=count_cores())
    expected = gradients(chosen.network("fp64", cpu), wanted, images, exactly)
    for precision in ("fp32", *setting.fast):
        found = gradients(
            chosen.network(precision), wanted, images.float().to(setting.device), setting.numerics(precision, 4)
        )
        cosines = torch.nn.functional.cosine_similarity(found, expected).tolist()  # [n, 3·H·W] -> [n]
        pairs = zip(wanted, cosines, strict=True)
        yield {"cosines": [{"precision": precision, "target": str(one), "cosine": cosine} for one, cosine in pairs]}
        if precision == "fp32" and not min(cosines) >= LEAST_COSINE:
            raise AssertionError(f"a float32 gradient of a class has a cosine below {LEAST_COSINE}: {cosines}")
    for recipe in (chosen.recipe("octaves", 12), chosen.recipe("crisp", 12)):
        yield from compare_bytes(chosen, setting.fast[:1] or ("fp32",), (FC,), recipe)
    renderer = Renderer(chosen.weights, setting.device, setting.numerics())
    count, rows = 2 if setting.small else len(chosen.weights.id.classes), chosen.batch_size(FC)
    jobs = chosen.jobs(FC, min(count, MOST_CLASSES), chosen.recipe("quick"))
    began = time.perf_counter()
    made = [one for at in range(0, len(jobs), rows) for one in renderer.render(jobs[at : at + rows], rows)]
    right = sum((one.record.score_shown or 0) > 0 for one in made)  # more probable than all others together
    yield {"rendered": len(made), "right": right, "rendering": time.perf_counter() - began}


MOST_CLASSES = 64  # that are rendered

# 11: a raster video


def video(setting: Setting) -> Iterator[Found]:
    """The 289 frames of the article's video at 299 px."""
    clip = make_clip(
        targets.parse("Mixed_6b[654]"),
        setting.recipe("raster"),
        planning.DEFAULT_SEED,
        stride=2 if setting.small else 1,
        fps=None,
        size=None,
    )
    jobs = [frame.job for frame in clip.frames]
    rows = setting.batch_size(clip.layer)
    with running(setting) as run:
        run.warm_up(setting)
        batches = [Batch(tuple(jobs[at : at + rows]), rows) for at in range(0, len(jobs), rows)]
        times = run.render(batches)
        yield {"frames": len(jobs), "rows": rows, "seconds": sum(times), "first_batch": times[0]}
        if find_spec("imageio_ffmpeg") and find_spec("ffmpeg"):
            began = time.perf_counter()
            importlib.import_module("atlas.store.video").encode_clip(run.store, run.weights, clip)
            yield {"encoding": time.perf_counter() - began}


# 12: memory


def little_memory(setting: Setting) -> Iterator[Found]:
    """A run goes on where somebody else holds nearly all of the card's memory."""
    if not setting.is_cuda:
        raise SkippedError("no memory of a GPU here")
    # before this process initialises CUDA, so that its own context lies in what is left
    hog = subprocess.Popen(
        [sys.executable, "-c", HOG, str(setting.device), str(LEFT_FREE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert hog.stdout
        yield {"held": hog.stdout.readline().strip()}
        layer = "Mixed_6b"
        rows = 64
        jobs = setting.jobs(layer, 96, setting.recipe("octaves", 4))
        with running(setting) as run:
            run.render([Batch(tuple(jobs[:rows]), rows), Batch(tuple(jobs[rows:]), rows)])
        sizes = [one.record.numerics.batch_size if one.record else None for one in run.report.outcomes]
        yield {"asked": rows, "rendered": run.report.rendered, "batch_sizes": sorted({str(size) for size in sizes})}
        if run.report.failures:
            raise AssertionError(f"{len(run.report.failures)} failed: {run.report.failures[0].failure}")
    finally:
        hog.kill()
        hog.wait()


# 13: the article's loop


def article_loop(setting: Setting) -> Iterator[Found]:
    """Seconds of a step of the article's code as written, for the layers of the whole way."""
    peers = importlib.import_module("bench_peers")
    steps = 2 if setting.small else 20
    model = peers.article_model(setting.weights.tensors, setting.device)
    for layer in WHOLE_LAYERS[:1] if setting.small else WHOLE_LAYERS:
        cut = peers.NewModel(model, layer)
        image = start_noise(planning.DEFAULT_SEED, (setting.size, setting.size))[None].to(setting.device)
        for count in (2, steps):  # the first two warm up
            arithmetic.wait_for(setting.device)
            began = time.perf_counter()
            for _ in range(count):
                image = peers.article_step(cut, image, widest_branch(layer)[0])
            arithmetic.wait_for(setting.device)
        yield {"steps": [{"layer": layer, "seconds": (time.perf_counter() - began) / steps}]}


PHASES = (
    Phase("facts", 5, facts),
    Phase("correctness", 40, correctness),
    Phase("tests", 45, gpu_tests),
    Phase("bytes", 35, same_bytes),
    Phase("speed", 60, step_speed),
    Phase("whole", 45, whole_way),
    Phase("crisp", 50, crisp),
    Phase("pace", 40, pace),
    Phase("tuning", 60, tuning),
    Phase("classes", 60, classes),
    Phase("scores", 50, score_ratios),
    Phase("video", 25, video),
    Phase("memory", 20, little_memory),
    Phase("article", 15, article_loop),
)

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
