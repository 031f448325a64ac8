"""Memory: kept from step to step on the CPU, given back, and whether an error means out of memory."""

import ctypes
import platform
from functools import cache

import torch

# options of glibc's mallopt (malloc.h)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1
_PAD = 2**28  # bytes by which the heap grows
_USUAL = 2**17  # bytes; what glibc begins with, for all three
# Messages of torch's allocators, of cuBLAS and cuDNN, and of C++.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "bad_alloc")
# Messages of cuDNN and oneDNN where there is no memory left, and also where no kernel supports a configuration.
_UNCLEAR = ("unable to find an engine", "could not create a", "could not execute a")


@cache
def keep_freed_memory() -> None:
    """Let glibc keep large blocks that are freed, instead of giving them back to the system at once.

    Every step frees and asks for the same megabytes again, and each time the system must map and clear them. A step at
    299 px on two cores takes 12.4 instead of 16.7 ms at Conv2d_2b, and 33.7 instead of 36.6 at Mixed_5d. Is done once
    for the whole process, and changes no result; other C libraries are left as they are.
    """
    _set_heap(_NEVER, _NEVER, _PAD)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means out of memory, on a GPU or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in _OUT_OF_MEMORY)


def may_be_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may succeed where a larger one raised this error.

    oneDNN reports that it could not create or execute a primitive, and cuDNN that it found no engine, both when out of
    memory and where no kernel supports a configuration. With a batch of one row there is nothing left to try, so there
    `is_out_of_memory` decides, and an unclear error is reported as it is.
    """
    return is_out_of_memory(error) or any(words in str(error) for words in _UNCLEAR)


def free_memory() -> None:
    """Give back what is kept and not in use, on the host and on a GPU, and on the host from now on.

    Compiled kernels do not lie on the heap; and a heap that only grows by much at once cannot grow at all in the end.
    """
    if _set_heap(_USUAL, _USUAL, _USUAL):
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _set_heap(mmap_threshold: int, trim_threshold: int, top_pad: int) -> bool:
    """Set glibc's options, in bytes; returns whether this is glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in ((_MMAP_THRESHOLD, mmap_threshold), (_TRIM_THRESHOLD, trim_threshold), (_TOP_PAD, top_pad)):
        mallopt(option, value)
    return True
