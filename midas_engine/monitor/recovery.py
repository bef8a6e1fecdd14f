"""What survives a SIGKILL: a snapshot now and then, and every bar since, written before it is applied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError
from midas_engine.monitor.codec import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from midas_engine.monitor.protocols import StateStore

SNAPSHOT_KEY = "monitor/snapshot"
BAR_KEY = "monitor/bar/{slot}"


class Recovery:
    """Write-ahead of bars between snapshots, in a fixed number of slots: bounded, one small write a bar.

    Args:
        store: The journal's key-value states; None keeps nothing.
        every: Bars between snapshots.
    """

    def __init__(self, store: StateStore | None, *, every: int = 24) -> None:
        self._store, self.every = store, every
        self.sequence = 0
        self.since_snapshot = 0

    async def note(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Write one bar before it is applied."""
        self.sequence += 1
        self.since_snapshot += 1
        if self._store is None:
            return
        blob = pack({**meta, "sequence": self.sequence}, arrays)
        await asyncio.to_thread(self._store.put_state, BAR_KEY.format(slot=self.sequence % (2 * self.every)), blob)

    @property
    def due(self) -> bool:
        """It is time for a snapshot."""
        return self._store is not None and self.since_snapshot >= self.every

    async def snapshot(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the snapshot."""
        self.since_snapshot = 0
        if self._store is None:
            return
        sequence = self.sequence
        blob = await asyncio.to_thread(pack, {**meta, "sequence": sequence}, arrays)
        await asyncio.to_thread(self._store.put_state, SNAPSHOT_KEY, blob)

    def load(self) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]] | None:
        """The last snapshot, or None when there is none."""
        blob = self._store.get_state(SNAPSHOT_KEY) if self._store is not None else None
        if blob is None:
            return None
        meta, arrays = unpack(blob)
        self.sequence = int(meta["sequence"])
        return meta, arrays

    def bars_after(self) -> list[tuple[dict[str, Any], dict[str, NDArray[np.generic]]]]:
        """Bars written after the snapshot, in order, up to the first that is missing or damaged."""
        if self._store is None:
            return []
        found: dict[int, tuple[dict[str, Any], dict[str, NDArray[np.generic]]]] = {}
        for slot in range(2 * self.every):
            blob = self._store.get_state(BAR_KEY.format(slot=slot))
            if blob is None:
                continue
            try:
                meta, arrays = unpack(blob)
                found[int(meta["sequence"])] = (meta, arrays)
            except (MonitorError, KeyError, ValueError):
                continue
        bars = []
        while self.sequence + 1 in found:
            self.sequence += 1
            bars.append(found[self.sequence])
        self.since_snapshot = len(bars)
        return bars
