"""The part of the runtime that goes live: a feed in place of recorded data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.events import FaultReported
from midas_engine.market.feeds.open import is_live, open_source
from midas_engine.models import FeatureState
from midas_engine.runtime.queries import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from midas_engine.clock import Clock
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.runtime.live import LiveWatch
    from midas_engine.settings import Settings

MOST_NAMED = 5
FEED_HINT = "choose a feed that has the columns, or demote the feature"


class OnFeed(Watching):
    """Starts and stops the live watch, and makes alert commands survive a crash."""

    clock: Clock
    settings: Settings
    panel: Panel | None
    read_only: bool
    source: str
    background: Callable[[Coroutine[Any, Any, None], str], Any]
    _live: LiveWatch | None
    _problems: dict[str, str]
    _journal: Journal | None
    _promoter: FeaturePromoter | None
    _change: Callable[..., None]
    fault: Callable[..., None]

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

    async def _go_live(self, records: list[FeatureRecord]) -> None:
        """Ask for the history, catch up, and follow the feed in the background."""
        from midas_engine.market.feeds.polling import PollingFeed
        from midas_engine.runtime.live import LiveWatch

        self._change("starting", f"asking {self.source} for its history")
        feed = PollingFeed(open_source(self.source), self.clock, on_fault=self._feed_fault)
        writing = not self.read_only
        self._live = live = LiveWatch(
            feed,
            self.settings,
            bus=self.bus,
            clock=self.clock,
            kb=self.kb if writing else None,
            journal=self._journal if writing else None,
            promoter=self._promoter if writing else None,
            diagnostics=self.diagnostics,
            on_panel=self._take_panel,
        )
        self.panel = await live.begin(records, lambda share: self._change("warming", "catching up", share))
        self._stage = live
        self.diagnostics.columns = tuple(self.panel.fields)
        self.diagnostics.resume(live.fleet, live.expressions)
        self._name_problems(live.problems, FEED_HINT)
        self.background(live.run(), "feed")

    def _take_panel(self, panel: Panel) -> None:
        self.panel = panel

    def _feed_fault(self, message: str) -> None:
        if message:
            self._change("degraded", message)
            self.fault("feed", message, "it is asked again until it answers; missed bars are fetched then")
        else:
            self.bus.publish(FaultReported(at=self.now(), where="feed", message="the feed is back", severity="info"))
            self._change("running")

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
