"""`Runtime`: opens the base, the journal and the data, watches, discovers, and obeys commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import MidasError, ReadOnlyError
from midas_engine.events import DocumentChanged, Event, FaultReported, RuntimeChanged
from midas_engine.runtime.documents import Documents
from midas_engine.runtime.pipeline import PipelineCommands

# Heavy (compiled kernels): imported with this module, where the caller chose the moment and the thread.
from midas_engine.runtime.recording import catch_up, end_of, prepare, replay_control, scan_alerts
from midas_engine.runtime.sessions import Sessions
from midas_engine.runtime.trouble import Troubles
from midas_engine.runtime.watch_upkeep import WatchUpkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime

    from midas_engine.clock import Clock
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.runtime.live import LiveWatch
    from midas_engine.runtime.recorded_bars import FleetStage
    from midas_engine.runtime.recording import Recording
    from midas_engine.runtime.replay import ReplayControl
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace


LOOK_AGAIN_SECONDS = 1.0
FEATURES = "knowledge/features/"


class Runtime(PipelineCommands, Documents, Sessions, WatchUpkeep, Troubles):
    """Everything in one event loop: `async with Runtime(settings) as midas: ...`.

    Args:
        settings: From `load_settings`.
        replay: A data source to replay ("sample", "synthetic", a path); None follows the feed that the settings
            name as their data, or watches the end of the recording they name.
        speed: Replay speed, bars a second.
        play: Start the replay playing.
        clock: Wall time; injected in tests.
        feed_failures: Failures of the feed in a row after which it is given up (`lost` says why); 0: never.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        replay: str | None = None,
        speed: float | None = None,
        play: bool = False,
        clock: Clock | None = None,
        feed_failures: int = 0,
    ) -> None:
        self.settings = settings
        self.bus = EventBus()
        self.clock: Clock = clock or WallClock()
        self.mode = "REPLAY" if replay is not None else "LIVE" if self.is_feed(settings.data) else "OFFLINE"
        self.read_only = settings.read_only
        self.source = replay if replay is not None else settings.data
        self.phase = "starting"
        self.panel: Panel | None = None
        self.replay: ReplayControl | None = None
        self._speed = speed if speed is not None else 4.0
        self._play = play
        self._workspace: Workspace | None = None
        self._kb: KnowledgeBase | None = None
        self._journal: Journal | None = None
        self._promoter: FeaturePromoter | None = None
        self._stage: FleetStage | LiveWatch | None = None
        self._live: LiveWatch | None = None
        self._stage_clock: Clock = self.clock
        self._recording: Recording | None = None
        self._frozen_at: dict[str, datetime] = {}
        self._older: dict[str, tuple[Any, ...]] = {}
        self._init_upkeep()
        self._init_troubles()
        self._tasks: set[asyncio.Task[None]] = set()
        self._untap: Callable[[], None] | None = None
        self._diagnostics: DiagnoseAgent | None = None
        self._watch_lock = asyncio.Lock()
        self._init_sessions()
        self._init_feed(feed_failures)
        self._init_following()

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open everything; returns when the first state can be shown.

        Raises:
            MidasError: The base, the journal or the data cannot be used; says why.
        """
        self.bus.bind(asyncio.get_running_loop())
        self._change("starting", "opening the knowledge base")
        await asyncio.to_thread(self._open_store)
        self._untap = self.bus.tap(self._record)
        await asyncio.to_thread(self._begin_following)
        if self.mode == "LIVE":
            records = await asyncio.to_thread(self._watched_records)
            self._frozen_at = {r.name: r.changed_at for r in records if r.changed_at is not None}
            await self._go_live(records)
            self._tell_watch()
        else:
            self._change("starting", f"loading {self.source}")
            self.panel = await asyncio.to_thread(_load, self.source)
            self._stage_clock = ManualClock(end_of(self.panel))  # recorded bars never pretend to be today's
            await self.watch_again()
        self.background(self._follow_files(), "files")
        await self.look_for_trouble()
        self.background(self._keep_looking(), "trouble")
        self._ready()

    async def stop(self) -> None:
        """Cancel what runs, write what must be written, close. Safe to call twice."""
        if self.phase == "stopped":
            return
        self._change("stopping")
        await self.close_sessions()
        if self.replay is not None:
            await self.replay.pause()
        await self._finish_records()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._untap is not None:
            self._untap()
        await self._leave_feed()
        if self._diagnostics is not None:
            await self._diagnostics.close()
        await asyncio.to_thread(self._close_store)
        self.phase = "stopped"

    async def __aenter__(self) -> Runtime:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _open_store(self) -> None:
        from midas_engine.workspace import Workspace

        workspace = Workspace(
            self.settings,
            clock=self.clock,
            via="terminal",
            on_event=self._tell_move,
            data=lambda: (self.panel, "" if self.panel is not None else "the data is not loaded yet"),
        )
        self._workspace, self._kb = workspace, workspace.kb
        if self._kb.read_only and not self.read_only:
            self.read_only = True
            self.fault("knowledge base", f"opened read-only: {self._kb.read_only_reason}", "actions are refused")
        if self._kb.path.is_dir():
            self._had_base = True
            self._journal = workspace.journal
            for notice in self._journal.fresh_notices():
                self.fault("journal", notice, "see `midas kb check`", "critical")
            self._promoter = workspace.promoter

    def _close_store(self) -> None:
        if self._workspace is not None:
            self._workspace.close()

    @property
    def opened(self) -> Workspace:
        """The workspace, whether its base is there or not; MidasError before `start`."""
        if self._workspace is None:
            raise MidasError("Midas is still starting")
        return self._workspace

    @property
    def workspace(self) -> Workspace:
        """The base and what works on it; MidasError before `start`, ReadOnlyError where there is no base."""
        if self._promoter is None:
            raise ReadOnlyError("there is no knowledge base to change", hint="start without --read-only to make one")
        return self.opened

    @property
    def kb(self) -> KnowledgeBase:
        """The knowledge base; MidasError before `start`."""
        if self._kb is None:
            raise MidasError("Midas is still starting")
        return self._kb

    @property
    def promoter(self) -> FeaturePromoter:
        """The pipeline; refuses before `start` and on a base that is not there."""
        if self._promoter is None:
            raise ReadOnlyError("there is no knowledge base to change", hint="start without --read-only to make one")
        return self._promoter

    @property
    def journal(self) -> Journal | None:
        """The journal, once open."""
        return self._journal

    # -- helpers shared by the parts -------------------------------------------------------------

    def background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` supervised: a failure is reported, never swallowed."""
        task = asyncio.get_running_loop().create_task(self._supervised(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that is cancelled before its first step never takes `work` up; closed, it is not missed.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _supervised(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            hint = error.hint if isinstance(error, MidasError) else "the rest of Midas goes on"
            self.fault(name, f"{type(error).__name__}: {error}", hint)

    def fault(self, where: str, message: str, hint: str = "", severity: str = "warning") -> None:
        """Report something that failed and was survived; from any thread."""
        self.announce(FaultReported(at=self.clock.now(), where=where, message=message, hint=hint, severity=severity))

    def announce(self, event: Event) -> None:
        """Publish an event, from any thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.bus.publish_threadsafe(event)
        else:
            self.bus.publish(event)

    def _change(self, phase: str, detail: str = "", progress: float = float("nan")) -> None:
        self.phase = phase
        self.bus.publish(RuntimeChanged(at=self.clock.now(), phase=phase, detail=detail, progress=progress))

    @property
    def data_ends(self) -> datetime | None:
        """When the recorded data ends; None while it is not loaded, and on a feed."""
        return end_of(self.panel) if self.panel is not None and self.mode != "LIVE" else None

    @property
    def bar_seconds(self) -> int:
        """Length of one bar of the data; an hour until it is loaded."""
        return self.panel.bar_seconds if self.panel is not None else 3600

    def now(self) -> datetime:
        """Engine time: of the replay in a replay, else the wall's."""
        return self._stage_clock.now()

    def refuse_changes(self) -> None:
        """Raise when this runtime may not change the pipeline."""
        if self.mode == "REPLAY":
            raise ReadOnlyError("a replay changes nothing", hint="start midas-tui without --replay")
        if self.read_only:
            raise ReadOnlyError("opened read-only", hint="start without --read-only")
        self.refuse_without_base()

    def _record(self, event: Event) -> None:
        """Sessions, faults and moves go to the journal of a base that may be written; replays are nobody's past."""
        if self._recorder is not None and self.mode != "REPLAY":
            self._recorder.take(event)

    async def _follow_files(self) -> None:
        if not self.kb.path.is_dir():
            return
        while True:
            async for paths in self.kb.watch():
                self.bus.publish(DocumentChanged(at=self.clock.now(), paths=paths))
                if self._live is not None and any(path.endswith("alert-thresholds.json") for path in paths):
                    self._live.monitor.load_alert_file()
                if self.mode != "REPLAY" and any(path.startswith(FEATURES) for path in paths):
                    # Whoever moved a feature, another process too: it is obeyed, and once.
                    self.background(self.obey(), "watch")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)  # the folder went away: it may come back

    # -- watching --------------------------------------------------------------------------------

    async def watch_again(self, *, if_changed: bool = False) -> None:
        """Build the book anew and show its state: at start, and after the pipeline changed.

        Args:
            if_changed: Do nothing when what is to be watched is what was built last.
        """
        async with self._watch_lock:
            if self.panel is None:
                return
            if self._had_base and self.kb.lost():
                return  # nobody took a feature off: the folder went, and the badge says so
            records = await asyncio.to_thread(self._watched_records)
            wanted = tuple((r.name, r.expression, r.state, r.paused, r.expected_score, r.breadth) for r in records)
            if if_changed and wanted == self._watching:
                return
            self._watching = wanted
            self._let_go({r.name for r in records})
            self._change("warming", "computing features")
            try:
                await self._build_watch(self.panel, records)
            finally:
                self._tell_watch()
                self._ready()

    async def _build_watch(self, panel: Panel, records: list[FeatureRecord]) -> None:
        self._frozen_at = {r.name: r.changed_at for r in records if r.changed_at is not None}
        if self._live is not None:
            await self._rebook(records)
            return
        replaying = self.mode == "REPLAY"
        recording = await asyncio.to_thread(
            prepare, panel, records, self.settings, source=self.source, replay=replaying
        )
        self._recording = recording
        self._name_problems(recording.problems, "import data that has the columns, or demote the feature")
        if replaying:
            await self._begin_replay(recording)
        elif recording.book:
            await self._catch_up(recording)
        else:
            self._stage = None

    async def _begin_replay(self, recording: Recording) -> None:
        control, self._stage, self._stage_clock = replay_control(recording, self.settings, self.bus.publish, self.clock)
        control.speed = self._speed
        self.replay = control
        await control.warm_up(lambda share: self._change("warming", "the monitor", share))
        await control.step(1)
        self.background(scan_alerts(recording, self.settings, self.clock, control.mark_alerts), "alert scan")
        if self._play:
            control.play()

    async def _catch_up(self, recording: Recording) -> None:
        stage = await catch_up(
            recording, self.settings, self.clock, lambda share: self._change("warming", "catching up", share)
        )
        if self._stage is not None:
            stage.alerts.take_answers(self._stage.alerts.alerts())  # what was answered stays answered
        self._stage = stage
        self._stage_clock = ManualClock(end_of(recording.panel))
        for event in stage.run_bar(stage.bars - 1, shown=True):
            self.bus.publish(event)

    @property
    def watched_stage(self) -> FleetStage | LiveWatch | None:
        """What runs the bars; None when nothing is watched."""
        return self._stage

    @property
    def diagnostics(self) -> DiagnoseAgent:
        """What explains critical episodes; made when first needed."""
        if self._diagnostics is None:
            from midas_engine.runtime.diagnosing import make_agent

            self._diagnostics = make_agent(self)
        return self._diagnostics

    async def diagnose(self, feature: str) -> str:
        """Ask for a diagnosis of a feature, in the background."""
        from midas_engine.runtime.diagnosing import begin_diagnosis

        return await begin_diagnosis(self, self._watched(), feature)

    # -- status ----------------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """Queues, drops and what runs, for the log."""
        figures: dict[str, Any] = {"phase": self.phase, "events published": self.bus.published}
        for s in self.bus.stats:
            figures[f"queue {s.name}"] = (
                f"{s.depth} waiting, peak {s.peak}, {s.replaced} replaced, {s.over_bound} over bound"
            )
        figures["background"] = ", ".join(sorted(t.get_name() for t in self._tasks)) or "nothing"
        if self._feed is not None:
            figures["feed"] = f"{self.feed_trouble or 'bars come'}; {self._feed.counts}"
        if self.panel is not None:
            figures["data"] = repr(self.panel)
        return figures


def _load(source: str) -> Panel:
    from midas_engine.market import load_panel

    return load_panel(source)
