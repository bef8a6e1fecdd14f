"""A session again from its record: without a key, without a network, and without a trace in the base."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from midas_engine.alive import Scratch, is_alive
from midas_engine.errors import SessionError
from midas_engine.events import SessionEnded
from midas_engine.journal.transcript import Transcripts
from midas_engine.loops.inputs import SessionInputs
from midas_engine.loops.interrupted import RESUMABLE, session_mark
from midas_engine.loops.offline import OfflineCompoundLoop
from midas_engine.loops.session_digest import SessionDigest
from midas_engine.loops.session_record import SessionRecord, revived

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.journal.journal import Journal
    from midas_engine.llm.client import ModelClient
    from midas_engine.loops.assessors import Assessor
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import Settings

# What an interruption changed: everything from the learning on. Before it the events are the same.
_LATER = ("LearningWritten ", "SessionEnded ")


@dataclass(frozen=True, slots=True)
class Repetition:
    """How a replay compares with its record.

    Attributes:
        result: How the session ended the first time; "interrupted" when it was killed.
        digest: The hash of what was said, of the record where it has one.
        steps: Events that were compared; pieces of streamed text count as one.
        calls: Model calls that were answered from the record.
        difference: The first thing that was not the same; empty when nothing differed.
    """

    session_id: str
    result: str
    digest: str
    steps: int
    calls: int
    difference: str = ""


def read_record(journal: Journal, session_id: str, *, writing: bool = False) -> tuple[SessionRecord, SessionInputs]:
    """What the journal keeps of a session, and what the session was given.

    Args:
        journal: Where it was kept.
        session_id: The session.
        writing: What it asks further goes into the journal too.

    Raises:
        SessionError: There is no such session, or it left no transcript.
    """
    rows = Transcripts(journal).rows(session_id)
    record = SessionRecord(session_id, rows, journal if writing else None)
    if record.inputs is None:
        known = [row.key for row in journal.sessions()]
        if session_id not in known:
            raise SessionError(
                f"there is no session {session_id[:80]!r}",
                hint="the newest: " + ", ".join(known[-5:]) if known else "`midas discover GOAL` makes one",
            )
        raise SessionError(
            f"session {session_id} left no transcript, or it was removed",
            hint="sessions before transcripts were kept cannot be repeated",
        )
    return record, revived(SessionInputs, record.inputs)


def read_resumable(journal: Journal, session_id: str) -> tuple[SessionRecord, SessionInputs]:
    """The record of a session that can go on; further calls are added to it.

    Raises:
        SessionError: It runs, it came to its end, or it left no transcript.
    """
    record, given = read_record(journal, session_id, writing=True)
    if is_alive(session_mark(journal, session_id)):
        raise SessionError(f"session {session_id} still runs", hint="cancel it first, or wait for its end")
    result = str(record.end["result"]) if record.end is not None else ""
    if result not in RESUMABLE:
        raise SessionError(
            f"session {session_id} came to its end ({result}): there is nothing to resume",
            hint=f"`midas replay {session_id}` repeats it",
        )
    return record, given


async def replay(
    record: SessionRecord,
    given: SessionInputs,
    settings: Settings,
    assessor: Assessor,
    clock: Clock,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Repetition:
    """Run a session again from its record, on a base that is thrown away, and compare.

    Nothing is told from the first event on that is not the recorded one; the run ends there.

    Args:
        record: What was kept, see `read_record`.
        given: What it was given.
        settings: Its own, see `SessionInputs.restored`.
        assessor: On the data it was of.
        clock: Engine time.
        on_event: Told of every event.

    Raises:
        SessionError: The data are not those it was of.
    """
    _same_data(record, assessor)
    digest = SessionDigest()
    said = [str(mark) for mark in record.end["marks"]] if record.end is not None else []
    result = str(record.end["result"]) if record.end is not None else "interrupted"
    # A session that was stopped is repeated as far as it came: its record says nothing of what would have followed.
    stopped = result in ("interrupted", "cancelled") or bool(record.end and record.end.get("cut"))
    expected = _before_the_end(said) if stopped else said
    ended: SessionEnded | None = None
    differs, checked = False, 0
    with Scratch("replay") as folder:
        loop = await asyncio.to_thread(_loop, folder, record, given, settings, clock)
        stream = loop.stream(
            given.goal, assessor, regime=given.regime, existing=given.existing, record=record
        )  # fmt: skip
        async with aclosing(stream) as events:
            async for event in events:
                digest.add(event)
                if isinstance(event, SessionEnded):
                    ended = event
                    event = replace(event, learning_path="")  # it lies in a base that is thrown away
                fresh, checked = slice(checked, len(digest.marks)), len(digest.marks)
                if said and not differs and _difference(expected[fresh], digest.marks[fresh], whole=not stopped):
                    differs = True
                    loop.cancel()
                if not differs:
                    on_event(event)
                if stopped and said and len(digest.marks) >= len(expected):
                    loop.cancel()
    value = digest.value
    difference = _difference(expected, digest.marks, whole=not stopped)
    if not said and ended is not None and "does not repeat" in ended.reason:
        difference = ended.reason
    if difference and ended is not None and ended.result == "error":
        difference += f"; it ended with: {ended.reason}"
    if record.end is not None:
        value = str(record.end["digest"])
    return Repetition(record.session_id, result, value, len(expected), record.calls, difference)


def _loop(
    folder: Path, record: SessionRecord, given: SessionInputs, settings: Settings, clock: Clock
) -> OfflineCompoundLoop:
    from midas_engine.kb import KnowledgeBase

    return OfflineCompoundLoop(
        KnowledgeBase(folder / "kb"),
        lambda: _researcher(record, given, settings),
        config=given.config,
        settings=settings,
        clock=clock,
    )


def _researcher(record: SessionRecord, given: SessionInputs, settings: Settings) -> Researcher:
    from midas_engine.proposer.factory import make_researcher

    if not given.researcher:
        return make_researcher(settings)
    from midas_engine.llm.budget import Budget
    from midas_engine.llm.recorded import RecordedClient
    from midas_engine.proposer.llm_researcher import LLMResearcher

    nobody: ModelClient = RecordedClient(None, record, **given.researcher)
    return LLMResearcher(nobody, Budget.from_settings(settings.model))


def _same_data(record: SessionRecord, assessor: Assessor) -> None:
    kept = next((row.body["value"] for row in record.kept if row.body.get("what") == "data"), None)
    if kept is not None and assessor.snapshot_id and kept != assessor.snapshot_id:
        raise SessionError(
            f"session {record.session_id} was of other data ({kept[:12]}) than this ({assessor.snapshot_id[:12]})",
            hint="give the data it was of with --data",
        )


def _before_the_end(marks: Sequence[str]) -> list[str]:
    """The marks without the learn phase's start and what follows it."""
    last = next((i for i, mark in enumerate(marks) if mark.startswith(_LATER)), len(marks))
    while last > 0 and not marks[last - 1].startswith("PhaseStarted "):
        last -= 1
    before = list(marks[: max(last - 1, 0)])
    while before and before[-1].startswith("TokensStreamed "):  # of a call that was cut off: it is in no record
        before.pop()
    return before


def _difference(expected: Sequence[str], marks: Sequence[str], *, whole: bool) -> str:
    for position, mark in enumerate(expected):
        if position >= len(marks):
            return f"the replay ended after {position} of {len(expected)} events"
        if marks[position] != mark:
            before, now = mark.partition(" ")[0], marks[position].partition(" ")[0]
            what = before if before == now else f"{before}, now {now}"
            return f"event {position + 1} of {len(expected)} is not the same ({what})"
    if whole and len(marks) > len(expected):
        return f"the replay said more: event {len(expected) + 1} is {marks[len(expected)].partition(' ')[0]}"
    return ""
