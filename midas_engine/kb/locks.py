"""Who may write: one lock per knowledge base across processes, threads and tasks, with a named holder.

The kernel's lock dies with its process, so a killed holder blocks nobody. The holder's name is a
remark in a file beside the lock; only the lock itself decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from midas_engine.alive import is_alive
from midas_engine.clock import Clock, WallClock
from midas_engine.errors import KnowledgeBaseError, LockTimeoutError
from midas_engine.regular import obstacle, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_TIMEOUT = 10.0
_POLL = 0.01

_Owner = tuple[int, object]


def _program() -> str:
    """This program and its verb, such as `midas monitor`; nothing else of its arguments."""
    name = Path(sys.argv[0] or "python").name
    verb = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].isalpha() else ""
    return f"{name} {verb}".strip()[:60]


def _me() -> _Owner:
    """Who is asking: this thread and, in an event loop, this task. Two tasks are two owners."""
    try:
        task: object = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), task


class StoreLock:
    """An exclusive lock, re-entrant for the task (or thread) that holds it.

    Hold it around synchronous work only: a task that awaits inside makes the others time out.

    Args:
        path: The lock file. Its holder is named in `<path>` with the suffix `.holder`.
        clock: Times the holder's remark.
        timeout: Seconds to wait by default.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.path = path
        self.timeout = timeout
        self._clock = clock or WallClock()
        self._wall = WallClock()
        self._inside = threading.Lock()
        self._owner: _Owner | None = None
        self._depth = 0
        self._leaves = False

    @contextlib.contextmanager
    def hold(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock for the length of a `with` block.

        Raises:
            LockTimeoutError: Somebody else kept it; says who.
            KnowledgeBaseError: A pipe, device, link or folder stands where the lock belongs.
        """
        me = _me()
        if self._owner == me:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        file_lock = self._acquire(me, self.timeout if timeout is None else timeout)
        try:
            yield
        finally:
            self._owner = None
            try:
                file_lock.release()
            finally:
                self._inside.release()

    def _acquire(self, me: _Owner, timeout: float) -> FileLock:
        start = self._wall.monotonic()
        owner = self._owner
        if owner is not None and owner[0] == me[0]:
            # Waiting would block the very thread that has to finish; fail at once instead of after the timeout.
            raise LockTimeoutError(
                "another task of this program holds the knowledge base",
                hint="hold the lock around synchronous work only, or do the work in a thread",
            )
        for path in (self.path, self._holder_path):
            kind = obstacle(path)
            if kind:  # a lock on it would be none, and opening a pipe never ends
                raise KnowledgeBaseError(
                    f"{path} is a {kind}, where the lock of the knowledge base belongs", hint="remove it and try again"
                )
        if not self._inside.acquire(timeout=max(timeout, 0)):
            raise self._refusal(timeout)
        # An instance per holder: filelock is re-entrant per instance, which would let two tasks in together.
        file_lock = FileLock(str(self.path), mode=0o600, thread_local=False)
        try:
            left = max(0.0, timeout - (self._wall.monotonic() - start))
            file_lock.acquire(timeout=left, poll_interval=_POLL)
        except Timeout as error:
            self._inside.release()
            raise self._refusal(timeout) from error
        except BaseException:
            self._inside.release()
            raise
        self._owner = me
        self._sign()
        return file_lock

    def _refusal(self, timeout: float) -> LockTimeoutError:
        holder = self.holder()
        return LockTimeoutError(
            f"{self.path.parent} is in use by {holder}; waited {timeout:g} s",
            hint="wait for it to finish, or stop that process and try again; its lock ends with it",
        )

    def _sign(self) -> None:
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "program": _program(),
            "since": self._clock.now().isoformat(timespec="seconds"),
            "leaves": self._leaves,
        }
        # Only a remark for the loser's message: no fsync, and a full disk must not fail the holder.
        with contextlib.suppress(OSError):
            handle = open_regular(self._holder_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                os.write(handle, json.dumps(note).encode())
            finally:
                os.close(handle)

    @property
    def _holder_path(self) -> Path:
        return self.path.with_name(self.path.stem + ".holder.lock")

    def holder(self) -> str:
        """Who holds it, as far as the remark says."""
        try:
            handle = open_regular(self._holder_path, os.O_RDONLY)
            try:
                note = json.loads(os.read(handle, 4096))
            finally:
                os.close(handle)
            host = "" if note["host"] == socket.gethostname() else f" on {str(note['host'])[:60]}"
            return f"{str(note['program'])[:60]} (process {int(note['pid'])}{host}, since {str(note['since'])[:30]})"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "another process"

    def sign_out(self, *, at_end: bool = False) -> None:
        """Take the remark back, by who holds the lock: one that is left shows that its holder died.

        Args:
            at_end: Only say in the remark that it will be taken back at the end.
        """
        if at_end:
            self._leaves = True
            self._sign()
            return
        with contextlib.suppress(OSError):
            self._holder_path.unlink()

    def sign_of_life(self) -> None:
        """Stamp the remark with this moment; takes no room, so that a full disk does not matter."""
        with contextlib.suppress(OSError):
            os.utime(self._holder_path)

    def left_behind(self) -> Remains | None:
        """What a holder left that died while it held this; None where one lives, or ended in order. Only looks."""
        if not self.path.exists() or is_alive(self.path, unreadable=True):
            return None
        try:
            handle = open_regular(self._holder_path, os.O_RDONLY)
            try:
                note, stamp = json.loads(os.read(handle, 4096)), os.fstat(handle).st_mtime
            finally:
                os.close(handle)
            if note.get("leaves") is not True:
                return None
            since = datetime.fromisoformat(note["since"]).astimezone(UTC)
            about = datetime.fromtimestamp(stamp, UTC)
            return Remains(
                str(note["program"])[:60], int(note["pid"]), since, about if stamp > since.timestamp() + 2 else None
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a holder that died.

    Attributes:
        program: What it was.
        process: Its number.
        since: When it took the role.
        about: Its last sign of life; None where it gave none after it began.
    """

    program: str
    process: int
    since: datetime
    about: datetime | None


class Claim:
    """A role that one process has to itself until it lets go or dies, such as the monitor of a base.

    Who lets go takes its remark along, so that a remark without a lock tells of a death.
    """

    def __init__(self, path: Path, role: str, *, clock: Clock | None = None) -> None:
        self.role = role
        self._lock = StoreLock(path, clock=clock)
        self._stack = contextlib.ExitStack()
        self._released = False
        try:
            self._stack.enter_context(self._lock.hold(timeout=0))
            self._lock.sign_out(at_end=True)
        except LockTimeoutError as error:
            raise LockTimeoutError(
                f"{path.parent} already has a {role}: {self._lock.holder()}",
                hint="stop that one first, or look on: midas-tui attaches to a service, --read-only opens beside one",
            ) from error

    def release(self) -> None:
        """Let another process take the role; twice is fine."""
        if not self._released:
            self._released = True
            self._lock.sign_out()
        self._stack.close()

    def sign_of_life(self) -> None:
        """Show that its holder lives; what is shown last is when a dead one was seen last."""
        self._lock.sign_of_life()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
