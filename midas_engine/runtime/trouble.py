"""What is wrong now: looked for every second while Midas runs, told when it begins and when it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, SettingsError
from midas_engine.events import Trouble, TroubleChanged

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched

LOOK_SECONDS = 1.0
LAST_GOOD = "THRESHOLDS DAMAGED, last good in force"


def look(kb: KnowledgeBase, *, held: str = "") -> tuple[Trouble, ...]:
    """Everything that is wrong with the base and the watch now, the worst first. Reads the disk: call it in a thread.

    Args:
        kb: The base as it was opened.
        held: Who has the watch, where this process does not.
    """
    from midas_engine.monitor.alerts.threshold_file import read_alert_file

    found: list[Trouble] = []
    lost = kb.lost()
    if lost:
        return (Trouble("BASE GONE", lost, "put the folder back, or restart Midas on another; nothing is saved"),)
    _, damaged = kb.last_good_thresholds()
    if damaged:
        found.append(Trouble(LAST_GOOD, damaged, "mend knowledge/thresholds.json; it is read again at once"))
    try:
        read_alert_file(kb)
    except SettingsError as error:
        what = f"{error.message}" + (f" ({error.hint})" if error.hint else "")
        found.append(Trouble(LAST_GOOD, what, "mend knowledge/alert-thresholds.json; it is read again at once"))
    if held:
        hint = "what is seen here is kept in memory only; stop that one first to watch from here"
        found.append(Trouble(f"watched by {held}", f"another process has the watch of this base: {held}", hint))
    return tuple(found)


class Troubles:
    """Looks for trouble.

    Args:
        base: The open base.
        watched: Who has the watch.
        supervisor: Told when something begins or ends.
    """

    def __init__(self, base: OpenBase, watched: Watched, supervisor: Supervisor) -> None:
        self._base, self._watched, self._supervisor = base, watched, supervisor
        self.current: tuple[Trouble, ...] = ()

    async def look(self) -> None:
        """Look once, and tell what changed."""
        base = self._base
        try:
            found = await asyncio.to_thread(look, base.kb, held=self._watched.held) if base.had_base else ()
        except MidasError as error:
            found = (Trouble("BASE DAMAGED", error.message, error.hint),)
        if found != self.current:
            self.current = found
            self._supervisor.bus.publish(TroubleChanged(at=self._watched.now(), troubles=found))

    async def keep_looking(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)
