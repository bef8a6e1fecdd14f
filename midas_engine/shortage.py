"""Telling a lack of memory from a fault: it comes in many forms, and none of them says so plainly."""

from __future__ import annotations

import errno

# What C libraries, the loader of shared objects and the compiler say when an allocation fails.
_WORDS = (
    "cannot allocate memory",
    "failed to map segment",
    "cannot apply additional memory protection",
    "can't start new thread",
    "out of memory",
    "failed to allocate",
    "allocation failed",
    "unable to allocate",
    "bad_alloc",
    "failed to launch",
)

# Below this no verb that judges gets to its end, and the libraries abort the process or spin for ever instead of
# failing (measured on 2 cores: scipy's linear algebra hangs at 380 to 420 MB, the compiler aborts at 900 MB).
LEAST_BYTES = 960_000_000
SHORTAGE_HINT = "give fewer symbols, columns or bars, lower evaluation.workers, or raise executor.memory_mb if set"


def require_room() -> None:
    """Refuse to load the numerical libraries into a process that may not hold them.

    Raises:
        MemoryError: The limit on the address space is too low; says how low.
    """
    limit = _limit()
    if limit is not None and limit < LEAST_BYTES:
        raise MemoryError(
            f"this process may use {limit / 1e6:,.0f} MB of address space, and the libraries need "
            f"{LEAST_BYTES / 1e6:,.0f} MB"
        )


def threads_fit() -> bool:
    """Whether files may be read by several threads: pyarrow's abort the process, or wait for ever, at a limit."""
    return _limit() is None


def _limit() -> int | None:
    """The bytes of address space that this process may have; None without a limit."""
    try:
        import resource
    except ImportError:  # no such limits on this system
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit in (-1, resource.RLIM_INFINITY) else limit


def is_shortage(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is a lack of memory, processes or threads."""
    for _ in range(20):
        if error is None:
            return False
        if isinstance(error, MemoryError):  # numpy's and pyarrow's own are among these
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        text = str(error).lower()
        told = isinstance(error, ImportError | RuntimeError | SystemError | OSError)
        if (told or type(error).__name__ == "ArrowException") and any(word in text for word in _WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False
