"""Adding to a file that others read: all of it, through a power cut, or nothing."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from pathlib import Path


def append_whole(path: Path, data: bytes) -> None:
    """Put `data` at the end; what a full disk took of it is taken back, so that the next line begins a line.

    Raises:
        OSError: It was not written; the file is as it was.
    """
    handle = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        add_whole(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def add_whole(handle: int, data: bytes) -> None:
    """`append_whole` to a file that is open for it, not synced.

    Raises:
        OSError: It was not written; the file is as it was.
    """
    size = os.fstat(handle).st_size
    try:
        if os.write(handle, data) != len(data):
            raise OSError(errno.ENOSPC, "the disk took only a part of a line")
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, size)
        raise
