"""Discovery sessions of the runtime: one at a time, streamed to the bus, cancelled with their learning."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from midas_engine import events as ev
from midas_engine.errors import ReadOnlyError, SessionError
from midas_engine.models import SessionSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.journal.recorder import EventRecorder
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops import OfflineCompoundLoop
    from midas_engine.market import Panel
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace

# A session in the terminal is short enough to watch; `midas discover` takes the budget it is given.
SESSION_ITERATIONS = 6
KEPT_SUMMARIES = 50


class Sessions:
    """The part of the runtime that discovers."""

    bus: EventBus
    clock: Clock
    panel: Panel | None
    settings: Settings
    background: Callable[[Coroutine[Any, Any, None], str], Any]
    now: Callable[[], datetime]
    refuse_without_base: Callable[[], None]

    @property
    def kb(self) -> KnowledgeBase:
        """Given by the runtime."""
        raise AttributeError("kb")

    @property
    def workspace(self) -> Workspace:
        """Given by the runtime."""
        raise AttributeError("workspace")

    def _init_sessions(self) -> None:
        self._summaries: dict[str, SessionSummary] = {}
        self._loop: OfflineCompoundLoop | None = None
        self._session_task: asyncio.Task[None] | None = None
        self._recorder: EventRecorder | None = None

    def sessions(self) -> Sequence[SessionSummary]:
        """Sessions of this run, newest first."""
        return list(reversed(self._summaries.values()))

    def providers(self) -> Sequence[str]:
        """Researchers that can be used now; `local` needs no key."""
        from midas_engine.llm.factory import available_providers

        return available_providers()

    async def start_session(self, goal: str, provider: str = "") -> str:
        """Start a session in the background; its events go to the bus.

        Raises:
            SessionError: One runs already, or the data is not loaded yet.
            ModelKeyError: The provider has no key.
        """
        if self._session_task is not None and not self._session_task.done():
            raise SessionError("a session runs already", hint="c cancels it")
        if self.panel is None:
            raise SessionError("the data is not loaded yet", hint="try again in a moment")
        self.refuse_without_base()
        if self.settings.read_only:
            raise ReadOnlyError(
                "opened read-only: a session writes candidates and learnings", hint="start without --read-only"
            )
        self._loop = await asyncio.to_thread(self._make_loop, provider)
        self._session_task = self.background(self._discover(goal), "discovery")
        return f"session started: {goal}"

    def _make_loop(self, provider: str) -> OfflineCompoundLoop:
        from midas_engine.loops import OfflineLoopConfig

        _start_tracker()
        model = self.settings.model
        config = OfflineLoopConfig(max_iterations=SESSION_ITERATIONS, model=model.model, max_tokens=model.max_tokens)
        researcher = self.workspace.researcher(provider)
        return self.workspace.loop(config, researcher=lambda: researcher)

    async def _discover(self, goal: str) -> None:
        from midas_engine.loops import PanelAssessor

        loop, panel = self._loop, self.panel
        assert loop is not None
        assert panel is not None
        # the panel's hash takes longer than the screen may stand still
        assessor = await asyncio.to_thread(PanelAssessor, panel, self.settings)
        async for event in loop.stream(goal, assessor):
            self._note(event)
            self.bus.publish(event)

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

    async def cancel_session(self) -> str:
        """Cancel the running session; returns once its learning is written."""
        if self._loop is None or not self._loop.cancel():
            raise SessionError("no session runs")
        task = self._session_task
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
        return "session cancelled, its learning is written"

    async def close_sessions(self) -> None:
        """Cancel what runs, for shutdown."""
        if self._loop is not None and self._loop.running:
            await self.cancel_session()


def _start_tracker() -> None:
    """Start what worker processes need once, with the real standard error.

    A terminal application puts something without a file descriptor in its place, and the helper process of
    `multiprocessing` cannot inherit that.
    """
    from multiprocessing import resource_tracker

    with contextlib.redirect_stderr(sys.__stderr__):
        resource_tracker.ensure_running()
