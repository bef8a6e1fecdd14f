"""Since you left: when the terminal was closed last, and what changed in the base since then."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from midas_engine.monitor.daily.brief import Brief, brief_since

if TYPE_CHECKING:
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor

KEY = "terminal/left"


class SinceLeft:
    """Remembers when somebody left, and tells what they missed.

    Args:
        base: Where it is remembered.
        supervisor: Its clock.
    """

    def __init__(self, base: OpenBase, supervisor: Supervisor) -> None:
        self._base, self._clock = base, supervisor.clock

    async def note(self) -> None:
        """Somebody leaves now. A base that is read only remembers nothing."""
        journal = self._base.journal
        if journal is not None and not self._base.read_only:
            blob = self._clock.now().isoformat().encode()
            await asyncio.to_thread(journal.put_state, KEY, blob)

    async def brief(self, since: datetime | None = None) -> Brief | None:
        """What changed since `since`, or since somebody left; None where nobody ever did.

        Raises:
            MidasError: The base is not open.
        """
        journal, kb = self._base.journal, self._base.kb
        if since is None:
            blob = None if journal is None else await asyncio.to_thread(journal.get_state, KEY)
            if not blob:
                return None
            since = datetime.fromisoformat(blob.decode("ascii", "replace"))
        return await asyncio.to_thread(brief_since, kb, journal, since, self._clock.now())
