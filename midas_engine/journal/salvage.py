"""What to do with a journal that is broken: keep the wreck, and save every row that can still be read.

Rows are found by their own checksums on whatever page they lie (see `pages`), so that damage to the header, to the
schema or to the pages that lead to them costs none. The new file is whole before it takes the old one's place, and a
salvage that is cut off is finished by whoever opens the journal next.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from midas_engine.errors import JournalDamagedError, JournalError
from midas_engine.journal.database import TAILS, Database, create_file
from midas_engine.journal.pages import Image, Record
from midas_engine.journal.presence import Presence
from midas_engine.journal.schema import (
    LEDGER_TABLES,
    PAGE_BYTES,
    PRUNABLE,
    TABLES,
    blob_checksum,
    home_of,
)
from midas_engine.journal.soundness import check_content, check_log

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.clock import Clock

# How long to wait for commands that end by themselves; a monitor, a session or a terminal does not.
WAIT_SECONDS = 3.0
_COLUMNS = {8: "seq, id, at, key, kind, body, prev, checksum", 7: "seq, at, session, key, body, previous, checksum"}
_LARGEST_GAP = 10_000_000  # a counter that is further ahead of the last row than this is damaged itself


def open_database(path: Path, clock: Clock, *, read_only: bool = False) -> tuple[Database, list[str]]:
    """The journal's database, salvaged when it is broken, and what there is to say about that.

    Raises:
        JournalDamagedError: It is broken and was opened read-only.
        JournalError: It cannot be opened, or is broken while another process has it open.
    """
    notices: list[str] = []
    decided = path.with_name(path.name + ".salvaged")
    if not read_only and decided.is_file():
        with contextlib.closing(_Alone(path)):
            if decided.is_file():
                _swap(path, decided)
                notices.append("a salvage of the journal that had been cut off was finished")
    try:
        return Database(path, read_only=read_only), notices
    except JournalDamagedError as error:
        if read_only:
            raise
        notices.append(salvage(path, clock, _cause(error)))
    return Database(path), notices


def salvage(path: Path, clock: Clock, reason: str = "") -> str:
    """Set the damaged file aside and build a new one from its readable rows; returns what happened.

    Raises:
        JournalError: Another process has the journal open, or the folder cannot be written.
    """
    try:
        with contextlib.closing(_Alone(path)):
            return _salvage(path, clock, reason)
    except OSError as error:
        raise JournalError(f"the damaged journal {path} cannot be set aside: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise JournalError(
            f"the damaged journal {path} cannot be salvaged: {error}",
            hint="check the space on its disk; it is as it was",
        ) from error


class _Alone:
    def __init__(self, path: Path) -> None:
        self._presence = Presence(path, alone=True, seconds=WAIT_SECONDS)

    def close(self) -> None:
        self._presence.release()


def _salvage(path: Path, clock: Clock, reason: str) -> str:
    if _mended(path):  # the process before us has done it
        return "another process salvaged the journal"
    fresh = path.with_name(path.name + ".salvage")
    _remove(fresh)
    create_file(fresh)
    try:
        haul = _gather(path, fresh)
        wreck = _free(path.with_name(f"{path.name}.damaged-{clock.now():%Y%m%dT%H%M%S}"))
        _keep(path, wreck)
        os.rename(fresh, decided := path.with_name(path.name + ".salvaged"))
    except BaseException:
        _remove(fresh)
        raise
    _swap(path, decided)
    why = f" ({reason})" if reason else ""
    return f"the journal was damaged{why}: {haul.told()}, the wreck is {wreck.name}"


def _mended(path: Path) -> bool:
    """Whether the file opens after all; looked at without counting as one who has it open."""
    try:
        check_log(path)
        Database(path, read_only=True).close()
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            check_content(connection, path.stat().st_size)
    except (JournalDamagedError, sqlite3.Error, UnicodeError, OverflowError):
        return False
    return True


def _keep(path: Path, wreck: Path) -> None:
    """The damaged files once more under the wreck's name."""
    for tail in ("", "-wal", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            if tail and not os.stat(f"{path}{tail}").st_size:
                continue
            try:
                os.link(f"{path}{tail}", f"{wreck}{tail}")
            except PermissionError:  # a file system without links
                shutil.copyfile(f"{path}{tail}", f"{wreck}{tail}")
    _sync(path.parent)


def _swap(path: Path, decided: Path) -> None:
    """Put the salvaged file in the wreck's place; may be repeated. The old log must not be read into it."""
    _sync(path.parent)
    for tail in TAILS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{tail}")
    os.rename(decided, path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    for tail in ("", *TAILS):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{tail}")


def _free(path: Path) -> Path:
    for number in range(1000):
        candidate = path if number == 0 else path.with_name(f"{path.name}-{number}")
        if not candidate.exists():
            return candidate
    raise JournalError(f"there are too many wrecks like {path.name}", hint="remove the old ones")


def _cause(error: JournalError) -> str:
    return "".join(c for c in str(error.__cause__ or error.message)[:200] if c.isprintable())


@dataclass
class _Haul:
    """What was found in a wreck."""

    saved: Counter[str] = field(default_factory=Counter)
    altered: list[tuple[str, Record]] = field(default_factory=list)
    unplaced: int = 0
    tops: dict[str, int] = field(default_factory=dict)
    states: dict[str, tuple[str, bytes, str]] = field(default_factory=dict)
    broken_states: set[str] = field(default_factory=set)
    kept_altered: int = 0
    missing: int = 0

    def told(self) -> str:
        """Figures for a person."""
        total = sum(self.saved.values()) + len(self.states)
        parts = [f"{total} rows were saved", f"{self.missing} are missing"]
        if self.kept_altered:
            parts.append(f"{self.kept_altered} were altered and are set aside")
        lost = sorted(key[:60] for key in self.broken_states - self.states.keys() if key.isprintable())
        if lost:
            parts.append(f"lost states: {', '.join(lost[:5])}")
        if not total and not self.tops:
            parts[1] = "how many are missing is not known"
        return ", ".join(parts)


def _gather(path: Path, target: Path) -> _Haul:
    """Fill `target` with every row of the wreck that can be read."""
    haul = _Haul()
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as fresh:
        fresh.execute("PRAGMA synchronous = FULL")
        fresh.execute("BEGIN IMMEDIATE")
        for size in _page_sizes(path):
            haul = _Haul()
            with contextlib.closing(Image(path, size)) as image:
                free = image.free_pages()
                for number in range(1, image.count + 1):
                    _take(haul, fresh, image.records(number), with_states=number not in free)
                for records in image.records_beyond():
                    _take(haul, fresh, records, with_states=True)
            if haul.saved or haul.states:
                break
        _settle(haul, fresh)
        fresh.execute("COMMIT")
        fresh.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return haul


def _page_sizes(path: Path) -> list[int]:
    """Ours, and what the header says; a header may be damaged."""
    with path.open("rb") as file:
        said = int.from_bytes(file.read(18)[16:18], "big")
    sizes = [PAGE_BYTES]
    if said in (512, 1024, 2048, 8192, 16384, 32768):
        sizes.append(said)
    return sizes


def _take(haul: _Haul, fresh: sqlite3.Connection, records: list[Record], *, with_states: bool) -> None:
    """The records of one page: whole rows at once, altered ones when their neighbours say whose they are."""
    home = ""
    altered: list[Record] = []
    for record in records:
        values = record.values
        if table := _table_of(record):
            home = table
            haul.saved[table] += _insert(fresh, table, record)
        elif len(values) in _COLUMNS and record.rowid > 0 and values[0] is None:
            altered.append(record)
        elif len(values) == 2 and isinstance(values[0], str) and isinstance(values[1], int) and record.rowid:
            if values[0] in TABLES:
                haul.tops[values[0]] = values[1]
        elif with_states and len(values) == 4 and not record.rowid:
            _take_state(haul, record)
    for record in altered:
        if home and len(record.values) == (7 if home in LEDGER_TABLES else 8):
            haul.altered.append((home, record))


def _take_state(haul: _Haul, record: Record) -> None:
    key, at, value, seal = record.values
    if not (isinstance(key, str) and isinstance(at, str) and isinstance(value, bytes) and isinstance(seal, str)):
        return
    if blob_checksum(key, at, value) != seal:
        haul.broken_states.add(key)
    elif key not in haul.states or haul.states[key][0] < at:
        haul.states[key] = (at, value, seal)


def _table_of(record: Record) -> str:
    values = record.values
    return home_of(values[1:]) if len(values) in _COLUMNS and record.rowid > 0 and values[0] is None else ""


def _insert(fresh: sqlite3.Connection, table: str, record: Record) -> int:
    columns = _COLUMNS[len(record.values)]
    marks = ", ".join("?" * len(record.values))
    values = [v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in record.values[1:]]
    query = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"
    return fresh.execute(query, (record.rowid, *values)).rowcount


def _settle(haul: _Haul, fresh: sqlite3.Connection) -> None:
    """Altered rows where no whole one is, the states, the counters; and how many rows are missing."""
    for table, record in haul.altered:
        haul.kept_altered += _insert(fresh, table, record)
    fresh.executemany(
        "INSERT INTO states (key, at, value, checksum) VALUES (?, ?, ?, ?)",
        [(key, *state) for key, state in haul.states.items()],
    )
    for table in (*TABLES, *LEDGER_TABLES):
        count, first, last = fresh.execute(f"SELECT count(*), min(seq), max(seq) FROM {table}").fetchone()
        top = haul.tops.get(table, 0)
        last = top if (last or 0) < top <= (last or 0) + _LARGEST_GAP else last or 0
        if table in PRUNABLE:
            haul.missing += last - (first or last + 1) + 1 - count
        else:
            haul.missing += last - count
        if table in TABLES and last:  # a number is never given twice
            fresh.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            fresh.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
