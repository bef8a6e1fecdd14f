"""One destination's orders on their way: on disk first, then sent until they are acknowledged."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError
from midas_engine.monitor.worker import Worker
from midas_engine.outbound.order import STOPPING
from midas_engine.outbound.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.clock import Clock
    from midas_engine.outbound.destination import Address, Destination
    from midas_engine.outbound.order import Order
    from midas_engine.outbound.outbox import Outbox, Posted

FIRST_PAUSE = 0.2
AT_ONCE = 8
_PATIENCE = 15.0
"""Seconds one try may take, whatever its destination does."""


class Delivery:
    """Sends what is in an outbox, oldest first per feature, features side by side, with a growing pause after failures.

    Args:
        address: Who it is.
        destination: Takes the orders.
        outbox: Holds them.
        clock: Times the pauses.
        shout: Told of what fails, once for as long as it fails, and of its end.
    """

    def __init__(
        self,
        address: Address,
        destination: Destination,
        outbox: Outbox,
        clock: Clock,
        shout: Callable[[str, str], None],
    ) -> None:
        self.address, self.destination, self.outbox = address, destination, outbox
        self._clock, self._shout = clock, shout
        self.worker = Worker(f"midas-outbox-{address.name}")
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._works = asyncio.Event()
        self._disk = ""
        self._rng = random.Random()
        self.failing = ""

    @property
    def unwritten(self) -> bool:
        """Whether the disk refuses its outbox now."""
        return bool(self._disk)

    async def post(self, orders: list[Order]) -> None:
        """Take orders in and send them. A disk that refuses is told and keeps no order back: the kill file has them."""
        now = self._clock.now().isoformat()
        for order in orders:
            await self._write(lambda o=order: self.outbox.post(o, now))  # type: ignore[misc]
        self.go()

    async def _write(self, call: Callable[[], object]) -> None:
        try:
            await self.worker.submit(call)
        except MidasError as error:
            if not self._disk:
                self._tell(f"its outbox cannot be written: {error.message}; orders are sent all the same", "critical")
            self._disk = error.message
            return
        if self._disk:
            self._disk = ""
            self._tell("its outbox is written again", "info")

    def stopped(self) -> tuple[str, ...]:
        """Features that stand still by the newest order about each."""
        newest = {p.order.feature: p.order.action for p in self.outbox.posted.values()}
        return tuple(sorted(name for name, action in newest.items() if action in STOPPING))

    def held(self) -> dict[str, Order]:
        """By feature the order that stopped it and was acknowledged, where nothing was said about it since."""
        newest = {p.order.feature: p for p in self.outbox.posted.values()}
        return {name: p.order for name, p in newest.items() if p.order.action in STOPPING and p.state == "acknowledged"}

    async def reopen(self, orders: Mapping[str, Order], why: str) -> None:
        """Send orders again that were acknowledged, as long as they are the newest about their feature."""
        now, held = self._clock.now().isoformat(), self.held()
        for name, order in orders.items():
            if held.get(name) == order:
                await self._write(lambda o=order: self.outbox.reopen(o.key, now, why))  # type: ignore[misc]
        self.go()

    async def say_again(self, orders: Mapping[str, Order]) -> None:
        """Send orders once more under the keys they had; from the first that fails on they are open again."""
        for name, order in orders.items():
            if self.held().get(name) != order:
                continue
            try:
                async with self._slots, asyncio.timeout(_PATIENCE):
                    receipt = await self.destination.deliver(order, self.stopped())
                why = "" if receipt.acknowledged else receipt.note or "it is not acknowledged any more"
            except Exception as error:
                why = (error.message if isinstance(error, MidasError) else str(error)) or "no answer in time"
            if why:
                await self.reopen(orders, f"said again: {why}")
                return

    def go(self) -> None:
        """Send what is open."""
        for posted in self.outbox.open:
            feature = posted.order.feature
            task = self._running.get(feature)
            if task is None or task.done():
                work = self._send_all(feature)
                self._running[feature] = asyncio.get_running_loop().create_task(work, name=f"order {feature}")

    async def _send_all(self, feature: str) -> None:
        """The orders about one feature, in their order: a kill is never overtaken by what came before it."""
        while (posted := next((p for p in self.outbox.open if p.order.feature == feature), None)) is not None:
            retry = Retry(FIRST_PAUSE, self.destination.most_pause)
            while not await self._send(posted):
                await self._rest(retry.failed(self._clock.monotonic()) * self._rng.uniform(0.75, 1.0))

    async def _rest(self, seconds: float) -> None:
        """A pause that ends when the destination answered somebody else."""
        self._works.clear()
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._works.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _send(self, posted: Posted) -> bool:
        """Send once; True when it was acknowledged and that is on disk."""
        order = posted.order
        try:
            async with self._slots, asyncio.timeout(_PATIENCE):  # `wait_for` may swallow the end of this task
                receipt = await self.destination.deliver(order, self.stopped())
        except asyncio.CancelledError:
            raise
        except Exception as error:
            why = error.message if isinstance(error, MidasError) else f"{type(error).__name__}: {error}"
            await self._failed(order.key, why or "no answer in time")
            return False
        now = self._clock.now().isoformat()
        state = "acknowledged" if receipt.acknowledged else "delivered"
        await self._write(lambda: self.outbox.settle(order.key, state, now, receipt.note))
        if not receipt.acknowledged:
            await self._failed(order.key, receipt.note)
            return False
        if self.failing:
            self.failing = ""
            self._tell("orders are acknowledged again", "info")
        self._works.set()
        return True

    async def _failed(self, key: str, why: str) -> None:
        if not self.failing:
            self._tell(f"an order is not acknowledged: {why}; it is sent again until it is", "critical")
        self.failing = why
        now = self._clock.now().isoformat()
        await self._write(lambda: self.outbox.failed(key, now, why))

    def _tell(self, message: str, severity: str) -> None:
        self._shout(f"{self.address.name} ({self.address.kind}): {message}", severity)

    async def rest(self) -> None:
        """Wait until nothing is on its way."""
        while open_ := [task for task in self._running.values() if not task.done()]:
            await asyncio.wait(open_)

    async def close(self) -> None:
        """Stop sending; what is open is sent at the next start."""
        tasks = [task for task in self._running.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
