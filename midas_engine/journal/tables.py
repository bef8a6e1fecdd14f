"""Appending sealed rows and reading them back, whichever table they are in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from midas_engine.errors import JournalError
from midas_engine.journal.schema import CHAINED, PRUNABLE, TABLES, Row, checksum, pack, sound, stamp

if TYPE_CHECKING:
    import sqlite3

    from midas_engine.clock import Clock
    from midas_engine.journal.database import Database

Entry = tuple[str, datetime, str, str, Mapping[str, Any]]
_COLUMNS = "seq, coalesce(id, ''), at, key, kind, body, prev, checksum"
MAX_BODY = 2_000_000


class Tables:
    """The append-only tables of one journal.

    Rows whose checksum does not fit are left out of every reading and noted in `quarantine`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def append(self, table: str, entries: Iterable[Entry], *, durable: bool = False) -> int:
        """Append rows of (id, at, key, kind, body) in one transaction; returns how many were new.

        A row whose id is there already is left out: writing twice is writing once.
        """
        _known(table)
        rows = [(sound(e[0]), stamp(e[1]), sound(e[2]), sound(e[3]), pack(e[4])) for e in entries]
        for row in rows:
            if len(row[4]) > MAX_BODY:
                raise JournalError(f"an entry for {table} has {len(row[4]):,} characters, more than {MAX_BODY:,}")
        if not rows:
            return 0
        return self._database.write(lambda connection: self.append_inside(connection, table, rows), durable=durable)

    @staticmethod
    def append_inside(connection: sqlite3.Connection, table: str, rows: list[tuple[str, str, str, str, str]]) -> int:
        """Append packed rows within a transaction that somebody else opened."""
        prev = ""
        if table in CHAINED:
            last = connection.execute(f"SELECT checksum FROM {table} ORDER BY seq DESC LIMIT 1").fetchone()
            prev = last[0] if last else ""
        added = 0
        query = f"INSERT OR IGNORE INTO {table} (id, at, key, kind, body, prev, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)"
        if table not in CHAINED:
            before = connection.total_changes
            connection.executemany(query, [(r[0] or None, *r[1:], "", checksum(table, (*r, ""))) for r in rows])
            return connection.total_changes - before
        for row in rows:
            seal = checksum(table, (*row, prev))
            if connection.execute(query, (row[0] or None, *row[1:], prev, seal)).rowcount == 1:
                added, prev = added + 1, seal
        return added

    def rows(
        self,
        table: str,
        *,
        key: str | None = None,
        kinds: tuple[str, ...] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        unlike: str = "",
    ) -> list[Row]:
        """Sound rows, oldest first; with `limit`, the newest so many, damaged ones counted too. `until` is excluded.

        `unlike` is a pattern of SQL's LIKE that no row's kind may have.
        """
        _known(table)
        conditions: list[tuple[str, Any]] = []
        if key is not None:
            conditions.append(("key = ?", key))
        if since is not None:
            conditions.append(("at >= ?", stamp(since)))
        if until is not None:
            conditions.append(("at < ?", stamp(until)))
        if unlike:
            conditions.append(("kind NOT LIKE ?", unlike))
        where, values = [c for c, _ in conditions], [v for _, v in conditions]
        if kinds:
            where.append(f"kind IN ({', '.join('?' * len(kinds))})")
            values += kinds
        order = "ASC" if limit is None else "DESC"
        query = f"SELECT {_COLUMNS} FROM {table} WHERE {' AND '.join(where) or 'TRUE'} ORDER BY seq {order}"
        if limit is not None:
            query += " LIMIT ?"
            values.append(max(limit, 0))
        sound: list[Row] = []
        damaged: list[tuple[int, str]] = []
        for record in self._database.fetch(query, tuple(values)):
            row = unpack(table, record)
            if isinstance(row, Row):
                sound.append(row)
            else:
                damaged.append((int(record[0]), row))
        self.quarantine(table, damaged)
        return sound if limit is None else sound[::-1]

    def quarantine(self, table: str, damaged: list[tuple[int, str]]) -> None:
        """Note rows that must not be used; quiet when the journal cannot be written."""
        if not damaged or self._database.read_only:
            return
        at = stamp(self._clock.now())
        query = "INSERT OR IGNORE INTO quarantine (table_name, seq, at, reason) VALUES (?, ?, ?, ?)"
        rows = [(table, seq, at, reason) for seq, reason in damaged]
        with contextlib.suppress(JournalError):
            self._database.write(lambda connection: connection.executemany(query, rows))

    def count(self, table: str) -> int:
        """How many rows a table holds, damaged ones included."""
        _known(table)
        return int(self._database.fetch(f"SELECT count(*) FROM {table}")[0][0])

    def prune(self, table: str, before: datetime) -> int:
        """Remove rows older than `before` from a table that retention may touch; returns how many."""
        if table not in PRUNABLE:
            raise JournalError(f"{table} is kept for good", hint="retention covers " + ", ".join(PRUNABLE))
        query = f"DELETE FROM {table} WHERE at < ?"
        return self._database.write(lambda connection: connection.execute(query, (stamp(before),)).rowcount)

    def drop_oldest(self, table: str, prefix: str, most_bytes: int) -> int:
        """Remove the rows whose kind begins with `prefix`, all of a key at a time, the oldest key first.

        Args:
            table: One that retention may touch.
            prefix: Of the kind.
            most_bytes: Of all their bodies together, afterwards.

        Returns:
            How many keys went; the newest one always stays.
        """
        query = f"SELECT key, sum(length(body)), min(seq) FROM {table} WHERE kind LIKE ? GROUP BY key ORDER BY 3 DESC"
        total, gone = 0, list[str]()
        for position, (key, size, _) in enumerate(self._database.fetch(query, (f"{prefix}%",))):
            total += int(size)
            if total > most_bytes and position:
                gone.append(key)
        return self._drop(table, prefix, gone)

    def drop_before(self, table: str, prefix: str, before: datetime) -> int:
        """Remove the rows whose kind begins with `prefix`, of every key whose last is older; returns how many."""
        query = f"SELECT key FROM {table} WHERE kind LIKE ? GROUP BY key HAVING max(at) < ?"
        return self._drop(table, prefix, [row[0] for row in self._database.fetch(query, (f"{prefix}%", stamp(before)))])

    def _drop(self, table: str, prefix: str, keys: list[str]) -> int:
        if keys and table in PRUNABLE:
            remove = f"DELETE FROM {table} WHERE key = ? AND kind LIKE ?"
            rows = [(key, f"{prefix}%") for key in keys]
            self._database.write(lambda connection: connection.executemany(remove, rows))
        return len(keys)

    def bytes_of(self, table: str, prefix: str) -> int:
        """How many bytes the bodies of the rows take whose kind begins with `prefix`."""
        _known(table)
        query = f"SELECT coalesce(sum(length(body)), 0) FROM {table} WHERE kind LIKE ?"
        return int(self._database.fetch(query, (f"{prefix}%",))[0][0])

    def verify(self) -> list[str]:
        """Every fault in the sealed rows, in words; also notes them in quarantine."""
        faults: list[str] = []
        for table in TABLES:
            prev = ""
            damaged: list[tuple[int, str]] = []
            for record in self._database.fetch(f"SELECT {_COLUMNS} FROM {table} ORDER BY seq"):
                row = unpack(table, record)
                if not isinstance(row, Row):
                    damaged.append((int(record[0]), row))
                    faults.append(f"{table} row {record[0]}: {row}")
                if table in CHAINED and record[6] != prev:
                    faults.append(f"{table} row {record[0]}: the row before it was removed or changed")
                prev = record[7]
            self.quarantine(table, damaged)
        return faults


def unpack(table: str, record: tuple[Any, ...]) -> Row | str:
    """The row of a database record, or why it cannot be used."""
    seq, name, at, key, kind, body, prev, seal = record
    if not all(isinstance(part, str) for part in record[1:]):
        return "a column has the wrong type"
    if checksum(table, (name, at, key, kind, body, prev)) != seal:
        return "the checksum does not fit"
    try:
        value = json.loads(body)
        return Row(int(seq), name, datetime.fromisoformat(at), key, kind, value if isinstance(value, dict) else {})
    except (ValueError, RecursionError) as error:
        return f"it cannot be read: {error}"


def _known(table: str) -> None:
    if table not in TABLES:
        raise JournalError(f"there is no table {table!r} in the journal", hint="one of " + ", ".join(TABLES))
