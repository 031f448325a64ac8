"""Devices and their arithmetic: flags → `torch.device`, `Hardware` and `Numerics`; a context applies the numerics."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from atlas.common.cores import count_cores
from atlas.common.errors import ConfigError
from atlas.store.records import Numerics

PRECISIONS = ("fp64", "fp32", "tf32", "bf16")
_ALLOWED = {"cpu": ("fp64", "fp32", "bf16"), "cuda": PRECISIONS, "mps": ("fp32", "bf16")}
_TENSOR_CORES = (8, 0)  # compute capability (Ampere) below which a GPU has neither TF32 nor bf16
_BEFORE_AMPERE = ("fp64", "fp32")
_NO_GPU = "no GPU is visible to CUDA (is CUDA_VISIBLE_DEVICES empty?)"
_CUDA_ERRORS = {  # parts of torch's messages, and what to tell the user
    "too old": f"the NVIDIA driver is too old for this torch, which needs CUDA {torch.version.cuda}: update the driver",
    "no NVIDIA driver": "this machine has no NVIDIA GPU, or no driver for it: then install one",
    "No CUDA GPUs": _NO_GPU,
}


@dataclass(frozen=True)
class Hardware:
    """What a device is, as far as precision, batch size and bytes depend on it; None: unknown, or there is none."""

    model: str | None  # of the GPU; on a CPU the instruction set that torch uses, such as "AVX512"
    cudnn: str | None = None  # version, on CUDA
    capability: tuple[int, int] | None = None  # compute capability, on CUDA
    memory: int | None = None  # bytes in all, on CUDA; free memory would depend on what else runs


def hardware_of(device: torch.device) -> Hardware:
    """Find out what a device of this machine is."""
    if device.type == "cpu":
        return Hardware(torch.backends.cpu.get_cpu_capability())
    if device.type == "mps":
        name = getattr(torch.backends.mps, "get_name", None)  # older versions of torch do not tell
        return Hardware(name() if name else None)
    cudnn = torch.backends.cudnn.version()
    return Hardware(
        torch.cuda.get_device_name(device),
        None if cudnn is None else str(cudnn),
        torch.cuda.get_device_capability(device),
        torch.cuda.get_device_properties(device).total_memory,
    )


def resolve_device(text: str) -> torch.device:
    """The device that a `--device` names.

    Args:
        text: "auto", "cpu", "cuda", "cuda:N" or "mps"; auto takes a CUDA GPU, else the CPU. Apple's GPU is
            taken only if it is asked for: torch has no deterministic algorithms there, and bugs were reported.

    Raises:
        ConfigError: no such device here; says why.
    """
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "cpu"
    named = re.fullmatch("(cpu|mps|cuda)|cuda:([0-9]{1,4})", text, re.ASCII)
    if named is None:
        raise ConfigError(f'--device "{text}": allowed: auto, cpu, cuda, cuda:N, mps')
    if text == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("--device mps: Apple's GPU is not available to this torch; use --device cpu")
    if text in ("cpu", "mps"):
        return torch.device(text)
    if not torch.cuda.is_available():
        raise ConfigError(f"--device {text}: {why_no_gpu()}; use --device cpu")
    number = int(named[2] or 0)
    if number >= torch.cuda.device_count():
        raise ConfigError(f"--device {text}: this machine has GPUs cuda:0 to cuda:{torch.cuda.device_count() - 1}")
    return torch.device("cuda", number)


def why_no_gpu() -> str:
    """Why no CUDA GPU can be used, in words: no build, no driver, too old a driver, or no GPU."""
    if torch.version.cuda is None:
        apple = "; Apple's GPU is used if you say --device mps" if torch.backends.mps.is_available() else ""
        return f"this torch is built without CUDA{apple}"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        sentence = str(error).strip().partition("\n")[0].partition(". ")[0]  # the rest is about downloads
        known = (words for part, words in _CUDA_ERRORS.items() if part in str(error))
        return next(known, f"CUDA does not start: {sentence}")
    return _NO_GPU


def allowed_on(device: torch.device, hardware: Hardware | None = None) -> tuple[str, ...]:
    """The precisions that a device has.

    Args:
        device: of which kind.
        hardware: what it is; None: looked up on this machine.
    """
    capability = (hardware or hardware_of(device)).capability
    return _BEFORE_AMPERE if capability and capability < _TENSOR_CORES else _ALLOWED[device.type]


def resolve_numerics(
    device: torch.device, precision: str, threads: int | None, hardware: Hardware | None = None
) -> Numerics:
    """Numerics without a batch size, which each batch sets, and without model and builds, which the renderer adds.

    Args:
        device: where to run.
        precision: "auto" or one of `PRECISIONS`; auto is TF32 on a GPU that has it, else float32.
        threads: of the CPU; None for the cores.
        hardware: what the device is, if it is not of this machine; None: looked up here.

    Raises:
        ConfigError: the device has no such precision.
    """
    kind, hardware = device.type, hardware or hardware_of(device)
    allowed = allowed_on(device, hardware)
    automatic = "tf32" if "tf32" in allowed else "fp32"
    chosen = automatic if precision == "auto" else precision
    if chosen not in allowed:
        where = f"on {kind}, allowed"
        if hardware.capability and chosen in PRECISIONS:  # another card would have it
            has = f"{hardware.model} has compute capability {'.'.join(map(str, hardware.capability))}"
            where = f"{has}, and {chosen} needs 8.0 or higher; allowed on it"
        raise ConfigError(f"--precision {precision}: {where}: auto, {', '.join(allowed)}")
    return Numerics(device=kind, precision=chosen, batch_size=1, threads=threads or count_cores())


@contextmanager
def applied(numerics: Numerics) -> Iterator[None]:
    """Run a block with these numerics: threads, deterministic algorithms, TF32 or not; restored afterwards.

    Matrix products are always exact to their type, whatever the environment asks for (NVIDIA's containers may set
    `TORCH_ALLOW_TF32_CUBLAS_OVERRIDE`): only convolutions are worth less. On Apple's GPU deterministic algorithms are
    not asked for, since a max pool has none there and would raise: equal bytes are not promised on it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it deterministic cuBLAS refuses to run
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # a module whose properties mypy does not see
    fills = memory.fill_uninitialized_memory
    products = torch.get_float32_matmul_precision()
    torch.set_num_threads(numerics.threads)
    torch.use_deterministic_algorithms(numerics.device != "mps")
    memory.fill_uninitialized_memory = False  # no code here reads memory to which nothing was written
    torch.set_float32_matmul_precision("highest")
    tf32 = numerics.precision == "tf32"
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32):
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        memory.fill_uninitialized_memory = fills
        torch.use_deterministic_algorithms(deterministic)
        torch.set_num_threads(threads)


def in_float32(numerics: Numerics) -> Numerics:
    """The same numerics in plain float32, in which `score_shown` is measured."""
    return replace(numerics, precision="fp32")


def dtype_of(precision: str) -> torch.dtype:
    """Type of the network's weights and activations; the image is never below float32."""
    return {"fp64": torch.float64, "bf16": torch.bfloat16}.get(precision, torch.float32)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that some work takes, until the device has done it."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
