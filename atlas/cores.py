"""How many cores this process may use."""

import os


def count_cores() -> int:
    """The cores that are left to this process, which may be fewer than the machine has: taskset, a batch system."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
