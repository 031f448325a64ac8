"""Memory: kept from step to step on the CPU, given back, and whether an error means that it ran out."""

import ctypes
import platform
from collections.abc import Mapping
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
def keep_freed_memory() -> bool:
    """Let glibc keep large blocks that are freed, instead of giving them back to the system at once.

    Every step frees and asks for the same megabytes again, and each time the system must map and clear them: a
    quarter of a step at the entry convolutions, a tenth from Mixed_5d on. Is done once for the whole process, and
    changes no result.

    Returns:
        Whether it was done: not where the C library is another one.
    """
    return _set({_MMAP_THRESHOLD: _NEVER, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: _PAD})


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
    """Give back what is kept and not in use, on the host and on a GPU."""
    give_back_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def give_back_freed_memory() -> bool:
    """Give the system what is freed, now and from now on: memory ran out, and others need some of it.

    Compiled kernels do not lie on the heap; and a heap that only grows by much at once cannot grow at all in the end.

    Returns:
        Whether it was done: not where the C library is another one.
    """
    is_done = _set({_MMAP_THRESHOLD: _USUAL, _TRIM_THRESHOLD: _USUAL, _TOP_PAD: _USUAL})
    if is_done:
        ctypes.CDLL(None).malloc_trim(0)
    return is_done


def _set(options: Mapping[int, int]) -> bool:
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(*option) for option in options.items())
