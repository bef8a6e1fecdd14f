"""`ReplayedRun`: a recorded run as a terminal holds it, bar by bar, forwards and back; the base is not opened."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any, NoReturn

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import DataError, ReadOnlyError
from midas_engine.events import AlertRaised, BarProcessed, Event, RuntimeChanged
from midas_engine.models import PipelineSummary
from midas_engine.runtime.replay import ReplayControl
from midas_engine.runtime.watch_report import WatchReport
from midas_engine.service.mirror import Mirror
from midas_engine.service.wire import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from midas_engine.clock import Clock
    from midas_engine.events import Trouble
    from midas_engine.models import Alert, FeatureMetrics
    from midas_engine.service.runs import Run, Runs

MOST_EVENTS = 3_000_000


class RunStage:
    """The bars of a run: to each the events that led to it, folded into a mirror.

    Args:
        mirror: Folds.
        events: The run's, oldest first.

    Raises:
        DataError: There is no bar among them, or more than can be held.
    """

    def __init__(self, mirror: Mirror, events: Iterable[Event]) -> None:
        self._mirror = mirror
        self.bars: list[list[Event]] = []
        self.times: list[datetime] = []
        self.alert_bars: list[int] = []
        group: list[Event] = []
        for count, event in enumerate(events):
            if count >= MOST_EVENTS:
                raise DataError(f"the run has more than {MOST_EVENTS:,} events", hint="replay a shorter one")
            group.append(event)
            if isinstance(event, BarProcessed):
                if any(isinstance(one, AlertRaised) for one in group):
                    self.alert_bars.append(len(self.bars))
                self.bars.append(group)
                self.times.append(event.bar_at)
                group = []
        if not self.bars:
            raise DataError("the run has no bar", hint="`midas runs` lists them with their bars")
        self.bars[-1].extend(group)
        self._skip_the_empty_beginning()

    def _skip_the_empty_beginning(self) -> None:
        """Begin where something was watched: what was told before that comes with the first bar."""
        bars = [[e for e in group if isinstance(e, BarProcessed)] for group in self.bars]
        first = next((i for i, found in enumerate(bars) if any(e.features for e in found)), 0)
        first = min([first, *self.alert_bars])
        before = [e for group in self.bars[:first] for e in group if not isinstance(e, BarProcessed)]
        self.bars = [[*before, *self.bars[first]], *self.bars[first + 1 :]]
        self.times, self.alert_bars = self.times[first:], [i - first for i in self.alert_bars]

    def run_bar(self, index: int, *, shown: bool) -> list[Event]:
        """See `ReplayStage`."""
        for event in self.bars[index]:
            self._mirror.apply(event)
        self._mirror.facts = dataclasses.replace(self._mirror.facts, newest=self.times[index])
        if shown:
            # how the service stood then is not how this replay stands
            return [event for event in self.bars[index] if not isinstance(event, RuntimeChanged)]
        return [event for event in self.bars[index] if isinstance(event, AlertRaised)]

    def state(self) -> bytes:
        """See `ReplayStage`."""
        return packed({"whole": self._mirror.whole(), "facts": self._mirror.facts})

    def restore(self, state: bytes) -> None:
        """See `ReplayStage`."""
        found = unpacked(state)
        self._mirror.take_whole(found["whole"])
        self._mirror.take_facts(found["facts"])


class ReplayedRun:
    """A recorded run, played.

    Args:
        runs: Where it lies.
        run: Which.
        speed: Bars a second.
        play: Start playing.
        clock: Times the playing.
    """

    mode = "REPLAY"
    read_only = True
    attached = ""
    phase = "starting"

    def __init__(
        self, runs: Runs, run: Run, *, speed: float = 4.0, play: bool = True, clock: Clock | None = None
    ) -> None:
        self._runs, self._run, self._speed, self._play = runs, run, speed, play
        self._pace: Clock = clock or WallClock()
        self._time = ManualClock(run.began)
        self.bus = EventBus()
        self.mirror = Mirror(self._time.now)
        self.replay: ReplayControl | None = None
        self.data_ends: datetime | None = None
        self.source = f"run:{run.id}"
        self.bar_seconds = run.bar_seconds
        self.queries = RunQueries(self.mirror)
        self.pipeline = RunPipeline()
        self.sessions = RunSessions()
        self.documents, self.diagnosing, self.book = RunDocuments(), RunDiagnosing(), RunBook()
        self.since_left = RunSinceLeft()

    async def start(self) -> None:
        """Read the run; returns when its first bar can be shown.

        Raises:
            DataError: It has no bar.
        """
        self._say("starting", f"reading {self.source}")
        self.mirror.facts = dataclasses.replace(
            self.mirror.facts, mode=self.mode, source=self.source, phase="running", bar_seconds=self.bar_seconds
        )
        stage = await asyncio.to_thread(lambda: RunStage(self.mirror, self._runs.events(self._run.id)))
        self.data_ends = stage.times[-1]
        self.replay = control = ReplayControl(
            stage,
            stage.times,
            start=0,
            publish=self.bus.publish,
            clock=self._time,
            pace=self._pace,
            bar_seconds=self.bar_seconds,
        )
        control.speed = self._speed
        control.mark_alerts(stage.alert_bars)
        await control.step(1)
        self._say("running", "")
        if self._play:
            control.play()

    def _say(self, phase: str, detail: str) -> None:
        self.phase = phase
        self.bus.publish(RuntimeChanged(at=self.now(), phase=phase, detail=detail))

    async def stop(self) -> None:
        """Stop playing."""
        if self.replay is not None:
            await self.replay.pause()

    def now(self) -> datetime:
        """Time of the bar that is shown."""
        return self._time.now()

    def troubles(self) -> Sequence[Trouble]:
        """None: what was wrong then is among the events."""
        return ()

    def status(self) -> Mapping[str, Any]:
        """Of the run."""
        return {"run": self._run.id, "began": self._run.began.isoformat(), "ended": self._run.ended}


def _refuse() -> NoReturn:
    raise ReadOnlyError("a recorded run changes nothing", hint="start midas-tui without --replay")


class RunQueries:
    """What is known of the features at the bar that is shown. What was only computed then is not in a run."""

    stale = False

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def metrics(self) -> Mapping[str, FeatureMetrics]:
        """Figures of every feature that was watched."""
        return self._mirror.metrics()

    def alerts(self, *, include_resolved: bool = False) -> Sequence[Alert]:
        """Episodes, newest first."""
        return self._mirror.alerts(include_resolved=include_resolved)

    def watch_report(self, summary: PipelineSummary) -> WatchReport:
        """Nothing: the pipeline of then is not known."""
        return WatchReport()

    def chart(self, name: str) -> None:
        """Not in a run."""

    def timeline(self, name: str = "", summary: PipelineSummary | None = None) -> None:
        """Not in a run."""

    def money(self, name: str = "") -> None:
        """Not in a run."""

    def moment(self, at: datetime, summary: PipelineSummary | None = None) -> Mapping[str, FeatureMetrics]:
        """Nothing: the replay itself goes there."""
        return {}

    def portfolio(self) -> None:
        """Not in a run."""

    def forward(self, name: str) -> None:
        """Not in a run."""

    def kill_proposals(self) -> Mapping[str, str]:
        """Nothing that could be acted on."""
        return {}

    async def acknowledge(self, alert_id: str) -> str:
        """Refused."""
        _refuse()

    async def snooze(self, alert_id: str, hours: float) -> str:
        """Refused."""
        _refuse()

    async def reopen(self, alert_id: str) -> str:
        """Refused."""
        _refuse()


class RunPipeline:
    """No pipeline: it is not in a run."""

    async def summary(self) -> PipelineSummary:
        """Nothing."""
        return PipelineSummary((), (), (), ())

    async def preview(self, action: str, name: str) -> Any:
        """Refused."""
        _refuse()

    async def act(self, action: str, name: str, reason: str = "") -> str:
        """Refused."""
        _refuse()

    async def live(self) -> tuple[str, ...]:
        """Nobody."""
        return ()

    async def kill_all(self, reason: str) -> NoReturn:
        """Refused."""
        _refuse()

    async def pause_all(self, reason: str) -> NoReturn:
        """Refused."""
        _refuse()

    async def undo(self) -> str:
        """Refused."""
        _refuse()

    async def redo(self) -> str:
        """Refused."""
        _refuse()


class RunSinceLeft:
    """A run is of then: nobody left it."""

    async def note(self) -> None:
        """Nothing is remembered."""

    async def brief(self, since: datetime | None = None) -> None:
        """Nothing changes."""

    def returned(self) -> None:
        """Never."""


class RunSessions:
    """The sessions of then are among the events."""

    def list(self) -> Sequence[Any]:
        """None of now."""
        return ()

    def providers(self) -> Sequence[str]:
        """None."""
        return ()

    async def start(self, goal: str, provider: str = "") -> str:
        """Refused."""
        _refuse()

    async def cancel(self, session_id: str = "") -> str:
        """Refused."""
        _refuse()

    async def form(self, session_id: str = "") -> Sequence[Any]:
        """Refused."""
        _refuse()

    async def check(self, answers: Any, reach: bool = True) -> Any:
        """Refused."""
        _refuse()

    async def begin(self, answers: Any) -> str:
        """Refused."""
        _refuse()

    async def resume(self, session_id: str) -> str:
        """Refused."""
        _refuse()

    async def replay(self, session_id: str) -> str:
        """Refused."""
        _refuse()

    async def earlier(self) -> Sequence[Any]:
        """None of now."""
        return ()

    async def recall(self, session_id: str) -> Sequence[Any]:
        """None of now."""
        return ()


class RunDocuments:
    """No document: a run holds events."""

    async def list(self) -> Sequence[Any]:
        """None."""
        return ()

    async def read(self, path: str) -> str:
        """There is none."""
        raise DataError("a recorded run holds no documents", hint="midas-tui without --replay shows them")

    async def related(self, path: str) -> Sequence[str]:
        """None."""
        return ()

    async def links(self, subject: str) -> Sequence[Any]:
        """None."""
        return ()

    async def search(self, text: str) -> Sequence[Any]:
        """Nothing is found."""
        return ()

    async def memory(self) -> str:
        """There is none."""
        raise DataError("a recorded run holds no memory", hint="midas-tui without --replay shows it")

    async def revoke(self, path: str, reason: str) -> str:
        """Refused."""
        _refuse()

    def file(self, path: str) -> str:
        """There is none."""
        raise DataError("a recorded run holds no documents", hint="midas-tui without --replay shows them")


class RunDiagnosing:
    """Nothing is diagnosed."""

    async def ask(self, feature: str) -> str:
        """Refused."""
        _refuse()


class RunBook:
    """No book: it is measured on data, which a run does not hold."""

    async def figures(self, *, again: bool = False) -> Any:
        """There is none."""
        raise DataError("a recorded run holds no market data to measure a book on")
