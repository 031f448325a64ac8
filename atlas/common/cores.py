"""How many CPU cores this process may use, and what limits them."""

import math
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

# the number of cores in OpenMP, Slurm, Grid Engine, LSF
VARIABLES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "NSLOTS", "LSB_DJOB_NUMPROC")
_SPIN_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cores:
    """A number of cores, at least 1, and the limit that it comes from."""

    count: int
    source: str  # "the machine's cores", "the CPU affinity", "the CPU quota", or a variable of the environment


def count_cores() -> int:
    """The cores that this process may use; see `find_cores`."""
    return find_cores().count


def find_cores() -> Cores:
    """The cores that this process may use: the least of all limits."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return least_cores(os.cpu_count() or 1, affinity, cpu_quota(_read), os.environ)


def least_cores(machine: int, affinity: int | None, quota: float | None, environment: Mapping[str, str]) -> Cores:
    """The least of several limits; of equal ones the first.

    Args:
        machine: cores of the machine.
        affinity: cores that the process may run on; None: unknown.
        quota: CPU time that its control groups allow, in cores; None: no limit. Rounded up.
        environment: variables, of which `VARIABLES` count where they are positive whole numbers.
    """
    whole = None if quota is None else math.ceil(quota)
    known = {"the machine's cores": machine, "the CPU affinity": affinity, "the CPU quota": whole}
    limits = [Cores(max(1, count), source) for source, count in known.items() if count is not None]
    for name in VARIABLES:
        first = environment.get(name, "").partition(",")[0].strip()  # OpenMP takes one number for each level of nesting
        if re.fullmatch(r"0*[1-9][0-9]{0,5}", first, re.ASCII):
            limits.append(Cores(int(first), name))
    return min(limits, key=lambda limit: limit.count)


def cpu_quota(read: Callable[[Path], str | None]) -> float | None:
    """The CPU time that the control groups of this process allow, in cores; for versions 2 and 1 of cgroups.

    Args:
        read: the text of a file; None if there is none.

    Returns:
        The least quota of its group and of the groups around it; None without a limit, or without control groups.
    """
    quotas: list[float | None] = []
    for line in (read(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CGROUPS / "cpu" if controllers else _CGROUPS
        group = root / path.lstrip("/")
        # inside a container the path may be the host's, of which only the root is visible
        quotas += [_quota(folder, read) for folder in (group, *group.parents) if folder.is_relative_to(root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(folder: Path, read: Callable[[Path], str | None]) -> float | None:
    """The quota of one control group: "150000 100000" for 1.5 cores, in one file of version 2, or two of version 1."""
    text = read(folder / "cpu.max")
    text = text or " ".join((read(folder / f"cpu.cfs_{name}_us") or "").strip() for name in ("quota", "period"))
    found = re.fullmatch(r"([1-9][0-9]*) ([1-9][0-9]*)", text.strip(), re.ASCII)  # not "max", or -1: no limit
    return int(found[1]) / int(found[2]) if found else None


def shorten_spin(environment: MutableMapping[str, str]) -> None:
    """Let waiting threads of OpenMP sleep soon; call it before torch is imported.

    By default they wait in a busy loop, which takes CPU time from other processes: beside another busy process a step
    took several times as long (docs/benchmarks/README.md). Variables that the user has set are kept.
    """
    if not any(name in environment for name in _SPIN_VARIABLES):
        environment["GOMP_SPINCOUNT"] = "1000"  # as fast as the default alone; OMP_WAIT_POLICY=PASSIVE cost an eighth


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
