"""`FeedFollower`: goes live, a feed in place of recorded data."""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING

from midas_engine.errors import FeedLostError, LockTimeoutError, MidasError
from midas_engine.events import BarProcessed, FaultReported, FeatureTicked
from midas_engine.kb.locks import StoreLock
from midas_engine.market.feeds.open import open_source
from midas_engine.market.instants import as_utc
from midas_engine.market.venues.words import reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from midas_engine.events import Event
    from midas_engine.market import Panel
    from midas_engine.market.feeds.polling import PollingFeed
    from midas_engine.models import Alert, FeatureMetrics, FeatureRecord
    from midas_engine.runtime.bar_recorder import BarRecorder
    from midas_engine.runtime.diagnosing import Diagnosing
    from midas_engine.runtime.feed_watchdog import FeedWatchdog
    from midas_engine.runtime.live import LiveWatch
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.outage_teller import OutageTeller
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings

FEED_HINT = "the feed has {}: choose one that has the columns, or demote the feature"
RECORD, RECORD_SECONDS = "feed record", 5.0
# Pauses before the feed is begun again, seconds.
RESTARTS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class FeedFollower:
    """Starts and stops the live watch, and tells how the feed stands.

    Args:
        settings: Limits, costs, monitor.
        base: Where the monitor's state and the feed's faults are kept.
        watched: Filled from the feed.
        supervisor: Runs the feed in the background, and is told the phase.
        diagnosing: Explains critical alarms.
        metrics: Newest figures of what is watched: told anew when bars stop coming, and when they come again.
        most_failures: Failures in a row after which the feed is given up; 0: never.

    Attributes:
        lost: Why the feed was given up.
    """

    def __init__(
        self,
        settings: Settings,
        base: OpenBase,
        watched: Watched,
        supervisor: Supervisor,
        *,
        diagnosing: Diagnosing,
        metrics: Callable[[], Mapping[str, FeatureMetrics]],
        most_failures: int = 0,
    ) -> None:
        self._settings, self._base, self._watched = settings, base, watched
        self._supervisor, self._bus, self._clock = supervisor, supervisor.bus, supervisor.clock
        self._diagnosing, self._metrics = diagnosing, metrics
        self._most_failures = most_failures
        self._rng = random.Random()
        self._feed: PollingFeed | None = None
        self._watchdog: FeedWatchdog | None = None
        self._teller: OutageTeller | None = None
        self._recorder: BarRecorder | None = None
        self._crash, self._off = "", False
        self.lost: FeedLostError | None = None

    async def go_live(self, records: list[FeatureRecord], before_bar: Callable[[], Awaitable[None]]) -> None:
        """Ask for the history, catch up, and follow the feed in the background.

        Args:
            records: What is to be watched.
            before_bar: Awaited before every bar: brings the watch up to the base.
        """
        self._supervisor.change("starting", f"asking {self._watched.source} for its history")
        await asyncio.to_thread(_load)
        from midas_engine.market.feeds.own_thread import OwnThread
        from midas_engine.market.feeds.polling import PollingFeed
        from midas_engine.runtime.feed_watchdog import FeedWatchdog

        where, store = self._settings.venue_url, self._settings.store
        source = await asyncio.to_thread(lambda: OwnThread(open_source(self._watched.source, where, store)))
        self._feed = feed = PollingFeed(
            source, self._clock, on_fault=self._feed_fault, most_failures=self._most_failures, rng=self._rng
        )

        def tell(share: float) -> None:
            self._supervisor.change("warming", "catching up", share)

        watched = self._watched
        watched.live = live = self._live_watch(feed, before_bar, writing=not self._base.read_only)
        try:
            panel = await live.begin(records, tell)
        except LockTimeoutError:
            # Another process watches: this one looks on, and writes nothing of what it sees.
            watched.held = _in_short(StoreLock(self._base.kb.path / "monitor.lock").holder())
            watched.live = live = self._live_watch(feed, before_bar, writing=False)
            panel = await live.begin(records, tell)
        watched.panel, watched.stage = panel, live
        if store and self._watched.source.startswith("live:") and not watched.held and not self._base.read_only:
            self._record(store, feed.name, panel)
        agent = self._diagnosing.agent
        agent.columns = tuple(panel.fields)
        agent.resume(live.fleet, live.expressions)
        self._take_problems(live)
        self._teller = teller = self._outage_teller(feed.name, panel)
        self._watchdog = dog = FeedWatchdog(
            feed.clock, feed.bar_seconds, feed.grace, alerts=live.alerts, tell=self._watchdog_says
        )
        self._bus.tap(self._bar_came)
        dog.begin(as_utc(panel.timestamps[-1]), await asyncio.to_thread(teller.kept))
        self._supervisor.background(self._supply(live), "feed")
        self._supervisor.background(dog.run(), "feed watchdog")

    def _record(self, folder: str, venue: str, panel: Panel) -> None:
        """Keep the history and the bars that come in the market store."""
        from midas_engine.market.store import MarketStore
        from midas_engine.runtime.bar_recorder import BarRecorder

        def tell(message: str, hint: str) -> None:
            self._note_fault(message, hint, "warning")

        self._recorder = BarRecorder(MarketStore(folder), venue, self._clock, tell)
        self._recorder.note(panel)
        self._supervisor.background(self._recorder.run(), "store")

    def _outage_teller(self, feed: str, panel: Panel) -> OutageTeller:
        from midas_engine.runtime.live_state import StateOf
        from midas_engine.runtime.outage_teller import OutageTeller

        def fault(message: str, hint: str) -> None:
            self._supervisor.fault("feed", message, hint)

        # Who only looks on writes nothing: the process that watches tells the same outage.
        journal = None if self._base.read_only or self._watched.held else self._base.journal
        store = None if journal is None else StateOf(journal, feed, panel.symbols)
        return OutageTeller(store, journal, publish=self._bus.publish, fault=fault)

    def _live_watch(self, feed: PollingFeed, before_bar: Callable[[], Awaitable[None]], *, writing: bool) -> LiveWatch:
        from midas_engine.runtime.live import LiveWatch
        from midas_engine.runtime.live_parts import NOTHING_KEPT, AroundBars, Keeping

        base = self._base
        live = LiveWatch(
            feed,
            self._settings,
            bus=self._bus,
            clock=feed.clock,
            keeping=Keeping(base.kb, base.journal, base.promoter) if writing else NOTHING_KEPT,
            diagnostics=self._diagnosing.agent,
            around=AroundBars(before_bar, self._take_panel),
            alone=base.alone,
        )
        live.shards.on_change = self._settle_phase
        return live

    async def _supply(self, live: LiveWatch) -> None:
        """Follow the feed for ever: whatever ends it is told and it is begun again, ever more slowly."""
        tries = 0
        while self.lost is None:
            taken = live.taken
            try:
                await live.run()
            except FeedLostError as error:
                self._give_up(error)
                return
            except (KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except BaseException as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                    raise
                tries = 1 if live.taken > taken else tries + 1
                why = error.message if isinstance(error, MidasError) else reason_of(error)
                self._crash = f"the feed stopped: {why}"
                self._note_fault(
                    self._crash, "it is begun again; the bars missed meanwhile are fetched then", "critical"
                )
                if 0 < self._most_failures <= tries:
                    text = f"the feed was begun {tries} times in vain, the last time it ended with: {why}"
                    self._give_up(FeedLostError(text, hint="run it with --debug, and report what it prints"))
                    return
            await self._clock.sleep(RESTARTS[min(tries - 1, len(RESTARTS) - 1)] * (0.8 + 0.4 * self._rng.random()))

    def _give_up(self, error: FeedLostError) -> None:
        self.lost, self._crash = error, error.message
        self._note_fault(error.message, error.hint, "critical")

    # -- how it stands -----------------------------------------------------------------------------

    def _take_panel(self, panel: Panel) -> None:
        self._watched.panel = panel
        if self._recorder is not None:
            self._recorder.note(panel)

    def _feed_fault(self, message: str) -> None:
        """The feed is in trouble, or out of it."""
        if message:
            clock = self._feed is not None and self._feed.troubles.get("clock") == message
            hint = (
                "set the clock right; nothing is lost meanwhile"
                if clock
                else "it is asked again until it answers; missed bars are fetched then"
            )
            self._note_fault(message, hint, "critical" if clock else "warning")
            self._off = clock
        else:
            back = "this machine's clock can be trusted again" if self._off else "the feed is back"
            self._note_fault(back, "", "info")

    def _note_fault(self, message: str, hint: str, severity: str) -> None:
        self._settle_phase()
        event = FaultReported(at=self._watched.now(), where="feed", message=message, hint=hint, severity=severity)
        self._bus.publish(event)
        self._keep(event)

    def _watchdog_says(self, alert: Alert) -> None:
        assert self._teller is not None
        self._supervisor.background(self._teller.tell(alert), RECORD)
        self._settle_phase()

    def _bar_came(self, event: Event) -> None:
        """A bar reached the monitor: only that makes the feed well again."""
        if isinstance(event, BarProcessed) and self._watchdog is not None:
            if self.lost is None:
                self._crash = ""
            self._watchdog.saw(event.bar_at)
            self._settle_phase()

    @property
    def counts(self) -> str:
        """What the feed did so far; empty where there is none."""
        return "" if self._feed is None else str(self._feed.counts)

    @property
    def store_refuses(self) -> bool:
        """Whether the market store does not take the newest bars."""
        return self._recorder is not None and bool(self._recorder.trouble)

    @property
    def trouble(self) -> str:
        """Why the live features cannot be relied on now; "" while bars come and the clocks agree."""
        troubles = {} if self._feed is None else self._feed.troubles
        silence = "" if self._watchdog is None else self._watchdog.outage
        live = self._watched.live
        shards, columns = ("", "") if live is None else (live.shards.trouble, live.columns.trouble)
        found = (self._crash, silence, shards, troubles.get("source", ""), troubles.get("clock", ""), columns)
        return next(filter(None, found), "")

    def _blind(self) -> bool:
        troubles = {} if self._feed is None else self._feed.troubles
        return bool(self._crash or "source" in troubles or (self._watchdog is not None and self._watchdog.outage))

    def ready(self) -> None:
        """Say that everything is up, and how the feed stands."""
        trouble = self.trouble
        self._supervisor.change("degraded" if trouble else "running", trouble)
        self._tell_stale()

    def _settle_phase(self) -> None:
        """Bring phase and features in line with how the feed stands, once all is up."""
        if self._supervisor.phase in ("running", "degraded"):
            if self._supervisor.phase != ("degraded" if self.trouble else "running"):
                self.ready()
            else:
                self._tell_stale()

    def _tell_stale(self) -> None:
        if self._blind() != self._watched.blind:
            self._watched.blind = not self._watched.blind
            for metrics in self._metrics().values():
                self._bus.publish(FeatureTicked(at=metrics.at, metrics=metrics))

    def _keep(self, event: Event) -> None:
        """Write what happened to the feed to the journal, in the background."""
        journal = self._base.journal
        if journal is not None and not self._base.read_only:
            self._supervisor.background(asyncio.to_thread(journal.record_events, [event]), RECORD)

    async def rebook(self, records: list[FeatureRecord]) -> None:
        """Watch `records` from the next bar on."""
        live = self._watched.live
        if live is not None:
            await live.rebook(records)
            self._take_problems(live)

    def _take_problems(self, live: LiveWatch) -> None:
        columns = "" if live.panel is None else ", ".join(live.panel.columns)
        self._watched.take_problems(live.problems, FEED_HINT.format(columns), self._supervisor.fault)

    async def finish_records(self) -> None:
        """Let what was to be written of the feed reach the journal."""
        writing = [t for t in asyncio.all_tasks() if t.get_name() == RECORD]
        if writing:
            await asyncio.wait(writing, timeout=RECORD_SECONDS)

    async def close(self) -> None:
        """Save the monitor's state, write the last bars to the store, and let go of the feed."""
        if self._watched.live is not None:
            await self._watched.live.close()
        if self._recorder is not None:
            await self._recorder.write()


def _load() -> None:
    """Load what a live watch is made of: in a thread, for it would hold the loop for some tenths of a second."""
    import midas_engine.monitor.diagnosis.fixes
    import midas_engine.runtime.live  # noqa: F401


def _in_short(holder: str) -> str:
    """`pid 123 (midas monitor)` of a lock's remark."""
    found = re.match(r"(?P<program>.{1,80}?) \(process (?P<pid>\d+)", holder)
    return f"pid {found['pid']} ({found['program']})" if found else holder
