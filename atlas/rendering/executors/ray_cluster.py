"""A Ray cluster as executor: batches → attempts, by workers that hold the folded network; on this machine or others.

Workers are actors and not tasks: each folds the network once, and keeps the GPU that Ray gave it, while a process that
runs one task after the other would have to start CUDA anew whenever it is given another GPU.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

import torch
from PIL import Image

from atlas import __version__
from atlas.common.errors import ConfigError
from atlas.common.text import count_of
from atlas.plan.jobs import Batch
from atlas.plan.recipes import Recipe
from atlas.plan.starts import Photo
from atlas.rendering.batches import Attempt, BatchLimits, RenderBatches, render_batches
from atlas.rendering.executors.worker_pool import Ray, Reference, Worker, WorkerPool, Workers, first_line
from atlas.rendering.numerics import Hardware, hardware_of, resolve_device, resolve_numerics
from atlas.rendering.pace import Pace, measure_pace
from atlas.rendering.renderer import OpenPhoto, Renderer
from atlas.rendering.weights import Weights
from atlas.store.records import Numerics

THREADS = 1  # of a worker, unless asked otherwise: a process a core is as fast as threads, and any core will do
LOCAL_MEMORY = 2 * 10**9  # bytes that a cluster on this machine may hold for weights and results on their way


@contextmanager
def connect(
    address: str | None, device: str, precision: str, threads: int | None, gpus_per_task: float | None
) -> Iterator["RayExecutor"]:
    """Join a Ray cluster, or start one on this machine, for as long as the context lasts.

    Args:
        address: of a cluster; None: that of $RAY_ADDRESS, or one is started here.
        device: "auto" (GPUs if the cluster has any), "cpu" or "cuda"; Ray says which GPU.
        precision: "auto" or one of `PRECISIONS`.
        threads: of the CPU, and cores that a worker takes; None: one.
        gpus_per_task: share of a GPU that a worker takes, from 0 to 1; None: one GPU, or none on the CPU.

    Raises:
        ConfigError: Ray is not installed, the address does not answer, or the cluster has not what is asked for.
    """
    ray = _import_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it announces a change to come
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": LOCAL_MEMORY}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(local if address == "local" else {}))
    except Exception as error:  # of many kinds, and all mean the same
        raise ConfigError(
            f"Ray cluster {address}: cannot be reached: {first_line(error)}; has ray start --head run there? "
            "If it wants a token, set RAY_AUTH_MODE=token here too. Without --address, this machine alone is used"
        ) from None
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        kind, gpus = _resolve_share(device, gpus_per_task, sum(node.get("GPU", 0) for node in nodes))
        cpus = threads or THREADS
        workers = Workers(ray, _Worker, cpus, gpus, _places(nodes, cpus, gpus))
        # of the GPUs one worker tells: this machine may have none, or others
        hardware = workers.ask(lambda worker: worker.describe.remote(kind.type)) if gpus else None
        numerics = resolve_numerics(kind, precision, cpus, hardware)
        memory = int(hardware.memory * gpus) if hardware and hardware.memory else None
        yield RayExecutor(workers, kind, numerics, memory)
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class RayExecutor:
    """Renders on a cluster: a batch a call, each worker one at a time, in the order in which they are done."""

    workers: Workers
    device: torch.device
    numerics: Numerics
    memory: int | None  # bytes of a worker's share of its GPU

    @property
    def device_name(self) -> str:
        """The workers in words."""
        share = f"{self.workers.gpus:g} GPU" if self.workers.gpus else "CPU"
        return f"Ray, {count_of(self.workers.places, 'worker')} with {share} each"

    def measure_pace(self, recipes: Iterable[Recipe]) -> Pace:
        """How fast descents go, measured by one of the workers, for all of them."""
        wanted = tuple(recipes)
        pace: Pace = self.workers.ask(lambda worker: worker.measure.remote(self.device.type, self.numerics, wanted))
        return replace(pace, workers=self.workers.places)

    def load(self, weights: Weights, open_photo: OpenPhoto) -> RenderBatches:
        """Put weights into the cluster, once for all workers; they are folded when the first batches come."""
        ray = self.workers.ray
        stored, put_photo = ray.put(weights), cache(lambda photo: ray.put(open_photo(photo)))

        def prepare(worker: Worker) -> Reference:
            return worker.prepare.remote(__version__, stored, self.device.type, self.numerics, self.workers.gpus)

        def send(worker: Worker, batch: Batch) -> Reference:
            photos = tuple({job.start: None for job in batch.jobs if job.start})
            return worker.render.remote(batch, photos, *map(put_photo, photos))

        return WorkerPool(self.workers, prepare, send).render


class _Worker:
    """What runs on the cluster: a renderer, and the photographs of the batch in hand."""

    def __init__(self) -> None:
        self._renderer: Renderer | None = None
        self._photos: Mapping[Photo, Image.Image] = {}
        self._limits = BatchLimits()

    def describe(self, device: str) -> Hardware:
        return hardware_of(resolve_device(device))

    def measure(self, device: str, numerics: Numerics, recipes: tuple[Recipe, ...]) -> Pace:
        return measure_pace(resolve_device(device), numerics, recipes)

    def prepare(self, version: str, weights: Weights, device: str, numerics: Numerics, share: float) -> None:
        if version != __version__:
            raise ConfigError(
                f"a worker on Ray has version {__version__} of this program, and here it is {version}: install the "
                "same on all machines"
            )
        here = resolve_device(device)
        resolve_numerics(here, numerics.precision, numerics.threads)  # cards of a cluster need not be alike
        if 0 < share < 1:
            torch.cuda.set_per_process_memory_fraction(share, here)
        self._renderer = Renderer(weights, here, numerics, lambda photo: self._photos[photo])

    def render(self, batch: Batch, photos: Sequence[Photo], *pictures: Image.Image) -> list[Attempt]:
        assert self._renderer, "a worker is prepared before it renders"
        self._photos = dict(zip(photos, pictures, strict=True))
        return [attempt for part in render_batches([batch], self._renderer, self._limits) for attempt in part]


def _import_ray() -> Ray:
    try:
        return import_module("ray")
    except ImportError:
        raise ConfigError(
            "--executor ray needs Ray, which is not installed: run make cluster in this project's folder, or install "
            "inception-atlas[cluster]"
        ) from None


def _resolve_share(device: str, gpus_per_task: float | None, gpus: float) -> tuple[torch.device, float]:
    """The kind of device, and the share of a GPU that each worker takes."""
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f'--device "{device}": on Ray, allowed: auto, cpu, cuda; Ray says which GPU')
    wanted = gpus_per_task
    if wanted is None:
        wanted = 0 if device == "cpu" or (device == "auto" and not gpus) else 1
    if bool(wanted) != (device == "cuda") and device != "auto":
        raise ConfigError(f"--device {device} and --gpus-per-task {wanted:g} exclude each other")
    if wanted > gpus:
        raise ConfigError(f"the Ray cluster has {gpus:g} GPUs, and a worker wants {wanted:g}: say --device cpu")
    return torch.device("cuda" if wanted else "cpu"), wanted


def _places(nodes: Sequence[Mapping[str, float]], cpus: int, gpus: float) -> int:
    """How many workers the nodes of a cluster can hold."""
    places = 0
    for node in nodes:
        count = node.get("CPU", 0) / cpus
        if gpus:
            count = min(count, node.get("GPU", 0) * int(1 / gpus + 1e-9))  # a share never lies on two GPUs
        places += int(count)
    if not places:
        raise ConfigError(
            f"no machine of the Ray cluster has {count_of(cpus, 'core')} and {gpus:g} GPU for a worker: "
            "ask for less with --threads or --gpus-per-task"
        )
    return places
