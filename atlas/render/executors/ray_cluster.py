"""A Ray cluster as executor: batches → attempts, by workers that hold the folded network; on this machine or others.

Workers are actors and not tasks: each folds the network once, and keeps the GPU that Ray gave it, while a process that
runs one task after the other would have to start CUDA anew whenever it is given another GPU.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from PIL import Image

from atlas import __version__
from atlas.common.errors import AtlasError, ConfigError
from atlas.plan.jobs import Batch
from atlas.plan.starts import Photo
from atlas.render.batches import Attempt, BatchLimits, RenderBatches, render_batches
from atlas.render.executors.worker_pool import (
    STARTING,
    Crew,
    LostWorkerError,
    Ray,
    Reference,
    Worker,
    first_line,
    result,
)
from atlas.render.numerics import Hardware, hardware_of, measure_speed, resolve_device, resolve_numerics
from atlas.render.renderer import OpenPhoto, Renderer
from atlas.render.weights import Weights
from atlas.store.forecast import count_of
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
        workers = Workers(ray, cpus, gpus, _places(nodes, cpus, gpus))
        # of the GPUs one worker tells: this machine may have none, or others
        hardware = workers.ask(lambda worker: worker.look.remote(kind.type)) if gpus else None
        numerics = resolve_numerics(kind, precision, cpus, hardware)
        memory = int(hardware.memory * gpus) if hardware and hardware.memory else None
        yield RayExecutor(workers, kind, numerics, memory)
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class Workers:
    """What workers a cluster has room for, and one that has answered a question and may render."""

    ray: Ray
    cpus: int  # cores of each
    gpus: float  # share of a GPU of each
    places: int
    spare: list[Worker] = field(default_factory=list)

    def hire(self) -> Worker:
        """The spare worker, or a new one."""
        if self.spare:
            return self.spare.pop()
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_restarts": 0}
        return self.ray.remote(**options)(_Worker).remote()

    def ask(self, question: Callable[[Worker], Reference]) -> Any:
        """Have one worker answer, and keep it.

        Raises:
            AtlasError: none starts, it dies, or its machine lacks what is asked for.
        """
        worker = self.hire()
        call = question(worker)
        try:
            done, _ = self.ray.wait([call], timeout=STARTING)
            if not done:
                raise self.never_started
            answer = result(self.ray, call)
        except LostWorkerError as lost:
            raise AtlasError(f"the first worker on Ray died at once: {lost}") from None
        self.spare.append(worker)
        return answer

    @property
    def never_started(self) -> AtlasError:
        """What to say if no worker is ever ready."""
        return AtlasError(
            f"no worker on Ray started in {STARTING // 60} minutes: none has {count_of(self.cpus, 'core')} and "
            f"{self.gpus:g} GPU to spare; ray status says what is taken"
        )


class RayExecutor:
    """Renders on a cluster: a batch a call, each worker one at a time, in the order in which they are done."""

    def __init__(self, workers: Workers, device: torch.device, numerics: Numerics, memory: int | None) -> None:
        self.device = device
        self.numerics = numerics
        self.memory = memory  # bytes of a worker's share of its GPU
        self._workers = workers

    @property
    def device_name(self) -> str:
        """The workers in words."""
        share = f"{self._workers.gpus:g} GPU" if self._workers.gpus else "CPU"
        return f"Ray, {count_of(self._workers.places, 'worker')} with {share} each"

    def measure_speed(self) -> float:
        """Floating-point operations a second of all workers, measured by one of them."""
        speed = self._workers.ask(lambda worker: worker.measure.remote(self.device.type, self.numerics))
        return self._workers.places * float(speed)

    def why_no_gpu(self) -> str:
        """Why no GPU is used, in words."""
        return "the Ray cluster has none, or none was asked for"

    def load(self, weights: Weights, open_photo: OpenPhoto) -> RenderBatches:
        """Put weights into the cluster, once for all workers; they are folded when the first batches come."""
        workers, ray = self._workers, self._workers.ray
        stored = ray.put(weights)
        photos: dict[Photo, Reference] = {}

        def hire() -> tuple[Worker, Reference]:
            worker = workers.hire()
            return worker, worker.prepare.remote(__version__, stored, self.device.type, self.numerics, workers.gpus)

        def send(worker: Worker, batch: Batch) -> Reference:
            wanted = tuple({job.start: None for job in batch.jobs if job.start})
            for photo in wanted:
                if photo not in photos:
                    photos[photo] = ray.put(open_photo(photo))
            return worker.render.remote(batch, wanted, *(photos[photo] for photo in wanted))

        return Crew(ray, workers.places, hire, send, workers.never_started).render


class _Worker:
    """What runs on the cluster: a renderer, and the photographs of the batch in hand."""

    def __init__(self) -> None:
        self._renderer: Renderer | None = None
        self._photos: Mapping[Photo, Image.Image] = {}
        self._limits = BatchLimits()

    def look(self, device: str) -> Hardware:
        return hardware_of(resolve_device(device))

    def measure(self, device: str, numerics: Numerics) -> float:
        return measure_speed(resolve_device(device), numerics)

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
    """How many workers the nodes of a cluster have room for."""
    places = 0
    for node in nodes:
        room = node.get("CPU", 0) / cpus
        if gpus:
            room = min(room, node.get("GPU", 0) * int(1 / gpus + 1e-9))  # a share never lies on two GPUs
        places += int(room)
    if not places:
        raise ConfigError(
            f"no machine of the Ray cluster has {count_of(cpus, 'core')} and {gpus:g} GPU for a worker: "
            "ask for less with --threads or --gpus-per-task"
        )
    return places
