"""The part of the runtime that keeps the watched set explicit: who leaves goes at once, and everybody is told."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from midas_engine.events import AlertResolved, WatchChanged
from midas_engine.runtime.feed_commands import OnFeed

if TYPE_CHECKING:
    from midas_engine.models import Alert, PipelineSummary
    from midas_engine.runtime.watch_report import WatchReport

# Alerts that ended because their feature left the watch, kept for the feed.
CLOSED_KEPT = 200


class WatchUpkeep(OnFeed):
    """Lets features go and tells the watched set; the runtime builds it."""

    mode: str
    phase: str

    def _init_upkeep(self) -> None:
        self._closed: deque[Alert] = deque(maxlen=CLOSED_KEPT)
        self._problems: dict[str, str] = {}
        self._watching: tuple[object, ...] | None = None

    def _let_go(self, kept: set[str]) -> None:
        """What left the pipeline leaves the screen at once; the rest is computed anew after this."""
        from midas_engine.runtime.recorded_bars import FleetStage

        stage = self._stage
        if not isinstance(stage, FleetStage) or self.mode == "REPLAY":
            return
        gone = [name for name in stage.fleet.names if name not in kept]
        if not gone:
            return
        for event in stage.drop(gone, self.now()):
            if isinstance(event, AlertResolved):
                self._closed.append(event.alert)
            self.bus.publish(event)
        self._tell_watch()

    def _tell_watch(self) -> None:
        names = tuple(self._stage.fleet.names) if self._stage is not None else ()
        self.bus.publish(WatchChanged(at=self.now(), features=names))

    def watch_report(self, summary: PipelineSummary) -> WatchReport:
        """What of the pipeline is not watched, and what left the watch today; nothing in a replay."""
        from midas_engine.runtime.watch_report import WatchReport, watch_report

        if self.mode == "REPLAY" or self.phase == "starting":
            return WatchReport()
        names = self._stage.fleet.names if self._stage is not None else ()
        return watch_report(summary, names, self._problems, self.clock.now().date())
