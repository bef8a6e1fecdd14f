"""OnlineMonitor: from bar to verdict. The next bar never waits for a model or a callback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.errors import MidasError, MonitorError
from midas_engine.events import BarProcessed, FaultReported, FeatureTicked, FeedGapped, ReportWritten
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.bars.intake import Intake
from midas_engine.monitor.bars.reader import GivenBar
from midas_engine.monitor.base_follower import BaseFollower
from midas_engine.monitor.commands import OperatorCommands
from midas_engine.monitor.daily.facts import gather, with_moves
from midas_engine.monitor.daily.report import write_report
from midas_engine.monitor.figures.engine import EngineConfig
from midas_engine.monitor.fleet import Fleet
from midas_engine.monitor.kill.switch import KillSwitch
from midas_engine.monitor.neighbours import base_of, fresh_notices, journal_of, records_of
from midas_engine.monitor.obedience import Obedience
from midas_engine.monitor.state.recovery import NOTE_SECONDS, Recovery
from midas_engine.monitor.state.saving import Saving
from midas_engine.settings import CostSettings, MonitorSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.kb.locks import Claim
    from midas_engine.monitor.daily.facts import DayFacts
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.protocols import DocumentStore, Retirer, StateStore
    from midas_engine.stats.sequential import Reference

TICKS_PER_BAR = 256
_YIELD_EVERY = 16
CLOSING_SECONDS = 10.0


class OnlineMonitor(OperatorCommands):
    """Watches live features bar by bar: figures, alerts, kills, reports.

    Two ways to hand over a bar:

    * `process_update`: values with the return that *follows* them (`forward_return`), as a replay knows it. The
      pair is used when the next bar comes, so no alarm can depend on a return that was not known yet.
    * `process_bar`: values with the returns of the bar that has *just closed*; they are the label of the values
      of the bar before.

    Args:
        features: Names to watch.
        references: What each feature promised (a `Reference`, or its expected score as a number).
        symbols: The symbols' names, in the order of the arrays, or how many there are; None learns it from the first
            bar. With names, values and returns may also come as ``{symbol: number}``; one that is missing is NaN.
        bar_seconds: Size of a bar.
        alert_thresholds: Partial overrides of the alert thresholds.
        on_kill: Called with a feature's name after its kill is on disk.
        kb: Where learnings and reports are written; None keeps them in memory.
        journal: Where state is kept over a restart; None: nowhere.
        promoter: Archives a killed feature.
        bus: Where events are published.
        expressions: Formula of each feature, for diagnoses.
        daily_reports: Write the report of each UTC day when its last bar is in.
        strict: Raise MonitorError on a bar that cannot be read. False counts it, publishes `BarRefused` and goes on.

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
        *,
        references: Mapping[str, Reference | float] | None = None,
        symbols: int | Sequence[str] | None = None,
        bar_seconds: int = 3600,
        costs: CostSettings | None = None,
        settings: MonitorSettings | None = None,
        alert_thresholds: Mapping[str, Any] | None = None,
        on_kill: Callable[[str], Any] | None = None,
        kb: DocumentStore | None = None,
        journal: StateStore | None = None,
        promoter: Retirer | None = None,
        diagnostics: DiagnoseAgent | None = None,
        bus: EventBus | None = None,
        clock: Clock | None = None,
        expressions: Mapping[str, str] | None = None,
        daily_reports: bool = False,
        strict: bool = False,
    ) -> None:
        self.settings = settings or MonitorSettings()
        self.bus = bus or EventBus()
        self.clock: Clock = clock or WallClock()
        self.kb, self.diagnostics, self.promoter = kb, diagnostics, promoter
        self.daily_reports = daily_reports and kb is not None
        self._reports: set[asyncio.Task[None]] = set()
        self._report_turn = asyncio.Lock()
        self.expressions = dict(expressions or {})
        config = EngineConfig(
            bar_seconds=bar_seconds,
            one_way_bps=(costs or CostSettings()).one_way_bps,
            expected_slippage_bps=self.settings.expected_slippage_bps,
            arl0_bars=float(self.settings.arl0_bars),
        )
        self.alert_engine = AlertEngine(alert_thresholds)
        self._overrides = dict(alert_thresholds or {})
        base = base_of(kb)
        self.kills = KillSwitch(
            bus=self.bus,
            clock=self.clock,
            on_kill=on_kill,
            promoter=promoter,
            seconds=self.settings.callback_seconds,
            records=records_of(journal, base),
            remember=journal is not None,
        )
        self.fleet = Fleet(features, references or {}, config, self.alert_engine, self.kills, self.settings.kill_policy)
        self.recovery = Recovery(journal)
        self._saving = Saving(self.recovery, self.fleet, self.fault)
        self._journal = journal
        self.obedience = Obedience(self, None if base is None or journal is None else BaseFollower(base))
        self.market_context: dict[str, Any] = {}
        self._lock, self._starting = asyncio.Lock(), asyncio.Lock()
        # the journal is the base's: a second monitor would write over the state of the first
        self._role = None if journal is None or base is None else base.claim
        self._claim: Claim | None = None
        self._started = False
        self.intake = Intake(
            self.bus,
            self.clock,
            None if isinstance(symbols, int) else symbols,
            bar_seconds=bar_seconds,
            expected_bps=self.settings.expected_slippage_bps,
            strict=strict,
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
        if self._role is not None and self._claim is None:
            self._claim = await asyncio.to_thread(self._role, "monitor")
        self._shout_notices()
        try:
            self.kills.load()
        except BaseException:
            self._let_go()  # one that did not come up keeps no other from it
            raise
        self._started = True
        self.load_alert_file()
        wanted = list(self.fleet.names)
        events: list[Event] = []
        try:
            saved = self.recovery.load()
            if saved is not None:
                self.fleet.restore(*saved)
            for meta, arrays in self.recovery.bars_after():
                events = self.fleet.replay(meta, arrays)
            if self.fleet.built:
                self.intake.reader.remember(self.fleet.inputs.names)
        except (MonitorError, KeyError, ValueError, TypeError) as error:
            self.fleet.forget_all(wanted)
            self._fault(self.clock.now(), f"the saved state cannot be used, starting without it: {error}", "critical")
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
        await self._saving.end()
        if self._started:
            await self.save(CLOSING_SECONDS)
        if self._reports:
            await asyncio.gather(*self._reports)
        if self.diagnostics is not None:
            await self.diagnostics.close()
        await self.kills.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

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
            at, label, stream = bar.at, bar.returns, self.fleet.stream
            index = stream.index(at)
            if own and label is None:
                label = np.full(stream.symbols, np.nan)
            meta = {"index": index, "regime": bar.regime, "own": own, "labelled": label is not None}
            if self.fleet.inputs.names:
                meta["symbols"] = list(self.fleet.inputs.names)
            arrays = {
                "values": bar.values,
                "returns": label if label is not None else np.zeros(0),
                "fills": np.array(bar.fills),
            }
            await self._saving.write_ahead(meta, arrays)
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
            self._end_day(stream.open_time(index - 1 - arrival.missing), opened)
            events = self.fleet.judge(opened)
            self._publish(events)
            await self._execute_kills()
            await self._saving.record_shadows(journal_of(self.promoter))
            self._diagnose(events, opened)
            done = self._tick(opened, bar.regime, self.clock.monotonic() - began)
            await self._saving.after_bar(self._lock)
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
                await self._saving.begin_snapshot()
        except (MidasError, OSError) as error:
            self.obedience.failed(error)

    async def _execute_kills(self) -> None:
        for name, reason in self.fleet.to_kill():
            await self._kill(name, reason=reason, actor="detector", wait=0.0)

    def _tick(self, at: datetime, regime: str, seconds: float) -> BarProcessed:
        for metrics in self.fleet.ticks(at, TICKS_PER_BAR):
            self.bus.publish(FeatureTicked(at=at, metrics=metrics))
        warnings, criticals = self.fleet.count_alerts()
        done = BarProcessed(
            at=at,
            bar_at=at,
            regime=regime,
            features=len(self.fleet.names),
            warnings=warnings,
            criticals=criticals,
            seconds=seconds,
            symbols=self.fleet.stream.symbols,
        )
        self.bus.publish(done)
        return done

    def _diagnose(self, events: Sequence[Event], at: datetime) -> None:
        if self.diagnostics is not None:
            self.diagnostics.consider(events, self.fleet, at, self.expressions, self.market_context)

    def _end_day(self, before: datetime, now: datetime) -> None:
        """A bar of a new day: the report of the day before is written in the background."""
        if not self.daily_reports or before.date() == now.date() or not self.fleet.days.of(before.date()).bars:
            return
        # what the journal adds comes in the background: it may be slow, and the bar does not wait
        facts = gather(self.fleet, self.kills.records.values(), before.date())
        task = asyncio.get_running_loop().create_task(self._report(facts, now), name="daily report")
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _report(self, facts: DayFacts, at: datetime) -> None:
        try:
            async with self._report_turn:
                report = await asyncio.to_thread(lambda: write_report(with_moves(facts, self._moves()), self.kb))
        except Exception as error:
            self._fault(at, f"the report of {facts.day} could not be written: {error}")
        else:
            self.bus.publish(ReportWritten(at=at, path=report.path, day=report.day))

    def _fault(self, at: datetime, message: str, severity: str = "warning") -> None:
        self.bus.publish(FaultReported(at=at, where="monitor", message=message, severity=severity))

    def fault(self, message: str, severity: str = "warning") -> None:
        """Report something that failed and was survived."""
        self._fault(self.clock.now(), message, severity)

    def _shout_notices(self) -> None:
        """What the journal says of its own damage is not left to who happens to read it."""
        for notice in fresh_notices(self._journal):
            at = self.clock.now()
            self.bus.publish(FaultReported(at=at, where="journal", message=notice, severity="critical"))

    async def _snapshot(self, seconds: float = NOTE_SECONDS) -> None:
        await self._saving.snapshot(seconds)
