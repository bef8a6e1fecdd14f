"""`midas monitor`: the online loop without a terminal, told line by line, until it is stopped."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.signals import cancelling

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from midas_engine.bus import Subscription
    from midas_engine.events import Event
    from midas_engine.runtime import Runtime
    from midas_engine.settings import Settings


@click.command(
    cls=Verb,
    example=(
        "midas monitor --data live:binance",
        "midas monitor --data live:binance:BTCUSDT,ETHUSDT,SOLUSDT@1h --json >> events.jsonl",
        "midas monitor --data follow:./market",
        "midas monitor --data follow:./market@grace=5m --max-failures 10",
    ),
)
@click.option("--bars", type=click.IntRange(1), metavar="N", help="Stop after N live bars [default: never].")
@click.option(
    "--max-failures",
    type=click.IntRange(0),
    metavar="N",
    help="End with an error after N failures of the feed in a row; 0: never [default: 60, about an hour].",
)
@pass_shared
def monitor(shared: Shared, bars: int | None, max_failures: int | None) -> None:
    """Watch the deployed features on live bars, as the terminal does, and print alerts as they come.

    State is kept in the knowledge base's journal: after a stop, however hard, the next start goes on where it ended.
    With --json every event is one JSON document on a line of its own.

    A feed in trouble is told and asked again; the bars missed meanwhile are fetched first. No bar for two intervals is
    a critical alert. A bar that some symbols lack waits for them 30 seconds, or what @grace=TIME at the end of the
    source says (follow:./market@grace=5m); a bar that no symbol has is asked for until it comes. Bars of live:EXCHANGE
    are kept in the market store; store:NAME follows what others add there.
    """
    from midas_engine.errors import FeedError
    from midas_engine.market.feeds.open import FORMS, as_feed, is_live

    settings = shared.settings(monitor__feed_failures=max_failures)
    settings = dataclasses.replace(settings, data=as_feed(settings.data))
    if not is_live(settings.data):
        raise FeedError(f"{settings.data!r} is a recording, not a feed", hint=f"give --data {FORMS}")
    import asyncio  # 40 ms that `midas --help` need not pay

    code = asyncio.run(_watch(shared, settings, bars))
    if code:
        raise click.exceptions.Exit(code)


async def _watch(shared: Shared, settings: Settings, bars: int | None) -> int:
    import asyncio

    from midas_engine.runtime import Runtime

    runtime = Runtime(settings, feed_failures=settings.monitor.feed_failures)
    # Before the start, so that nothing of it is missed.
    events = runtime.bus.subscribe("monitor")
    _end_by_itself(runtime, events, bars)
    teller = asyncio.create_task(_tell(shared, events), name="teller")
    try:
        with cancelling(lambda: _ended(runtime, events)) as came:
            await _before(runtime.start(), teller)
            await teller
    finally:
        await runtime.stop()
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


async def _tell(shared: Shared, events: Subscription) -> None:
    import asyncio

    from midas_engine.cli.monitor_lines import Watchman

    watchman = Watchman(as_json=shared.as_json)
    async for event in events:
        await asyncio.to_thread(watchman.tell, event)  # a reader that has stopped reading holds up nobody else
    await asyncio.to_thread(watchman.flush)
