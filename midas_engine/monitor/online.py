"""OnlineMonitor: from bar to verdict. The next bar never waits for a model or a callback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.errors import MidasError, MonitorError
from midas_engine.events import BarProcessed, FaultReported, FeedGapped
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.alerts.threshold_file import take_alert_file
from midas_engine.monitor.bars.intake import Intake
from midas_engine.monitor.bars.reader import GivenBar
from midas_engine.monitor.bars.told import tell_bar
from midas_engine.monitor.base_follower import BaseFollower
from midas_engine.monitor.commands import OperatorCommands
from midas_engine.monitor.daily.reports import DailyReports
from midas_engine.monitor.fleet import Fleet
from midas_engine.monitor.graduating import Graduating
from midas_engine.monitor.kill.switch import KillSwitch
from midas_engine.monitor.neighbours import Role, base_of, fresh_notices, journal_of, records_of
from midas_engine.monitor.obedience import Obedience
from midas_engine.monitor.options import MonitorKeywords, MonitorOptions
from midas_engine.monitor.state.recovery import NOTE_SECONDS, Recovery
from midas_engine.monitor.state.saving import Saving
from midas_engine.settings import MonitorSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.models import Alert, DailyReport, DiagnoseResult, FeatureMetrics
    from midas_engine.monitor.daily.facts import DayFacts
    from midas_engine.stats.sequential import Reference

_YIELD_EVERY = 16
CLOSING_SECONDS = 10.0


class OnlineMonitor:
    """Watches live features bar by bar: figures, alerts, kills, reports.

    Two ways to hand over a bar:

    * `process_update`: values with the return that *follows* them (`forward_return`), as a replay knows it. The
      pair is used when the next bar comes, so no alarm can depend on a return that was not known yet.
    * `process_bar`: values with the returns of the bar that has *just closed*; they are the label of the values
      of the bar before.

    Args:
        features: Names to watch.
        keywords: The fields of `MonitorOptions`, such as `references`, `symbols`, `on_kill`, `kb`, `journal`, `strict`.

    Example:
        >>> import asyncio
        >>> async def run():
        ...     async with OnlineMonitor(["signal_a"]) as monitor:
        ...         for hour in range(24):
        ...             await monitor.process_update(f"2025-01-01T{hour:02d}:00", {"signal_a": hour % 7}, 0.001)
        ...         return monitor.metrics("signal_a").bars
        >>> asyncio.run(run())
        23
    """

    def __init__(
        self,
        features: Sequence[str],
        **keywords: Unpack[MonitorKeywords],
    ) -> None:
        options = MonitorOptions(**keywords)
        self.settings = options.settings or MonitorSettings()
        self.bus = options.bus or EventBus()
        self.clock: Clock = options.clock or WallClock()
        self.kb, self.diagnostics, self.promoter = options.kb, options.diagnostics, options.promoter
        self.daily_reports = options.daily_reports and options.kb is not None
        self.expressions = dict(options.expressions or {})
        self.alert_engine = AlertEngine(options.alert_thresholds)
        self._overrides = dict(options.alert_thresholds or {})
        base, journal = base_of(options.kb), options.journal
        self.kills = KillSwitch(
            bus=self.bus,
            clock=self.clock,
            on_kill=options.on_kill,
            promoter=options.promoter,
            seconds=self.settings.callback_seconds,
            records=records_of(journal, base),
            remember=journal is not None,
        )
        promised, policy = options.references or {}, self.settings.kill_policy
        self.fleet = Fleet(features, promised, options.engine, self.alert_engine, self.kills, policy)
        self.recovery = Recovery(journal)
        self.reports = DailyReports(self.fleet, options.kb, options.promoter, self.bus, self.fault)
        self.saving = Saving(self.recovery, self.fleet, self.fault)
        self._graduating = Graduating(self.fleet, base, journal_of(options.promoter), self.fault)
        self._journal = journal
        self.obedience = Obedience(self, None if base is None or journal is None else BaseFollower(base))
        self.market_context: dict[str, Any] = {}
        self._lock, self._starting = asyncio.Lock(), asyncio.Lock()
        self._operator = OperatorCommands(self.fleet, self.bus, self.clock, self._lock, self.saving.snapshot)
        # the journal is the base's: a second monitor would write over the state of the first
        self._role = Role(None if journal is None else base)
        self._started = False
        symbols = options.symbols
        self.intake = Intake(
            self.bus,
            self.clock,
            None if isinstance(symbols, int) else symbols,
            bar_seconds=options.bar_seconds,
            expected_bps=self.settings.expected_slippage_bps,
            strict=options.strict,
        )
        if symbols is not None:
            self.fleet.prepare(symbols if isinstance(symbols, int) else len(symbols), self.intake.reader.names)

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Come up where the last run ended: windows, detectors, episodes, kills. Called by the first bar too.

        Raises:
            LockTimeoutError: Another monitor watches this knowledge base.
            MonitorError: The records of kills are damaged.
        """
        async with self._starting:
            if not self._started:
                await self._come_up()

    async def _come_up(self) -> None:
        await asyncio.to_thread(self._role.take)
        self._shout_notices()
        try:
            self.kills.load()
        except BaseException:
            self._role.release()  # one that did not come up keeps no other from it
            raise
        self._started = True
        self.load_alert_file()
        wanted = list(self.fleet.names)
        events = self.saving.come_back(wanted, self.intake.reader.remember)
        self._shout_notices()
        # all but the newest bar were published before the stop; its events carry the same ids as then
        self._publish(events)
        self._publish(self.fleet.reconcile(wanted, self.clock.now()))
        await self._execute_kills()
        self.kills.resume()
        await self.obedience.begin()
        if self.diagnostics is not None:
            self.diagnostics.resume(self.fleet, self.expressions)

    async def close(self) -> None:
        """Save the state, stop what runs in the background, and let another monitor watch the base."""
        await self.obedience.end()
        await self.saving.end()
        if self._started:
            await self.save(CLOSING_SECONDS)
        await self.reports.settle()
        if self.diagnostics is not None:
            await self.diagnostics.close()
        await self.kills.close()
        self._role.release()

    async def __aenter__(self) -> OnlineMonitor:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- bars ------------------------------------------------------------------------------------

    async def process_update(
        self,
        timestamp: Any,
        feature_values: Mapping[str, Any],
        forward_return: Any = None,
        fills: Any = None,
        regime: str = "",
        market_context: Mapping[str, Any] | None = None,
    ) -> BarProcessed | None:
        """Take one completed bar with the return that follows it.

        Args:
            timestamp: Open time of the bar (UTC; see `read_time`).
            feature_values: ``{name: number}`` for one series, ``{name: array [S]}`` for a panel; with the symbols'
                names known, ``{name: {symbol: number}}`` or a Series. None and NaN say that there is no value.
            forward_return: The one-bar return after this bar, a fraction (0.4 % is 0.004); an array [S] for a panel.
                None: not known yet, give it with a repeat of the same bar or let it lapse; NaN: known to be absent.
            fills: Executions, see `read_fills`, e.g. ``{"slippage_bps": 3.2}``.
            regime: Label of the market regime.
            market_context: Anything a diagnosis may want to know.

        Returns:
            What happened, or None when the bar was refused (see `BarRefused`) or only completed an earlier one.

        Raises:
            MonitorError: The bar cannot be read, and the monitor is `strict`.
        """
        return await self._take(timestamp, feature_values, forward_return, fills, regime, market_context, own=False)

    async def process_bar(
        self,
        at: Any,
        values: Mapping[str, Any],
        returns: Any,
        fills: Any = None,
        regime: str = "",
        market_context: Mapping[str, Any] | None = None,
    ) -> BarProcessed | None:
        """Take the bar that has just closed: its values, and its own returns, which label the bar before."""
        return await self._take(at, values, returns, fills, regime, market_context, own=True)

    async def _take(
        self,
        moment: Any,
        values: Mapping[str, Any],
        returns: Any,
        fills: Any,
        regime: str,
        context: Mapping[str, Any] | None,
        *,
        own: bool,
    ) -> BarProcessed | None:
        await self.start()
        async with self._lock:
            began = self.clock.monotonic()
            await self._obey()
            bar = self.intake.read(GivenBar(moment, values, returns, fills, regime, context), self.fleet)
            if bar is None:
                return None
            await self._graduating.learn()
            at, stream = bar.at, self.fleet.stream
            index = stream.index(at)
            meta, arrays = bar.packed(index, self.fleet.inputs.names, own=own)
            await self.saving.write_ahead(meta, arrays)
            self.market_context = bar.context
            arrival = self.fleet.arrive(meta, arrays)
            if arrival.refused:
                self.intake.refuse(at, arrival.refused)
                return None
            if arrival.missing > 0:
                first = stream.open_time(index - arrival.missing)
                self.bus.publish(FeedGapped(at=at, first_missing=first, missing_bars=arrival.missing))
            if not arrival.new:
                return None
            for place, pair in enumerate(arrival.pairs):
                self.fleet.score(pair)
                if place % _YIELD_EVERY == _YIELD_EVERY - 1:
                    await asyncio.sleep(0)  # a long gap is written out without holding the loop
            opened = stream.open_time(index)
            if self.daily_reports:
                self.reports.end_day(stream.open_time(index - 1 - arrival.missing), opened)
            events = self.fleet.judge(opened)
            self._publish(events)
            await self._execute_kills()
            await self.saving.record_shadows(journal_of(self.promoter))
            await self._graduating.keep()
            if self.diagnostics is not None:
                self.diagnostics.consider(events, self.fleet, opened, self.expressions, self.market_context)
            done = tell_bar(self.bus, self.fleet, opened, bar.regime, self.clock.monotonic() - began)
            await self.saving.after_bar(self._lock)
            return done

    async def obey(self) -> None:
        """Obey now what other processes did to the base; else that is done before every bar, and between bars."""
        async with self._lock:
            await self._obey()

    async def _obey(self) -> None:
        try:
            self.obedience.obey_kills()
            moves = await self.obedience.moves()
            if moves:
                self._publish(self.obedience.apply(moves))
                await self.saving.begin_snapshot()
        except (MidasError, OSError) as error:
            self.obedience.failed(error)

    async def _execute_kills(self) -> None:
        for name, reason in self.fleet.to_kill():
            await self._operator.kill(name, reason=reason, actor="detector", wait=0.0)

    def fault(self, message: str, severity: str = "warning", at: datetime | None = None) -> None:
        """Report something that failed and was survived."""
        moment = at or self.clock.now()
        self.bus.publish(FaultReported(at=moment, where="monitor", message=message, severity=severity))

    def _shout_notices(self) -> None:
        """What the journal says of its own damage is not left to who happens to read it."""
        for notice in fresh_notices(self._journal):
            at = self.clock.now()
            self.bus.publish(FaultReported(at=at, where="journal", message=notice, severity="critical"))

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            self.bus.publish(event)

    # -- the operator ----------------------------------------------------------------------------

    async def kill(self, name: str, *, reason: str, actor: str = "operator", via: str = "Python") -> bool:
        """Stop a feature for good; False when it was killed before. See `KillSwitch.kill`."""
        return await self._operator.kill(name, reason=reason, actor=actor, via=via)

    async def rearm(self, name: str, *, actor: str = "operator") -> bool:
        """Let a killed feature live again; False when it was not killed. See `KillSwitch.rearm`."""
        return await self._operator.rearm(name, actor)

    async def pause(self, name: str) -> None:
        """Take a feature's position off; its figures go on, its alerts keep quiet."""
        await self._operator.set_paused(name, True)

    async def resume(self, name: str) -> None:
        """Undo `pause`."""
        await self._operator.set_paused(name, False)

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
        await self._operator.watch(names, references or {}, shadow)

    async def diagnose(self, name: str) -> DiagnoseResult | None:
        """Explain a feature now, alert or not; None when the diagnosis failed (the event says why).

        Raises:
            MonitorError: It is not monitored, no bar has come, or its diagnosis is under way.
            BudgetError: The day's diagnoses are spent.
        """
        if self.diagnostics is None:
            raise MonitorError("this monitor diagnoses nothing", hint="give it diagnostics=DiagnoseAgent(...)")
        return await self.diagnostics.ask(self.fleet, name, self.expressions)

    async def acknowledge(self, alert_id: str, actor: str = "operator") -> Alert:
        """Mark a running alert as seen."""
        return await self._operator.acknowledge(alert_id, actor)

    async def snooze(self, alert_id: str, hours: float) -> Alert:
        """Silence a running alert for `hours`."""
        return await self._operator.snooze(alert_id, hours)

    async def save(self, seconds: float = NOTE_SECONDS) -> None:
        """Save the state now, e.g. after a command that was given to a part of the monitor.

        A journal that takes longer than `seconds` is a fault that is told; it is still written then.
        """
        await self._operator.save(seconds)

    def load_alert_file(self) -> None:
        """Take the thresholds of `knowledge/alert-thresholds.json`; a wrong file is told and the last good set stays.

        What the monitor was made with (`alert_thresholds=`) goes before the file.
        """
        fault = take_alert_file(self.kb, self.alert_engine, self._overrides, self.clock.now())
        if fault is not None:
            self.bus.publish(fault)

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
        """The report of a UTC day (a date or "2025-01-15"), with its plots in ``reports/daily/`` of a base."""
        return self.reports.write(day)

    def day_facts(self, day: date | str) -> DayFacts:
        """What the report of a day is made of, as known now."""
        return self.reports.facts(day)
