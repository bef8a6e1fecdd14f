"""Who is still at work: locks that end with their process, and temporary folders that name their owner.

A kernel lock tells the dead from the living where a process number cannot: numbers are given again.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import weakref
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from types import TracebackType

_MARK = ".alive"
_MADE: deque[Path] = deque(maxlen=100)
"""Folders of this process: a signal may come while one is made, and a thread that nobody waits for may write into one
that was removed."""
_SCRATCH = re.compile(r"midas-(?:panel|calibrate|compound|demo|replay)-([0-9]{1,10})-[a-z0-9_]+")


class Alive:
    """A file that is locked as long as this process lives and has not released it.

    Args:
        path: The file; it appears with its lock on it.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        young = path.with_name(f"{path.name}-{os.getpid()}")
        handle = open_regular(young, os.O_RDWR | os.O_CREAT)
        self._close = weakref.finalize(self, os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(young, path)

    def release(self) -> None:
        """Remove the file; twice is fine."""
        if self._close.alive:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self._close()


def is_alive(path: Path, *, unreadable: bool = False) -> bool:
    """Whether a living process, or a suspended one, holds the lock of the file at `path`.

    Args:
        path: The file; it is only read.
        unreadable: What is said of one that is gone or may not be read.
    """
    try:
        handle = open_regular(path, os.O_RDONLY)
    except OSError:
        return unreadable
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


class Scratch:
    """A temporary folder; whoever makes the next one sweeps those whose process died.

    Args:
        what: What it is for: "panel", "calibrate", "compound", "demo" or "replay".

    Example:
        >>> with Scratch("panel") as folder:
        ...     folder.is_dir()
        True
        >>> folder.exists()
        False
    """

    def __init__(self, what: str) -> None:
        sweep_scratch()
        self.path = Path(tempfile.gettempdir()) / f"midas-{what}-{os.getpid()}-{secrets.token_hex(6)}"
        _MADE.append(self.path)
        self.path.mkdir(mode=0o700)
        self._alive = Alive(self.path / _MARK)

    def remove(self) -> None:
        """Remove the folder with what is in it; twice is fine."""
        self._alive.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


@atexit.register
def _remove_again() -> None:
    for path in _MADE:
        shutil.rmtree(path, ignore_errors=True)


def sweep_scratch() -> int:
    """Remove this user's temporary folders of dead processes; returns how many."""
    removed = 0
    root = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):
        for name in os.listdir(root):
            match = _SCRATCH.fullmatch(name)
            if match is not None and _abandoned(root / name, int(match[1])):
                shutil.rmtree(root / name, ignore_errors=True)
                removed += 1
    return removed


def _abandoned(folder: Path, process: int) -> bool:
    try:
        info = os.lstat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        return False
    mark = folder / _MARK
    if os.path.lexists(mark):
        return not is_alive(mark)
    return process != os.getpid() and not runs(process)  # it died, or is about to put its mark there


def runs(process: int) -> bool:
    """Whether a process of this number runs; of whose it is nothing is said."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
