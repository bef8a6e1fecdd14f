"""The SQLite file under the journal: one connection, many processes, no write into a file that was replaced."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from midas_engine.errors import JournalDamagedError, JournalError
from midas_engine.journal.presence import Presence
from midas_engine.journal.schema import CREATE, PAGE_BYTES, RENEW, SCHEMA
from midas_engine.journal.soundness import (
    check_content,
    check_log,
    check_schema,
    empty_connection,
    expected_schema,
    make_missing,
    read_schema,
)
from midas_engine.regular import NotRegularError, refuse_special

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

BUSY_SECONDS = 15.0
MENDING_SECONDS = 30.0  # how long to wait for a salvage to end
TAILS = ("-wal", "-shm", "-journal")  # the files that SQLite keeps beside its own
_SMALLEST = 512  # bytes of the smallest page
_TRIES = 5
# What SQLite answers when not the file is broken but its surroundings are.
_SURROUNDINGS = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CONSTRAINT,
    }
)  # fmt: skip
# What sqlite3's own decoding raises at damage that SQLite itself does not notice.
_DECODING = (UnicodeError, OverflowError, ValueError, TypeError, sqlite3.Warning)

_Files = tuple[tuple[int, int] | None, ...]


class Database:
    """A connection that threads share, with explicit transactions.

    While it may write it is counted among those who have the file open, so that nobody salvages the file under it;
    and before each write it looks whether the path still names the file it opened.

    Args:
        path: The file; made when missing, unless `read_only`. ":memory:" is a private one without a file.
        read_only: Never write; a missing file then reads as an empty journal.

    Attributes:
        renewed: Says so when opening it changed its format, and where the copy is.

    Raises:
        JournalDamagedError: The file is broken.
        JournalError: The file cannot be opened, is no journal, or belongs to a newer Midas.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.renewed = ""
        self._lock = threading.RLock()
        self._closed = False
        self._presence: Presence | None = None
        self._files: _Files = ()
        self._in_memory = str(path) == ":memory:" or (read_only and not os.path.lexists(path))
        self._connection: sqlite3.Connection | None = self._open()

    # -- opening ---------------------------------------------------------------------------------

    def _open(self, *, anew: bool = False) -> sqlite3.Connection:
        try:
            if self._in_memory:
                return empty_connection()
            if not self.read_only:
                self._look_at_log()
                self._presence = Presence(self.path, seconds=MENDING_SECONDS)
            return self._connect(make=not self.read_only and not anew)
        except BaseException as error:
            self._leave()
            if isinstance(error, sqlite3.Error):
                raise journal_error(error, self.path) from error
            if isinstance(error, _DECODING):
                raise JournalDamagedError(
                    f"the journal {self.path} cannot be read: {error!r}"[:300], hint=_DAMAGED_HINT
                ) from error
            if isinstance(error, OSError):
                named = f": {error.filename}" if error.filename and str(error.filename) != str(self.path) else ""
                hint = "check that the knowledge base folder exists and is writable"
                if isinstance(error, NotRegularError):
                    hint = "remove it and run the command again"
                raise JournalError(
                    f"the journal {self.path} cannot be opened{named}: {error.strerror or error}", hint=hint
                ) from error
            raise

    def _look_at_log(self) -> None:
        """Look at a log that a dead process left, unless its writers live."""
        log = self.path.with_name(self.path.name + "-wal")
        if not log.is_file() or not log.stat().st_size or not self.path.is_file():
            return
        try:
            alone = Presence(self.path, alone=True)
        except JournalError:
            return
        try:
            check_log(self.path)
        finally:
            alone.release()

    def _connect(self, *, make: bool) -> sqlite3.Connection:
        for tail in ("", *TAILS):
            refuse_special(self.path.with_name(self.path.name + tail))
        if make and not self.path.exists():
            create_file(self.path)
        for _ in range(_TRIES):
            before = self._look()
            if self.path.stat().st_size < _SMALLEST:
                # SQLite takes it for a new one. A journal is born whole, so this one has lost what it held.
                raise sqlite3.DatabaseError("file is not a database: it is cut short")
            mode = "rw" if not self.read_only else "ro&immutable=1" if self._stands_still() else "ro"
            connection = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_SECONDS,
                cached_statements=256,
            )
            try:
                # A flipped bit may leave text that is not UTF-8: it has to reach the checksum, not raise before it.
                connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._files = self._look()
            if self.read_only or before[0] == self._files[0]:
                return connection
            connection.close()  # it was replaced while it was opened
        raise JournalError(f"the journal {self.path} is replaced again and again", hint="stop what replaces it")

    def _stands_still(self) -> bool:
        """Whether it is to be read where nothing can be written: SQLite would make files beside it, if it may.

        One with a log has a writer, or had one: then the files are there, and are read as they are.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        return not os.access(self.path.parent, os.W_OK) and not (log.is_file() and log.stat().st_size)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Untrusted file: no functions or triggers from its schema may do anything.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if not self.read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            raise JournalError(
                f"{self.path} was written by a newer Midas (journal schema {version}; this one knows {SCHEMA})",
                hint="update Midas, or use another --kb",
            )
        there = read_schema(connection)
        if self.read_only and not there:
            raise JournalError(f"{self.path} is not a Midas journal")
        check_schema(there, version)
        if self.read_only:
            if not there.keys() >= expected_schema().keys():
                connection.execute("ATTACH ':memory:' AS missing")
                make_missing(connection, there)
            return
        check_content(connection, self.path.stat().st_size)
        if version < SCHEMA or not there.keys() >= expected_schema().keys():
            if there:
                copy = keep_copy(connection, self.path, version)
                self.renewed = f"the journal was brought to schema {SCHEMA}; as it was, it lies in {copy.name}"
            connection.executescript(f"BEGIN IMMEDIATE;\n{RENEW}\nCOMMIT;")

    def _look(self) -> _Files:
        """Which files lie at the path and beside it now."""
        found: list[tuple[int, int] | None] = []
        for tail in ("", *TAILS[:2]):
            try:
                info = os.lstat(f"{self.path}{tail}")
                found.append((info.st_dev, info.st_ino))
            except OSError:
                found.append(None)
        return tuple(found)

    # -- use -------------------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection.

        Raises:
            JournalError: The journal was closed, or the file cannot be opened again.
        """
        if self._closed:
            raise JournalError(f"the journal {self.path} is closed")
        if self._connection is None:
            self._connection = self._open(anew=True)
        return self._connection

    def _current(self, *, writing: bool) -> sqlite3.Connection:
        """The connection to the file that the path names now, opened again when that is another one."""
        if self.read_only or self._in_memory or self._closed or self._connection is None:
            return self.connection
        now = self._look()
        if now == self._files:
            return self._connection
        if now[0] is None:
            if not writing:
                return self._connection  # what was read from it stays true
            raise JournalError(
                f"the journal {self.path} was removed while it was open: nothing was written",
                hint="put the file back, or restart Midas to begin a new journal",
            )
        if (
            now[0] == self._files[0]
            and None in self._files
            and all(old is None or old == new for old, new in zip(self._files, now, strict=True))
        ):
            self._files = now  # SQLite made its own files meanwhile
            return self._connection
        stale, self._connection = self._connection, None
        with contextlib.suppress(sqlite3.Error):
            stale.close()
        self._leave()
        return self.connection

    def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Run `work` in a write transaction; a `durable` one survives a power cut when this returns.

        When the file was replaced meanwhile (by a salvage, or a restored backup), `work` runs again on the new one.

        Raises:
            JournalError: It was not written; nothing of it was.
        """
        if self.read_only:
            raise JournalError(f"{self.path} is open read-only")
        with self._lock:
            for _ in range(_TRIES):
                connection = self._current(writing=True)
                result = self._transact(connection, work, durable=durable)
                if self._in_memory or self._look()[0] == self._files[0]:
                    return result
        raise JournalError(f"the journal {self.path} is replaced again and again", hint="stop what replaces it")

    def _transact(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], *, durable: bool) -> T:
        try:
            if durable:
                connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            finally:
                if durable:
                    with contextlib.suppress(sqlite3.Error):
                        connection.execute("PRAGMA synchronous = NORMAL")
            return result
        except sqlite3.Error as error:
            raise journal_error(error, self.path) from error

    def fetch(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            JournalError: The file cannot be read.
        """
        with self._lock:
            try:
                return self._current(writing=False).execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise journal_error(error, self.path) from error
            except _DECODING as error:
                raise JournalDamagedError(
                    f"the journal {self.path} cannot be read: {error!r}"[:300], hint=_DAMAGED_HINT
                ) from error

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                connection, self._connection = self._connection, None
                connection.close()
            self._leave()

    def _leave(self) -> None:
        if self._presence is not None:
            self._presence.release()
            self._presence = None


def create_file(path: Path) -> None:
    """Make an empty journal, whole from its first moment; one that is there stays.

    Raises:
        OSError: The folder cannot be written.
        sqlite3.Error: The disk is full.
    """
    temp = _draft(path)
    try:
        os.close(os.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with contextlib.closing(sqlite3.connect(temp, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN IMMEDIATE;\n{CREATE}\nPRAGMA user_version = {SCHEMA};\nCOMMIT;")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # to close swallows that the disk is full
        _put(temp, path)
    finally:
        for tail in ("", *TAILS):
            with contextlib.suppress(OSError):
                os.unlink(f"{temp}{tail}")


_DAMAGED_HINT = "the file is damaged; any command that writes, such as `midas kb check`, salvages what can be read"


def journal_error(error: sqlite3.Error, path: Path) -> JournalError:
    """A database failure in words a user can act on."""
    text = str(error)
    if _is_damage(error):
        return JournalDamagedError(f"the journal {path}: {text}", hint=_DAMAGED_HINT)
    if "locked" in text or "busy" in text:
        hint = "another process writes the journal without a pause; try again"
    elif "full" in text:
        hint = "free some space on the disk and try again; nothing was lost"
    elif "readonly" in text or "read-only" in text:
        hint = "the journal's folder must be writable"
    else:
        hint = "check the disk and the folder's permissions"
    return JournalError(f"the journal {path}: {text}", hint=hint)


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, so that trying again cannot help."""
    if isinstance(error, sqlite3.InterfaceError | sqlite3.ProgrammingError | sqlite3.NotSupportedError):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF not in _SURROUNDINGS


def keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A copy of a journal as an older version left it, before this one changes its format; one for each format.

    Of two processes at once the first one's copy stays: it was whole before either changed anything.
    """
    copy = path.with_name(f"{path.name}.schema-{version}")
    if not os.path.lexists(copy):
        draft = _draft(path)
        try:
            with contextlib.closing(sqlite3.connect(draft)) as target:
                connection.backup(target)
            _put(draft, copy)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(draft)
    return copy


def _draft(path: Path) -> Path:
    # Named as the knowledge base names its own, so that what a crash leaves is swept.
    return path.parent / f".midas-{os.getpid()}-{secrets.token_hex(6)}.tmp"


def _put(draft: Path, path: Path) -> None:
    """Give a finished file its name, unless somebody was faster: theirs has the same content."""
    with contextlib.suppress(FileExistsError):
        try:
            os.link(draft, path)
        except PermissionError:  # a file system without links
            os.rename(draft, path)
