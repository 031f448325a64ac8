"""What a device is, as far as precision, batch size and bytes depend on it: `torch.device` → `Hardware`."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Hardware:
    """Facts of a device; None where they are unknown or the device has no such thing."""

    model: str | None  # of the GPU; on a CPU the instruction set that torch uses, such as "AVX512"
    cudnn: str | None = None  # version, on CUDA
    capability: tuple[int, int] | None = None  # compute capability, on CUDA
    memory: int | None = None  # bytes in all, on CUDA; free memory would depend on what else runs


def hardware_of(device: torch.device) -> Hardware:
    """Look at a device of this machine."""
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
