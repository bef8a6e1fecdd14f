"""The one subscription of the terminal: events in, one flush to the visible screen a quarter second.

Data rate and frame rate are independent; a hidden screen is told nothing and repaints once when
it is shown again. Freezing the display stops the flush, never the engine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.bus import Subscription
    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.store import Store


class Bridge:
    """Drains the bus into the store and calls `flush(topics)` at most `hz` times a second.

    Args:
        store: Where events are folded.
        flush: Told the set of topics that changed; called on the event loop.
        hz: Flushes a second.
    """

    def __init__(self, store: Store, flush: Callable[[set[str]], None], hz: float = 4.0) -> None:
        self._store = store
        self._flush = flush
        self._period = 1.0 / hz
        self._subscription: Subscription | None = None
        self._runtime: RuntimePort | None = None
        self._task: asyncio.Task[None] | None = None
        self._jumps = 0
        self._stale = False
        self.frozen = False
        self.behind = 0

    def attach(self, runtime: RuntimePort) -> None:
        """Start to follow a runtime."""
        self._runtime = runtime
        self._subscription = runtime.bus.subscribe("terminal")
        self._task = asyncio.get_running_loop().create_task(self._run(), name="bridge")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            self.pump()

    def pump(self) -> None:
        """Drain and flush once; also called by tests and after a key that must show at once."""
        if self._subscription is None:
            return
        events = self._subscription.take()
        for event in events:
            self._store.apply(event)
        if self._interrupted():
            self.take_whole()
        if self.frozen:
            self.behind += len(events)
            return
        self.behind = 0
        dirty = self._store.take_dirty()
        if dirty:
            self._flush(dirty)

    def _interrupted(self) -> bool:
        """Whether the stream alone no longer says what is: a jump, another watched set, bars that stopped coming."""
        runtime = self._runtime
        if runtime is None:
            return False
        jumps = runtime.replay.jumps if runtime.replay is not None else self._jumps
        changed = jumps != self._jumps or runtime.queries.stale != self._stale or self._store.watch_moved
        self._jumps, self._stale = jumps, runtime.queries.stale
        return changed

    def take_whole(self) -> None:
        """Take the engine's own state: its alerts and its figures, whatever was told before."""
        if self._runtime is not None:
            self._store.reset_live(
                list(self._runtime.queries.alerts(include_resolved=True)), dict(self._runtime.queries.metrics())
            )

    @property
    def depth(self) -> int:
        """Events waiting for the terminal."""
        return self._subscription.stats.depth if self._subscription else 0

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._subscription is not None:
            self._subscription.close()
