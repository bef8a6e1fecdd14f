"""Sessions whose process died: each is ended in the journal, with the learning of what it had paid for."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from midas_engine.alive import is_alive
from midas_engine.errors import MidasError
from midas_engine.events import SessionEnded
from midas_engine.loops.records import SessionEnd, learning_document
from midas_engine.models import SessionSummary
from midas_engine.proposer.protocol import TrialResult

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.clock import Clock
    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.journal.journal import Journal
    from midas_engine.journal.schema import Row
    from midas_engine.kb import KnowledgeBase

RESULT = "interrupted"
RESUMABLE = ("", "cancelled", RESULT)
"""Results of sessions that may go on from their record."""
REASON = "its process ended without a word: it was killed, ran out of memory, or the machine went down"
# A kill or a promotion that opens the base must not wait long for this.
_LOCK_SECONDS = 0.5


def session_mark(journal: Journal, session_id: str) -> Path:
    """The file that is locked while a session of this journal runs."""
    return journal.path.with_name(f"{journal.path.name}.session-{session_id}")


def end_interrupted(kb: KnowledgeBase, journal: Journal, clock: Clock) -> list[str]:
    """End every session that stands as running and whose process is dead; returns what was done, in words.

    Its charged trials stay as they are. What cannot be written now is tried again when the base is opened next.
    """
    if kb.read_only or journal.read_only:
        return []
    told: list[str] = []
    with contextlib.suppress(MidasError, OSError):
        for row in _running(journal):
            with kb.lock(_LOCK_SECONDS):
                # Somebody else may have ended it while this one waited.
                if row.key in {other.key for other in _running(journal)}:
                    path = _end(kb, journal, row, clock)
                    told.append(f"session {row.key} was interrupted: {REASON}; its learning is {path}")
    return told


def drop_earlier(kb: KnowledgeBase, session_id: str) -> None:
    """Set aside what an earlier run of a session left as its learning, before this one leaves its own.

    That is the learning of its interruption or cancellation, or its own of a run that died between writing it and
    saying so. A death between the two here leaves none: the session goes on once more, or is ended as interrupted.
    """
    for document in kb.learnings(loop="offline"):
        if document.session_id == session_id:
            kb.revoke_learning(document.path)


def _running(journal: Journal) -> list[Row]:
    return [row for row in journal.sessions() if row.kind == "running" and not is_alive(session_mark(journal, row.key))]


def _end(kb: KnowledgeBase, journal: Journal, row: Row, clock: Clock) -> str:
    from midas_engine.evaluator.trials.ledger import TrialLedger

    with TrialLedger(journal.path, read_only=True) as ledger:
        results = [_result(trial) for trial in ledger.history(row.key, again=True)]
    accepted = tuple(r.name for r in kb.features() if r.session_id == row.key)
    written = next((d for d in kb.learnings(loop="offline") if d.session_id == row.key), None)
    if written is not None:  # it died after its learning, or whoever ended it did
        path = written.path
    else:
        end = SessionEnd(
            goal=str(row.body.get("goal", "")), result=RESULT, reason=f"Interrupted: {REASON}.", results=results,
            accepted=accepted, researcher=str(row.body.get("researcher", "")), regime="", session_id=row.key,
            at=clock.now(), confirmed_failures=sum(r.passed for r in results) - len(accepted),
        )  # fmt: skip
        document = learning_document(None, end)
        path = kb.relative(kb.save_learning(document))
    journal.record_event(
        SessionEnded(
            at=clock.now(), session_id=row.key, result=RESULT, accepted=accepted, tried=len(results), reason=REASON,
            learning_path=path,
        )
    )  # fmt: skip
    journal.record_session(_summary(row, len(results), accepted), at=clock.now())
    with contextlib.suppress(OSError):
        session_mark(journal, row.key).unlink()
    return path


def _summary(row: Row, tried: int, accepted: tuple[str, ...]) -> SessionSummary:
    known = {field.name for field in dataclasses.fields(SessionSummary)}
    body: dict[str, Any] = {name: value for name, value in row.body.items() if name in known}
    body["started_at"] = datetime.fromisoformat(str(body.get("started_at", row.at.isoformat())))
    body |= {"session_id": row.key, "status": RESULT, "result": REASON, "tried": tried, "accepted": accepted}
    return SessionSummary(**{"goal": "", "researcher": "", **body})


def _result(trial: Trial) -> TrialResult:
    """A trial of the ledger as the session itself would have told it."""
    kept = trial.summary
    if trial.outcome != "scored":
        return TrialResult(
            0, str(kept.get("name", "")), trial.canonical, refused=str(kept.get("reason") or trial.outcome)
        )
    return TrialResult(
        0,
        str(kept.get("name", "")),
        trial.canonical,
        passed=trial.accepted,
        score_t=_number(trial.score_t),
        rank_ic=_number(kept.get("rank_ic")),
        line_t=_number(kept.get("line_t")),
        turnover=_number(kept.get("turnover")),
        net_bps=_number(kept.get("net_bps")),
        rank_ic_se=_number(kept.get("rank_ic_se")),
        net_se=_number(kept.get("net_se")),
        composite=float(kept.get("composite") or 0.0),
        failed_agents=tuple(str(name) for name in kept.get("failed", ())),
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
