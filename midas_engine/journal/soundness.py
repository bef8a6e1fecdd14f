"""What a sound journal looks like when it is opened: its log, its schema, its pages, and whose rows lie where."""

from __future__ import annotations

import contextlib
import sqlite3
from functools import cache
from typing import TYPE_CHECKING

from midas_engine.journal.pages import Image
from midas_engine.journal.schema import CREATE, LEDGER_TABLES, PAGE_BYTES, RETIRED, TABLES, home_of

if TYPE_CHECKING:
    from pathlib import Path

# Looking at every page costs about 1 ms a megabyte, comparing the indexes with their tables 2.3; beyond these sizes
# the rows' checksums must do.
_FULL_CHECK_BYTES = 16_000_000
_QUICK_CHECK_BYTES = 64_000_000

# Rows that no table without row numbers may hold: their pages fit each other's places without a fault of form.
# `meta` is written by nobody.
_STRANGERS = {
    "meta": "TRUE",
    "states": "typeof(value) != 'blob' OR typeof(checksum) != 'text'",
    "quarantine": "typeof(seq) != 'integer' OR typeof(reason) != 'text'",
}

# Every object of a schema: (type, name) -> (table, text without differences of layout).
Objects = dict[tuple[str, str], tuple[str, str]]


def read_schema(connection: sqlite3.Connection) -> Objects:
    """What the file says its tables, indexes and triggers are."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        (str(kind), str(name)): (str(table), " ".join(str(sql).split()))
        for kind, name, table, sql in rows
        if not str(name).startswith("sqlite_")
    }


@cache
def expected_schema() -> Objects:
    """What this version's tables, indexes and triggers are."""
    with contextlib.closing(empty_connection()) as connection:
        return read_schema(connection)


def check_schema(there: Objects, version: int) -> None:
    """A schema that is not the one Midas writes is damage: what hangs on it cannot be found any more.

    Raises:
        sqlite3.DatabaseError: Something in it is altered, or a table is gone.
    """
    expected = expected_schema()
    altered = [name for (kind, name), text in there.items() if expected.get((kind, name), text) != text]
    strange = [name for kind, name in there if kind == "table" and (kind, name) not in expected and name not in RETIRED]
    gone = [name for kind, name in expected if kind == "table" and (kind, name) not in there]
    # A journal from before the schemas were numbered has no tables of the trial ledger, and every later one has all
    # of today's; what hung on a lost one would still be there.
    orphans = [name for name in gone if any(table == name for table, _ in there.values())]
    lost = [name for name in gone if not name.startswith("evaluator_")] if version else []
    if altered or orphans or lost or (gone and strange and version):
        what = sorted({*altered, *orphans, *lost, *gone})
        raise sqlite3.DatabaseError(f"malformed database schema: {', '.join(what)[:200]}")


def _check_homes(connection: sqlite3.Connection) -> None:
    """No table may hold another one's rows, as when two pages changed places; of numbered rows the last is asked."""
    there = read_schema(connection)
    for table in (*TABLES, *LEDGER_TABLES):
        if ("table", table) in there:
            last = connection.execute(f"SELECT * FROM {table} ORDER BY seq DESC LIMIT 1").fetchone()
            if last is not None and home_of(last[1:]) not in ("", table):
                raise sqlite3.DatabaseError(f"malformed: rows of {home_of(last[1:])} lie in {table}")
    for table, strange in _STRANGERS.items():
        query = f"SELECT count(*) FROM {table} WHERE {strange}"
        if ("table", table) in there and connection.execute(query).fetchone()[0]:
            raise sqlite3.DatabaseError(f"malformed: rows of another table lie in {table}")


def make_missing(connection: sqlite3.Connection, there: Objects) -> None:
    """Empty tables, beside a file that may not be written, for those that an older version did not have."""
    for kind, name in expected_schema():
        if kind == "table" and (kind, name) not in there:
            sql = expected_schema()[(kind, name)][1]
            connection.execute(sql.replace(f"CREATE TABLE {name}", f"CREATE TABLE missing.{name}", 1))


def empty_connection() -> sqlite3.Connection:
    """An empty journal in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(CREATE)
    return connection


def check_log(path: Path) -> None:
    """Look at the log beside the file; SQLite would cut a damaged one at the damage and say nothing.

    Raises:
        sqlite3.DatabaseError: It is damaged.
    """
    with contextlib.closing(Image(path, PAGE_BYTES)) as image:
        if image.log_fault:
            raise sqlite3.DatabaseError(f"malformed: {image.log_fault}")


def check_content(connection: sqlite3.Connection, size: int) -> None:
    """Look at the pages of a file of `size` bytes, and whether rows lie in their own tables.

    Raises:
        sqlite3.DatabaseError: Something is broken; says what.
    """
    if size <= _QUICK_CHECK_BYTES:
        check = "integrity_check" if size <= _FULL_CHECK_BYTES else "quick_check"
        verdict = str(connection.execute(f"PRAGMA {check}(1)").fetchone()[0])
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")
    _check_homes(connection)
