"""How many may sit at the terminal at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A page that is loaded again opens its socket before the end of the old one is seen.
GLANCE_SECONDS = 1.5
# The old program closes within this, or is killed.
LEAVE_SECONDS = 10.0
MOST_WAITING = 8


class Places:
    """`count` places; one that is being left is soon free."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._leaving = 0
        self._waiting = 0
        self._changed = asyncio.Condition()

    async def take(self) -> bool:
        """Take a place; False when all stay taken."""
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            async with self._changed:
                await self._wait(lambda: self._free + self._leaving > 0, GLANCE_SECONDS)
                await self._wait(lambda: self._free > 0, LEAVE_SECONDS if self._leaving else 0.0)
                self._free -= 1
                return True
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    async def _wait(self, ready: Callable[[], bool], seconds: float) -> None:
        if not ready():
            await asyncio.wait_for(self._changed.wait_for(ready), seconds)

    async def leave(self) -> None:
        """Whoever sat here is gone; the place is not free yet."""
        async with self._changed:
            self._leaving += 1
            self._changed.notify_all()

    async def free(self) -> None:
        """The place can be taken again."""
        async with self._changed:
            self._leaving -= 1
            self._free += 1
            self._changed.notify_all()

    async def all_free(self) -> None:
        """Return once nobody sits here."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._free == self.count)
