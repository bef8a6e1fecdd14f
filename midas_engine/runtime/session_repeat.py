"""A session repeated from its record beside what runs, told under a name of its own; nothing is asked or written."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from midas_engine import events as ev
from midas_engine.errors import MidasError

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.loops.assessors import PanelAssessor
    from midas_engine.loops.inputs import SessionInputs
    from midas_engine.loops.session_record import SessionRecord
    from midas_engine.market import Panel
    from midas_engine.settings import Settings


def replayed_id(session_id: str) -> str:
    """What the repetition of a session is called."""
    return f"{session_id} again"


async def repeat(
    record: SessionRecord,
    given: SessionInputs,
    settings: Settings,
    panel: Panel,
    clock: Clock,
    publish: Callable[[ev.Event], None],
) -> None:
    """Repeat a session; its last event says how it compares with its record.

    Args:
        record: What was kept.
        given: What it was given.
        settings: Its own.
        panel: The data it was of.
        clock: Stamps the end.
        publish: Told of every event, under the name of the repetition.
    """
    from midas_engine.loops.replay import replay

    result, reason = "cancelled", "the repetition was stopped"
    try:
        start_tracker()
        assessor = await assessor_on(panel, settings)
        found = await replay(record, given, settings, assessor, clock, _relabelled(record.session_id, publish))
        result, reason = found.result, f"equal to its record: {found.steps} events, {found.digest[:12]}"
        if found.difference:
            result, reason = "error", f"not its record: {found.difference}"
    except MidasError as error:
        result, reason = "error", f"{error.message}" + (f" ({error.hint})" if error.hint else "")
    finally:
        name = replayed_id(record.session_id)
        publish(ev.SessionEnded(at=clock.now(), session_id=name, result=result, reason=reason))


def _relabelled(session_id: str, publish: Callable[[ev.Event], None]) -> Callable[[ev.Event], None]:
    """Publishes under another name; nothing of it is on disk, and its end is told with how it compares."""

    def hear(event: ev.Event) -> None:
        if not isinstance(event, ev.SessionEvent) or isinstance(event, ev.SessionEnded):
            return
        changes: dict[str, Any] = {"session_id": replayed_id(session_id)}
        if isinstance(event, ev.SessionStarted):
            changes["replays"] = session_id
        elif isinstance(event, ev.CandidateAccepted):
            changes["path"] = ""
        elif isinstance(event, ev.ModelCalled):
            changes["again"] = True
        publish(dataclasses.replace(event, **changes))

    return hear


async def assessor_on(panel: Panel, settings: Settings) -> PanelAssessor:
    """Who judges on a panel."""
    from midas_engine.loops import PanelAssessor

    # the panel's hash takes longer than the screen may stand still
    return await asyncio.to_thread(PanelAssessor, panel, settings)


def start_tracker() -> None:
    """Start what worker processes need once, with the real standard error.

    A terminal application puts something without a file descriptor in its place, and the helper process of
    `multiprocessing` cannot inherit that.
    """
    from multiprocessing import resource_tracker

    with contextlib.redirect_stderr(sys.__stderr__):
        resource_tracker.ensure_running()
