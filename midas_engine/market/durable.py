"""How market data reaches the disk: a temporary file beside it, fsync, rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import os
import re
from typing import IO, TYPE_CHECKING

from midas_engine.alive import runs
from midas_engine.regular import refuse_replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>[0-9]{1,10})\.tmp", re.DOTALL)


def write_durably(target: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file that then stands at `target`: the old content or the new one, after any crash.

    Raises:
        OSError: The disk refused; what was there before is there still.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    refuse_replacing(target)
    try:
        with open(temporary, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(target.parent)


def left_behind(name: str, target: str | None = None) -> bool:
    """Whether a file of this name is the temporary of a dead writer (of `target`, or of anything)."""
    found = _TEMPORARY.fullmatch(name)
    return found is not None and target in (None, found["name"]) and not runs(int(found["pid"]))


def sweep(folder: Path, target: str | None = None) -> None:
    """Remove what dead writers (of `target`, or of anything) left in `folder`."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if left_behind(name, target):
                with contextlib.suppress(OSError):
                    (folder / name).unlink()


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` survive a power cut."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # Windows cannot open folders
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
