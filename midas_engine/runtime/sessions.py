"""Discovery sessions of the runtime: started, continued, repeated, streamed to the bus, cancelled."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine import events as ev
from midas_engine.commands import check_door
from midas_engine.errors import MidasError, ReadOnlyError, SessionError
from midas_engine.loops.until_found import UntilFound
from midas_engine.models import SessionSummary
from midas_engine.runtime.session_order import (
    SESSION_ITERATIONS,
    OrderField,
    Reach,
    SessionOrder,
    answers_of,
    command_of,
    form,
    order_of,
)
from midas_engine.runtime.session_repeat import assessor_on, repeat, replayed_id, start_tracker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
    from midas_engine.loops.session_record import SessionRecord
    from midas_engine.market import Panel
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace

KEPT_SUMMARIES = 50
MOST_AT_ONCE = 3
"""Sessions that search at the same time: each has its own workers, its own budget, and a share of one machine."""
EARLIER_SHOWN = 30
DOOR = "terminal"


@dataclass(slots=True)
class _Run:
    """A session that runs here: a search, or the repetition of one (which has no loop of ours)."""

    loop: OfflineCompoundLoop | None = None
    task: asyncio.Task[None] | None = None
    session_id: str = ""
    stopped: bool = False
    ended: ev.SessionEnded | None = None

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()


class Sessions:
    """Starts, continues, repeats, follows and cancels sessions.

    Args:
        settings: The model, and whether the base may be written.
        base: Where candidates and learnings go.
        watched: The data that is searched.
        supervisor: Runs the sessions in the background; their events go to the bus.
    """

    def __init__(self, settings: Settings, base: OpenBase, watched: Watched, supervisor: Supervisor) -> None:
        self._settings, self._base, self._watched = settings, base, watched
        self._supervisor = supervisor
        self._summaries: dict[str, SessionSummary] = {}
        self._runs: list[_Run] = []
        self._mirroring = asyncio.Lock()
        self._reached: tuple[object, tuple[str, ...]] | None = None

    # -- what there is -----------------------------------------------------------------------------

    def list(self) -> Sequence[SessionSummary]:
        """Sessions of this run, newest first."""
        return list(reversed(self._summaries.values()))

    def providers(self) -> Sequence[str]:
        """Researchers that can be used now; `local` needs no key."""
        from midas_engine.llm.factory import available_providers

        return available_providers()

    async def earlier(self) -> Sequence[SessionSummary]:
        """Sessions that the base's journal knows and that were not of this run, newest first."""
        return await asyncio.to_thread(self._earlier)

    def _earlier(self) -> tuple[SessionSummary, ...]:
        if not self._base.had_base:
            return ()
        found = []
        for row in reversed(self._workspace.journal.sessions(limit=EARLIER_SHOWN)):
            if row.key not in self._summaries:
                body: dict[str, Any] = row.body
                told = {name: str(body.get(name) or "") for name in ("goal", "researcher", "result")}
                accepted = tuple(str(name) for name in body.get("accepted") or ())
                status = "runs elsewhere" if row.kind == "running" else row.kind
                found.append(
                    SessionSummary(
                        row.key, told["goal"], told["researcher"], row.at, status=status,
                        tried=int(body.get("tried") or 0), accepted=accepted, result=told["result"],
                    )
                )  # fmt: skip
        return tuple(found)

    async def recall(self, session_id: str) -> Sequence[ev.Event]:
        """What the journal keeps of a session's events: its tree, without the streamed text."""
        return await asyncio.to_thread(self._recall, session_id)

    def _recall(self, session_id: str) -> tuple[ev.Event, ...]:
        found = self._workspace.journal.events(subject=session_id)
        return tuple(e for e in found if isinstance(e, ev.SessionEvent) and e.session_id == session_id)

    @property
    def _workspace(self) -> Workspace:
        return self._base.workspace

    # -- before a start ----------------------------------------------------------------------------

    async def form(self, session_id: str = "") -> Sequence[OrderField]:
        """The fields to ask for; with a session the values it had.

        Raises:
            SessionError: That session left no transcript.
        """
        given = await asyncio.to_thread(self._answers, session_id) if session_id else None
        return form(self._settings, self._offered(), given)

    def _offered(self) -> tuple[str, ...]:
        """Who can be asked now, and whom the settings name: a model of one's own needs no key."""
        return tuple(dict.fromkeys([*self.providers(), self._settings.model.provider]))

    def _answers(self, session_id: str) -> dict[str, str]:
        from midas_engine.loops.replay import read_record

        return answers_of(read_record(self._workspace.journal, session_id)[1])

    async def check(self, answers: Mapping[str, Any], reach: bool = True) -> Reach:
        """What is wrong with the answers, by field; where nothing is, with `reach`, what could be reached."""
        return await asyncio.to_thread(self._check, dict(answers), reach)

    def _check(self, answers: Mapping[str, Any], reach: bool) -> Reach:
        from midas_engine.runtime.session_reach import reach_lines

        order, errors = self._order(answers)
        if order is None:
            return Reach(errors)
        try:
            panel = self._panel(order)
        except MidasError as error:
            loading = not order.data and self._watched.panel is None
            return Reach({"data": f"{error.message}" + (f" ({error.hint})" if error.hint else "")}, again=loading)
        if not reach:
            return Reach({}, (), command_of(order, self._settings))
        evaluation = order.settings.evaluation
        key = (panel.identity, evaluation.target, evaluation.mode, order.config, order.settings.model)
        if self._reached is None or self._reached[0] != key:
            self._reached = (key, reach_lines(order, panel, self._workspace, self._day_left()))
        return Reach({}, self._reached[1], command_of(order, self._settings))

    def _order(self, answers: Mapping[str, Any]) -> tuple[SessionOrder | None, dict[str, str]]:
        return order_of(answers, self._settings, self._offered(), day_left=self._day_left)

    def _day_left(self) -> float:
        return max(0.0, self._settings.model.day_usd - self._workspace.day_spent())

    def _panel(self, order: SessionOrder) -> Panel:
        from midas_engine.market import load_panel
        from midas_engine.market.feeds.open import is_live

        if not order.data:
            if self._watched.panel is None:
                raise SessionError("the data is not loaded yet", hint="try again in a moment")
            return self._watched.panel
        if is_live(order.data):
            raise SessionError(f"{order.data} has no history to search", hint="fetch it: midas data fetch")
        return load_panel(order.data, store=self._settings.store)

    # -- starting ----------------------------------------------------------------------------------

    async def start(self, goal: str, provider: str = "", *, iterations: int = SESSION_ITERATIONS) -> str:
        """Start a session of so many plans in the background, alone; its events go to the bus.

        Raises:
            SessionError: One runs already, or the data is not loaded yet.
            ModelKeyError: The provider has no key.
        """
        if any(run.running for run in self._runs):
            raise SessionError("a session runs already", hint="c cancels it")
        provider = provider or self._settings.model.provider
        model = dataclasses.replace(self._settings.model, provider=provider)
        settings = dataclasses.replace(self._settings, model=model)
        config = self._config(settings, provider, iterations)
        return await self._start(SessionOrder(goal, provider, "", "", settings, config))

    def _config(self, settings: Settings, provider: str, iterations: int = SESSION_ITERATIONS) -> OfflineLoopConfig:
        from midas_engine.loops import OfflineLoopConfig
        from midas_engine.proposer.factory import screened_by

        return OfflineLoopConfig(
            max_iterations=iterations,
            model=settings.model.model,
            max_tokens=settings.model.max_tokens,
            screened=screened_by(settings, provider),
        )

    async def begin(self, answers: Mapping[str, Any]) -> str:
        """Start a session as the answers to the form say.

        Raises:
            SessionError: An answer does not fit, or too many run already.
        """
        order, errors = await asyncio.to_thread(self._order, dict(answers))
        if order is None:
            raise SessionError("; ".join(f"{name}: {why}" for name, why in errors.items()))
        return await self._start(order)

    async def _start(self, order: SessionOrder) -> str:
        self._may("discover")
        run = self._admitted()
        try:
            panel = await asyncio.to_thread(self._panel, order)
            run.loop = await asyncio.to_thread(self._make_loop, order.settings, order.config)
        except BaseException:
            self._runs.remove(run)
            raise
        run.task = self._supervisor.background(self._search_on(run, order, panel), "discovery")
        return f"session started: {order.goal}"

    async def resume(self, session_id: str) -> str:
        """Go on with a session that was killed or cancelled, as it was: goal, budget, settings, data.

        Raises:
            SessionError: It runs, it came to its end, or it left no transcript.
        """
        from midas_engine.loops.replay import read_resumable

        self._may("continue")
        run = self._admitted()
        try:
            record, given = await asyncio.to_thread(read_resumable, self._workspace.journal, session_id)
            settings = self._as_it_was(given.restored(self._settings))
            panel = await asyncio.to_thread(self._panel_of, settings)
            run.loop = await asyncio.to_thread(self._make_loop, settings, given.config)
        except BaseException:
            self._runs.remove(run)
            raise
        run.session_id = session_id
        work = self._search(run, given.goal, settings, panel, given.regime, record)
        run.task = self._supervisor.background(work, "discovery")
        return f"session goes on where it was: {given.goal}"

    async def replay(self, session_id: str) -> str:
        """Repeat a session from its record beside what runs: nothing is asked, written or charged. Says so at its end.

        Raises:
            SessionError: It left no transcript.
        """
        from midas_engine.loops.replay import read_record

        check_door("replay", DOOR)
        run = self._admitted()
        try:
            record, given = await asyncio.to_thread(read_record, self._workspace.journal, session_id)
            settings = self._as_it_was(given.restored(self._settings))
            panel = await asyncio.to_thread(self._panel_of, settings)
        except BaseException:
            self._runs.remove(run)
            raise
        run.session_id = replayed_id(session_id)
        publish, clock = self._supervisor.bus.publish, self._supervisor.clock
        work = repeat(record, given, settings, panel, clock, publish)
        run.task = self._supervisor.background(work, "replay")
        return f"session {session_id} is repeated from its record"

    def _may(self, action: str) -> None:
        check_door(action, DOOR)
        self._base.refuse_without_base()
        if self._settings.read_only or self._base.read_only:
            raise ReadOnlyError(
                "opened read-only: a session writes candidates and learnings", hint="start without --read-only"
            )

    def _admitted(self) -> _Run:
        self._runs = [run for run in self._runs if run.task is None or run.running]
        if len(self._runs) >= MOST_AT_ONCE:
            raise SessionError(f"{MOST_AT_ONCE} sessions run already", hint="c cancels the one under the cursor")
        run = _Run()
        self._runs.append(run)
        return run

    def _as_it_was(self, settings: Settings) -> Settings:
        """Where a model is asked may differ now."""
        return dataclasses.replace(
            settings, model=dataclasses.replace(settings.model, base_url=self._settings.model.base_url)
        )

    def _panel_of(self, settings: Settings) -> Panel:
        data = "" if settings.data == self._settings.data else settings.data
        return self._panel(SessionOrder("", "", "", data, settings, self._config(settings, settings.model.provider)))

    def _make_loop(self, settings: Settings, config: OfflineLoopConfig) -> OfflineCompoundLoop:
        start_tracker()
        researcher = self._workspace.researcher(settings.model.provider, settings)
        loop = self._workspace.loop(config, researcher=lambda: researcher)
        loop.settings = settings
        return loop

    # -- running -----------------------------------------------------------------------------------

    async def _search_on(self, run: _Run, order: SessionOrder, panel: Panel) -> None:
        """The ordered sessions, one after another."""
        chain = UntilFound(order.settings, order.sessions, self._supervisor.clock)
        while not run.stopped and (given := chain.next()) is not None:
            run.loop = await asyncio.to_thread(self._make_loop, given, order.config)
            if not run.stopped:
                await self._search(run, order.goal, given, panel, order.regime, None)
                chain.heard(run.ended)

    async def _search(
        self, run: _Run, goal: str, settings: Settings, panel: Panel, regime: str, record: SessionRecord | None
    ) -> None:
        assert run.loop is not None
        assessor = await assessor_on(panel, settings)
        async for event in run.loop.stream(goal, assessor, regime=regime, record=record):
            if isinstance(event, ev.SessionStarted):
                run.session_id = event.session_id
            if isinstance(event, ev.SessionEnded):
                run.ended = event
            self._note(event)
            self._supervisor.bus.publish(event)
        await self._mirror()

    async def _mirror(self) -> None:
        """Write what ended to MLflow where that is set; one that cannot be written is told, and stops nothing."""
        address = self._settings.outbound.mlflow
        if not address:
            return
        from midas_engine.outbound.mlflow_mirror import mirror_told

        async with self._mirroring:  # sessions that end together would each write what the other writes
            said, hint = await asyncio.to_thread(mirror_told, self._workspace.kb, address)
        if said:
            self._supervisor.fault("mlflow", said, hint)

    def _note(self, event: ev.Event) -> None:
        if isinstance(event, ev.SessionStarted):
            self._summaries[event.session_id] = SessionSummary(
                event.session_id, event.goal, event.researcher, event.at, max_iterations=event.max_iterations
            )
            for old in list(self._summaries)[:-KEPT_SUMMARIES]:
                del self._summaries[old]
        if not isinstance(event, ev.SessionEvent) or event.session_id not in self._summaries:
            return
        summary = self._summaries[event.session_id]
        if isinstance(event, ev.PhaseStarted):
            summary = dataclasses.replace(summary, iteration=event.iteration)
        elif isinstance(event, ev.CandidateScored):
            summary = dataclasses.replace(summary, tried=summary.tried + 1)
        elif isinstance(event, ev.SessionEnded):
            summary = dataclasses.replace(summary, status=event.result, result=event.reason, accepted=event.accepted)
        self._summaries[event.session_id] = summary

    # -- stopping ----------------------------------------------------------------------------------

    async def cancel(self, session_id: str = "") -> str:
        """Cancel a running session, or the one that began last; returns once its learning is written.

        Raises:
            SessionError: It does not run here.
        """
        check_door("cancel", DOOR)
        running = [run for run in self._runs if run.running and session_id in ("", run.session_id)]
        if not running:
            raise SessionError(f"session {session_id} does not run here" if session_id else "no session runs")
        return await self._stop(running[-1])

    async def _stop(self, run: _Run) -> str:
        run.stopped = True
        if run.task is None:
            return "it was not started"
        if run.loop is None:
            run.task.cancel()
        else:
            run.loop.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
        return "repetition stopped" if run.loop is None else "session cancelled, its learning is written"

    async def close(self) -> None:
        """Cancel what runs, for shutdown."""
        for run in list(self._runs):
            if run.running:
                await self._stop(run)
