"""The journal's tables and how a row is sealed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from midas_engine.redaction import redact

SCHEMA = 2
PAGE_BYTES = 4096

# One shape for every append-only table: who and what in columns that are searched, the rest in `body`.
TABLES = ("actions", "events", "sessions", "model_calls", "shadow")
# Of schema 1, and written by nobody: what they would have said is in `events` and `states`. Dropped on the way to 2.
RETIRED = ("metrics", "alerts", "bars")
# Tables of the trial ledger (`midas_engine.evaluator.trials.ledger`), in the same file: whoever opens or salvages it
# must know them. Each row carries the checksum of the row before it, and the database refuses updates and deletes.
LEDGER_TABLES = ("evaluator_trials", "evaluator_sessions", "evaluator_looks")
# Each row of this one carries the checksum of the row before it: a removed or reordered row shows.
CHAINED = frozenset({"actions"})
# What retention may remove. Actions are the record; they stay.
PRUNABLE = ("events", "model_calls", "shadow")

CREATE = "\n".join(
    [
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
        *(
            f"""CREATE TABLE IF NOT EXISTS {table} (
                seq INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT,
                at TEXT NOT NULL,
                key TEXT NOT NULL,
                kind TEXT NOT NULL,
                body TEXT NOT NULL,
                prev TEXT NOT NULL DEFAULT '',
                checksum TEXT NOT NULL
            );
            CREATE INDEX IF NOT EXISTS {table}_key ON {table} (key, seq);
            CREATE INDEX IF NOT EXISTS {table}_at ON {table} (at);
            CREATE UNIQUE INDEX IF NOT EXISTS {table}_id ON {table} (id) WHERE id IS NOT NULL;"""
            for table in TABLES
        ),
        """CREATE TABLE IF NOT EXISTS states (
            key TEXT PRIMARY KEY, at TEXT NOT NULL, value BLOB NOT NULL, checksum TEXT NOT NULL
        ) WITHOUT ROWID;""",
        """CREATE TABLE IF NOT EXISTS quarantine (
            table_name TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL,
            PRIMARY KEY (table_name, seq)
        ) WITHOUT ROWID;""",
        *(
            f"""CREATE TABLE IF NOT EXISTS {table} (
                seq INTEGER PRIMARY KEY, at TEXT NOT NULL, session TEXT NOT NULL, key TEXT NOT NULL{unique},
                body TEXT NOT NULL, previous TEXT NOT NULL, checksum TEXT NOT NULL);
            CREATE INDEX IF NOT EXISTS {table}_session ON {table} (session, seq);
            CREATE TRIGGER IF NOT EXISTS {table}_keep BEFORE DELETE ON {table}
                BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
            CREATE TRIGGER IF NOT EXISTS {table}_fixed BEFORE UPDATE ON {table}
                BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;"""
            for table, unique in zip(LEDGER_TABLES, (" UNIQUE", "", " UNIQUE"), strict=True)
        ),
    ]
)

RENEW = "\n".join(
    [CREATE, *(f"DROP TABLE IF EXISTS {table};" for table in RETIRED), f"PRAGMA user_version = {SCHEMA};"]
)
"""What brings a journal of any earlier schema to this one; doing it twice is doing it once."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an append-only table.

    Attributes:
        seq: Its position; rises, never reused.
        id: The writer's own id; writing it twice is one row. May be empty.
        at: When, UTC.
        key: What it is about: a feature, a session, an alert id.
        kind: The action, the event type and so on.
        body: The rest.
    """

    seq: int
    id: str
    at: datetime
    key: str
    kind: str
    body: dict[str, Any]


def stamp(at: datetime) -> str:
    """An instant as the journal writes it: UTC, fixed width, so that text order is time order."""
    if at.tzinfo is None:
        raise ValueError("the journal takes timezone-aware times only")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def pack(body: Mapping[str, Any]) -> str:
    """JSON without NaN and without secrets: what is not finite becomes null."""
    try:
        return redact(json.dumps(body, separators=(",", ":"), allow_nan=False, default=_plain))
    except ValueError:
        return redact(json.dumps(_finite(body), separators=(",", ":"), allow_nan=False, default=_plain))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        return _finite(value.item())
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot go into the journal")


def sound(text: str) -> str:
    """Text that the database can hold: a lone surrogate becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def checksum(table: str, parts: tuple[str, ...]) -> str:
    """What seals a row: its table and every column but the sequence number."""
    return hashlib.blake2b("\x1f".join((table, *parts)).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def ledger_checksum(previous: str, at: str, session: str, key: str, body: str) -> str:
    """What seals a row of the trial ledger."""
    parts = "\x1f".join([previous, at, session, key, body])
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()


def home_of(values: tuple[Any, ...]) -> str:
    """The table to which a row belongs by its own checksum; empty when that fits none.

    Args:
        values: Every column after the sequence number; a missing id is None or empty.
    """
    texts = ["" if value is None else value for value in values]
    if not all(isinstance(text, str) for text in texts):
        return ""
    *parts, seal = texts
    if len(parts) == 6:
        return next((table for table in TABLES if checksum(table, tuple(parts)) == seal), "")
    if len(parts) != 5:
        return ""
    at, session, key, body, previous = parts
    if ledger_checksum(previous, at, session, key, body) != seal:
        return ""
    names = set(json.loads(body))
    return LEDGER_TABLES[1 if names == {"planned"} else 0 if "outcome" in names else 2]


def blob_checksum(key: str, at: str, value: bytes) -> str:
    """What seals a state."""
    return hashlib.blake2b(f"{key}\x1f{at}\x1f".encode("utf-8", "surrogateescape") + value, digest_size=12).hexdigest()
