"""Ranks of returns, kept per validity mask: candidates with the same look-back share them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

BUDGET_BYTES = 96 * 2**20
_A = TypeVar("_A", bound=NDArray[np.generic])


def mask_key(rows: NDArray[np.float64]) -> bytes:
    """Digest of which cells are known."""
    return hashlib.blake2b(np.packbits(rows == rows).tobytes(), digest_size=16).digest()


class ByteCache:
    """Least-recently-used arrays within a byte budget; an array above an eighth of it is not kept."""

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self._budget = budget
        self._bytes = 0
        self._arrays: OrderedDict[tuple[object, ...], NDArray[np.generic]] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], _A]) -> _A:
        """The array under `key`, made when it is not there. Two threads may both make it; the last one stays."""
        found = self._arrays.get(key)
        if found is not None:
            return found  # type: ignore[return-value]  # a key always names one kind of array
        made = make()
        if made.nbytes * 8 > self._budget:
            return made
        old = self._arrays.pop(key, None)
        self._arrays[key] = made
        self._bytes += made.nbytes - (0 if old is None else old.nbytes)
        while self._bytes > self._budget:
            _, gone = self._arrays.popitem(last=False)
            self._bytes -= gone.nbytes
        return made
