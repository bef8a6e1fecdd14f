"""`OwnThread`: a source asked in a thread and an event loop of its own: a call that never returns blocks nobody."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from midas_engine.errors import FeedError
from midas_engine.market.feeds.faults import HINT

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from midas_engine.market.feeds.base import BarSource, Candle, Settlement

T = TypeVar("T")
_CLOSE_SECONDS = 5.0
_END_SECONDS = 1.0


class OwnThread:
    """`source` behind a wall: whoever asks waits for the answer, and may stop waiting.

    Args:
        source: Whom to ask; from now on only from here.
    """

    def __init__(self, source: BarSource) -> None:
        self._source = source
        self._loop = asyncio.new_event_loop()
        # a daemon: a call that never returns must not keep the program from ending
        self._thread = threading.Thread(target=self._live, name="feed", daemon=True)
        self._closed = False
        self.name = source.name
        self.bar_seconds = source.bar_seconds
        self.grace_seconds: float | None = getattr(source, "grace_seconds", None)
        self._thread.start()

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_let_end())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            call.close()
            raise FeedError(f"{self.name} is closed", hint=HINT)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_settled(call), self._loop))

    async def symbols(self) -> Sequence[str]:
        """See `BarSource.symbols`."""
        return await self._ask(self._source.symbols())

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        """See `BarSource.candles`."""
        return await self._ask(self._source.candles(symbol, since_ms))

    async def settlements(self, symbol: str, since_ms: int) -> Sequence[Settlement]:
        """See `BarSource.settlements`."""
        return await self._ask(self._source.settlements(symbol, since_ms))

    async def server_ms(self) -> float | None:
        """What time the source says it is; None where it does not."""
        ask = getattr(self._source, "server_ms", None)
        return None if ask is None else await self._ask(ask())

    async def close(self) -> None:
        """Let go of the source; of one that does not answer the thread is left behind, to end with the program."""
        if self._closed:
            return
        try:
            await asyncio.wait_for(self._ask(self._source.close()), _CLOSE_SECONDS)
        finally:
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)


async def _let_end() -> None:
    """Cancel what a client left behind, such as ccxt's throttle of requests that nobody waits for any more."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_END_SECONDS)


async def _settled(call: Coroutine[Any, Any, T]) -> T:
    """The result of `call`; a failure that would end the thread's loop instead comes back as an error."""
    try:
        return await call
    except (KeyboardInterrupt, SystemExit) as error:
        raise FeedError(f"the source tried to end the program: {type(error).__name__}", hint=HINT) from error
