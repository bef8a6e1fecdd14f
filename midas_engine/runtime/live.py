"""Live: closed bars of a feed through the streaming engine into the online monitor, over restarts and outages."""

from __future__ import annotations

import asyncio
import functools
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.stream import CHUNK_BARS
from midas_engine.errors import FeedError, MidasError, MonitorError
from midas_engine.evaluator.context.layout import MODES, mode_name
from midas_engine.evaluator.context.scored_as import found_across, other_mode_words, watched_across
from midas_engine.evaluator.metrics.reference_score import watched_references
from midas_engine.events import FaultReported
from midas_engine.market.regimes import regime_labels
from midas_engine.models import FeatureState
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.shards.shards import Shards
from midas_engine.runtime.column_watch import ColumnWatch
from midas_engine.runtime.live_parts import NOTHING_AROUND, NOTHING_KEPT, AroundBars, Keeping
from midas_engine.runtime.live_state import StateOf
from midas_engine.runtime.live_stream import (
    Watchable,
    catch_up,
    extended,
    history_bars,
    refuse_unfit,
    stream_of,
    watchable,
)
from midas_engine.runtime.shard_watch import ShardWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.dsl import StreamEngine
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market.feeds import ClosedBar, PollingFeed
    from midas_engine.market.panel import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor.alerts.engine import AlertEngine
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.settings import Settings


class LiveWatch:
    """The online loop on a feed.

    `begin` asks for the history, brings the monitor up to its end and returns; `run` follows the bars. A monitor
    that was stopped goes on where its journal ends: the bars of the outage come from the history.

    Args:
        feed: Where bars come from.
        settings: Limits, costs, monitor.
        bus: Where events are published.
        clock: Time of the monitor; the feed's own where the wall clock may jump.
        keeping: Where what is seen is kept.
        diagnostics: Explains critical alarms.
        around: What is done before and after every bar.
        alone: Nothing is watched but what is given: what cannot be computed is refused, not told.
    """

    def __init__(
        self,
        feed: PollingFeed,
        settings: Settings,
        *,
        bus: EventBus,
        clock: Clock,
        keeping: Keeping = NOTHING_KEPT,
        diagnostics: DiagnoseAgent | None = None,
        around: AroundBars = NOTHING_AROUND,
        alone: bool = False,
    ) -> None:
        self._feed, self._settings, self._bus, self._clock, self._alone = feed, settings, bus, clock, alone
        self._keeping, self._diagnostics = keeping, diagnostics
        self._around = around
        self._monitor: OnlineMonitor | None = None
        self._mode = MODES[0]
        self._stream: StreamEngine | Shards | None = None
        self._turn = asyncio.Lock()
        self._records: list[FeatureRecord] = []
        self._watchable: Watchable | None = None
        self._untaken: ClosedBar | None = None
        self.taken = 0
        self.fills: Callable[[], Any] = lambda: None
        self.shards, self.columns = ShardWatch(bus, clock), ColumnWatch(bus, clock)
        self.panel: Panel | None = None
        self.problems: dict[str, str] = {}

    @property
    def monitor(self) -> OnlineMonitor:
        """The monitor; MidasError before `begin`."""
        if self._monitor is None:
            raise MidasError("the live monitor has not begun")
        return self._monitor

    @property
    def begun(self) -> bool:
        """Whether there is a monitor: the feed answers, and says what is wrong with it, before there is."""
        return self._monitor is not None

    @property
    def announced(self) -> frozenset[str]:
        """Features whose kill elsewhere was told here."""
        return frozenset(self._monitor.obedience.announced) if self._monitor is not None else frozenset()

    @property
    def fleet(self) -> Fleet:
        """The monitor's fleet, as a stage has one."""
        return self.monitor.fleet

    @property
    def expressions(self) -> dict[str, str]:
        """Formula of every watched feature."""
        return self.monitor.expressions

    @property
    def alerts(self) -> AlertEngine:
        """The monitor's alerts, as a stage has them."""
        return self.monitor.alert_engine

    # -- coming up ---------------------------------------------------------------------------------

    async def begin(self, records: Sequence[FeatureRecord], progress: Callable[[float], None] | None = None) -> Panel:
        """Load the history and bring the monitor up to its last bar; gives the history.

        Raises:
            FeedError: The feed cannot be reached.
            MonitorError: The watch would not fit into memory; nothing was started.
        """
        try:
            return await self._begin(records, progress)
        except BaseException:
            self._drop_stream()
            raise

    async def _begin(self, records: Sequence[FeatureRecord], progress: Callable[[float], None] | None) -> Panel:
        panel = await self._feed.history(history_bars(records, self._feed.bar_seconds, self._settings))
        self.panel = panel
        if self._alone:
            await asyncio.to_thread(refuse_unfit, records, panel, self._settings, self._feed.name)
        self.shards.begin(asyncio.get_running_loop(), lambda: None if self._monitor is None else self._monitor.fleet)
        watched = await asyncio.to_thread(self._prepare, panel, records)
        keeping, journal = self._keeping, self._keeping.journal
        found = [found_across(r, panel.S) for r in watched]
        self._mode = mode_name(watched_across(found, panel.S, self._settings.evaluation.mode, panel))
        self._monitor = OnlineMonitor(
            [r.name for r in watched],
            references=self._references(watched, panel),
            symbols=panel.symbols,
            mode=self._mode,
            bar_seconds=panel.bar_seconds,
            costs=self._settings.costs,
            settings=self._settings.monitor,
            kb=keeping.kb,
            journal=None if journal is None else StateOf(journal, self._feed.name, panel.symbols),
            promoter=keeping.promoter,
            diagnostics=self._diagnostics,
            bus=self._bus,
            clock=self._clock,
            expressions={r.name: r.expression for r in watched},
        )
        self._monitor.fleet.shadow = _shadows(watched)
        self._monitor.obedience.follower = None  # values of what is new are computed here: see `rebook`
        await self._monitor.start()
        self._monitor.fleet.shadow = _shadows(watched)
        self._monitor.fleet.apply_live()
        await self._catch_up(panel, watched, progress)
        await self._pause_as_recorded(watched)
        assert self._watchable is not None
        self.columns.begin(panel, self._watchable.expressions, self._monitor.fleet)
        self._monitor.daily_reports = self._keeping.kb is not None
        if self._keeping.kb is not None:
            self._monitor.reports.book = functools.partial(self._book_section, self._keeping.kb)
        return panel

    def _book_section(self, kb: KnowledgeBase) -> str:
        from midas_engine.book.section import section_of

        return section_of(kb, self.panel, self._settings)

    async def _catch_up(
        self,
        panel: Panel,
        watched: Sequence[FeatureRecord],
        progress: Callable[[float], None] | None,
    ) -> None:
        monitor = self.monitor
        assert self._watchable is not None
        unseen, lanes = self._first_unseen(panel), len(watched) * panel.S
        way = catch_up(panel.T, unseen, lanes, self._watchable.lookback)
        first, piece = way.judge_from, way.piece
        if first > unseen:
            text = f"of {panel.T:,} bars of history the last {panel.T - first:,} are judged: {lanes:,} values a bar"
            self._bus.publish(FaultReported(at=self._clock.now(), where="monitor", message=text, severity="info"))
        returns, regimes = panel.values("returns"), await asyncio.to_thread(regime_labels, panel)
        policy, fresh, diagnostics = monitor.fleet.policy, unseen == 0, monitor.diagnostics
        if fresh:
            # What went before the first start warms the windows; it stops nothing and asks no model.
            monitor.fleet.policy, monitor.diagnostics = "manual", None
        await asyncio.to_thread(self._warm, panel, way.warm_from, first)
        values = np.empty((piece, len(watched), panel.S))
        for row in range(first, panel.T):
            place = (row - first) % piece
            if not place:
                last = min(row + piece, panel.T)
                await asyncio.to_thread(self._advance, panel, row, last, values[: last - row])
            named = {r.name: values[place, k] for k, r in enumerate(watched)}
            await monitor.process_bar(panel.timestamps[row], named, returns[row], regime=str(regimes[row]))
            # Nothing in a bar need wait: thousands of them would hold the loop, and with it the screen and the signals.
            await asyncio.sleep(0)
            if progress is not None and row % 24 == 0:
                progress((row - first) / (panel.T - first))
        monitor.fleet.policy, monitor.diagnostics = policy, diagnostics

    def _first_unseen(self, panel: Panel) -> int:
        last = self.monitor.fleet.stream.last
        if last is None:
            return 0
        seen = np.datetime64(self.monitor.fleet.stream.open_time(last).replace(tzinfo=None), "ns")
        return int(np.searchsorted(panel.timestamps, seen, side="right"))

    def _prepare(self, panel: Panel, records: Sequence[FeatureRecord]) -> tuple[FeatureRecord, ...]:
        """Who can be watched on this data, and a stream of their values that has seen no bar yet."""
        found = watchable(records, panel, self._settings)
        journal = self._keeping.journal
        folder = None if journal is None else journal.path.parent
        stream = stream_of(found.expressions, panel, self._settings, tell=self.shards.tell, folder=folder)
        self._drop_stream()
        self._take_stream(found, stream, records)
        return found.records

    def _drop_stream(self) -> None:
        """Let go of what computes the values, its processes too."""
        stream, self._stream = self._stream, None
        if isinstance(stream, Shards):
            stream.close()
            self.shards.gone()

    def _take_stream(self, found: Watchable, stream: StreamEngine | Shards, records: Sequence[FeatureRecord]) -> None:
        self.problems, self._records, self._watchable, self._stream = found.problems, list(records), found, stream

    def _warm(self, panel: Panel, start: int, end: int) -> None:
        """Bring the stream through the bars of a panel from `start` up to `end`."""
        for first in range(start, end, CHUNK_BARS):
            self._advance(panel, first, min(first + CHUNK_BARS, end))

    def _advance(self, panel: Panel, first: int, last: int, out: NDArray[np.float64] | None = None) -> None:
        assert self._stream is not None
        self._stream.advance({name: column[first:last] for name, column in panel.fields.items()}, out)

    def _compute(self, panel: Panel, records: Sequence[FeatureRecord]) -> tuple[FeatureRecord, ...]:
        """`_prepare`, and bring the stream to the panel's end."""
        watched = self._prepare(panel, records)
        assert self._watchable is not None
        way = catch_up(panel.T, panel.T, len(watched) * panel.S, self._watchable.lookback)
        self._warm(panel, way.warm_from, panel.T)
        return watched

    async def _pause_as_recorded(self, records: Sequence[FeatureRecord]) -> None:
        paused = {r.name for r in records if r.paused}
        for name in self.fleet.names:
            if (name in paused) != (name in self.fleet.paused):
                await (self.monitor.pause(name) if name in paused else self.monitor.resume(name))

    # -- going on ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the feed until cancelled; after a failure it may be called again, and goes on with the same bar.

        Raises:
            FeedLostError: The feed failed too often in a row.
            FeedError: It ended by itself.
        """
        if self._untaken is not None:
            await self._take_once(self._untaken)
        async with aclosing(self._feed.bars()) as bars:
            async for bar in bars:
                await self._take_once(bar)
        raise FeedError(f"{self._feed.name} ended by itself", hint="it is asked again")

    async def _take_once(self, bar: ClosedBar) -> None:
        """Take `bar` wholly or not at all: of one that fails half-way nothing is kept; it waits for the next try."""
        if self._around.before is not None:
            await self._around.before()
        async with self._turn:
            before, self._untaken = self.panel, bar
            try:
                if self._stream is None and before is not None:
                    await asyncio.to_thread(self._compute, before, self._records)
                await self._take(bar)
            except BaseException:
                self.panel = before
                self._drop_stream()
                raise
            self._untaken = None
            self.taken += 1

    async def _take(self, bar: ClosedBar) -> None:
        assert self.panel is not None
        assert self._stream is not None
        self.panel = panel = await asyncio.to_thread(extended, self.panel, bar)
        bar_values = {name: column[-1] for name, column in panel.fields.items()}
        if isinstance(self._stream, Shards):  # it waits for other processes
            values = await asyncio.to_thread(self._stream.update, bar_values)
        else:
            values = self._stream.update(bar_values)
        regime = str((await asyncio.to_thread(regime_labels, panel))[-1])
        fills = self.fills() or None
        self.columns.saw(panel, self.fleet)
        await self.monitor.process_bar(bar.at, values, panel.values("returns")[-1], fills, regime)
        if self._around.after is not None:
            self._around.after(panel)

    async def rebook(self, records: Sequence[FeatureRecord]) -> None:
        """Watch `records` from the next bar on: those that stay keep all they have seen."""
        async with self._turn:
            if self.panel is None:
                return
            watched = await asyncio.to_thread(self._rebooked, self.panel, records)
            if watched is None:
                return
            names = [r.name for r in watched]
            self.monitor.expressions.update({r.name: r.expression for r in watched})
            self.monitor.obedience.obey_kills()
            shadow = _shadows(watched)
            if names != self.fleet.names or shadow != self.fleet.shadow:
                await self.monitor.watch(names, self._references(watched, self.panel), shadow=shadow)
            if self._watchable is not None:
                self.columns.begin(self.panel, self._watchable.expressions, self.fleet)
            await self._pause_as_recorded(watched)

    def _references(self, records: Sequence[FeatureRecord], panel: Panel) -> dict[str, Any]:
        """The promises of what is watched; one of the other mode of scoring promises nothing here, which is said."""
        kept, others = watched_references(records, panel.S, self._mode)
        if others:
            text, at = other_mode_words(others, self._mode), self._clock.now()
            self._bus.publish(FaultReported(at=at, where="monitor", message=text, severity="warning"))
        return kept

    def _rebooked(self, panel: Panel, records: Sequence[FeatureRecord]) -> tuple[FeatureRecord, ...] | None:
        """A stream of the new book; None where it would not fit, which is told: the watch goes on with the old one."""
        found = watchable(records, panel, self._settings)
        same = self._watchable is not None and self._watchable.expressions == found.expressions
        if same and self._stream is not None:
            self._take_stream(found, self._stream, records)
            return found.records
        try:
            return self._compute(panel, records)
        except MonitorError as error:
            text = f"the book changed and is not watched as it is now: {error.message}"
            fault = FaultReported(
                at=self._clock.now(), where="monitor", message=text, hint=error.hint, severity="critical"
            )
            self._bus.publish(fault)
            return None

    async def close(self) -> None:
        """Save the monitor's state and let go of the feed."""
        if self._monitor is not None:
            await self._monitor.close()
        await asyncio.to_thread(self._drop_stream)
        await self._feed.close()


def _shadows(records: Sequence[FeatureRecord]) -> set[str]:
    return {r.name for r in records if r.state is FeatureState.SHADOW}
