"""How the C library keeps memory on the CPU: told once that a step's freed tensors will be wanted by the next."""

import ctypes
import platform
from functools import cache

# options of glibc's mallopt (malloc.h)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1
_PAD = 2**28  # bytes by which the heap grows


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep large blocks that are freed, instead of giving them back to the system at once.

    Every step frees and asks for the same megabytes again, and each time the system must map and clear them: a
    quarter of a step at the entry convolutions, a tenth from Mixed_5d on. Holds for the whole process, is done once,
    and changes no result.

    Returns:
        Whether it was done: not where the C library is another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(*option) for option in ((_MMAP_THRESHOLD, _NEVER), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _PAD)))
