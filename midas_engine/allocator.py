"""The C library's allocator: what is freed leaves the process. Where it is not glibc's, nothing happens."""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD = -1  # M_TRIM_THRESHOLD of malloc.h
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD
_LARGE_BYTES = 4 << 20


def give_back() -> None:
    """Have large arrays leave the process when they are freed.

    Left to itself the allocator of glibc keeps every size that was once freed, up to 32 MB, in its heap; of a panel's
    columns a third more stays than is in use. What is smaller stays for the next array, at the end of a heap too: to
    fetch it anew from the system is 7 % of a task in a worker of Dask, which asks for that in its environment.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGE_BYTES)


def trim() -> None:
    """Give back the free pages of the heap now, those between what is in use too: each thread's arena keeps its own."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
