"""What the journal keeps of a session: its events, its model calls, its summary."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_engine.alive import Alive
from midas_engine.errors import JournalError
from midas_engine.journal.recorder import EventRecorder
from midas_engine.loops.interrupted import session_mark
from midas_engine.models import ModelUsage, SessionSummary

if TYPE_CHECKING:
    from midas_engine.journal.journal import Journal


class SessionScribe:
    """Writes to the journal in threads; a journal that cannot be written never stops a session."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._recorder = EventRecorder(journal)
        self._summary: SessionSummary | None = None
        self._alive: Alive | None = None

    async def take(self, event: ev.Event) -> None:
        """Keep an event. What a model call cost is written at once, the rest a phase at a time."""
        self._recorder.take(event)
        if isinstance(event, ev.PhaseStarted):
            await self._recorder.flush()
        if isinstance(event, ev.ModelCalled) and not event.again:
            usage = ModelUsage(
                event.provider, event.model, event.tokens_in, event.tokens_out, event.cost_usd, event.seconds
            )
            try:
                await asyncio.to_thread(
                    self._journal.record_model_call, usage, session_id=event.session_id, at=event.at
                )
            except JournalError:
                return  # the recorder meets the same fault and keeps what it can
        self._note(event)
        if isinstance(event, ev.SessionStarted):
            with contextlib.suppress(OSError):  # without a mark it may be taken for dead, and its end puts that right
                self._alive = await asyncio.to_thread(Alive, session_mark(self._journal, event.session_id))
        if isinstance(event, ev.SessionStarted | ev.SessionEnded):
            await self._write_summary(event)

    def _note(self, event: ev.Event) -> None:
        if isinstance(event, ev.SessionStarted):
            self._summary = SessionSummary(
                event.session_id, event.goal, event.researcher, event.at, max_iterations=event.max_iterations
            )
        elif self._summary is None:
            return
        elif isinstance(event, ev.PhaseStarted):
            self._summary = dataclasses.replace(self._summary, iteration=event.iteration)
        elif isinstance(event, ev.SessionEnded):
            self._summary = dataclasses.replace(
                self._summary, status=event.result, result=event.reason, tried=event.tried, accepted=event.accepted
            )

    async def _write_summary(self, event: ev.Event) -> None:
        if self._summary is None:
            return
        try:
            await asyncio.to_thread(self._journal.record_session, self._summary, at=event.at)
        except JournalError:
            return

    async def close(self) -> None:
        """Write what waits."""
        await self._recorder.flush()
        if self._alive is not None:
            await asyncio.to_thread(self._alive.release)
