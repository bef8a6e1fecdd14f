"""`Watch`: builds what is watched and keeps it explicit: who leaves goes at once, and everybody is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from midas_engine.clock import ManualClock
from midas_engine.events import AlertResolved, WatchChanged

# Heavy (compiled kernels): imported with this module, where the caller chose the moment and the thread.
from midas_engine.runtime.recorded_bars import FleetStage, Recording
from midas_engine.runtime.recording import catch_up, end_of, prepare, replay_control, scan_alerts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.runtime.feed_follower import FeedFollower
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.replay import ReplayControl
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings

RECORDING_HINT = "import data that has the columns, or demote the feature"


class Watch:
    """Runs what the pipeline has live over the data: caught up to its end, as a replay, or on the feed.

    Args:
        settings: Costs and monitor.
        base: Says what is to be watched.
        watched: Filled here.
        supervisor: Told phases, and who is watched.
        feed: On a feed, it takes over.
        speed: Replay speed, bars a second.
        play: Start the replay playing.

    Attributes:
        replay: The replay, where this is one.
    """

    def __init__(
        self,
        settings: Settings,
        base: OpenBase,
        watched: Watched,
        supervisor: Supervisor,
        feed: FeedFollower,
        *,
        speed: float,
        play: bool,
    ) -> None:
        self._settings, self._base, self._watched = settings, base, watched
        self._supervisor, self._feed = supervisor, feed
        self._speed, self._play = speed, play
        self._wanted: tuple[object, ...] | None = None
        self._turn = asyncio.Lock()
        self.replay: ReplayControl | None = None

    async def go_live(self, before_bar: Callable[[], Awaitable[None]]) -> None:
        """Follow the feed; `before_bar` brings the watch up to the base before every bar."""
        records = await asyncio.to_thread(self._base.live_records)
        self._freeze(records)
        await self._feed.go_live(records, before_bar)
        self._tell()

    async def show(self, panel: Panel) -> None:
        """Watch recorded bars."""
        self._watched.panel = panel
        self._watched.clock = ManualClock(end_of(panel))  # recorded bars never pretend to be today's
        await self.again()

    async def again(self, *, if_changed: bool = False) -> None:
        """Build the watch anew and show its state: at start, and after the pipeline changed.

        Args:
            if_changed: Do nothing when what is to be watched is what was built last.
        """
        async with self._turn:
            panel = self._watched.panel
            if panel is None or self._base.lost():
                return  # nobody took a feature off: the folder went, and the badge says so
            records = await asyncio.to_thread(self._base.live_records)
            wanted = tuple((r.name, r.expression, r.state, r.paused, r.expected_score, r.breadth) for r in records)
            if if_changed and wanted == self._wanted:
                return
            self._wanted = wanted
            self._let_go({r.name for r in records})
            self._supervisor.change("warming", "computing features")
            try:
                await self._build(panel, records)
            finally:
                self._tell()
                self._feed.ready()

    def _freeze(self, records: list[FeatureRecord]) -> None:
        self._watched.frozen_at = {r.name: r.changed_at for r in records if r.changed_at is not None}

    async def _build(self, panel: Panel, records: list[FeatureRecord]) -> None:
        watched, supervisor = self._watched, self._supervisor
        self._freeze(records)
        if watched.live is not None:
            await self._feed.rebook(records)
            return
        loop, told = asyncio.get_running_loop(), 0

        def tell(share: float) -> None:
            """From the thread: a word each 5 %."""
            nonlocal told
            if int(20 * share) > told:
                told = int(20 * share)
                loop.call_soon_threadsafe(supervisor.change, "warming", "computing features", share)

        recording = await asyncio.to_thread(
            prepare, panel, records, self._settings, source=watched.source, replay=watched.replaying, progress=tell
        )
        watched.take_problems(recording.problems, RECORDING_HINT, supervisor.fault)
        if watched.replaying:
            await self._begin_replay(recording)
        elif recording.book:
            await self._catch_up(recording)
        else:
            watched.stage = None

    async def _begin_replay(self, recording: Recording) -> None:
        supervisor, settings = self._supervisor, self._settings
        control, self._watched.stage, self._watched.clock = replay_control(
            recording, settings, supervisor.bus.publish, supervisor.clock
        )
        control.speed = self._speed
        self.replay = control
        await control.warm_up(lambda share: supervisor.change("warming", "the monitor", share))
        await control.step(1)
        supervisor.background(scan_alerts(recording, settings, supervisor.clock, control.mark_alerts), "alert scan")
        if self._play:
            control.play()

    async def _catch_up(self, recording: Recording) -> None:
        watched, supervisor = self._watched, self._supervisor
        stage = await catch_up(
            recording,
            self._settings,
            supervisor.clock,
            lambda share: supervisor.change("warming", "catching up", share),
        )
        if watched.stage is not None:
            stage.alerts.take_answers(watched.stage.alerts.alerts())  # what was answered stays answered
        watched.stage = stage
        watched.clock = ManualClock(end_of(recording.panel))
        for event in stage.run_bar(stage.bars - 1, shown=True):
            supervisor.bus.publish(event)

    def _let_go(self, kept: set[str]) -> None:
        """What left the pipeline leaves the screen at once; the rest is computed anew after this."""
        stage = self._watched.stage
        if not isinstance(stage, FleetStage) or self._watched.replaying:
            return
        gone = [name for name in stage.fleet.names if name not in kept]
        if not gone:
            return
        for event in stage.drop(gone, self._watched.now()):
            if isinstance(event, AlertResolved):
                self._watched.closed.append(event.alert)
            self._supervisor.bus.publish(event)
        self._tell()

    def _tell(self) -> None:
        self._supervisor.bus.publish(WatchChanged(at=self._watched.now(), features=self._watched.names))
