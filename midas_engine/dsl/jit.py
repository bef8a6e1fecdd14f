"""Kernels that compile on first use: importing the registry must not import numba.

A kernel calls helpers of its own file only, because numba's cache looks at no other file's stamp.
Inputs are typed read-only, so that a panel's protected arrays and pooled buffers share one signature.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LOCK = threading.RLock()
KERNELS: list[Kernel] = []


class Kernel:
    """A function compiled by numba at its first call, or by `compile`.

    Args:
        function: The plain function.
        signature: One letter an argument: `x` read-only [T, S], `w` writable [., .] float64,
            `p` writable int64 vector, `i` int64, `f` float64.
    """

    def __init__(self, function: Callable[..., Any], signature: str) -> None:
        self.function = function
        self.signature = signature
        self.name = function.__name__
        self._compiled: Callable[..., Any] | None = None
        KERNELS.append(self)

    def compile(self) -> Callable[..., Any]:
        """The compiled function, loaded from numba's cache when it is there."""
        with _LOCK:
            if self._compiled is None:
                import numba
                from numba import types

                letters = {
                    "x": types.Array(types.float64, 2, "C", readonly=True),
                    "w": types.Array(types.float64, 2, "C"),
                    "p": types.Array(types.int64, 1, "C"),
                    "i": types.int64,
                    "f": types.float64,
                }
                signature = types.void(*(letters[c] for c in self.signature))
                self._compiled = numba.njit(signature, cache=True, nogil=True, error_model="numpy")(self.function)
            return self._compiled

    def __call__(self, *args: Any) -> None:
        """Run it."""
        (self._compiled or self.compile())(*args)


def kernel(signature: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel; see `Kernel` for the signature's letters."""

    def wrap(function: Callable[..., Any]) -> Kernel:
        return Kernel(function, signature)

    return wrap
