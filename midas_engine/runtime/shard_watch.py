"""What the live watch says of its shards: one that is down is told at once, and none of its features reads healthy."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from midas_engine.errors import MonitorError
from midas_engine.events import FaultReported, FeatureTicked

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.monitor.shards.shards import ShardNews

_MOST_TICKS = 256


class ShardWatch:
    """Keeps which shards are down, and tells of it.

    Args:
        bus: Where faults and fresh figures are published.
        clock: Engine time.

    Attributes:
        on_change: Called when `trouble` changed.
    """

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        self._bus, self._clock = bus, clock
        self._down: dict[int, ShardNews] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fleet: Callable[[], Fleet | None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None

    def begin(self, loop: asyncio.AbstractEventLoop, fleet: Callable[[], Fleet | None]) -> None:
        """Tell in `loop` from now on, of the fleet that `fleet` gives."""
        self._loop, self._fleet = loop, fleet

    @property
    def trouble(self) -> str:
        """Why some features are not computed now; empty while all are."""
        if not self._down:
            return ""
        first, features = self._down[min(self._down)], sum(len(news.features) for news in self._down.values())
        more = f" and {len(self._down) - 1} more" if len(self._down) > 1 else ""
        return (
            f"shard {first.shard} of {first.shards}{more} is down ({first.why}): {features:,} features are computed "
            f"anew, and no bar is judged before that"
        )

    def tell(self, news: ShardNews) -> None:
        """Take news from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody listens
                self._loop.call_soon_threadsafe(self._take, news)

    def gone(self) -> None:
        """The shards were closed: another set begins without a past. From any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._all_gone)

    def _all_gone(self) -> None:
        if self._down:
            self._down.clear()
            self._settle()

    def _take(self, news: ShardNews) -> None:
        if not news.shard:
            self._say(f"of {news.shards} shards {news.why}; one that ends now takes longer to come back", "warning")
            return
        if news.down:
            self._down[news.shard] = news
            self._settle()
            self._say(self.trouble, "critical")
        else:
            self._down.pop(news.shard, None)
            self._settle()
            self._say(f"shard {news.shard} of {news.shards} is back: it stands where it was, bar for bar", "info")

    def _say(self, message: str, severity: str) -> None:
        self._bus.publish(FaultReported(at=self._clock.now(), where="monitor", message=message, severity=severity))

    def _settle(self) -> None:
        fleet = self._fleet()
        if fleet is not None:
            fleet.absent["shards"] = frozenset(fleet.names if self._down else ())  # no bar is judged: all of it is old
            with contextlib.suppress(MonitorError):  # before the first bar there is nothing to show
                for metrics in fleet.ticks(fleet.last_bar, _MOST_TICKS):
                    self._bus.publish(FeatureTicked(at=metrics.at, metrics=metrics))
        self.on_change()
