"""Since you left: when somebody looked at the base last, and what changed in it since then."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from midas_engine.monitor.daily.brief import Brief, brief_since, seen_by

if TYPE_CHECKING:
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched

KEY = "terminal/left"


class SinceLeft:
    """Remembers when somebody looked last, and tells what they missed. One memory a base, whoever looks.

    Args:
        base: Where it is remembered.
        supervisor: Its clock.
        watched: The monitor, where it runs here.
    """

    def __init__(self, base: OpenBase, supervisor: Supervisor, watched: Watched) -> None:
        self._base, self._clock, self._watched = base, supervisor.clock, watched

    async def note(self) -> None:
        """Somebody has seen all that happened until now. A base that is read only remembers nothing."""
        journal = self._base.journal
        if journal is not None and not self._base.read_only:
            blob = self._clock.now().isoformat().encode()
            await asyncio.to_thread(journal.put_state, KEY, blob)

    async def brief(self, since: datetime | None = None) -> Brief | None:
        """What changed since `since`, or since somebody looked last; None where nobody ever did.

        Raises:
            MidasError: The base is not open.
        """
        journal, kb = self._base.journal, self._base.kb
        if since is None:
            blob = None if journal is None else await asyncio.to_thread(journal.get_state, KEY)
            if not blob:
                return None
            try:
                since = datetime.fromisoformat(blob.decode("ascii", "replace"))
            except ValueError:
                return None  # written by another Midas: as if nobody ever did
        until, monitor = self._clock.now(), self._watched.monitor
        # A large watch's saved state takes gigabytes to read; where it runs here, its days are at hand.
        seen = None if monitor is None else seen_by([monitor.fleet], since, until)
        from midas_engine.outbound.outbox import answers

        orders = await asyncio.to_thread(answers, kb.path)
        return await asyncio.to_thread(brief_since, kb, journal, since, until, seen, orders)

    def returned(self) -> datetime | None:
        """None: the engine runs here, and was never out of reach."""
        return None
