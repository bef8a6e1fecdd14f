"""Fills come in: each once, checked, on record, and with the next bar into the monitor's slippage per feature."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from midas_engine.errors import DataError, MidasError
from midas_engine.kb.atomic import atomic_write, read_bytes
from midas_engine.kb.sealed_lines import append_synced, opened, sealed
from midas_engine.market.instants import as_utc
from midas_engine.monitor.worker import Worker
from midas_engine.outbound.fills import cost_of, read_fill
from midas_engine.settings import CostSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from midas_engine.events import Event
    from midas_engine.market import Panel
    from midas_engine.outbound.outputs import Source

MOST_KNOWN = 100_000
_MOST_BYTES = 40_000_000
_SAID_AGAIN = 1000


class FillSource(Protocol):
    """Where fills come from."""

    name: str

    async def start(self, take: Callable[[Mapping[str, Any]], Any]) -> None:
        """Begin to hand records over; `take` is awaited and gives why one was refused."""
        ...

    async def close(self) -> None:
        """End."""
        ...

    def status(self) -> dict[str, Any]:
        """How it stands."""
        ...


class FillLog:
    """Fills that were taken, by their ids, and those that no bar has had yet; in sealed lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, None] = {}
        self.waiting: dict[str, dict[str, Any]] = {}

    def load(self) -> None:
        """Read them."""
        try:
            data = read_bytes(self._path, limit=_MOST_BYTES * 2)
        except FileNotFoundError:
            return
        for _, line in opened(data):
            if isinstance(line, dict) and line.get("op") == "fill":
                self.known[line["id"]] = None
                self.waiting[line["id"]] = line
            elif isinstance(line, dict) and line.get("op") == "told":
                for name in line["ids"]:
                    self.known[name] = None
                    self.waiting.pop(name, None)
        if len(data) > _MOST_BYTES or len(self.known) > MOST_KNOWN:
            self.known = dict.fromkeys(list(self.known)[-MOST_KNOWN // 2 :])
            kept = [{"op": "told", "ids": list(self.known)}, *self.waiting.values()]
            atomic_write(self._path, b"".join(sealed(line) for line in kept))

    def take(self, line: dict[str, Any]) -> None:
        """Put a fill on record."""
        self._append(line)
        self.known[line["id"]] = None
        self.waiting[line["id"]] = line

    def told(self, ids: Sequence[str]) -> None:
        """Note that a bar had these."""
        self._append({"op": "told", "ids": list(ids)})
        for name in ids:
            self.waiting.pop(name, None)

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            append_synced(self._path, sealed(line))
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic_write(self._path, sealed(line))


class FillInput:
    """Takes fills and gives them to the monitor.

    Args:
        source: The engine.
        sources: Where they come from.
    """

    name = "fills"

    def __init__(self, source: Source, sources: Sequence[FillSource]) -> None:
        self._source, self._sources = source, tuple(sources)
        self._log = FillLog(source.kb.path / "outbound" / "fills.record")
        self._worker = Worker("midas-fills")
        self._turn = asyncio.Lock()
        self._said: dict[str, int] = {}
        self._given: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.taken, self.refused = 0, 0
        self._unwritten = False

    async def start(self) -> None:
        """Read what was taken, and listen."""
        await self._worker.submit(self._log.load)
        self._untap = self._source.bus.tap(self._hear)
        for one in self._sources:
            await one.start(self.take)

    async def close(self) -> None:
        """Listen no more."""
        await asyncio.gather(*(one.close() for one in self._sources), return_exceptions=True)
        self._untap()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear(self, event: Event) -> None:
        live = self._source.live()
        if live is not None and live.fills != self.for_bar:
            live.fills = self.for_bar

    async def take(self, record: Mapping[str, Any]) -> str:
        """Take one record; gives why it was refused, or nothing. One that is known already changes nothing."""
        async with self._turn:
            try:
                panel, monitor = self._source.panel(), self._source.monitor()
                fill, strange = read_fill(record, self._now(panel))
                if strange:
                    self._say(f"keys that mean nothing here: {', '.join(strange[:5])}", "warning")
                if fill.id in self._log.known:
                    return ""
                if panel is None or monitor is None:
                    raise DataError("no market is watched yet")
                if fill.feature and fill.feature not in monitor.fleet.names:
                    raise DataError(f"a fill for {fill.feature!r}, which nobody watches")
                settings = self._source.settings
                realised, expected = cost_of(fill, panel, CostSettings() if settings is None else settings.costs)
            except MidasError as error:
                self.refused += 1
                self._say(f"a fill is refused: {error.message}", "warning", error.hint)
                return error.message
            except (TypeError, ValueError, ArithmeticError) as error:  # whatever a stranger's values do
                self.refused += 1
                self._say(f"a fill is refused: it cannot be read: {error}", "warning")
                return f"it cannot be read: {error}"
            line = {
                "op": "fill",
                "id": fill.id,
                "at": fill.at.isoformat(),
                "feature": fill.feature,
                "symbol": fill.symbol,
                "notional": fill.price * fill.quantity,
                "slippage_bps": realised,
                "expected_bps": expected,
            }
            self._unwritten = True
            await self._worker.submit(lambda: self._log.take(line))
            self._unwritten = False
            self.taken += 1
            return ""

    def _now(self, panel: Panel | None) -> datetime:
        """The present, for judging times: a clock that was set back does not refuse what the market has seen."""
        now = self._source.clock.now()
        if panel is None or not panel.T:
            return now
        return max(now, as_utc(panel.closes[-1]) + timedelta(seconds=panel.bar_seconds))

    def _say(self, message: str, severity: str, hint: str = "") -> None:
        """The first of a kind, and each thousandth."""
        count = self._said.get(message, 0)
        if len(self._said) > _SAID_AGAIN:
            self._said.clear()
        self._said[message] = count + 1
        if count % _SAID_AGAIN == 0:
            self._source.fault("fills", message, severity, hint)

    def for_bar(self) -> list[dict[str, Any]]:
        """What the bar that is processed now had: one record a feature, weighted by notional; on the event loop."""
        waiting = list(self._log.waiting.values())
        if not waiting:
            return []
        groups: dict[str, list[dict[str, Any]]] = {}
        for line in waiting:
            groups.setdefault(line["feature"], []).append(line)
        found = []
        for feature, lines in sorted(groups.items()):  # the book's own first, so that a feature's figure is its own
            total = sum(line["notional"] for line in lines)
            mean = {key: sum(x[key] * x["notional"] for x in lines) / total for key in ("slippage_bps", "expected_bps")}
            found.append({**mean, **({"feature": feature} if feature else {})})
        ids = [line["id"] for line in waiting]
        for name in ids:
            self._log.waiting.pop(name, None)
        task = asyncio.get_running_loop().create_task(self._told(ids), name="fills told")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return found

    async def _told(self, ids: list[str]) -> None:
        with contextlib.suppress(MidasError, OSError):  # told twice after a crash at most, never lost
            await self._worker.submit(lambda: self._log.told(ids))

    def status(self) -> dict[str, Any]:
        """Counts, and how each source stands."""
        sides = {one.name: one.status() for one in self._sources}
        return {"taken": self.taken, "refused": self.refused, "waiting": len(self._log.waiting), "sides": sides}

    def unwritten(self) -> tuple[str, ...]:
        """See `Output.unwritten`: fills that come again while their record is not written."""
        return ("fills",) if self._unwritten else ()
