"""What survives a SIGKILL: a snapshot now and then, and every bar since, written before it is applied."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError
from midas_engine.monitor.state.codec import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from midas_engine.monitor.protocols import StateStore

SNAPSHOT_KEY = "monitor/snapshot"
BAR_KEY = "monitor/bar/{slot}"
PART_KEY = SNAPSHOT_KEY + "/{generation}/{part}"
PART_BYTES = 64_000_000
_PARTS_MARK = b"MIDAS PARTS "
_MOST_EVERY = 240
_BYTES_PER_BAR = 1_000_000  # a larger state is written less often: at most a megabyte a bar on average


class Recovery:
    """Write-ahead of bars between snapshots, in a fixed number of slots: bounded, one small write a bar.

    Bars and snapshots must not overlap: the monitor takes and saves under one lock.

    Args:
        store: The journal's key-value states; None keeps nothing.
        every: Bars between snapshots of a small fleet.
    """

    def __init__(self, store: StateStore | None, *, every: int = 24) -> None:
        self._store, self._least = store, every
        self.every, self.slots = every, 2 * every
        self.sequence = 0
        self.since_snapshot = 0
        self._generation = 0
        self._hole = False

    async def note(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Write one bar before it is applied."""
        self.sequence += 1
        self.since_snapshot += 1
        if self._store is None:
            return
        blob = pack({**meta, "sequence": self.sequence}, arrays)
        failed, self._hole = self._hole, True
        await asyncio.to_thread(self._store.put_state, BAR_KEY.format(slot=self.sequence % self.slots), blob)
        self._hole = False
        if failed:
            self.since_snapshot = self.every  # bars before this one are missing: only a snapshot closes the hole

    @property
    def due(self) -> bool:
        """It is time for a snapshot."""
        return self._store is not None and not self._hole and self.since_snapshot >= self.every

    async def snapshot(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the snapshot."""
        if self._store is None:
            self.since_snapshot = 0
            return
        size = sum(array.nbytes for array in arrays.values())
        every = min(max(self._least, size // _BYTES_PER_BAR), _MOST_EVERY)
        header = {**meta, "sequence": self.sequence, "every": every}
        await asyncio.to_thread(lambda: self._keep(pack(header, arrays)))
        self.every, self.slots, self.since_snapshot = every, 2 * every, 0

    def _keep(self, blob: bytes) -> None:
        """One value, or several parts and then the value that names them: a crash in between leaves the old ones."""
        assert self._store is not None
        if len(blob) > PART_BYTES:
            self._generation = 1 - self._generation
            places = range(0, len(blob), PART_BYTES)
            for part, start in enumerate(places):
                key = PART_KEY.format(generation=self._generation, part=part)
                self._store.put_state(key, blob[start : start + PART_BYTES])
            told = {"generation": self._generation, "parts": len(places), "sha256": hashlib.sha256(blob).hexdigest()}
            blob = _PARTS_MARK + json.dumps(told).encode()
        self._store.put_state(SNAPSHOT_KEY, blob)

    def _kept(self) -> bytes | None:
        if self._store is None:
            return None
        blob = self._store.get_state(SNAPSHOT_KEY)
        if blob is None or not blob.startswith(_PARTS_MARK):
            return blob
        told = json.loads(blob[len(_PARTS_MARK) :])
        self._generation = int(told["generation"])
        keys = [PART_KEY.format(generation=self._generation, part=part) for part in range(int(told["parts"]))]
        whole = b"".join(self._store.get_state(key) or b"" for key in keys)
        if hashlib.sha256(whole).hexdigest() != told["sha256"]:
            raise MonitorError("a part of the monitor's saved state is missing", hint="without it, it starts fresh")
        return whole

    def load(self) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]] | None:
        """The last snapshot, or None when there is none; MonitorError when it is damaged."""
        blob = self._kept()
        if blob is None:
            return None
        meta, arrays = unpack(blob)
        self.sequence, self.every = int(meta["sequence"]), int(meta["every"])
        self.slots = 2 * self.every
        return meta, arrays

    def bars_after(self) -> list[tuple[dict[str, Any], dict[str, NDArray[np.generic]]]]:
        """Bars written after the snapshot, in order, up to the first that is missing or damaged."""
        if self._store is None:
            return []
        found: dict[int, tuple[dict[str, Any], dict[str, NDArray[np.generic]]]] = {}
        for slot in range(self.slots):
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
