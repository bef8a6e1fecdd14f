"""What survives a SIGKILL: a snapshot now and then, and every bar since, written before it is applied."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

from midas_engine.errors import JournalError, MonitorError
from midas_engine.monitor.state.codec import Pieces, pack, pack_into, pack_text, unpack
from midas_engine.monitor.worker import Worker, within

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from midas_engine.monitor.protocols import StateStore

SNAPSHOT_KEY = "monitor/snapshot"
BAR_KEY = "monitor/bar/{slot}"
PART_KEY = SNAPSHOT_KEY + "/{generation}/{part}"
# Each part is a transaction of its own: a bar's write waits for one of them at most, not for the whole snapshot.
PART_BYTES = 256_000
_PARTS_MARK = b"MIDAS PARTS "
_MOST_EVERY = 240
NOTE_SECONDS = 1.0
RESIZE_SECONDS = 5.0
_BYTES_PER_BAR = 1_000_000  # a larger state is written less often: at most a megabyte a bar on average
_NOTE_BYTES_A_SECOND = 20_000_000  # a bar of thousands of features on hundreds of symbols is tens of megabytes
SLOTS_BYTES = 2_000_000_000
"""What the bars in their slots may take on disk: of large bars fewer are kept, and snapshots come sooner."""
COPY_BYTES = 256_000_000
"""A larger state is not copied to be written in peace: there may be no room for it twice. The next bar waits."""
LARGE_PART_BYTES = 4_000_000
LARGE_SECONDS = 300.0


class Recovery:
    """Write-ahead of bars between snapshots, in a fixed number of slots: bounded, one small write a bar.

    A bar waits for its own write-ahead, a second at most, and never for a snapshot: `begin_snapshot` copies the state
    and a thread packs and writes it, while the bars after it go into their slots. Until the new snapshot is on disk
    the old one and the bars since then stand: the slots hold the bars of two snapshots.

    A state of more than 256 MB (thousands of features on hundreds of symbols) is not copied: it is written as it is,
    in pieces, and the bar after it waits for that.

    Bars and snapshots must not overlap: the monitor takes and copies under one lock.

    Args:
        store: The journal's key-value states; None keeps nothing.
        every: Bars between snapshots of a small fleet.

    Attributes:
        sequence: Bars that were noted.
        urgent: Bars were lost: the next snapshot is worth waiting for.
    """

    def __init__(self, store: StateStore | None, *, every: int = 24) -> None:
        self._store, self._least = store, every
        self.every, self.slots = every, 2 * every
        self.sequence = 0
        self.since_snapshot = 0
        self.urgent = False
        self._generation = 0
        self._hole = False
        self._durable = 0  # the bar of the snapshot that is on disk
        self._bars, self._snapshots = Worker("midas-bars"), Worker("midas-snapshots")
        self._free = threading.Event()  # no bar waits to be written
        self._free.set()
        self._bar_bytes = 0
        self._stuck: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    async def note(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Write one bar before it is applied.

        Raises:
            TimeoutError: It is not written within a second; while that write hangs, later bars fail at once.
        """
        self.sequence += 1
        self.since_snapshot += 1
        store = self._store
        if store is None:
            return
        await self._room()
        blob = pack({**meta, "sequence": self.sequence}, arrays)
        self._bar_bytes = len(blob)
        failed, self._hole = self._hole, True
        if self._stuck is not None and not self._stuck.done():
            raise TimeoutError("the write of an earlier bar still hangs")
        key = BAR_KEY.format(slot=self.sequence % self.slots)
        self._free.clear()

        def write() -> None:
            try:
                store.put_state(key, blob)
            finally:
                self._free.set()

        self._stuck = self._bars.submit(write)
        await within(self._stuck, NOTE_SECONDS + len(blob) / _NOTE_BYTES_A_SECOND)
        self._hole = False
        if failed:
            # bars before this one are missing: only a snapshot closes the hole
            self.since_snapshot, self.urgent = self.every, True

    async def _room(self) -> None:
        """Wait, where the snapshot is slower than the bars, before a bar is overwritten that it does not hold yet."""
        if self._writing is not None and self.sequence - self._durable >= self.slots:
            with contextlib.suppress(Exception):  # who began it is told
                await within(self._writing, NOTE_SECONDS)

    @property
    def due(self) -> bool:
        """It is time for a snapshot."""
        return self._store is not None and not self.writing and not self._hole and self.since_snapshot >= self.every

    @property
    def writing(self) -> bool:
        """A snapshot is under way."""
        return self._writing is not None and not self._writing.done()

    def soon(self) -> None:
        """Make the next snapshot due as soon as the one under way is done."""
        self.since_snapshot = max(self.since_snapshot, self.every)

    async def begin_snapshot(
        self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
    ) -> asyncio.Future[None] | None:
        """Copy the state and replace the snapshot in the background; the future says when it is on disk.

        The state is the caller's again when this returns.
        """
        if self._store is None:
            self.since_snapshot = 0
            return None
        size = sum(array.nbytes for array in arrays.values())
        most = max(2, SLOTS_BYTES // (2 * max(1, self._bar_bytes)))
        every, large = min(max(self._least, size // _BYTES_PER_BAR), _MOST_EVERY, most), size > COPY_BYTES
        header, sequence = {**meta, "sequence": self.sequence, "every": every}, self.sequence
        text = json.dumps(header)
        own = arrays if large else {name: array.copy() for name, array in arrays.items()}
        waited, given_up = self.since_snapshot, threading.Event()

        def keep() -> None:
            if large:
                self._keep_large(text, own, given_up)
            else:
                self._keep(pack_text(text, own))

        def kept(future: asyncio.Future[None]) -> None:
            if future.exception() is None:
                self._durable = max(self._durable, sequence)
            else:
                self.since_snapshot += waited  # tried again with the next bar

        self.since_snapshot, self.urgent = 0, False
        future = self._snapshots.submit(keep)
        future.add_done_callback(kept)
        self._writing = future
        if large:
            try:
                await within(future, LARGE_SECONDS)
            finally:
                given_up.set()  # the state moves on now: what is not written whole is not a snapshot
        if every != self.every:
            # The number of slots goes with the snapshot: bars after it must not be written before it is there.
            await within(future, RESIZE_SECONDS)
            self.every, self.slots = every, 2 * every
        return future

    async def snapshot(
        self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]], seconds: float = NOTE_SECONDS
    ) -> None:
        """Replace the snapshot, and return when it is on disk.

        Raises:
            TimeoutError: It takes longer than `seconds`; what is under way is still written then.
        """
        if self._writing is not None:
            with contextlib.suppress(JournalError, OSError):  # who began it is told
                await within(self._writing, seconds)
        future = await self.begin_snapshot(meta, arrays)
        if future is not None:
            await within(future, seconds)

    def _keep(self, blob: bytes) -> None:
        """One value, or several parts and then the value that names them: a crash in between leaves the old ones."""
        assert self._store is not None
        if len(blob) > PART_BYTES:
            self._generation = 1 - self._generation
            places = range(0, len(blob), PART_BYTES)
            for part, start in enumerate(places):
                key = PART_KEY.format(generation=self._generation, part=part)
                self._free.wait(NOTE_SECONDS)  # bars go first
                self._store.put_state(key, blob[start : start + PART_BYTES])
            told = {"generation": self._generation, "parts": len(places), "sha256": hashlib.sha256(blob).hexdigest()}
            blob = _PARTS_MARK + json.dumps(told).encode()
        self._store.put_state(SNAPSHOT_KEY, blob)

    def _keep_large(self, text: str, arrays: Mapping[str, NDArray[np.generic]], given_up: threading.Event) -> None:
        """`_keep` of a state that is nowhere in memory as one value."""
        assert self._store is not None
        self._generation = 1 - self._generation
        store, generation, digest, parts = self._store, self._generation, hashlib.sha256(), 0

        def put(piece: bytes) -> None:
            nonlocal parts
            if given_up.is_set():
                raise TimeoutError("the snapshot took too long and was given up")
            digest.update(piece)
            store.put_state(PART_KEY.format(generation=generation, part=parts), piece)
            parts += 1

        pieces = Pieces(put, LARGE_PART_BYTES)
        pack_into(pieces, text, arrays)
        pieces.end()
        if given_up.is_set():
            raise TimeoutError("the snapshot took too long and was given up")
        told = {"generation": generation, "parts": parts, "sha256": digest.hexdigest()}
        store.put_state(SNAPSHOT_KEY, _PARTS_MARK + json.dumps(told).encode())

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
        self.slots, self._durable = 2 * self.every, self.sequence
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
