"""Snapshots, fleets and researchers for the tests of diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.bus import EventBus
from midas_engine.models import Alert, Severity
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.diagnosis.snapshot import Snapshot
from midas_engine.monitor.figures.engine import EngineConfig
from midas_engine.monitor.figures.score_history import Lookback
from midas_engine.monitor.fleet import Fleet
from midas_engine.monitor.kill.switch import KillSwitch
from midas_engine.proposer.protocol import DiagnosisDraft
from tests.helpers_monitor import bar_time, clock_at, linked

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.proposer.protocol import DiagnosisBrief

BASE, VARIANCE = 0.05, 0.05
HEALTHY_VALUES = {
    "coverage": 1.0, "coverage_usual": 1.0, "stuck": 0.0, "stuck_usual": 0.0, "rescaled": 0.0, "unscored": 0.0,
    "missing_bars": 0.0, "frozen_bars": 0.0, "outliers": 0.0, "slippage_ratio": 1.05, "turnover": 0.5,
    "turnover_usual": 0.5, "correlation": 0.2, "correlation_usual": 0.15, "promised": BASE,
}  # fmt: skip


def look(strength: np.ndarray, labels: np.ndarray | None = None, seed: int = 1) -> Lookback:
    """Scores whose slope is `strength` times the healthy one."""
    rng = np.random.default_rng(seed)
    u = strength * BASE * 1.2 + np.sqrt(VARIANCE) * rng.normal(size=len(strength))
    return Lookback(u, np.ones(len(u)), np.full(len(u), "MID_VOL") if labels is None else labels)


def make_alert(rule: str = "detector", kind: str = "ic_decay", **more: Any) -> Alert:
    """A critical alert on feature `a`."""
    fields: dict[str, Any] = {
        "id": "a-1", "feature": "a", "alert_type": kind, "severity": Severity.CRITICAL, "message": "it fell",
        "raised_at": bar_time(900), "last_seen_at": bar_time(900), "value": 9.1, "rule": rule,
    }  # fmt: skip
    return Alert(**(fields | more))


def make_snapshot(looked: Lookback, alert: Alert | None = None, **values: float) -> Snapshot:
    """A snapshot of feature `a`, healthy but for `values`."""
    return Snapshot(
        "a", bar_time(1000), alert, "cs_rank(close)", "MID_VOL", looked, BASE, VARIANCE, HEALTHY_VALUES | values
    )


def make_fleet(names: tuple[str, ...] = ("a", "b"), bars: int = 500, flip_at: int = 250) -> Fleet:
    """A fleet that has seen a feature flip on one series."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(bars, len(names)))
    returns = linked(rng, values[:, 0], np.where(np.arange(bars) < flip_at, 0.3, -0.3))
    switch = KillSwitch(bus=EventBus(), clock=clock_at(9999))
    fleet = Fleet(list(names), {"a": 0.3}, EngineConfig(), AlertEngine(), switch, "manual")
    fleet.build(1)
    for t in range(bars):
        feed(fleet, t, values[t], returns[t - 1] if t else np.nan)
        fleet.judge(bar_time(t))
    return fleet


def feed(fleet: Fleet, t: int, values: np.ndarray, own_return: float) -> None:
    """One bar into a fleet of series."""
    meta = {"index": fleet.stream.index(bar_time(t)), "regime": "LOW", "own": True, "labelled": True}
    count = len(fleet.names)
    arrays = {
        "values": values.reshape(count, 1),
        "returns": np.array([own_return]),
        "fills": np.full((2, count), np.nan),
    }
    for pair in fleet.arrive(meta, arrays).pairs:
        fleet.score(pair)


class ScriptedResearcher:
    """Answers with a draft, an error or a coroutine function; keeps the briefs."""

    name = "scripted:model"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.briefs: list[DiagnosisBrief] = []
        self.closed = False

    async def diagnose(self, brief: DiagnosisBrief, on_text: Callable[[str], None]) -> DiagnosisDraft:
        self.briefs.append(brief)
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):
            draft: DiagnosisDraft = await self.answer()
            return draft
        assert isinstance(self.answer, DiagnosisDraft)
        return self.answer

    async def close(self) -> None:
        self.closed = True
