"""Who has the journal open: a kernel lock beside it, shared by all who write, whole for the one who salvages.

The lock dies with its process and stays with a suspended one, so a salvage never renames a file under another writer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import weakref
from typing import TYPE_CHECKING

from midas_engine.clock import WallClock
from midas_engine.errors import JournalError
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_POLL = 0.02
_NAP = threading.Event()  # never set: only to wait on


class Presence:
    """A hold on the lock file of one journal; ends with `release`, with the object and with the process.

    Args:
        path: The journal.
        alone: True asks to be the only one, for a salvage.
        seconds: How long to wait.

    Raises:
        JournalError: Others are there; says which processes, as far as the system tells.
        OSError: The lock file cannot be made.
    """

    def __init__(self, path: Path, *, alone: bool = False, seconds: float = 0.0) -> None:
        lock = path.with_name(path.name + ".lock")
        handle = open_regular(lock, os.O_RDWR | os.O_CREAT)
        self._close = weakref.finalize(self, os.close, handle)
        clock = WallClock()
        end = clock.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                    self.release()
                    raise
            if clock.monotonic() >= end:
                who = _holders(handle)
                self.release()
                raise _refusal(path, who, alone=alone)
            _NAP.wait(_POLL)

    def release(self) -> None:
        """Let go; twice is fine."""
        self._close()


def _refusal(path: Path, who: str, *, alone: bool) -> JournalError:
    if alone:
        return JournalError(
            f"the journal {path} is damaged, and {who} has it open, so it was left as it is",
            hint="stop the monitor, session or terminal that uses this base, then run the same command again: "
            "it saves every row that can be read",
        )
    return JournalError(f"the journal {path} is being mended by {who}", hint="wait for it and try again")


def _holders(handle: int) -> str:
    """The processes that hold the lock, where the kernel lists them."""
    found: list[str] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        info = os.fstat(handle)
        name = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
        with open("/proc/locks", encoding="ascii", errors="replace") as lines:
            for line in lines:
                parts = line.split()
                if "->" not in parts and len(parts) > 5 and parts[5] == name and parts[4] not in found:
                    found.append(parts[4])
    own = [pid for pid in found if pid == str(os.getpid())]
    others = [pid for pid in found if pid not in own and pid != "0"]
    if others:
        return f"process {', '.join(others[:5])}"
    return "this very process" if own else "another process"
