"""Signals on their way: per closed bar what every live feature says, on record first, then to whoever was set."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from midas_engine.errors import MidasError
from midas_engine.events import BarProcessed, FeatureMoved
from midas_engine.market.instants import as_utc
from midas_engine.models import FeatureState
from midas_engine.monitor.worker import Worker
from midas_engine.outbound.signal_log import FOLDER, SignalLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.outbound.outputs import Source

FORMAT = 1
_DIGITS = 12
LIVE = (FeatureState.DEPLOYED, FeatureState.SHADOW)


class SignalSide(Protocol):
    """Somebody who reads the record."""

    name: str

    async def start(self, log: SignalLog, fresh: Callable[[], asyncio.Future[None]]) -> None:
        """Begin; `fresh` gives a future that is done with the next record."""
        ...

    async def close(self) -> None:
        """End."""
        ...

    def status(self) -> dict[str, Any]:
        """How it stands."""
        ...


class SignalOutput:
    """Writes the record and wakes those who read it.

    A bar is recorded once, in the order of bars: one that a crash kept from the record is computed again from the
    history at the next start, as the monitor's own values are.

    Args:
        source: The engine.
        sides: Who reads.
    """

    name = "signals"

    def __init__(self, source: Source, sides: Sequence[SignalSide]) -> None:
        self._source, self._sides = source, tuple(sides)
        self.log = SignalLog(source.kb.path / FOLDER)
        self._worker, self._waiting = Worker("midas-signals"), asyncio.Queue[tuple[str, dict[str, Any]]]()
        self._wakes: list[asyncio.Future[None]] = []
        self._untap: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._from = ""
        self._book: dict[str, Any] | None = None
        self._book_key: object = None
        self._moved = 0
        self._failing = ""

    async def start(self) -> None:
        """Find the end of the record, and listen to bars from here on."""
        await self._worker.submit(self.log.open)
        self._from = self.log.bar or (self._source.clock.now() - timedelta(hours=1)).isoformat()
        self._untap = self._source.bus.tap(self._hear)
        self._task = asyncio.get_running_loop().create_task(self._write(), name="signals")
        for side in self._sides:
            await side.start(self.log, self._fresh)

    async def close(self) -> None:
        """Record what came, and end."""
        if self._untap is not None:
            self._untap()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await self._waiting.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(side.close() for side in self._sides), return_exceptions=True)

    def _fresh(self) -> asyncio.Future[None]:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakes = [w for w in self._wakes if not w.done()] + [wake]
        return wake

    def _hear(self, event: Any) -> None:
        """Take the values as they are when the bar is done; on the event loop, and short."""
        if isinstance(event, FeatureMoved):
            self._moved += 1
        monitor = self._source.monitor()
        if not isinstance(event, BarProcessed) or monitor is None:
            return
        fleet = monitor.fleet
        values = fleet.values
        if values is None or event.bar_at.isoformat() <= self._from:
            return
        taken = {
            "values": {name: values[row].copy() for row, name in enumerate(fleet.names)},
            "states": {name: _state(fleet, name) for name in fleet.names},
            "symbols": fleet.inputs.names,
            "bar_seconds": fleet.config.bar_seconds,
            "regime": event.regime,
        }
        self._waiting.put_nowait((event.bar_at.isoformat(), taken))

    async def _write(self) -> None:
        while True:
            bar, taken = await self._waiting.get()
            try:
                await self._record(bar, taken)
                self._failing = ""
            except Exception as error:  # a disk that refuses must not end the telling of later bars
                if not self._failing:
                    self._source.fault("signals", f"the signals of {bar} are not recorded: {error}", "critical")
                self._failing = str(error) or type(error).__name__
            finally:
                self._waiting.task_done()

    async def _record(self, bar: str, taken: Mapping[str, Any]) -> None:
        panel = self._source.panel()
        records = await self._worker.submit(self._live)
        if self.log.bar and panel is not None:
            for missed, values in await asyncio.to_thread(self._missed, panel, records, self.log.bar, bar):
                again = {**taken, "values": values, "regime": ""}
                await self._worker.submit(lambda m=missed, a=again: self.log.append(self._body(m, a, records, True)))  # type: ignore[misc]
        await self._weigh(panel, bar)
        if bar > self.log.bar:
            await self._worker.submit(lambda: self.log.append(self._body(bar, taken, records, False)))
        for wake in self._wakes:
            if not wake.done():
                wake.set_result(None)

    def _live(self) -> dict[str, FeatureRecord]:
        kb = self._source.kb
        return {r.name: r for state in LIVE for r in kb.features(state)}

    def _missed(
        self, panel: Panel, records: Mapping[str, FeatureRecord], last: str, bar: str
    ) -> list[tuple[str, dict[str, NDArray[np.float64]]]]:
        """Bars between the record's end and `bar`, with the values they had."""
        stamps = [as_utc(t).isoformat() for t in panel.timestamps[-2000:]]
        first = panel.T - len(stamps)
        rows = [first + i for i, stamp in enumerate(stamps) if last < stamp < bar]
        if not rows:
            return []
        from midas_engine.dsl import FeatureEngine

        settings = self._source.settings
        limits = {} if settings is None else {"limits": settings.dsl}
        engine = FeatureEngine(panel, **limits)
        values = {}
        for name, record in records.items():
            with contextlib.suppress(MidasError):
                values[name] = engine.values(record.expression)
        return [(stamps[row - first], {name: array[row] for name, array in values.items()}) for row in rows]

    def _body(
        self, bar: str, taken: Mapping[str, Any], records: Mapping[str, FeatureRecord], missed: bool
    ) -> dict[str, Any]:
        features = {}
        for name, values in taken["values"].items():
            record = records.get(name)
            features[name] = {
                "version": None if record is None else record.version,
                "state": taken["states"].get(name, "unknown"),
                "values": [_number(v) for v in np.atleast_1d(values)],
            }
        return {
            "midas": FORMAT,
            "bar": bar,
            "bar_seconds": taken["bar_seconds"],
            "regime": taken["regime"],
            "symbols": list(taken["symbols"]),
            "features": features,
            "book": self._book,
            "computed_later": missed,
        }

    # -- the book ------------------------------------------------------------------------------------

    async def _weigh(self, panel: Panel | None, bar: str) -> None:
        """Measure the book once a day and whenever the pipeline moved; a book that cannot be measured is none."""
        settings, key = self._source.settings, (bar[:10], self._moved)
        if settings is None or panel is None or key == self._book_key:
            return
        self._book_key = key
        try:
            from midas_engine.book.build import book_of
            from midas_engine.book.weights_out import weights_document

            document = weights_document(await asyncio.to_thread(book_of, self._source.kb, panel, settings))
        except MidasError as error:
            self._book = None
            self._source.fault("signals", f"no book weights go out: {error.message}", "warning", error.hint)
            return
        weights = {m["name"]: m["weight"] for m in document["members"]}
        keep = {k: document[k] for k in ("as_of", "capital_usd", "gross", "holdings", "digest")}
        self._book = {**keep, "weights": weights}

    def status(self) -> dict[str, Any]:
        """The record's end, and how each reader stands."""
        sides = {side.name: side.status() for side in self._sides}
        return {"sequence": self.log.sequence, "bar": self.log.bar, "failing": self._failing, "sides": sides}

    def unwritten(self) -> tuple[str, ...]:
        """See `Output.unwritten`: bars that are computed again once the disk takes them."""
        return ("the record of signals",) if self._failing else ()


def _state(fleet: Any, name: str) -> str:
    if name in fleet.killed:
        return "killed"
    if name in fleet.paused:
        return "paused"
    return "shadow" if name in fleet.shadow else "deployed"


def _number(value: float) -> float | None:
    """A value of twelve digits; None where there is none: unknown is never zero."""
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
