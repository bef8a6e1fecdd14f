"""Discovery sessions of the runtime: one at a time, streamed to the bus, cancelled with their learning."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_engine.errors import ReadOnlyError, SessionError
from midas_engine.models import SessionSummary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.loops import OfflineCompoundLoop
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings

# A session in the terminal is short enough to watch; `midas discover` takes the budget it is given.
SESSION_ITERATIONS = 6
KEPT_SUMMARIES = 50


class Sessions:
    """Starts, follows and cancels sessions.

    Args:
        settings: The model, and whether the base may be written.
        base: Where candidates and learnings go.
        watched: The data that is searched.
        supervisor: Runs the session in the background; its events go to the bus.
    """

    def __init__(self, settings: Settings, base: OpenBase, watched: Watched, supervisor: Supervisor) -> None:
        self._settings, self._base, self._watched = settings, base, watched
        self._supervisor = supervisor
        self._summaries: dict[str, SessionSummary] = {}
        self._loop: OfflineCompoundLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def list(self) -> Sequence[SessionSummary]:
        """Sessions of this run, newest first."""
        return list(reversed(self._summaries.values()))

    def providers(self) -> Sequence[str]:
        """Researchers that can be used now; `local` needs no key."""
        from midas_engine.llm.factory import available_providers

        return available_providers()

    async def start(self, goal: str, provider: str = "", *, iterations: int = SESSION_ITERATIONS) -> str:
        """Start a session of so many plans in the background; its events go to the bus.

        Raises:
            SessionError: One runs already, or the data is not loaded yet.
            ModelKeyError: The provider has no key.
        """
        if self._task is not None and not self._task.done():
            raise SessionError("a session runs already", hint="c cancels it")
        if self._watched.panel is None:
            raise SessionError("the data is not loaded yet", hint="try again in a moment")
        self._base.refuse_without_base()
        if self._settings.read_only:
            raise ReadOnlyError(
                "opened read-only: a session writes candidates and learnings", hint="start without --read-only"
            )
        self._loop = await asyncio.to_thread(self._make_loop, provider, iterations)
        self._task = self._supervisor.background(self._discover(goal), "discovery")
        return f"session started: {goal}"

    def _make_loop(self, provider: str, iterations: int) -> OfflineCompoundLoop:
        from midas_engine.loops import OfflineLoopConfig
        from midas_engine.proposer.factory import screened_by

        _start_tracker()
        model = self._settings.model
        config = OfflineLoopConfig(
            max_iterations=iterations,
            model=model.model,
            max_tokens=model.max_tokens,
            screened=screened_by(self._settings, provider),
        )
        researcher = self._base.workspace.researcher(provider)
        return self._base.workspace.loop(config, researcher=lambda: researcher)

    async def _discover(self, goal: str) -> None:
        from midas_engine.loops import PanelAssessor

        loop, panel = self._loop, self._watched.panel
        assert loop is not None
        assert panel is not None
        # the panel's hash takes longer than the screen may stand still
        assessor = await asyncio.to_thread(PanelAssessor, panel, self._settings)
        async for event in loop.stream(goal, assessor):
            self._note(event)
            self._supervisor.bus.publish(event)

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

    async def cancel(self) -> str:
        """Cancel the running session; returns once its learning is written."""
        if self._loop is None or not self._loop.cancel():
            raise SessionError("no session runs")
        task = self._task
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
        return "session cancelled, its learning is written"

    async def close(self) -> None:
        """Cancel what runs, for shutdown."""
        if self._loop is not None and self._loop.running:
            await self.cancel()


def _start_tracker() -> None:
    """Start what worker processes need once, with the real standard error.

    A terminal application puts something without a file descriptor in its place, and the helper process of
    `multiprocessing` cannot inherit that.
    """
    from multiprocessing import resource_tracker

    with contextlib.redirect_stderr(sys.__stderr__):
        resource_tracker.ensure_running()
