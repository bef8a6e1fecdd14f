"""The SQLite file under the journal: one connection, many processes, damage set aside instead of fatal."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from midas_engine.errors import JournalError
from midas_engine.journal.schema import CREATE, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 15.0
# Looking at every page when the file is opened costs about 2 ms a megabyte; beyond this the checksums must do.
_QUICK_CHECK_BYTES = 64_000_000
_SMALLEST = 512  # bytes of the smallest page


class Database:
    """A connection that threads share, with explicit transactions.

    Args:
        path: The file; made when missing, unless `read_only`.
        read_only: Never write; a missing file then reads as an empty journal.

    Raises:
        JournalError: The file cannot be opened, is no journal, or belongs to a newer Midas.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            if self.read_only and not self.path.exists():
                connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                connection.executescript(CREATE)
                return connection
            if not self.read_only and not self.path.exists():
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            if 0 < self.path.stat().st_size < _SMALLEST:
                raise sqlite3.DatabaseError("file is not a database: it is cut short")  # SQLite takes it for a new one
            mode = "ro" if self.read_only else "rw"
            connection = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_SECONDS,
                cached_statements=256,
            )
            # A flipped bit may leave text that is not UTF-8: it has to reach the checksum, not raise before it.
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            self._prepare(connection)
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise journal_error(error, self.path) from error
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} cannot be opened: {error.strerror or error}",
                hint="check that the knowledge base folder exists and is writable",
            ) from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Untrusted file: no functions or triggers from its schema may do anything.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if not self.read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            raise JournalError(
                f"{self.path} was written by a newer Midas (journal schema {version}; this one knows {SCHEMA})",
                hint="update Midas, or use another --kb",
            )
        if self.read_only:
            if not known:
                raise JournalError(f"{self.path} is not a Midas journal")
            return
        if known and self.path.stat().st_size <= _QUICK_CHECK_BYTES:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")
        if not known or version < SCHEMA:
            connection.executescript(f"BEGIN IMMEDIATE;\n{CREATE}\nPRAGMA user_version = {SCHEMA};\nCOMMIT;")

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection.

        Raises:
            JournalError: The journal was closed.
        """
        if self._connection is None:
            raise JournalError(f"the journal {self.path} is closed")
        return self._connection

    @contextlib.contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A write transaction; `durable` ones survive a power cut when the block ends.

        Raises:
            JournalError: It was not written; nothing of it was.
        """
        if self.read_only:
            raise JournalError(f"{self.path} is open read-only")
        with self._lock:
            connection = self.connection
            try:
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
                finally:
                    if durable:
                        with contextlib.suppress(sqlite3.Error):
                            connection.execute("PRAGMA synchronous = NORMAL")
            except sqlite3.Error as error:
                raise journal_error(error, self.path) from error

    def fetch(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            JournalError: The file cannot be read.
        """
        with self._lock:
            try:
                return self.connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise journal_error(error, self.path) from error

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:
            if self._connection is not None:
                connection, self._connection = self._connection, None
                connection.close()


def journal_error(error: sqlite3.Error, path: Path) -> JournalError:
    """A database failure in words a user can act on."""
    text = str(error)
    if "locked" in text or "busy" in text:
        hint = "another process writes the journal without a pause; try again"
    elif "full" in text:
        hint = "free some space on the disk and try again; nothing was lost"
    elif "readonly" in text or "read-only" in text:
        hint = "the journal's folder must be writable"
    elif "malformed" in text or "not a database" in text or "corrupt" in text:
        hint = "the file is damaged; opening the base again salvages what can be read"
    else:
        hint = "check the disk and the folder's permissions"
    return JournalError(f"the journal {path}: {text}", hint=hint)


def is_damage(error: JournalError) -> bool:
    """Whether the file itself is broken, so that trying again cannot help."""
    cause = error.__cause__
    text = str(cause or error)
    return isinstance(cause, sqlite3.DatabaseError) and any(
        word in text for word in ("malformed", "not a database", "corrupt", "unsupported file format", "no such table")
    )
