"""Buffers: a pool that reuses pages, and a byte-bounded cache of computed parts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable

    from midas_engine.dsl.registry import Array

# Keys of parts seen once; a few hundred bytes each.
_NOTES = 4096
# What a pool keeps between calls when its buffers are large; one at least.
_KEPT_BYTES = 32 * 2**20


class Pool:
    """Reuses [T, S] buffers: fresh pages cost more than most operators.

    Args:
        shape: Of every buffer.
        keep: Buffers kept between calls, at most; fewer where they are large.
    """

    def __init__(self, shape: tuple[int, int], keep: int = 4) -> None:
        self.shape = shape
        self.keep = min(keep, max(1, _KEPT_BYTES // max(1, 8 * shape[0] * shape[1])))
        self._lent: set[int] = set()
        self._free: list[Array] = []

    # No lock: threads share an engine, and every line below is one operation of a list or a set.

    def take(self) -> Array:
        """A buffer with undefined content."""
        try:
            array = self._free.pop()
        except IndexError:
            array = np.empty(self.shape)
        self._lent.add(id(array))
        return array

    def give(self, array: Array) -> None:
        """Take a lent buffer back; anything else is left alone."""
        try:
            self._lent.remove(id(array))
        except KeyError:
            return
        self._free.append(array)

    def forget(self, array: Array) -> None:
        """The buffer now belongs to somebody else."""
        self._lent.discard(id(array))

    def drop(self) -> None:
        """Let go of all but a few free buffers."""
        del self._free[self.keep :]


class ValueCache:
    """Least recently used values within a byte budget; safe to share between threads."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Hashable, Array] = OrderedDict()
        self._notes: OrderedDict[Hashable, None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Array | None:
        """The value, or None."""
        with self._lock:
            value = self._entries.get(key)
            if value is None:
                self.misses += 1
            else:
                self.hits += 1
                self._entries.move_to_end(key)
            return value

    def wanted(self, key: Hashable) -> bool:
        """Whether a part was computed before: what was needed twice will be needed again.

        The first sight only leaves a note, so that parts of one expression do not flush the cache.
        """
        with self._lock:
            if key in self._notes:
                return True
            self._notes[key] = None
            if len(self._notes) > _NOTES:
                self._notes.popitem(last=False)
            return False

    def put(self, key: Hashable, value: Array) -> bool:
        """Keep a value, read-only from now on; False when it is larger than a third of the budget."""
        if value.nbytes > self.budget // 3:
            return False
        with self._lock:
            value.flags.writeable = False
            old = self._entries.pop(key, None)
            self.used += value.nbytes - (old.nbytes if old is not None else 0)
            self._entries[key] = value
            while self.used > self.budget:
                _, dropped = self._entries.popitem(last=False)
                self.used -= dropped.nbytes
        return True

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._notes.clear()
            self.used = 0

    def __len__(self) -> int:
        return len(self._entries)
