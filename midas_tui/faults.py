"""Errors nobody expected: told on the screen and kept in the log; the terminal and its monitor go on."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError
from midas_engine.events import FaultReported

if TYPE_CHECKING:
    from datetime import datetime


def describe(error: BaseException) -> str:
    """What went wrong, in one line: a Midas error in its own words, another with the place it came from."""
    if isinstance(error, MidasError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def fault_of(error: BaseException, where: str, at: datetime) -> FaultReported:
    """The event that keeps an unexpected error in the log."""
    return FaultReported(at=at, where=where, message=describe(error), hint="please report it; Midas goes on")
