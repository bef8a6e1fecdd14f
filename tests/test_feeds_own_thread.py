"""A source in a thread of its own ends with it: nothing that its client began is left to be destroyed."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from midas_engine.market.feeds.own_thread import OwnThread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.market.feeds.base import Candle, Settlement


class Throttled:
    """A source whose client holds requests back as ccxt does: by a task of the client's own."""

    name, bar_seconds = "throttled", 60

    async def symbols(self) -> Sequence[str]:
        from ccxt.async_support.base.throttler import Throttler

        hold = Throttler({"refillRate": 1e-9, "tokens": -1})
        self.waits = hold()  # the task behind it turns for as long as somebody waits
        await asyncio.sleep(0)
        return ("BTCUSDT",)

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        await self.waits
        return ()

    async def settlements(self, symbol: str, since_ms: int) -> Sequence[Settlement]:
        return ()

    async def close(self) -> None:
        """It closes its connections, and forgets its throttle."""


@pytest.mark.parametrize("asked", [False, True], ids=["nobody waits", "a request waits"])
async def test_what_a_client_left_behind_is_ended_and_not_destroyed(
    caplog: pytest.LogCaptureFixture, asked: bool
) -> None:
    source = OwnThread(Throttled())
    assert await source.symbols() == ("BTCUSDT",)
    waiting = asyncio.ensure_future(source.candles("BTCUSDT", 0)) if asked else None
    await asyncio.sleep(0)
    await source.close()
    if waiting is not None:
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    del source
    gc.collect()
    assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == []
