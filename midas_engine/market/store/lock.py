"""Who may write to the store: one process at a time. The kernel's lock dies with its process."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from midas_engine.errors import DataError
from midas_engine.regular import obstacle, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = ".write.lock"
_HOLDER = ".holder.lock"
_PATIENCE = 10.0
_inside: dict[str, threading.Lock] = {}


@contextlib.contextmanager
def writing(folder: Path, timeout: float = _PATIENCE) -> Iterator[None]:
    """Be the one writer of the store in `folder` for the length of a `with` block.

    Raises:
        DataError: Another process writes, and did not finish in `timeout` seconds; or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        for path in (folder / LOCK, folder / _HOLDER):
            kind = obstacle(path)
            if kind:
                raise DataError(f"{path} is a {kind}, where the store's lock belongs", hint="remove it and try again")
    except OSError as error:
        raise DataError(
            f"the store {folder} cannot be written: {error.strerror or error}",
            hint="check the folder and its permissions, or set another `store`",
        ) from error
    threads = _inside.setdefault(str(folder), threading.Lock())
    if not threads.acquire(timeout=max(timeout, 0.0)):
        raise _refusal(folder, timeout)
    try:
        lock = FileLock(str(folder / LOCK), mode=0o600, thread_local=False)
        try:
            lock.acquire(timeout=timeout, poll_interval=0.02)
        except Timeout as error:
            raise _refusal(folder, timeout) from error
        except OSError as error:
            raise DataError(
                f"the store {folder} cannot be written: {error.strerror or error}", hint="check its permissions"
            ) from error
        try:
            _sign(folder)
            yield
        finally:
            lock.release()
    finally:
        threads.release()


def _refusal(folder: Path, timeout: float) -> DataError:
    return DataError(
        f"the store {folder} is being written by {_holder(folder)}; waited {timeout:g} s",
        hint="wait for it to finish; its lock ends with it",
    )


def _sign(folder: Path) -> None:
    """A remark for the loser's message; only the lock itself decides."""
    verb = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].isalpha() else ""
    note = {"pid": os.getpid(), "program": f"{Path(sys.argv[0] or 'python').name} {verb}".strip()[:60]}
    with contextlib.suppress(OSError):
        handle = open_regular(folder / _HOLDER, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(handle, json.dumps(note).encode())
        finally:
            os.close(handle)


def _holder(folder: Path) -> str:
    try:
        handle = open_regular(folder / _HOLDER, os.O_RDONLY)
        try:
            note = json.loads(os.read(handle, 4096))
        finally:
            os.close(handle)
        return f"{str(note['program'])[:60]} (process {int(note['pid'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
