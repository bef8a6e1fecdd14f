"""What an operator may tell the monitor, and ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError, SettingsError
from midas_engine.events import FaultReported
from midas_engine.monitor.alerts.threshold_file import read_alert_file
from midas_engine.monitor.daily.facts import gather
from midas_engine.monitor.daily.report import write_report
from midas_engine.monitor.neighbours import journal_of
from midas_engine.monitor.state.recovery import NOTE_SECONDS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    import numpy as np
    from numpy.typing import NDArray

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.journal import Action
    from midas_engine.models import Alert, DailyReport, DiagnoseResult, FeatureMetrics
    from midas_engine.monitor.alerts.engine import AlertEngine
    from midas_engine.monitor.daily.facts import DayFacts
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.monitor.kill.switch import KillSwitch
    from midas_engine.monitor.protocols import DocumentStore, Retirer
    from midas_engine.stats.sequential import Reference


MOVES_READ = 500


class OperatorCommands(ABC):
    """Commands and queries of `OnlineMonitor`; its parts are set by the monitor itself."""

    alert_engine: AlertEngine
    bus: EventBus
    clock: Clock
    diagnostics: DiagnoseAgent | None
    expressions: dict[str, str]
    fleet: Fleet
    kb: DocumentStore | None
    kills: KillSwitch
    promoter: Retirer | None
    _lock: asyncio.Lock
    _overrides: dict[str, Any]

    # -- commands --------------------------------------------------------------------------------

    async def kill(self, name: str, *, reason: str, actor: str = "operator", via: str = "Python") -> bool:
        """Stop a feature for good; False when it was killed before. See `KillSwitch.kill`."""
        return await self._kill(name, reason=reason, actor=actor, via=via)

    async def _kill(self, name: str, **how: Any) -> bool:
        if name not in self.fleet.names and name not in self.kills.killed:
            raise MonitorError(f"feature {name!r} is not monitored", hint="monitored: " + ", ".join(self.fleet.names))
        if self.fleet.built and name in self.fleet.names:
            self.fleet.engine.set_live(name, False)
        last = self.fleet.stream.last if self.fleet.built else None
        killed = await self.kills.kill(name, at=self.clock.now(), bar=-1 if last is None else last, **how)
        self.fleet.kill_wanted.pop(name, None)
        return killed

    async def rearm(self, name: str, *, actor: str = "operator") -> bool:
        """Let a killed feature live again; False when it was not killed. See `KillSwitch.rearm`."""
        done = await self.kills.rearm(name, actor=actor)
        if done:
            self.fleet.apply_live()
        return done

    async def pause(self, name: str) -> None:
        """Take a feature's position off; its figures go on, its alerts keep quiet."""
        await self._set_paused(name, True)

    async def resume(self, name: str) -> None:
        """Undo `pause`."""
        await self._set_paused(name, False)

    async def _set_paused(self, name: str, paused: bool) -> None:
        if name not in self.fleet.names:
            raise MonitorError(f"feature {name!r} is not monitored")
        async with self._lock:
            (self.fleet.paused.add if paused else self.fleet.paused.discard)(name)
            self.fleet.apply_live()
            await self._snapshot()

    async def watch(
        self,
        names: Sequence[str],
        references: Mapping[str, Reference | float] | None = None,
        *,
        shadow: Collection[str] | None = None,
    ) -> None:
        """Monitor exactly `names` from now on; those that stay keep everything they have seen.

        Args:
            names: What to watch.
            references: Promises of those that are new.
            shadow: Which of them have a book of their own beside the portfolio's; None leaves that as it is.
        """
        async with self._lock:
            if shadow is not None:
                self.fleet.shadow = set(shadow)
            self._publish(self.fleet.resize(names, references or {}, self.clock.now()))
            await self._snapshot()

    async def diagnose(self, name: str) -> DiagnoseResult | None:
        """Explain a feature now, alert or not; None when the diagnosis failed (the event says why).

        Raises:
            MonitorError: It is not monitored, no bar has come, or its diagnosis is under way.
            BudgetError: The day's diagnoses are spent.
        """
        if self.diagnostics is None:
            raise MonitorError("this monitor diagnoses nothing", hint="give it diagnostics=DiagnoseAgent(...)")
        return await self.diagnostics.ask(self.fleet, name, self.expressions)

    def load_alert_file(self) -> None:
        """Take the thresholds of `knowledge/alert-thresholds.json`; a wrong file is told and the last good set stays.

        What the monitor was made with (`alert_thresholds=`) goes before the file.
        """
        if self.kb is None:
            return
        try:
            self.alert_engine.replace_thresholds({**read_alert_file(self.kb), **self._overrides})
        except SettingsError as error:
            hint = error.hint or "the last good thresholds stay"
            fault = FaultReported(at=self.clock.now(), where="alert thresholds", message=error.message, hint=hint)
            self.bus.publish(fault)

    async def acknowledge(self, alert_id: str, actor: str = "operator") -> Alert:
        """Mark a running alert as seen."""
        return await self._command(self.alert_engine.acknowledge(alert_id, self.clock.now(), actor))

    async def snooze(self, alert_id: str, hours: float) -> Alert:
        """Silence a running alert for `hours`."""
        return await self._command(self.alert_engine.snooze(alert_id, hours, self.clock.now()))

    async def _command(self, events: Sequence[Event]) -> Alert:
        self._publish(events)
        await self.save()
        alert: Alert = events[-1].alert  # type: ignore[attr-defined]
        return alert

    async def save(self, seconds: float = NOTE_SECONDS) -> None:
        """Save the state now, e.g. after a command that was given to a part of the monitor.

        A journal that takes longer than `seconds` is a fault that is told; it is still written then.
        """
        async with self._lock:
            await self._snapshot(seconds)

    @abstractmethod
    async def _snapshot(self, seconds: float = NOTE_SECONDS) -> None:
        """Save the state now, with the lock held: a command must survive a crash right after it."""

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            self.bus.publish(event)

    # -- queries ---------------------------------------------------------------------------------

    def alerts(self, *, include_resolved: bool = False) -> list[Alert]:
        """Running alerts, newest first; with the resolved ones that are still kept, if asked."""
        return self.alert_engine.alerts(include_resolved=include_resolved)

    def metrics(self, name: str) -> FeatureMetrics:
        """Figures of a feature after the last bar."""
        return self.fleet.metrics(name, self.fleet.last_bar)

    def all_metrics(self) -> list[FeatureMetrics]:
        """Figures of every feature after the last bar."""
        return [self.metrics(name) for name in self.fleet.names] if self.fleet.built else []

    def history(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Arrays for the charts: at, ic_5d, ic_30d, slippage_ratio, pnl_bps, score, log_s; oldest first."""
        return self.fleet.engine.history(name)

    def generate_daily_report(self, day: date | str) -> DailyReport:
        """The report of one UTC day, written with its plots to ``reports/daily/`` when there is a knowledge base.

        Args:
            day: A date or its ISO text, e.g. "2025-01-15".
        """
        return write_report(self.day_facts(day), self.kb)

    def day_facts(self, day: date | str) -> DayFacts:
        """What the report of a day is made of, as known now."""
        return gather(self.fleet, self.kills.records.values(), day, self._moves())

    def _moves(self) -> Sequence[Action]:
        """The pipeline's newest moves, where the promoter has a journal."""
        journal = journal_of(self.promoter)
        found: Sequence[Action] = journal.actions(limit=MOVES_READ) if journal is not None else ()
        return found
