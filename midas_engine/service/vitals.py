"""How the service is: counted from its events, asked for by the health endpoint, `midas status` and Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError
from midas_engine.events import BarProcessed
from midas_engine.kb.kill_file import unanswered
from midas_engine.models import FeatureState
from midas_engine.outbound.outbox import answers
from midas_engine.text import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from midas_engine.events import Event
    from midas_engine.runtime import Runtime

LAG_SECONDS = 0.25
LAGS_KEPT = 240  # a minute
LEAST_FREE_BYTES = 16_000_000
"""Below this nothing is well: two pieces of a recorded run, or a snapshot of some hundred features."""


@dataclass(frozen=True, slots=True)
class Vital:
    """How the service is at one moment. What is not known is None or NaN, never zero.

    Attributes:
        healthy: Bars come, and all is well.
        why: What is wrong; empty when nothing is.
        phase: starting, warming, running, degraded, stopping or stopped.
        since: When the process began.
        source: Where bars come from.
        bars: Bars seen since the start.
        newest: Open time of the newest bar.
        age_seconds: Time since that bar closed; NaN before the first.
        features: Number by state; None where the base cannot be read.
        alerts: Running alerts by severity; None while nothing is watched.
        kills_pending: Kills that nobody outside has taken yet; None where the kill file cannot be read.
        lag_seconds: Longest hold of the event loop within a minute; NaN before it was measured.
        journal_bytes: Size of the journal and its log; NaN where there is none.
        disk_free_bytes: What the base's disk has left; NaN where that cannot be asked.
        unwritten: What is not written any more, because the disk refuses it.
    """

    healthy: bool
    why: str
    phase: str
    since: datetime
    source: str
    bars: int
    newest: datetime | None
    age_seconds: float
    features: Mapping[str, int] | None
    alerts: Mapping[str, int] | None
    kills_pending: int | None
    lag_seconds: float
    journal_bytes: float
    disk_free_bytes: float = math.nan
    unwritten: tuple[str, ...] = ()


class Vitals:
    """Counts, and looks.

    Args:
        runtime: What is looked at; its bus is tapped.

    Attributes:
        writers: What is written all the while, and whether the disk refuses it now.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.since = runtime.clock.now()
        self.bars = 0
        self.writers: dict[str, Callable[[], bool]] = {
            "the monitor's state": self._state_refused,
            "live bars in the market store": lambda: runtime.feed.store_refuses,
        }
        self._newest: datetime | None = None
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        runtime.bus.tap(self._take)

    def _take(self, event: Event) -> None:
        if isinstance(event, BarProcessed):
            self.bars += 1
            self._newest = event.bar_at

    async def measure_lag(self) -> None:
        """See how late the loop gives a turn, until cancelled."""
        clock = self._runtime.clock
        while True:
            began = clock.monotonic()
            await asyncio.sleep(LAG_SECONDS)
            self._lags.append(max(0.0, clock.monotonic() - began - LAG_SECONDS))

    async def look(self) -> Vital:
        """How it is now."""
        runtime = self._runtime
        features, pending, size = await asyncio.to_thread(self._read)
        free = await asyncio.to_thread(disk_free, self._runtime.settings.kb_path)
        unwritten = tuple(what for what, refused in self.writers.items() if refused())
        unwritten += runtime.leaving.outputs.unwritten()
        why = self._why(free, unwritten)
        alerts: dict[str, int] | None = None
        if runtime.watched.stage is not None:
            alerts = {"critical": 0, "warning": 0, "info": 0}
            for alert in runtime.queries.alerts():
                alerts[str(alert.severity)] = alerts.get(str(alert.severity), 0) + 1
        age = math.nan
        if self._newest is not None:
            age = (runtime.clock.now() - self._newest).total_seconds() - runtime.bar_seconds
        return Vital(
            healthy=not why,
            why=why,
            phase=runtime.phase,
            since=self.since,
            source=runtime.source,
            bars=self.bars,
            newest=self._newest,
            age_seconds=age,
            features=features,
            alerts=alerts,
            kills_pending=pending,
            lag_seconds=max(self._lags, default=math.nan),
            journal_bytes=size,
            disk_free_bytes=free,
            unwritten=unwritten,
        )

    def _state_refused(self) -> bool:
        monitor = self._runtime.watched.monitor
        return monitor is not None and monitor.saving.failing

    def _why(self, free: float, unwritten: tuple[str, ...]) -> str:
        """What keeps it from being healthy: nothing is so by default."""
        runtime = self._runtime
        if unwritten or free < LEAST_FREE_BYTES:
            left = "what is free on the disk is not known" if math.isnan(free) else f"{bytes_text(free)} of disk free"
            lost = f": not written: {', '.join(unwritten)}" if unwritten else ", and soon nothing can be written"
            return f"{left}{lost}"
        if runtime.phase != "running":
            return runtime.feed.trouble or runtime.phase
        if runtime.troubles():
            return runtime.troubles()[0].badge
        if runtime.feed.trouble:
            return runtime.feed.trouble
        if self._newest is None and runtime.watched.names:
            return "no bar has come yet"
        return "the newest bar is old" if runtime.queries.stale else ""

    def _read(self) -> tuple[dict[str, int] | None, int | None, float]:
        try:
            kb = self._runtime.kb
        except MidasError:
            return None, None, math.nan  # not opened yet
        features = pending = None
        with contextlib.suppress(MidasError, OSError):
            features = {str(state): len(kb.features(state)) for state in FeatureState}
            kills = kb.kill_file.read()
            pending = None if kills.damage else len(unanswered(kills.kills.values(), answers(kb.path)))
        return features, pending, journal_bytes(kb.journal_path)


def journal_bytes(path: object) -> float:
    """Size of a journal with its write-ahead log; NaN where there is none."""
    import os

    found = 0.0
    try:
        found += os.stat(str(path)).st_size
    except OSError:
        return math.nan
    with contextlib.suppress(OSError):
        found += os.stat(f"{path}-wal").st_size
    return found


def disk_free(base: Path) -> float:
    """Bytes that this user may still write on the disk of a base; NaN where that cannot be asked."""
    base = base.absolute()
    for folder in (base, *base.parents):
        with contextlib.suppress(OSError):
            found = os.statvfs(folder)
            return float(found.f_bavail * found.f_frsize)
    return math.nan
