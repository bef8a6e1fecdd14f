"""Orders as lines of a file, synced; whoever obeys writes the keys into a second file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.kb.atomic import atomic_write, sync_folder
from midas_engine.monitor.worker import Worker
from midas_engine.outbound.http_post import DeliveryError
from midas_engine.outbound.order import Receipt
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.order import Order

_MOST_BYTES = 50_000_000


class OrderFile:
    """A file of JSON lines that a bot reads. `FILE.acks` holds the keys it obeyed, one a line; `FILE.lease` the lease.

    A line is written once: what a crash left unfinished is closed and written again.
    """

    can = "what the reader does, per feature; hold or flatten when the lease runs out is the reader's own setting"
    leased = True
    most_pause = 1.0

    def __init__(self, address: Address) -> None:
        address.take(("features", "acks"))
        self._name, self._path = address.name, Path(address.reach()).expanduser()
        self._acks = None if address.options.get("acks") == "no" else Path(f"{self._path}.acks")
        self._worker = Worker(f"midas-file-{address.name}")
        self._written: set[str] | None = None
        if not self._path.parent.is_dir():
            raise SettingsError(f"{address}: there is no folder {self._path.parent}", hint="make it first")

    async def deliver(self, order: Order, stopped: tuple[str, ...]) -> Receipt:
        """Write it, unless it stands there; acknowledged when the other file has its key."""
        line = json.dumps(order.document(self._name, stopped), separators=(",", ":"))
        try:
            return await self._worker.submit(lambda: self._deliver(order.key, line))
        except OSError as error:
            raise DeliveryError(f"{self._path.name}: {error.strerror or error}") from error

    def _deliver(self, key: str, line: str) -> Receipt:
        if self._written is None:
            self._written = _keys(self._path)
        if key not in self._written:
            self._append(line)
            self._written.add(key)
        if self._acks is None:
            return Receipt(True, "written")
        if key in _acknowledged(self._acks):
            return Receipt(True, f"in {self._acks.name}")
        return Receipt(False, f"written; not yet in {self._acks.name}")

    def _append(self, line: str) -> None:
        fresh = not self._path.exists()
        handle = open_regular(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, (("\n" if torn else "") + line + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        if fresh:
            sync_folder(self._path.parent)

    async def lost(self, held: Mapping[str, Order]) -> Collection[str]:
        """Orders that stand in the file no more, or whose key is gone from the other one."""
        try:
            return await self._worker.submit(lambda: self._gone(held))
        except OSError as error:
            raise DeliveryError(f"{self._path.name}: {error.strerror or error}") from error

    def _gone(self, held: Mapping[str, Order]) -> list[str]:
        self._written = _keys(self._path)
        acknowledged = self._written if self._acks is None else _acknowledged(self._acks)
        return [name for name, order in held.items() if order.key not in self._written & acknowledged]

    async def beat(self, beat: Mapping[str, object]) -> None:
        """Put the lease beside the file."""
        data = json.dumps(beat).encode()
        await self._worker.submit(lambda: atomic_write(Path(f"{self._path}.lease"), data))


def _lines(path: Path) -> list[str]:
    try:
        handle = open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return []
    with os.fdopen(handle, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise OSError(0, f"more than {_MOST_BYTES:,} bytes; move it away")
    return data.decode("utf-8", "replace").splitlines()


def _keys(path: Path) -> set[str]:
    found = set()
    for line in _lines(path):
        try:
            found.add(str(json.loads(line)["key"]))
        except (ValueError, KeyError, TypeError):
            continue  # a line that a crash left unfinished
    return found


def _acknowledged(path: Path) -> set[str]:
    return {line.strip() for line in _lines(path)}
