"""The trial ledger: every candidate that was ever tried, and every look at the sealed part.

Rows are only ever added: the database refuses updates and deletes, and each row carries the hash of the one
before it, so that a missing or changed row shows. It lives in the journal's SQLite file, in tables of its own.
Deleting the knowledge base's documents does not touch it.

A trial is one distinct canonical expression (with gate, hold, sign and horizon) on one data snapshot. The row is
written before anyone sees the verdict. A repeat, in any spelling and in any session, costs nothing and gives
back what was stored.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.clock import Clock, WallClock
from midas_engine.errors import JournalError
from midas_engine.journal.salvage import open_database
from midas_engine.journal.schema import LEDGER_TABLES, ledger_checksum
from midas_engine.jsonable import plain
from midas_engine.redaction import redact

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from types import TracebackType

_COLUMNS = "seq, at, session, key, body, previous, checksum"
_AGAIN = "#"
"""Between the digest of a trial that was judged again and the number of the row whose verdict was replaced."""


@dataclass(frozen=True, slots=True)
class TrialKey:
    """What makes two tries the same one.

    Attributes:
        canonical: Canonical form of the expression; the raw text of one that does not parse.
        snapshot: Content hash of the data.
        horizon: Target in bars.
        gate: Canonical gate expression of an event feature.
        hold: Bars held.
        sign: -1 for a flipped feature.
    """

    canonical: str
    snapshot: str
    horizon: int = 1
    gate: str = ""
    hold: int = 0
    sign: int = 1

    @property
    def digest(self) -> str:
        """The key as one short text."""
        parts = json.dumps([self.canonical, self.snapshot, self.horizon, self.gate, self.hold, self.sign])
        return hashlib.sha256(parts.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Trial:
    """One row.

    Attributes:
        outcome: "scored", "invalid" (refused before scoring) or "failed" (could not be scored).
        repeated: It was there already; nothing was charged.
        key: Digest of what was tried, also of a trial that was judged again.
        summary: Whatever the caller stored with it, as JSON gives it back.
    """

    seq: int
    at: str
    session: str
    key: str
    canonical: str
    outcome: str
    score_t: float | None
    p: float | None
    accepted: bool
    summary: dict[str, Any] = field(default_factory=dict)
    repeated: bool = False
    gate: str = ""
    hold: int = 0
    snapshot: str = ""
    horizon: int = 1


class TrialLedger:
    """Append-only record of trials and sealed looks over one SQLite file. Safe between threads and processes.

    Args:
        path: The SQLite file (the journal's); made when missing.
        clock: Dates the rows.
        read_only: Never write; a file without a ledger in it is an empty one.

    Raises:
        JournalError: The file cannot be used.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._clock = WallClock() if clock is None else clock
        self._database, self.notices = open_database(self.path, self._clock, read_only=read_only)

    def __enter__(self) -> TrialLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # Trials -----------------------------------------------------------------------------------------------------

    def plan(self, session: str, trials: int) -> None:
        """Say how many candidates a session means to try; its line is drawn for at least that many from the start.

        Without a plan the line rises as candidates are counted, and early ones are judged too kindly. Said again, by
        a session that goes on after it was killed, it is not written again.
        """
        if self._planned(session) >= trials:
            return
        self._append("evaluator_sessions", session, session, {"planned": int(trials)})

    def trials(self, session: str) -> int:
        """Trials the session's line is drawn for: those counted, or those planned if that is more."""
        return max(self.counted(session), self._planned(session))

    def _planned(self, session: str) -> int:
        rows = self._rows("evaluator_sessions", session)
        return max((int(body["planned"]) for _, _, _, _, body in rows), default=-1)

    def counted(self, session: str | None = None) -> int:
        """Distinct trials charged to a session, or ever; one that was judged again is the same trial."""
        where, values = ("", ()) if session is None else (" AND session = ?", (session,))
        query = f"SELECT COUNT(*) FROM evaluator_trials WHERE instr(key, ?) = 0{where}"
        return int(self._database.fetch(query, (_AGAIN, *values))[0][0])

    def find(self, key: TrialKey) -> Trial | None:
        """The stored trial of this key with its newest verdict, whatever session it was charged to."""
        digest = key.digest
        query = f"SELECT {_COLUMNS} FROM evaluator_trials WHERE key = ? OR (key > ? AND key < ?) ORDER BY seq DESC"
        found = self._database.fetch(query, (digest, digest + _AGAIN, digest + chr(ord(_AGAIN) + 1)))
        rows = [row for row in found if _sound(row)]
        return _trial(rows[0], repeated=True) if rows else None

    def record(
        self,
        key: TrialKey,
        session: str,
        *,
        outcome: str = "scored",
        score_t: float | None = None,
        p: float | None = None,
        accepted: bool = False,
        summary: Mapping[str, Any] | None = None,
        instead_of: int = 0,
    ) -> Trial:
        """Charge a trial, before its verdict is shown to anyone; a repeat is given back uncharged.

        One whose verdict on record says nothing any more is judged again: the new verdict is kept, and nothing charged.

        Args:
            key: What was tried.
            session: Who pays.
            outcome: "scored", "invalid" or "failed".
            score_t: HAC t of the score.
            p: One-sided p.
            accepted: Every gate held.
            summary: Small JSON to give back on a repeat.
            instead_of: Number of the row whose verdict this one replaces; of two that replace it the first is kept.
        """
        body = {
            "canonical": key.canonical, "snapshot": key.snapshot, "horizon": key.horizon, "gate": key.gate,
            "hold": key.hold, "sign": key.sign, "outcome": outcome, "score_t": plain(score_t), "p": plain(p),
            "accepted": bool(accepted), "summary": plain(dict(summary or {})),
        }  # fmt: skip
        again = f"{key.digest}{_AGAIN}{instead_of}" if instead_of else key.digest
        added = self._append("evaluator_trials", session, again, body)
        found = self.find(key)
        if found is None:
            raise JournalError(
                f"the trial ledger {self.path}: the row of this trial was altered, so its verdict cannot be given back",
                hint="`midas ledger` names the row; the trial stays charged",
            )
        return dataclasses.replace(found, repeated=bool(instead_of) or not added)

    def history(self, session: str | None = None, *, again: bool = False) -> list[Trial]:
        """Trials in order, of a session or ever; with `again` those too that were judged again, one a verdict."""
        rows = self._rows("evaluator_trials", session)
        return [_trial(row) for row in rows if again or _AGAIN not in row[3]]

    # Looks at the sealed part -----------------------------------------------------------------------------------

    def add_look(self, key: str, session: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Charge a look at the sealed part; a second one for the same key is given back, not made."""
        self._append("evaluator_looks", session, key, plain(dict(body)))
        found = next((look for look in self.looks() if look["key"] == key), None)
        if found is None:
            raise JournalError(
                f"the trial ledger {self.path}: the row of this look was altered, so its answer cannot be given back",
                hint="`midas ledger` names the row; the look stays charged",
            )
        return found

    def looks(self) -> list[dict[str, Any]]:
        """Every look ever made, in order."""
        rows = self._rows("evaluator_looks", None)
        return [{"at": at, "session": who, "key": key, **body} for _, at, who, key, body in rows]

    # Integrity --------------------------------------------------------------------------------------------------

    def verify(self) -> list[str]:
        """What is wrong with the chain, row by row; empty when every row is as it was written."""
        problems = []
        for table in LEDGER_TABLES:
            previous, expected = "", 1
            for row in self._database.fetch(f"SELECT {_COLUMNS} FROM {table} ORDER BY seq"):
                seq, before, checksum = row[0], row[5], row[6]
                if seq != expected:
                    problems.append(f"{table}: rows {expected} to {seq - 1} are missing")
                elif before != previous:
                    problems.append(f"{table}: row {seq} does not follow the one before it")
                if not _sound(row):
                    problems.append(f"{table}: row {seq} was changed")
                previous, expected = checksum, seq + 1
        return problems

    def _append(self, table: str, session: str, key: str, body: Mapping[str, Any]) -> bool:
        """Add a row; False when a row of that key is there already and may not be there twice."""
        text = redact(json.dumps(body, sort_keys=True, allow_nan=False))
        at = self._clock.now().isoformat()

        def add(connection: sqlite3.Connection) -> bool:
            last = connection.execute(f"SELECT seq, checksum FROM {table} ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous = (1, "") if last is None else (last[0] + 1, last[1])
            seal = ledger_checksum(previous, at, session, key, text)
            values = (seq, at, session, key, text, previous, seal)
            query = f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
            if table == "evaluator_sessions":
                query = f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?)"
            return connection.execute(query, values).rowcount == 1

        return self._database.write(add, durable=True)

    def _rows(self, table: str, session: str | None) -> list[tuple[int, str, str, str, dict[str, Any]]]:
        """Rows as they were written; an altered one counts as a trial still, but what it says is not used."""
        where, values = ("", ()) if session is None else (" WHERE session = ?", (session,))
        found = self._database.fetch(f"SELECT {_COLUMNS} FROM {table}{where} ORDER BY seq", values)
        return [(seq, at, who, key, json.loads(body)) for seq, at, who, key, body, *_ in filter(_sound, found)]


def _sound(row: tuple[Any, ...]) -> bool:
    """Whether a row is as it was written."""
    _, at, session, key, body, previous, checksum = row
    return all(isinstance(part, str) for part in row[1:]) and checksum == ledger_checksum(
        previous, at, session, key, body
    )


def _trial(row: tuple[Any, ...], *, repeated: bool = False) -> Trial:
    seq, at, session, key, body = row[:5]
    body = json.loads(body) if isinstance(body, str) else body
    key = key.partition(_AGAIN)[0]
    return Trial(
        seq=int(seq), at=at, session=session, key=key, canonical=body["canonical"], outcome=body["outcome"],
        score_t=body["score_t"], p=body["p"], accepted=body["accepted"], summary=body["summary"], repeated=repeated,
        gate=body["gate"], hold=body["hold"], snapshot=body["snapshot"], horizon=int(body["horizon"]),
    )  # fmt: skip
