"""A service in the foreground: what happens is told line by line, until a signal, N bars or a feed given up ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.cli.signals import cancelling

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from midas_engine.bus import Subscription
    from midas_engine.cli.monitor_lines import Watchman
    from midas_engine.events import Event
    from midas_engine.runtime import Runtime
    from midas_engine.service.service import Service


async def serve(service: Service, watchman: Watchman, bars: int | None = None) -> int:
    """Run `service` until it is ended; gives the exit code.

    Args:
        service: Not started yet.
        watchman: Tells what happens.
        bars: End after so many live bars; None: never.

    Raises:
        FeedLostError: The feed was given up.
    """
    import asyncio

    runtime = service.runtime
    # Before the start, so that nothing of it is missed.
    events = runtime.bus.subscribe("monitor")
    _end_by_itself(runtime, events, bars)
    teller = asyncio.create_task(_tell(watchman, events), name="teller")
    try:
        with cancelling(lambda: _ended(runtime, events)) as came:
            await _before(service.start(), teller)
            await teller
    finally:
        await service.stop()
        events.close()
        await asyncio.gather(teller, return_exceptions=True)
    if runtime.feed.lost is not None and not came:
        raise runtime.feed.lost
    return came[0] if came else 0


async def _before(start: Coroutine[Any, Any, None], teller: asyncio.Task[None]) -> None:
    """Start, unless the telling ends first: its reader is gone, or somebody asked it to end."""
    import asyncio

    starting = asyncio.ensure_future(start)
    try:
        await asyncio.wait({starting, teller}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
    if not starting.cancelled():
        starting.result()


def _ended(runtime: Runtime, events: Subscription) -> bool:
    """End the telling; False while the start is still under way, which only cancelling ends."""
    events.close()
    return runtime.phase in ("running", "degraded")


def _end_by_itself(runtime: Runtime, events: Subscription, bars: int | None) -> None:
    """Close the events after `bars` live bars, or once the feed is given up, however far the telling is behind."""
    from midas_engine.events import BarProcessed, FaultReported

    left = [bars or 0]

    def look(event: Event) -> None:
        if isinstance(event, BarProcessed) and runtime.phase in ("running", "degraded"):
            left[0] -= 1
        last = isinstance(event, FaultReported) and runtime.feed.lost is not None
        if last or (isinstance(event, BarProcessed) and left[0] == 0 and bars):
            events.offer(event)  # who closes hears nothing more: the last word first
            events.close()

    runtime.bus.tap(look)


async def _tell(watchman: Watchman, events: Subscription) -> None:
    import asyncio

    async for event in events:
        await asyncio.to_thread(watchman.tell, event)  # a reader that has stopped reading holds up nobody else
    await asyncio.to_thread(watchman.flush)
