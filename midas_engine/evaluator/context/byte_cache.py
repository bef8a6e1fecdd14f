"""Ranks of returns, kept per validity mask: candidates with the same look-back share them."""

from __future__ import annotations

import hashlib
import threading
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
    """Least-recently-used arrays within a byte budget; an array above a quarter of it is not kept.

    Attributes:
        budget: Bytes that it may hold.
        used: Bytes that it holds.
    """

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self.budget = budget
        self.used = 0
        self._arrays: OrderedDict[tuple[object, ...], NDArray[np.generic]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...], make: Callable[[], _A]) -> _A:
        """The array under `key`, made when it is not there. Two threads may both make it; the last one stays."""
        with self._lock:
            found = self._arrays.get(key)
            if found is not None:
                self._arrays.move_to_end(key)
                return found  # type: ignore[return-value]  # a key always names one kind of array
        made = make()
        if made.nbytes * 4 > self.budget:
            return made
        with self._lock:
            old = self._arrays.pop(key, None)
            self._arrays[key] = made
            self.used += made.nbytes - (0 if old is None else old.nbytes)
            while self.used > self.budget:
                _, gone = self._arrays.popitem(last=False)
                self.used -= gone.nbytes
        return made

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._arrays.clear()
            self.used = 0
