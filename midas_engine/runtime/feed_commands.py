"""The part of the runtime that goes live: a feed in place of recorded data."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from midas_engine.errors import FeedLostError, LockTimeoutError, MidasError
from midas_engine.events import BarProcessed, FaultReported, FeatureTicked
from midas_engine.kb.locks import StoreLock
from midas_engine.market.feeds.faults import reason_of
from midas_engine.market.feeds.open import is_live, open_source
from midas_engine.market.instants import as_utc
from midas_engine.models import FeatureState
from midas_engine.runtime.queries import Watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.market.feeds.polling import PollingFeed
    from midas_engine.models import FeatureMetrics, FeatureRecord
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.runtime.feed_watchdog import FeedWatchdog
    from midas_engine.runtime.live import LiveWatch
    from midas_engine.settings import Settings

MOST_NAMED = 5
FEED_HINT = "choose a feed that has the columns, or demote the feature"
RECORD, RECORD_SECONDS = "feed record", 5.0
# Pauses before the feed is begun again, seconds.
RESTARTS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class OnFeed(Watching):
    """Starts and stops the live watch, and makes alert commands survive a crash."""

    clock: Clock
    settings: Settings
    panel: Panel | None
    read_only: bool
    source: str
    phase: str
    background: Callable[[Coroutine[Any, Any, None], str], Any]
    _live: LiveWatch | None
    _held: str
    _problems: dict[str, str]
    _journal: Journal | None
    _promoter: FeaturePromoter | None
    _change: Callable[..., None]
    fault: Callable[..., None]
    _obey_before_bar: Callable[[], Awaitable[None]]

    @property
    def kb(self) -> KnowledgeBase:
        """Given by the runtime."""
        raise AttributeError("kb")

    @property
    def diagnostics(self) -> DiagnoseAgent:
        """Given by the runtime."""
        raise AttributeError("diagnostics")

    @staticmethod
    def is_feed(source: str) -> bool:
        """Whether `source` names a feed."""
        return is_live(source)

    def _init_feed(self, most_failures: int) -> None:
        self._most_failures = most_failures
        self._rng = random.Random()
        self._feed: PollingFeed | None = None
        self._watchdog: FeedWatchdog | None = None
        self._crash = ""
        self._stale = False
        self.lost: FeedLostError | None = None

    async def _go_live(self, records: list[FeatureRecord]) -> None:
        """Ask for the history, catch up, and follow the feed in the background."""
        from midas_engine.market.feeds.own_thread import OwnThread
        from midas_engine.market.feeds.polling import PollingFeed
        from midas_engine.runtime.feed_watchdog import FeedWatchdog

        self._change("starting", f"asking {self.source} for its history")
        source = await asyncio.to_thread(lambda: OwnThread(open_source(self.source)))
        self._feed = feed = PollingFeed(
            source, self.clock, on_fault=self._feed_fault, most_failures=self._most_failures, rng=self._rng
        )

        def tell(share: float) -> None:
            self._change("warming", "catching up", share)

        self._live = live = self._live_watch(feed, writing=not self.read_only)
        try:
            self.panel = await live.begin(records, tell)
        except LockTimeoutError:
            # Another process watches: this one looks on, and writes nothing of what it sees.
            self._held = _in_short(StoreLock(self.kb.path / "monitor.lock").holder())
            self._live = live = self._live_watch(feed, writing=False)
            self.panel = await live.begin(records, tell)
        self._stage = live
        self.diagnostics.columns = tuple(self.panel.fields)
        self.diagnostics.resume(live.fleet, live.expressions)
        self._name_problems(live.problems, FEED_HINT)
        self._watchdog = dog = FeedWatchdog(
            feed.clock, feed.bar_seconds, feed.grace, alerts=live.alerts, on_event=self._watchdog_says
        )
        self.bus.tap(self._bar_came)
        dog.begin(as_utc(self.panel.timestamps[-1]))
        self.background(self._supply(live), "feed")
        self.background(dog.run(), "feed watchdog")

    def _live_watch(self, feed: PollingFeed, *, writing: bool) -> LiveWatch:
        from midas_engine.runtime.live import LiveWatch

        return LiveWatch(
            feed,
            self.settings,
            bus=self.bus,
            clock=feed.clock,
            kb=self.kb if writing else None,
            journal=self._journal if writing else None,
            promoter=self._promoter if writing else None,
            diagnostics=self.diagnostics,
            on_panel=self._take_panel,
            before_bar=self._obey_before_bar,
        )

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
            await self.clock.sleep(RESTARTS[min(tries - 1, len(RESTARTS) - 1)] * (0.8 + 0.4 * self._rng.random()))

    def _give_up(self, error: FeedLostError) -> None:
        self.lost, self._crash = error, error.message
        self._note_fault(error.message, error.hint, "critical")

    # -- how it stands -----------------------------------------------------------------------------

    def _take_panel(self, panel: Panel) -> None:
        self.panel = panel

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
        else:
            self._note_fault("the feed is back", "", "info")

    def _note_fault(self, message: str, hint: str, severity: str) -> None:
        self._settle_phase()
        event = FaultReported(at=self.now(), where="feed", message=message, hint=hint, severity=severity)
        self.bus.publish(event)
        self._keep(event)

    def _watchdog_says(self, event: Event) -> None:
        self.bus.publish(event)
        self._keep(event)
        self._settle_phase()

    def _bar_came(self, event: Event) -> None:
        """A bar reached the monitor: only that makes the feed well again."""
        if isinstance(event, BarProcessed) and self._watchdog is not None:
            if self.lost is None:
                self._crash = ""
            self._watchdog.saw(event.bar_at)
            self._settle_phase()

    @property
    def feed_trouble(self) -> str:
        """Why the live features cannot be relied on now; "" while bars come and the clocks agree."""
        troubles = {} if self._feed is None else self._feed.troubles
        silence = "" if self._watchdog is None else self._watchdog.outage
        return self._crash or silence or troubles.get("source", "") or troubles.get("clock", "")

    def _blind(self) -> bool:
        troubles = {} if self._feed is None else self._feed.troubles
        return bool(self._crash or "source" in troubles or (self._watchdog is not None and self._watchdog.outage))

    def _ready(self) -> None:
        """Say that everything is up, and how the feed stands."""
        trouble = self.feed_trouble
        self._change("degraded" if trouble else "running", trouble)
        self._tell_stale()

    def _settle_phase(self) -> None:
        """Bring phase and features in line with how the feed stands, once all is up."""
        if self.phase in ("running", "degraded"):
            if self.phase != ("degraded" if self.feed_trouble else "running"):
                self._ready()
            else:
                self._tell_stale()

    def _tell_stale(self) -> None:
        if self._blind() != self._stale:
            self._stale = not self._stale
            for metrics in self.metrics().values():
                self.bus.publish(FeatureTicked(at=metrics.at, metrics=metrics))

    def metrics(self) -> Mapping[str, FeatureMetrics]:
        """Newest figures of every watched feature; none is healthy while no bars come."""
        found = super().metrics()
        if not self._stale:
            return found
        lasting = ("killed", "paused")
        return {n: m if m.status in lasting else replace(m, status="stale") for n, m in found.items()}

    def _keep(self, event: Event) -> None:
        """Write what happened to the feed to the journal, in the background."""
        if self._journal is not None and not self.read_only:
            self.background(asyncio.to_thread(self._journal.record_events, [event]), RECORD)

    async def _rebook(self, records: list[FeatureRecord]) -> None:
        if self._live is not None:
            await self._live.rebook(records)
            self._name_problems(self._live.problems, FEED_HINT)

    def _name_problems(self, problems: Mapping[str, str], hint: str) -> None:
        """Say which features cannot be watched: each once, and many as one."""
        fresh = {name: why for name, why in problems.items() if self._problems.get(name) != why}
        self._problems = dict(problems)
        for name, why in list(fresh.items())[:MOST_NAMED]:
            self.fault("monitor", f"{name} {why}", hint)
        if len(fresh) > MOST_NAMED:
            self.fault("monitor", f"{len(fresh) - MOST_NAMED} more features cannot be watched", hint)

    def _watched_records(self) -> list[FeatureRecord]:
        """Deployed and shadow features, read from the base. Call it in a thread."""
        if not self.kb.path.is_dir():
            return []
        return [r for state in (FeatureState.DEPLOYED, FeatureState.SHADOW) for r in self.kb.features(state)]

    async def _finish_records(self) -> None:
        """Let what was to be written of the feed reach the journal."""
        writing = [t for t in asyncio.all_tasks() if t.get_name() == RECORD]
        if writing:
            await asyncio.wait(writing, timeout=RECORD_SECONDS)

    async def _leave_feed(self) -> None:
        if self._live is not None:
            await self._live.close()

    # -- the operator: live, a command is on disk before it is confirmed -----------------------------

    async def acknowledge(self, alert_id: str) -> str:
        """Mark an episode as seen; MonitorError when it does not run."""
        return await self._saved(super().acknowledge(alert_id))

    async def snooze(self, alert_id: str, hours: float) -> str:
        """Silence an episode for `hours`; MonitorError when it does not run."""
        return await self._saved(super().snooze(alert_id, hours))

    async def reopen(self, alert_id: str) -> str:
        """Take an acknowledgement or a snooze back; MonitorError when the episode has ended."""
        return await self._saved(super().reopen(alert_id))

    async def _saved(self, command: Coroutine[Any, Any, str]) -> str:
        said = await command
        if self._live is not None:
            await self._live.monitor.save()
        return said


def _in_short(holder: str) -> str:
    """`pid 123 (midas monitor)` of a lock's remark."""
    found = re.match(r"(?P<program>.{1,80}?) \(process (?P<pid>\d+)", holder)
    return f"pid {found['pid']} ({found['program']})" if found else holder
