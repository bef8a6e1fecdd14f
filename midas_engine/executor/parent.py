"""A worker process ends when its parent does, however that died."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Called first in every worker: nothing it does outlives the process that asked for it.

    The pipe between the two closes when the parent ends; a thread waits for that. On Linux the kernel is asked to
    kill the worker as well, for one that is deep in compiled code and gives its threads no turn.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    threading.Thread(target=_watch, args=(parent.sentinel,), name="midas-parent-watch", daemon=True).start()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if parent.pid is not None and os.getppid() != parent.pid:
            os._exit(1)  # it died before the kernel was asked


def _watch(sentinel: int) -> None:
    with contextlib.suppress(OSError):
        wait([sentinel])
    os._exit(1)
