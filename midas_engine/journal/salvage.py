"""What to do with a journal file that SQLite cannot read: keep the wreck, save every row that still can be read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from midas_engine.errors import JournalError
from midas_engine.journal.database import Database
from midas_engine.journal.schema import GUESTS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from midas_engine.clock import Clock

# What a damaged header claims is not believed beyond this; a hole costs no disk, but a scan of it costs time.
LARGEST_BYTES = 2**34
_COLUMNS = "seq, id, at, key, kind, body, prev, checksum"


def salvage(path: Path, clock: Clock) -> str:
    """Set the damaged file aside and build a new one from its readable rows; returns what happened.

    Raises:
        JournalError: Another process is salvaging, or the folder cannot be written.
    """
    lock = FileLock(str(path) + ".lock", mode=0o600)
    try:
        with lock.acquire(timeout=30):
            return _salvage(path, clock)
    except Timeout as error:
        raise JournalError(f"another process is salvaging {path}", hint="wait for it and try again") from error
    except OSError as error:
        raise JournalError(f"the damaged journal {path} cannot be set aside: {error.strerror or error}") from error


def _salvage(path: Path, clock: Clock) -> str:
    with contextlib.suppress(JournalError):  # the process before us may have done it
        Database(path).close()
        return "another process salvaged the journal"
    wreck = _free(path.with_name(f"{path.name}.damaged-{clock.now():%Y%m%dT%H%M%S}"))
    os.rename(path, wreck)
    for tail in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{tail}", f"{wreck}{tail}")
    fresh = Database(path)
    saved = 0
    try:
        with _readable(wreck, path) as old:
            for table in TABLES:
                saved += _copy_rows(old, fresh, table, _COLUMNS)
            saved += _copy_states(old, fresh)
            saved += _copy_guests(old, fresh)
    except sqlite3.Error:
        pass  # not even the header is left
    finally:
        fresh.close()
    return f"the journal was damaged: {saved} rows were saved, the wreck is {wreck.name}"


@contextlib.contextmanager
def _readable(wreck: Path, path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of the wreck, filled up to the length its header claims.

    SQLite reads nothing of a file that is shorter than it says; filled up, all but the lost pages can be read.
    """
    copy = path.with_name(f"{path.name}.salvage")
    names = [copy, *(copy.with_name(copy.name + tail) for tail in ("-wal", "-shm"))]
    try:
        shutil.copyfile(wreck, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{wreck}-wal", names[1])
        with copy.open("r+b") as file:
            head = file.read(100)
            size = int.from_bytes(head[16:18], "big") * int.from_bytes(head[28:32], "big")
            if file.seek(0, os.SEEK_END) < size <= LARGEST_BYTES:
                file.truncate(size)
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            yield connection
    finally:
        for name in names:
            name.unlink(missing_ok=True)


def _free(path: Path) -> Path:
    for number in range(1000):
        candidate = path if number == 0 else path.with_name(f"{path.name}-{number}")
        if not candidate.exists():
            return candidate
    raise JournalError(f"there are too many wrecks like {path.name}", hint="remove the old ones")


def _copy_rows(old: sqlite3.Connection, fresh: Database, table: str, columns: str) -> int:
    """Every row that can be read: forwards until the damage, then backwards until it."""
    found: dict[int, tuple[object, ...]] = {}
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error):
            for row in old.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY seq {order}"):
                if row[0] in found:
                    break
                found[int(row[0])] = row
    marks = ", ".join("?" for _ in columns.split(","))
    with fresh.write(durable=True) as connection:
        connection.executemany(
            f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", [found[seq] for seq in sorted(found)]
        )
    return len(found)


def _copy_guests(old: sqlite3.Connection, fresh: Database) -> int:
    """The tables that others keep in this file: the trial ledger, which nothing may reset."""
    parts = old.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE tbl_name LIKE ? AND sql IS NOT NULL", (f"{GUESTS}%",)
    ).fetchall()
    saved = 0
    for kind in ("table", "index", "trigger"):  # triggers last: they refuse nothing that is copied
        for _, name, sql in (part for part in parts if part[0] == kind):
            with fresh.write(durable=True) as connection:
                connection.execute(sql)
            if kind == "table":
                columns = ", ".join(str(row[1]) for row in old.execute(f"PRAGMA table_info({name})"))
                saved += _copy_rows(old, fresh, name, columns)
    return saved


def _copy_states(old: sqlite3.Connection, fresh: Database) -> int:
    rows: list[tuple[object, ...]] = []
    with contextlib.suppress(sqlite3.Error):
        rows.extend(old.execute("SELECT key, at, value, checksum FROM states"))
    with fresh.write(durable=True) as connection:
        connection.executemany("INSERT OR IGNORE INTO states (key, at, value, checksum) VALUES (?, ?, ?, ?)", rows)
    return len(rows)
