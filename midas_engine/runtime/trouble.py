"""What is wrong now: looked for every second while Midas runs, told when it begins and when it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, ReadOnlyError, SettingsError
from midas_engine.events import Trouble, TroubleChanged

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from midas_engine.bus import EventBus
    from midas_engine.kb import KnowledgeBase

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
    """The part of the runtime that looks for trouble."""

    bus: EventBus
    mode: str
    now: Callable[[], datetime]

    @property
    def kb(self) -> KnowledgeBase:
        """Given by the runtime."""
        raise AttributeError("kb")

    def _init_troubles(self) -> None:
        self._troubles: tuple[Trouble, ...] = ()
        self._held = ""
        self._had_base = False

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong now, the worst first."""
        return self._troubles

    def refuse_without_base(self) -> None:
        """Raise when the folder that was opened is not there any more."""
        lost = self.kb.lost() if self._had_base else ""
        if lost:
            raise ReadOnlyError(f"the knowledge base is gone: {lost}", hint="put the folder back, or restart Midas")

    async def look_for_trouble(self) -> None:
        """Look once, and tell what changed."""
        try:
            found = await asyncio.to_thread(look, self.kb, held=self._held) if self._had_base else ()
        except MidasError as error:
            found = (Trouble("BASE DAMAGED", error.message, error.hint),)
        if found != self._troubles:
            self._troubles = found
            self.bus.publish(TroubleChanged(at=self.now(), troubles=found))

    async def _keep_looking(self) -> None:
        while True:
            await self.look_for_trouble()
            await asyncio.sleep(LOOK_SECONDS)
