"""A monitor's saved state read afterwards, without running it: what `midas report` looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.errors import MonitorError
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.daily.facts import DayFacts, as_day, gather
from midas_engine.monitor.figures.engine import EngineConfig
from midas_engine.monitor.fleet import Fleet
from midas_engine.monitor.kill.switch import KillSwitch
from midas_engine.monitor.state.recovery import SNAPSHOT_KEY, Recovery
from midas_engine.settings import CostSettings, MonitorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from midas_engine.journal import Journal


class _Under:
    """The states of one monitor among those of a journal; nothing can be written through it."""

    def __init__(self, journal: Journal, prefix: str) -> None:
        self._journal, self._prefix = journal, prefix

    def get_state(self, key: str) -> bytes | None:
        return self._journal.get_state(f"{self._prefix}{key}")

    def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
        raise MonitorError(f"{key} is only read here")


def saved_fleets(journal: Journal, *, costs: CostSettings | None = None) -> Iterator[Fleet]:
    """Every monitor's fleet in a journal as its last bar left it; one that is damaged is passed over."""
    switch = KillSwitch(bus=EventBus(), clock=WallClock(), journal=journal)
    switch.load()
    for key in journal.state_keys():
        if not key.endswith(SNAPSHOT_KEY):
            continue
        recovery = Recovery(_Under(journal, key.removesuffix(SNAPSHOT_KEY)))
        try:
            saved = recovery.load()
            if saved is None:
                continue
            meta, arrays = saved
            config = EngineConfig(
                bar_seconds=int(meta["engine"]["bar_seconds"]),
                one_way_bps=(costs or CostSettings()).one_way_bps,
                expected_slippage_bps=MonitorSettings().expected_slippage_bps,
                cross=meta["engine"].get("cross"),
            )
            fleet = Fleet(meta["names"], {}, config, AlertEngine(), switch, "manual")
            fleet.restore(meta, arrays)
            for bar in recovery.bars_after():
                fleet.replay(*bar)
        except (MonitorError, KeyError, ValueError, TypeError):
            continue
        yield fleet


def facts_of(journal: Journal, day: date | str, *, costs: CostSettings | None = None) -> DayFacts | None:
    """What a journal knows of a UTC day; None when no monitor saw a bar of it. Of several, the one that saw most."""
    when = as_day(day)
    found = [fleet for fleet in saved_fleets(journal, costs=costs) if fleet.days.of(when).bars]
    if not found:
        return None
    fleet = max(found, key=lambda f: f.days.of(when).bars)
    return gather(fleet, fleet.kills.records.values(), when, journal.actions(limit=500))
