"""Kills, pauses and their ends on their way to the far sides: whoever gave them, the base's own files are followed.

The kill file is read, not the bus: a kill that another process gave, or that fell while nothing ran, goes out too. An
order's key is the kill's id, so that a kill that is read twice is one order.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.errors import MidasError
from midas_engine.events import FeatureMoved
from midas_engine.models import FeatureState
from midas_engine.monitor.worker import Worker
from midas_engine.outbound.delivery import Delivery
from midas_engine.outbound.holding import Holding
from midas_engine.outbound.order import STOPPING, Order
from midas_engine.outbound.outbox import FOLDER, Outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.kb.kill_file import Kills
    from midas_engine.models import FeatureRecord
    from midas_engine.outbound.destination import Address, Destination
    from midas_engine.outbound.outputs import Source

LOOK_SECONDS = 0.25
LIVE = (FeatureState.DEPLOYED, FeatureState.SHADOW)


class KillOutput:
    """Follows a base and gives orders to every destination.

    Args:
        source: The base, its bus and its clock.
        destinations: Where orders go.
        lease_seconds: How long a heartbeat holds; three are sent in that time. 0: none is sent.
        again_seconds: How often orders are said again to a far side that cannot be asked; 0: never.
    """

    name = "kills"

    def __init__(
        self,
        source: Source,
        destinations: Sequence[tuple[Address, Destination]],
        lease_seconds: float,
        again_seconds: float,
    ) -> None:
        self._source = source
        folder = source.kb.path / FOLDER
        self.deliveries = [
            Delivery(address, destination, Outbox(folder / f"{address.name}.log"), source.clock, self._shout)
            for address, destination in destinations
        ]
        self.holdings = [
            Holding(d, source.clock, lease_seconds, again_seconds, lambda: not self._failing, self._shout)
            for d in self.deliveries
        ]
        self._worker = Worker("midas-orders")
        self._tasks: list[asyncio.Task[None]] = []
        self._kills: Kills | None = None
        self._seen: object = None
        self._mark: object = None
        self._paused: dict[str, FeatureRecord] | None = None
        self._failing = ""

    async def start(self) -> None:
        """Read the outboxes and begin; what an earlier run left open is sent."""
        for delivery in self.deliveries:
            damage = await delivery.worker.submit(delivery.outbox.load)
            if damage:
                self._shout(f"{damage}: it is set aside, and every kill that holds is sent again", "critical")
                with contextlib.suppress(MidasError):
                    await delivery.worker.submit(delivery.outbox.mend)
            delivery.go()
        await self.look()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._follow(), name="orders")]
        self._tasks += [loop.create_task(holding.run(), name="lease") for holding in self.holdings]

    async def close(self) -> None:
        """Stop; nothing that is open is forgotten."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for delivery in self.deliveries:
            await delivery.close()

    async def _follow(self) -> None:
        wall, moved = WallClock(), self._source.bus.subscribe("orders", FeatureMoved)
        try:
            while True:
                waits = [asyncio.ensure_future(wall.sleep(LOOK_SECONDS)), asyncio.ensure_future(moved.get())]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                moved.take()
                await self.look()
        finally:
            moved.close()

    async def look(self) -> None:
        """Give the orders that follow from how the base stands now; cheap when nothing changed."""
        try:
            fresh = await self._worker.submit(self._read)
        except (MidasError, OSError) as error:
            if not self._failing:
                self._shout(f"the base cannot be followed, so that no order goes out: {error}", "critical")
            self._failing = str(error)
            return
        if self._failing:
            self._failing = ""
            self._shout("the base is followed again", "info")
        if fresh:
            for delivery in self.deliveries:
                await delivery.post(self._orders(delivery))

    def _read(self) -> bool:
        """Take kill file and pauses as they are; whether either may have changed. Blocking."""
        kb = self._source.kb
        signature, mark = kb.kill_file.signature(), kb.pipeline_mark()
        if signature == self._seen and mark == self._mark:
            return False
        if signature != self._seen or self._kills is None:
            self._kills = kb.kill_file.read()
        if mark != self._mark or self._paused is None:
            self._paused = {r.name: r for state in LIVE for r in kb.features(state)}
        self._seen, self._mark = signature, mark
        return True

    def _orders(self, delivery: Delivery) -> list[Order]:
        """What a destination has not been told yet."""
        assert self._kills is not None
        assert self._paused is not None
        box, state = delivery.outbox, self._kills
        found: list[Order] = []
        sequence = max(box.sequence, int(self._source.clock.now().timestamp() * 1e6))

        def order(key: str, action: str, feature: str, **rest: Any) -> None:
            found.append(Order(key, sequence + len(found) + 1, action, feature, **rest))

        for kill in state.kills.values():
            if kill.id not in box.posted and delivery.address.concerns(kill.feature):
                rest = {"version": kill.version, "reason": kill.reason, "actor": kill.actor, "at": kill.at}
                order(kill.id, "kill", kill.feature, **rest)
        for posted in list(box.posted.values()):
            told, ended = posted.order, f"{posted.order.key}:live"
            # only a named redeploy ends a kill: a file that is gone or damaged, or forgot it, ends none
            over = told.action == "kill" and told.key in state.ended and told.feature not in state.kills
            if over and ended not in box.posted:
                order(ended, "live", told.feature, version=told.version, at=state.lives.get(told.feature, ""))
        for name, record in self._paused.items():
            if name in state.kills or not delivery.address.concerns(name):
                continue
            last = box.last(name)
            before = "" if last is None else last.order.action
            at = "" if record.changed_at is None else record.changed_at.isoformat()
            rest = {"version": record.version, "reason": record.reason, "at": at}
            if record.paused and before not in STOPPING:
                order(f"{name}:pause:{sequence}", "pause", name, **rest)
            elif not record.paused and before == "pause":
                order(f"{name}:resume:{sequence}", "resume", name, **rest)
        return found

    def _shout(self, message: str, severity: str) -> None:
        self._source.fault("orders", message, severity)

    def status(self) -> dict[str, Any]:
        """How every destination stands."""
        return {d.address.name: standing(d.outbox, d.address.kind) for d in self.deliveries}

    def unwritten(self) -> tuple[str, ...]:
        """See `Output.unwritten`: what is sent all the same, and sent again by who comes after."""
        return tuple(f"the outbox of {d.address.name}" for d in self.deliveries if d.unwritten)


def standing(box: Outbox, kind: str) -> dict[str, Any]:
    """How an outbox stands, for `midas kills` and `midas status`."""
    states = [p.state for p in box.posted.values()]
    failing = sorted(p.failing_since for p in box.open if p.failing_since)
    why = next((p.why for p in box.open if p.why), "")
    return {
        "kind": kind,
        **{state: states.count(state) for state in ("pending", "delivered", "acknowledged")},
        "failing_since": failing[0] if failing else None,
        "why": why,
        "damage": box.damage,
    }
