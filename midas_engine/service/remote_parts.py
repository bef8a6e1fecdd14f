"""The parts of a `RemoteRuntime`: each asks the service for what the runtime's part of that name answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.errors import KnowledgeBaseError, MidasError
from midas_engine.events import QueryAnswered
from midas_engine.models import FeatureMetrics, PipelineSummary, SessionSummary
from midas_engine.runtime.queries import ChartData, ForwardRecord, Portfolio
from midas_engine.runtime.session_order import OrderField, Reach
from midas_engine.runtime.timeline import Timeline
from midas_engine.runtime.watch_report import WatchReport, watch_report
from midas_engine.sentence import Money
from midas_engine.service.wire import event_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from midas_engine.book.figures import BookFigures
    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.commands import AllDone
    from midas_engine.events import Event
    from midas_engine.kb.catalogue import DocumentInfo
    from midas_engine.memory.links import Link
    from midas_engine.memory.search import Found
    from midas_engine.models import Alert
    from midas_engine.monitor.daily.brief import Brief
    from midas_engine.promoter import Preview
    from midas_engine.service.mirror import Mirror

Ask = Callable[..., Awaitable[Any]]
MOST_CACHED = 500


class RemotePipeline:
    """See `runtime.pipeline.Pipeline`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def summary(self) -> PipelineSummary:
        """Every feature, by state."""
        found: PipelineSummary = await self._ask("pipeline.summary", PipelineSummary)
        return found

    async def preview(self, action: str, name: str) -> Preview:
        """What an action would change."""
        from midas_engine.promoter import Preview

        found: Preview = await self._ask("pipeline.preview", Preview, action, name)
        return found

    async def act(self, action: str, name: str, reason: str = "") -> str:
        """Move a feature; says what happened."""
        return str(await self._ask("pipeline.act", str, action, name, reason))

    async def live(self) -> tuple[str, ...]:
        """The live features that are not killed."""
        found: tuple[str, ...] = await self._ask("pipeline.live", tuple[str, ...])
        return found

    async def kill_all(self, reason: str) -> AllDone:
        """Stop everything live for good."""
        from midas_engine.commands import AllDone

        found: AllDone = await self._ask("pipeline.kill_all", AllDone, reason)
        return found

    async def pause_all(self, reason: str) -> AllDone:
        """Set everything live aside."""
        from midas_engine.commands import AllDone

        found: AllDone = await self._ask("pipeline.pause_all", AllDone, reason)
        return found

    async def undo(self) -> str:
        """Take the last reversible action back."""
        return str(await self._ask("pipeline.undo", str))

    async def redo(self) -> str:
        """Do again what was undone."""
        return str(await self._ask("pipeline.redo", str))


class RemoteQueries:
    """See `runtime.queries.Queries`. Charts and records are asked for when they are looked at, and kept for the bar.

    Args:
        mirror: What was told.
        bus: Told when an answer came that was looked for before.
        clock: The day of the wall's clock.
        ask: Asks the service.
    """

    def __init__(self, mirror: Mirror, bus: EventBus, clock: Clock, ask: Ask) -> None:
        self._mirror, self._bus, self._clock, self._ask = mirror, bus, clock, ask
        self._answers: dict[tuple[Any, ...], tuple[int, Any]] = {}
        self._asking: dict[tuple[Any, ...], asyncio.Task[None]] = {}

    def metrics(self) -> Mapping[str, FeatureMetrics]:
        """Newest figures of every watched feature."""
        return self._mirror.metrics()

    def alerts(self, *, include_resolved: bool = False) -> Sequence[Alert]:
        """Episodes, newest first."""
        return self._mirror.alerts(include_resolved=include_resolved)

    @property
    def stale(self) -> bool:
        """Nothing is known of the last two bars."""
        return self._mirror.stale

    def watch_report(self, summary: PipelineSummary) -> WatchReport:
        """What of the pipeline is not watched, and what left the watch today."""
        facts = self._mirror.facts
        if facts.phase == "starting":
            return WatchReport()
        return watch_report(summary, facts.watched, facts.problems, self._clock.now().date())

    def portfolio(self) -> Portfolio | None:
        """The portfolio detector as told with the newest bar."""
        return self._mirror.facts.portfolio

    def kill_proposals(self) -> Mapping[str, str]:
        """Features that would be stopped, and why."""
        return self._mirror.facts.proposals

    def chart(self, name: str) -> ChartData | None:
        """Recent bars of a feature; None until the service has answered."""
        found: ChartData | None = self._looked("queries.chart", ChartData | None, name)
        return found

    def timeline(self, name: str = "", summary: PipelineSummary | None = None) -> Timeline | None:
        """Money and time of a feature, or of the book; None until the service has answered."""
        found: Timeline | None = self._looked("queries.timeline", Timeline | None, name, summary is not None)
        return found

    def money(self, name: str = "") -> Money | None:
        """What the book or a feature earned; None until the service has answered."""
        found: Money | None = self._looked("queries.money", Money | None, name)
        return found

    def moment(self, at: datetime, summary: PipelineSummary | None = None) -> Mapping[str, FeatureMetrics]:
        """Figures of every watched feature as they were; empty until the service has answered."""
        found = self._looked("queries.moment", dict[str, FeatureMetrics], at.isoformat(), summary is not None)
        return found or {}

    def forward(self, name: str) -> ForwardRecord | None:
        """What a watched feature did since it was frozen; None until the service has answered."""
        found: ForwardRecord | None = self._looked("queries.forward", ForwardRecord | None, name)
        return found

    def _looked(self, call: str, kind: Any, *arguments: Any) -> Any:
        """What is known; the service is asked where that is of an earlier bar."""
        key = (call, *arguments)
        at, value = self._answers.get(key, (-1, None))
        if at != self._mirror.bars and key not in self._asking and not self._mirror.lost:
            task = asyncio.get_running_loop().create_task(self._fetch(key, kind), name="ask")
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return value

    async def _fetch(self, key: tuple[Any, ...], kind: Any) -> None:
        at = self._mirror.bars
        try:
            value = await self._ask(key[0], kind, *key[1:])
        except MidasError:
            value = self._answers.get(key, (0, None))[1]
        self._answers.pop(key, None)
        self._answers[key] = (at, value)
        for old in list(self._answers)[:-MOST_CACHED]:
            del self._answers[old]
        self._bus.publish(QueryAnswered(at=self._clock.now(), feature=key[1]))

    async def acknowledge(self, alert_id: str) -> str:
        """Mark an episode as seen."""
        return str(await self._ask("queries.acknowledge", str, alert_id))

    async def snooze(self, alert_id: str, hours: float) -> str:
        """Silence an episode for `hours`."""
        return str(await self._ask("queries.snooze", str, alert_id, hours))

    async def reopen(self, alert_id: str) -> str:
        """Take an acknowledgement or a snooze back."""
        return str(await self._ask("queries.reopen", str, alert_id))

    async def close(self) -> None:
        """Let go of what is being asked."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class RemoteSessions:
    """See `runtime.sessions.Sessions`."""

    def __init__(self, mirror: Mirror, ask: Ask) -> None:
        self._mirror, self._ask = mirror, ask
        self._known: Sequence[SessionSummary] = ()

    def list(self) -> Sequence[SessionSummary]:
        """Sessions of the service as `refresh` saw them."""
        return self._known

    async def refresh(self) -> Sequence[SessionSummary]:
        """Ask for the sessions of the service, newest first."""
        self._known = await self._ask("sessions.list", tuple[SessionSummary, ...])
        return self._known

    def providers(self) -> Sequence[str]:
        """Researchers that the service can use."""
        return self._mirror.facts.providers

    async def start(self, goal: str, provider: str = "") -> str:
        """Start a session there."""
        return str(await self._ask("sessions.start", str, goal, provider))

    async def cancel(self, session_id: str = "") -> str:
        """Cancel a session, or the one that began last."""
        if session_id:
            return str(await self._ask("sessions.stop", str, session_id))
        return str(await self._ask("sessions.cancel", str))

    async def form(self, session_id: str = "") -> Sequence[OrderField]:
        """The fields to ask for, as the service has them."""
        found: Sequence[OrderField] = await self._ask("sessions.form", tuple[OrderField, ...], session_id)
        return found

    async def check(self, answers: Mapping[str, Any], reach: bool = True) -> Reach:
        """What is wrong with the answers there, or what could be reached."""
        found: Reach = await self._ask("sessions.check", Reach, dict(answers), reach)
        return found

    async def begin(self, answers: Mapping[str, Any]) -> str:
        """Start a session there as the answers say."""
        return str(await self._ask("sessions.begin", str, dict(answers)))

    async def resume(self, session_id: str) -> str:
        """Go on with a session there."""
        return str(await self._ask("sessions.resume", str, session_id))

    async def replay(self, session_id: str) -> str:
        """Repeat a session from its record there."""
        return str(await self._ask("sessions.replay", str, session_id))

    async def earlier(self) -> Sequence[SessionSummary]:
        """Sessions of before its run."""
        found: Sequence[SessionSummary] = await self._ask("sessions.earlier", tuple[SessionSummary, ...])
        return found

    async def recall(self, session_id: str) -> Sequence[Event]:
        """What its journal keeps of a session's events."""
        told = await self._ask("sessions.recall", tuple[dict[str, Any], ...], session_id)
        return tuple(event for event in map(event_of, told) if event is not None)


class RemoteDocuments:
    """See `runtime.documents.Documents`."""

    def __init__(self, mirror: Mirror, ask: Ask) -> None:
        self._mirror, self._ask = mirror, ask

    async def list(self) -> Sequence[DocumentInfo]:
        """Every document, by path."""
        from midas_engine.kb.catalogue import DocumentInfo

        found: Sequence[DocumentInfo] = await self._ask("documents.list", tuple[DocumentInfo, ...])
        return found

    async def read(self, path: str) -> str:
        """Text of a document."""
        return str(await self._ask("documents.read", str, path))

    async def related(self, path: str) -> Sequence[str]:
        """Paths of learnings that speak to the same thing."""
        found: Sequence[str] = await self._ask("documents.related", tuple[str, ...], path)
        return found

    async def links(self, subject: str) -> Sequence[Link]:
        """What belongs to a document, a feature or a session, both ways."""
        from midas_engine.memory.links import Link

        found: Sequence[Link] = await self._ask("documents.links", tuple[Link, ...], subject)
        return found

    async def search(self, text: str) -> Sequence[Found]:
        """What speaks of `text`, best first."""
        from midas_engine.memory.search import Found

        found: Sequence[Found] = await self._ask("documents.search", tuple[Found, ...], text)
        return found

    async def memory(self) -> str:
        """What tries taught, as a page."""
        return str(await self._ask("documents.memory", str))

    async def revoke(self, path: str, reason: str) -> str:
        """Set a learning aside there."""
        return str(await self._ask("documents.revoke", str, path, reason))

    def file(self, path: str) -> str:
        """Absolute path of a document, where the base lies on this machine."""
        base = Path(self._mirror.facts.base).resolve()
        found = (base / path).resolve()
        if not found.is_relative_to(base) or not found.is_file():
            raise KnowledgeBaseError(f"{path} is not on this machine", hint="edit it where the service runs")
        return str(found)


class RemoteDiagnosing:
    """See `runtime.diagnosing.Diagnosing`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def ask(self, feature: str) -> str:
        """Start a diagnosis of `feature` there."""
        return str(await self._ask("diagnosing.ask", str, feature))


class RemoteBook:
    """See `runtime.book.Book`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def figures(self, *, again: bool = False) -> BookFigures:
        """The book, measured there."""
        from midas_engine.book.figures import BookFigures

        found: BookFigures = await self._ask("book.figures", BookFigures, again)
        return found


class RemoteSinceLeft:
    """See `runtime.since_left.SinceLeft`. A connection that comes back is a return too.

    Args:
        ask: Asks the service.
        clock: When something came last.
    """

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._heard = clock.now()
        self._away: datetime | None = None
        self._back: datetime | None = None

    def heard(self) -> None:
        """Something came from the service: until now nothing was missed."""
        self._heard = self._clock.now()

    def lost(self, lost: bool) -> None:
        """The connection broke, or is there again."""
        if lost:
            self._away = self._away or self._heard
        else:
            self._away, self._back = None, self._away

    def returned(self) -> datetime | None:
        """When the last word came before a break that is over; None where there was none since the last call."""
        back, self._back = self._back, None
        return back

    async def note(self) -> None:
        """Somebody has seen all that happened until now."""
        await self._ask("since_left.note", None)

    async def brief(self, since: datetime | None = None) -> Brief | None:
        """What changed since `since`, or since somebody looked last."""
        from midas_engine.monitor.daily.brief import Brief

        found: Brief | None = await self._ask("since_left.brief", Brief | None, since.isoformat() if since else "")
        return found
