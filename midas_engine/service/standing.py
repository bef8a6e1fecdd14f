"""What holds a base, said in one sentence, and what it takes on disk. Nothing reads healthy by default."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.alive import is_alive
from midas_engine.errors import MidasError
from midas_engine.kb.locks import StoreLock
from midas_engine.service.client import GoneError, reach
from midas_engine.service.place import FOLDER, ROLE
from midas_engine.service.vitals import Vital

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from midas_engine.models import Alert

_KINDS = {"knowledge": "documents", "skills": "documents", "proposer": "documents", "reports": "reports"}
_KINDS |= {"runs": "runs", FOLDER: "log and alarms"}
LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Who holds a base.

    Attributes:
        vital: How the service is; None where none answers.
        holder: Who holds the base: a program and its process; empty when nobody does.
        alerts: The running alerts of the service.
    """

    vital: Vital | None = None
    holder: str = ""
    alerts: tuple[Alert, ...] = ()

    def sentence(self, now: datetime) -> str:
        """What runs, since when, and how old the newest bar is."""
        v = self.vital
        if v is None:
            if self.holder:
                return f"The base is held by {self.holder}, which does not answer: how it is, is not known."
            return "Nothing runs on this base: no feature is watched."
        watched = "its features cannot be read" if v.features is None else _number_of(v.features.get("deployed", 0))
        bar = "no bar has come yet"
        if v.newest is not None and not math.isnan(v.age_seconds):
            bar = f"the newest bar closed {_span(v.age_seconds)} ago"
        how = "all is well" if v.healthy else f"NOT WELL: {v.why}"
        return (
            f"A service runs since {v.since:%Y-%m-%d %H:%M} UTC ({_span((now - v.since).total_seconds())}) on "
            f"{v.source} with {watched}; {bar}; {how}."
        )


def _number_of(deployed: int) -> str:
    return f"{deployed} deployed feature{'' if deployed == 1 else 's'}"


def standing_of(base: Path) -> Standing:
    """Ask who holds a base; changes nothing and waits for a few seconds at most."""
    client = reach(base)
    if client is not None:
        try:
            from midas_engine.models import Alert

            vital = client.call("service.look", Vital, seconds=LOOK_SECONDS)
            alerts = client.call("service.alerts", tuple[Alert, ...], seconds=LOOK_SECONDS)
            return Standing(vital, "", alerts)
        except (GoneError, MidasError):
            pass
        finally:
            client.close()
    return Standing(None, holder_of(base))


def holder_of(base: Path) -> str:
    """Who holds the service's or the monitor's lock of a base; empty when nobody does. Makes nothing."""
    for role in (ROLE, "monitor"):
        lock = base / f"{role}.lock"
        if not lock.exists():
            continue
        try:
            with StoreLock(lock).hold(timeout=0):
                pass
        except MidasError:
            return StoreLock(lock).holder()
        except PermissionError:  # somebody else's base, or one on a disk that cannot be written
            if is_alive(lock, unreadable=True):
                return StoreLock(lock).holder()
    return ""


def bytes_by_kind(base: Path) -> dict[str, int]:
    """What a base takes on disk: documents, reports, journal, runs, log and alarms, other."""
    found = dict.fromkeys(("documents", "journal", "reports", "runs", "log and alarms", "other"), 0)
    for folder, folders, names in os.walk(base):
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
        top = os.path.relpath(folder, base).split(os.sep)[0]
        for name in names:
            kind = _KINDS.get(top, "other")
            if top == "." and name.startswith("journal.sqlite"):
                kind = "journal"
            try:
                found[kind] += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return found


def in_bytes(sizes: Mapping[str, int]) -> str:
    """Sizes on one line, the largest first."""
    shown = sorted(((size, kind) for kind, size in sizes.items() if size), reverse=True)
    return ", ".join(f"{kind} {_size(size)}" for size, kind in shown) or "nothing"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _span(seconds: float) -> str:
    if seconds < 0:
        return "0 s"
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"
