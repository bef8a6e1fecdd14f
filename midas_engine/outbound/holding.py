"""Whether a far side still holds what it acknowledged; it is ordered again where it does not. And the heartbeat.

A bot that is restarted forgets: freqtrade its run-time blacklist, a receiver whose disk was new everything. The kill is
latched here, so it is here that the difference is noticed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.clock import Clock
    from midas_engine.outbound.delivery import Delivery

LOOK_SECONDS = 20.0
_PATIENCE = 15.0
_MOST_NAMES = 5


class Holding:
    """Looks after one far side: a heartbeat where it takes one, and the question whether it holds its orders.

    Args:
        delivery: Its orders.
        clock: Times it.
        lease_seconds: How long a heartbeat holds; three are sent in that time. 0: none is sent.
        again_seconds: How often what was acknowledged is said again to one that cannot be asked; 0: never.
        knows: Whether the base can be followed: who does not know the kills does not say that all is well.
        shout: Told of what is wrong, and of its end.
    """

    def __init__(
        self,
        delivery: Delivery,
        clock: Clock,
        lease_seconds: float,
        again_seconds: float,
        knows: Callable[[], bool],
        shout: Callable[[str, str], None],
    ) -> None:
        self._delivery, self._clock, self._knows, self._shout = delivery, clock, knows, shout
        self._lease = lease_seconds if delivery.destination.leased else 0.0
        self._again = again_seconds
        self._said_at = clock.monotonic()
        self._silent = self._unasked = ""
        self._lost: frozenset[str] = frozenset()

    async def run(self) -> None:
        """For ever: a heartbeat, a look, a pause."""
        while True:
            if self._lease and self._knows():
                await self._beat()
            if not self._silent:  # who is not there is asked when it is back
                await self.look()
            await self._clock.sleep(self._lease / 3 or LOOK_SECONDS)

    async def _beat(self) -> None:
        """Say that this engine lives and follows its base; a far side that hears nothing does what it was set to."""
        delivery, now = self._delivery, self._clock.now()
        beat: Mapping[str, object] = {
            "midas": 1,
            "key": f"lease:{int(now.timestamp() * 1e3)}",
            "action": "lease",
            "destination": delivery.address.name,
            "at": now.isoformat(),
            "seconds": self._lease,
            "stopped": list(delivery.stopped()),
        }
        try:
            async with asyncio.timeout(self._lease):  # `wait_for` may swallow the end of this task
                await delivery.destination.beat(beat)
        except Exception as error:
            if not self._silent:
                self._shout(f"{delivery.address.name}: a heartbeat did not arrive: {error}", "warning")
            self._silent = str(error) or "no answer"
            return
        if self._silent:
            self._shout(f"{delivery.address.name}: heartbeats arrive again", "info")
        self._silent = ""

    async def look(self) -> None:
        """Ask once, and order again what is not held; one that cannot be asked is told again now and then."""
        delivery, held = self._delivery, self._delivery.held()
        if not held:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                lost = await delivery.destination.lost(held)
        except Exception as error:
            if not self._unasked:
                count = f"{len(held)} order(s)"
                self._shout(f"{delivery.address.name}: whether it holds its {count} is unknown: {error}", "warning")
            self._unasked = str(error) or "no answer"
            return
        if self._unasked:
            self._unasked = ""
            self._shout(f"{delivery.address.name}: it can be asked again what it holds", "info")
        if lost is None:
            if self._again and self._clock.monotonic() - self._said_at >= self._again:
                self._said_at = self._clock.monotonic()
                await delivery.say_again(held)
            return
        gone = frozenset(lost) & set(held)
        if gone - self._lost:
            names = ", ".join(sorted(gone)[:_MOST_NAMES]) + (" ..." if len(gone) > _MOST_NAMES else "")
            words = f"{delivery.address.name} ({delivery.address.kind}): it no longer holds what it acknowledged"
            self._shout(f"{words}: {names}; it is ordered again", "critical")
        elif self._lost and not gone:
            self._shout(f"{delivery.address.name}: it holds every order again", "info")
        self._lost = gone
        if gone:
            await delivery.reopen({name: held[name] for name in gone}, "it no longer held it")
