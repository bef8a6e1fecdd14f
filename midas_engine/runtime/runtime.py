"""`Runtime`: opens the base, the journal and the data, and holds the parts that watch, discover, answer and obey."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.events import DocumentChanged
from midas_engine.market.feeds.open import is_live
from midas_engine.runtime.book import Book
from midas_engine.runtime.diagnosing import Diagnosing
from midas_engine.runtime.documents import Documents
from midas_engine.runtime.feed_follower import FeedFollower
from midas_engine.runtime.leaving import Leaving
from midas_engine.runtime.open_base import OpenBase
from midas_engine.runtime.pipeline import Pipeline
from midas_engine.runtime.queries import Queries
from midas_engine.runtime.recording import end_of
from midas_engine.runtime.sessions import Sessions
from midas_engine.runtime.since_left import SinceLeft
from midas_engine.runtime.supervisor import Supervisor
from midas_engine.runtime.trouble import Troubles
from midas_engine.runtime.watch import Watch
from midas_engine.runtime.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from midas_engine.clock import Clock
    from midas_engine.events import Trouble
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.runtime.replay import ReplayControl
    from midas_engine.settings import Settings


LOOK_AGAIN_SECONDS = 1.0
REPLAY_SPEED = 4.0
FEATURES = "knowledge/features/"


class Runtime:
    """Everything in one event loop: `async with Runtime(settings) as midas: ...`.

    Args:
        settings: From `load_settings`.
        replay: A data source to replay ("sample", "synthetic", a path); None follows the feed that the settings
            name as their data, or watches the end of the recording they name.
        speed: Replay speed, bars a second.
        play: Start the replay playing.
        clock: Wall time; injected in tests.
        feed_failures: Failures of the feed in a row after which it is given up (`feed.lost` says why); 0: never.
        own: Features that are watched in place of a base's, which is not opened then.

    Attributes:
        pipeline: Shows and moves features.
        queries: What is known of live features, and an operator's answers to their alerts.
        sessions: Discovery.
        documents: Reads the base's documents.
        book: Measures all deployed features together.
        diagnosing: Explains a feature.
        feed: How the feed stands.
        leaving: What leaves the process.
        since_left: What changed since somebody left.
        attached: Empty: the engine runs in this process.
    """

    attached = ""

    def __init__(
        self,
        settings: Settings,
        *,
        replay: str | None = None,
        speed: float | None = None,
        play: bool = False,
        clock: Clock | None = None,
        feed_failures: int = 0,
        own: Sequence[FeatureRecord] = (),
    ) -> None:
        self.settings = settings
        self.bus = EventBus()
        self.clock: Clock = clock or WallClock()
        mode = "REPLAY" if replay is not None else "LIVE" if is_live(settings.data) else "OFFLINE"
        watched = Watched(mode, replay if replay is not None else settings.data, self.clock)
        supervisor = Supervisor(self.bus, self.clock)
        base = OpenBase(settings, self.clock, watched, own=own)
        self.watched, self.supervisor, self.base = watched, supervisor, base
        self.diagnosing = Diagnosing(settings, base, watched, supervisor)
        self.queries = Queries(watched, base, supervisor, proposed=self.diagnosing.proposals)
        self.feed = FeedFollower(
            settings,
            base,
            watched,
            supervisor,
            diagnosing=self.diagnosing,
            metrics=self.queries.metrics,
            most_failures=feed_failures,
        )
        pace = REPLAY_SPEED if speed is None else speed
        self.watch = Watch(settings, base, watched, supervisor, self.feed, speed=pace, play=play)
        self.pipeline = Pipeline(base, watched, supervisor, watch_again=self.watch.again)
        self.sessions = Sessions(settings, base, watched, supervisor)
        self.documents = Documents(base)
        self.book = Book(settings, base, watched)
        self.leaving = Leaving(settings, base, watched, supervisor)
        self.since_left = SinceLeft(base, supervisor, watched)
        self._troubles = Troubles(base, watched, supervisor)

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open everything; returns when the first state can be shown.

        Raises:
            MidasError: The base, the journal or the data cannot be used; says why.
        """
        supervisor = self.supervisor
        self.bus.bind(asyncio.get_running_loop())
        supervisor.change("starting", "opening the knowledge base")
        await asyncio.to_thread(self.base.open, supervisor.fault, self.pipeline.tell_move)
        await asyncio.to_thread(self.pipeline.begin_following)
        await self.leaving.start()  # before the feed answers: a kill waits for no market
        if self.mode == "LIVE":
            await self.watch.go_live(self.pipeline.obey_before_bar)
        else:
            supervisor.change("starting", f"loading {self.source}")
            await self.watch.show(await asyncio.to_thread(_load, self.source, self.settings.store))
        supervisor.background(self._follow_files(), "files")
        await self._troubles.look()
        supervisor.background(self._troubles.keep_looking(), "trouble")
        self.feed.ready()

    async def stop(self) -> None:
        """Cancel what runs, write what must be written, close. Safe to call twice."""
        if self.phase == "stopped":
            return
        self.supervisor.change("stopping")
        await self.sessions.close()
        if self.replay is not None:
            await self.replay.pause()
        await self.feed.finish_records()
        await self.supervisor.cancel()
        await self.leaving.close()
        await self.feed.close()
        await self.diagnosing.close()
        await asyncio.to_thread(self.base.close)
        self.supervisor.phase = "stopped"

    async def __aenter__(self) -> Runtime:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _follow_files(self) -> None:
        kb = self.kb
        if not kb.path.is_dir():
            return
        while True:
            async for paths in kb.watch():
                self.bus.publish(DocumentChanged(at=self.clock.now(), paths=paths))
                monitor = self.watched.monitor
                if monitor is not None and any(path.endswith("alert-thresholds.json") for path in paths):
                    monitor.load_alert_file()
                if self.mode != "REPLAY" and any(path.startswith(FEATURES) for path in paths):
                    # Whoever moved a feature, another process too: it is obeyed, and once.
                    self.supervisor.background(self.pipeline.obey(), "watch")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)  # the folder went away: it may come back

    # -- what it is --------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """LIVE, OFFLINE or REPLAY."""
        return self.watched.mode

    @property
    def source(self) -> str:
        """Where the bars come from."""
        return self.watched.source

    @property
    def read_only(self) -> bool:
        """Whether the base may not be changed."""
        return self.base.read_only

    @property
    def kb(self) -> KnowledgeBase:
        """The knowledge base; MidasError before `start`."""
        return self.base.kb

    @property
    def journal(self) -> Journal | None:
        """The journal; None before `start`, and where there is no base."""
        return self.base.journal

    @property
    def panel(self) -> Panel | None:
        """The data; None until it is loaded."""
        return self.watched.panel

    @property
    def replay(self) -> ReplayControl | None:
        """The replay, where this is one."""
        return self.watch.replay

    @property
    def data_ends(self) -> datetime | None:
        """When the recorded data ends; None while it is not loaded, and on a feed."""
        return end_of(self.panel) if self.panel is not None and self.mode != "LIVE" else None

    @property
    def bar_seconds(self) -> int:
        """Length of one bar of the data; an hour until it is loaded."""
        return self.panel.bar_seconds if self.panel is not None else 3600

    def now(self) -> datetime:
        """Engine time: of the replay in a replay, of the end of a recording, else the wall's."""
        return self.watched.now()

    # -- how it stands -----------------------------------------------------------------------------

    @property
    def phase(self) -> str:
        """starting, warming, running, degraded, stopping or stopped."""
        return self.supervisor.phase

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong now, the worst first."""
        return self._troubles.current

    def status(self) -> Mapping[str, Any]:
        """Queues, drops and what runs, for the log."""
        figures: dict[str, Any] = {"phase": self.phase, "events published": self.bus.published}
        for s in self.bus.stats:
            figures[f"queue {s.name}"] = (
                f"{s.depth} waiting, peak {s.peak}, {s.replaced} replaced, {s.over_bound} over bound"
            )
        figures["background"] = ", ".join(sorted(t.get_name() for t in self.supervisor.tasks)) or "nothing"
        if self.feed.counts:
            figures["feed"] = f"{self.feed.trouble or 'bars come'}; {self.feed.counts}"
        if self.panel is not None:
            figures["data"] = repr(self.panel)
        return figures


def _load(source: str, store: str) -> Panel:
    from midas_engine.market import load_panel

    return load_panel(source, store=store)
