"""The journal: one SQLite file beside the knowledge base that restart, replay, reports and audit read."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.clock import Clock, WallClock
from midas_engine.errors import JournalError
from midas_engine.events import Event, from_dict, to_dict
from midas_engine.journal.salvage import open_database
from midas_engine.journal.schema import PRUNABLE, Row, blob_checksum, stamp
from midas_engine.journal.tables import Tables

if TYPE_CHECKING:
    from midas_engine.models import ModelUsage, SessionSummary

TRANSCRIPTS = "transcript:%"  # rows of the same table that cost nothing, see `journal.transcript`
FAILED = "transcript:failed"  # but for these: a call that failed may have been charged
MAX_STATE_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Action:
    """One action on the pipeline, as it was carried out.

    Attributes:
        id: Unique; appending it twice is appending it once.
        action: promote, demote, reject, kill, pause, resume, shadow, redeploy, rollback, undo, redo...
        body: What the promoter needs to undo it.
    """

    id: str
    at: datetime
    action: str
    feature: str
    actor: str = ""
    reason: str = ""
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seq: int = 0


class Journal:
    """Append-only, checksummed tables and a key-value store for detector states.

    A broken file is salvaged when it is opened for writing and nobody else has it open; `notices` says what was saved
    and what is missing. Several processes may share the file. Every method is thread-safe and short; from an event loop
    use `AsyncJournal`, or `asyncio.to_thread`.

    Args:
        path: The SQLite file; made when missing.
        clock: Stamps what brings no time of its own.
        read_only: Never write.

    Raises:
        JournalDamagedError: The file is broken and was opened read-only.
        JournalError: The file cannot be opened, belongs to a newer Midas, or is broken while others have it open.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None, read_only: bool = False) -> None:
        self.path = Path(path)
        self.clock = clock or WallClock()
        self._database, self.notices = open_database(self.path, self.clock, read_only=read_only)
        self._told = 0
        self.tables = Tables(self._database, self.clock)

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._database.read_only

    @property
    def renewed(self) -> str:
        """Says so when opening it changed its format, and where the copy is; else empty."""
        return self._database.renewed

    def fresh_notices(self) -> list[str]:
        """The notices that were not handed out here before: for whoever shouts them."""
        fresh = self.notices[self._told :]
        self._told += len(fresh)
        return fresh

    # -- actions ---------------------------------------------------------------------------------

    def append_action(
        self,
        action: str,
        feature: str,
        *,
        id: str = "",
        at: datetime | None = None,
        actor: str = "",
        reason: str = "",
        body: Mapping[str, Any] | None = None,
    ) -> bool:
        """Append an action, safe from a power cut; False when its id is there already."""
        content = {"actor": actor, "reason": reason, **(body or {})}
        entry = (id or secrets.token_hex(8), at or self.clock.now(), feature, action, content)
        return self.tables.append("actions", [entry], durable=True) == 1

    def actions(self, *, feature: str | None = None, limit: int | None = None) -> list[Action]:
        """Actions, oldest first; with `limit`, the newest ones (still oldest first)."""
        return [_action(row) for row in self.tables.rows("actions", key=feature, limit=limit)]

    # -- events ----------------------------------------------------------------------------------

    def record_event(self, event: Event) -> None:
        """Append one event."""
        self.record_events([event])

    def record_events(self, events: Iterable[Event]) -> None:
        """Append many events in one transaction."""
        self.tables.append("events", [("", e.at, _subject(e), type(e).__name__, to_dict(e)) for e in events])

    def events(
        self,
        *kinds: type[Event],
        since: datetime | None = None,
        until: datetime | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Events, oldest first; with `limit`, the newest ones. What a newer version wrote is left out."""
        names = tuple(kind.__name__ for kind in kinds)
        found: list[Event] = []
        for row in self.tables.rows("events", key=subject, kinds=names, since=since, until=until, limit=limit):
            try:
                found.append(from_dict(row.body))
            except (ValueError, TypeError, KeyError):
                continue
        return found

    # -- figures ---------------------------------------------------------------------------------

    def record_session(self, summary: SessionSummary, *, at: datetime | None = None) -> None:
        """Append a discovery session's present form; `sessions` gives the newest form of each."""
        entry = ("", at or self.clock.now(), summary.session_id, summary.status, _fields(summary))
        self.tables.append("sessions", [entry])

    def sessions(self, *, limit: int | None = None) -> list[Row]:
        """The newest form of each session, in the order in which they began."""
        newest: dict[str, Row] = {}
        for row in self.tables.rows("sessions"):
            newest[row.key] = row
        found = list(newest.values())
        return found if limit is None else found[-limit:] if limit > 0 else []

    def record_model_call(self, usage: ModelUsage, *, session_id: str = "", at: datetime | None = None) -> None:
        """Append what a model call cost."""
        entry = ("", at or self.clock.now(), session_id, usage.model, _fields(usage))
        self.tables.append("model_calls", [entry])

    def model_spend(self, *, since: datetime, until: datetime | None = None) -> tuple[int, float]:
        """Model calls that were answered, and US dollars, those of calls that failed too, since an instant."""
        answered = self.tables.rows("model_calls", since=since, until=until, unlike=TRANSCRIPTS)
        failed = self.tables.rows("model_calls", since=since, until=until, kinds=(FAILED,))
        return len(answered), sum(float(row.body.get("cost_usd") or 0.0) for row in (*answered, *failed))

    def record_shadow(self, feature: str, at: datetime, body: Mapping[str, Any]) -> bool:
        """Append to the forward record of a feature in shadow; one entry per feature and bar."""
        return self.tables.append("shadow", [(f"{feature}:{stamp(at)}", at, feature, "forward", body)]) == 1

    def shadow_record(self, feature: str, *, since: datetime | None = None) -> list[Row]:
        """The forward record of a feature, oldest first."""
        return self.tables.rows("shadow", key=feature, since=since)

    # -- states ----------------------------------------------------------------------------------

    def put_state(self, key: str, value: bytes, *, at: datetime | None = None, durable: bool = False) -> None:
        """Store bytes under a key, replacing what was there."""
        self.put_states({key: value}, at=at, durable=durable)

    def put_states(self, states: Mapping[str, bytes], *, at: datetime | None = None, durable: bool = False) -> None:
        """Store several states in one transaction: after a crash all are new or all are old."""
        when = stamp(at or self.clock.now())
        for key, value in states.items():
            if len(value) > MAX_STATE_BYTES:
                raise JournalError(f"the state {key!r} has {len(value):,} bytes, more than {MAX_STATE_BYTES:,}")
        query = (
            "INSERT INTO states (key, at, value, checksum) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
            "SET at = excluded.at, value = excluded.value, checksum = excluded.checksum"
        )
        rows = [(key, when, value, blob_checksum(key, when, value)) for key, value in states.items()]
        self._database.write(lambda connection: connection.executemany(query, rows), durable=durable)

    def get_state(self, key: str) -> bytes | None:
        """The bytes under a key; None when there are none or they are damaged (then `notices` says so)."""
        found = self._database.fetch("SELECT at, value, checksum FROM states WHERE key = ?", (key,))
        if not found:
            return None
        at, value, seal = found[0]
        if not isinstance(value, bytes) or blob_checksum(key, str(at), value) != seal:
            self.notices.append(f"the state {key!r} is damaged and is not used")
            return None
        return value

    def state_keys(self, prefix: str = "") -> list[str]:
        """The keys that start with `prefix`."""
        return [
            row[0] for row in self._database.fetch("SELECT key FROM states ORDER BY key") if row[0].startswith(prefix)
        ]

    # -- upkeep ----------------------------------------------------------------------------------

    def prune(self, keep_days: float | Mapping[str, float], *, now: datetime | None = None) -> dict[str, int]:
        """Remove what is older than `keep_days` before `now` (one number, or by table); the actions always stay."""
        wanted = keep_days if isinstance(keep_days, Mapping) else dict.fromkeys(PRUNABLE, keep_days)
        now = now or self.clock.now()
        return {table: self.tables.prune(table, now - timedelta(days=days)) for table, days in wanted.items()}

    def verify(self) -> list[str]:
        """Every fault in the file, in words; empty when it is sound."""
        pages = [str(row[0]) for row in self._database.fetch("PRAGMA integrity_check(20)") if row[0] != "ok"]
        return [*self.notices, *pages, *self.tables.verify()]

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _action(row: Row) -> Action:
    body = dict(row.body)
    actor, reason = str(body.pop("actor", "")), str(body.pop("reason", ""))
    return Action(row.id, row.at, row.kind, row.key, actor, reason, body, row.seq)


def _subject(event: Event) -> str:
    """What an event is about: the first of its names that it has."""
    for name in ("feature", "session_id", "name", "path"):
        value = getattr(event, name, None)
        if isinstance(value, str) and value:
            return value
    inner = getattr(event, "alert", None) or getattr(event, "metrics", None)
    return str(getattr(inner, "feature", ""))


def _fields(thing: Any) -> dict[str, Any]:
    return dataclasses.asdict(thing)
