"""A store of MLflow that is a folder of files: where it is, whether there is room, what a full disk left of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from midas_engine.errors import MidasError

_ROOM_BYTES = 1_000_000


def folder_of(address: str) -> Path | None:
    """The folder of a store of files; None where something else answers."""
    if not address.startswith("file:"):
        return None
    path = address[7:] if address.startswith("file://") else address[5:]
    return Path(path).expanduser().resolve()


def check_room(folder: Path | None) -> None:
    """MLflow writes its files in place: one that is cut short by a full disk cannot be read again, nor those beside."""
    there = folder
    while there is not None and not there.exists():
        there = None if there == there.parent else there.parent
    if there is None:
        return
    free = shutil.disk_usage(there).free
    if free < _ROOM_BYTES:
        raise MidasError(
            f"the disk of {folder} is full: {free // 1024:,} KB are free, and the mirror writes with "
            f"{_ROOM_BYTES // 1024:,} KB or more",
            hint="free some space; what is missing there is written the next time (`midas mlflow`)",
        )


def torn(folder: Path | None) -> str:
    """What to do about files of the store that were cut short; empty where none was."""
    empty = [path for path in (folder.glob("*/*/meta.yaml") if folder else ()) if path.stat().st_size == 0]
    return f"a full disk cut {empty[0]} short: remove {empty[0].parent}, then `midas mlflow`" if empty else ""
