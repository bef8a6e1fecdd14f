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
from midas_engine.service.vitals import Vital, disk_free
from midas_engine.text import bytes_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from midas_engine.kb.locks import Remains
    from midas_engine.models import Alert

_KINDS = {"knowledge": "documents", "skills": "documents", "proposer": "documents", "reports": "reports"}
_KINDS |= {"runs": "runs", FOLDER: "log and alarms"}
LOOK_SECONDS = 5.0
# Roles that one process has to itself, and what each is, the widest first.
_HELD = {ROLE: "the base", "monitor": "the watch of its features", "sender": "what leaves to others"}


@dataclass(frozen=True, slots=True)
class Died:
    """Who held a base last and died.

    Attributes:
        remains: What is left of it.
        held: What it had to itself, in words.
    """

    remains: Remains
    held: tuple[str, ...]

    def sentence(self) -> str:
        """Who, when, and what it held."""
        r = self.remains
        when = "at an unknown time" if r.about is None else f"at about {r.about:%Y-%m-%d %H:%M} UTC"
        return (
            f"{r.program} (process {r.process}) ended without saying goodbye {when} (killed, or the machine went "
            f"down): since {r.since:%Y-%m-%d %H:%M} UTC it held {', '.join(self.held)}; the next start goes on there."
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Who holds a base.

    Attributes:
        vital: How the service is; None where none answers.
        holder: Who holds the base: a program and its process; empty when nobody does.
        alerts: The running alerts of the service.
        died: Who held it last and died before it could let go; None where nobody did.
        disk_free_bytes: What the base's disk has left; NaN where that cannot be asked.
    """

    vital: Vital | None = None
    holder: str = ""
    alerts: tuple[Alert, ...] = ()
    died: Died | None = None
    disk_free_bytes: float = math.nan

    def sentence(self, now: datetime) -> str:
        """What runs, since when, and how old the newest bar is."""
        v = self.vital
        if v is None:
            if self.holder:
                return f"The base is held by {self.holder}, which does not answer: how it is, is not known."
            nothing = "Nothing runs on this base: no feature is watched."
            return nothing if self.died is None else f"{self.died.sentence()} {nothing}"
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
            return Standing(vital, "", alerts, disk_free_bytes=vital.disk_free_bytes)
        except (GoneError, MidasError):
            pass
        finally:
            client.close()
    holder = holder_of(base)
    return Standing(None, holder, died=None if holder else died_of(base), disk_free_bytes=disk_free(base))


def died_of(base: Path) -> Died | None:
    """Who died while it held a base; None where the last one ended in order. Makes nothing."""
    found = {role: StoreLock(base / f"{role}.lock").left_behind() for role in _HELD}
    first = next((remains for remains in found.values() if remains is not None), None)
    if first is None:
        return None
    held = [_HELD[role] for role, remains in found.items() if remains is not None and remains.process == first.process]
    return Died(first, tuple(held))


def holder_of(base: Path) -> str:
    """Who holds the service's or the monitor's lock of a base; empty when nobody does. Makes nothing."""
    for role in (ROLE, "monitor"):
        lock = base / f"{role}.lock"
        if not lock.exists():
            continue
        # Looked at, not taken: who takes it signs as its holder, over what the last one left.
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
    return ", ".join(f"{kind} {bytes_text(size)}" for size, kind in shown) or "nothing"


def _span(seconds: float) -> str:
    if seconds < 0:
        return "0 s"
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"
