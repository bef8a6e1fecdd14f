"""How the package compiles its kernels: one decorator for exact code, one for sums that may be reordered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

_F = TypeVar("_F", bound=Callable[..., Any])

# Reordering sums lets the compiler use the vector units. NaN handling is left alone: missing bars are NaN here.
_REORDER = {"reassoc", "contract", "arcp", "nsz"}


def kernel(function: _F) -> _F:
    """Compile `function` once into the cache, free of the interpreter lock."""
    return cast("_F", njit(cache=True, nogil=True)(function))


def fast_kernel(function: _F) -> _F:
    """Like `kernel`, but sums may be taken in any order."""
    return cast("_F", njit(cache=True, nogil=True, fastmath=_REORDER)(function))


def owned(values: object) -> Floats:
    """`values` as a float64 array in C order that may be written.

    Numba compiles read-only arrays separately; one signature per kernel keeps the first use short.
    """
    array = np.ascontiguousarray(values, dtype=np.float64)
    return array if array.flags.writeable else array.copy()
