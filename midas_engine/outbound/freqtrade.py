"""Orders to a freqtrade bot through its REST API (`api_server`), written from its documentation and public source.

With `pairs` an order concerns those pairs: they go on the blacklist, and with `on-kill = "flatten"` their open trades
are closed. Without `pairs` it concerns the bot: no more entries, and all trades are closed. What was asked for is read
back before it is acknowledged.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from midas_engine.errors import SettingsError
from midas_engine.outbound.destination import words
from midas_engine.outbound.http_post import DeliveryError, ask_json
from midas_engine.outbound.order import STOPPING, Receipt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.order import Order

ON_KILL = ("hold", "flatten")
_EXITS = 4
"""Exits asked for in one try: freqtrade takes five a minute."""


class Freqtrade:
    """A freqtrade bot.

    Raises:
        SettingsError: Its address, user or password cannot be used.
    """

    can = "hold (no new entries) or flatten, per pair or per bot; it has no lease of its own"
    leased = False
    most_pause = 30.0

    def __init__(self, address: Address) -> None:
        address.take(("features", "clear-text", "user", "pairs", "on-kill"))
        self._url = address.url().removesuffix("/api/v1") + "/api/v1"
        self._pairs = words(address.options.get("pairs", ""))
        self._on_kill = address.options.get("on-kill", "hold")
        if self._on_kill not in ON_KILL:
            raise SettingsError(f"{address}: on-kill = {self._on_kill!r}", hint="hold or flatten")
        login = f"{address.options.get('user', 'freqtrader')}:{address.password()}"
        self._basic = "Basic " + base64.b64encode(login.encode()).decode()
        self._token = ""

    async def deliver(self, order: Order, stopped: tuple[str, ...]) -> Receipt:
        """Bring the bot to where it should stand; said twice it changes nothing."""
        if order.action not in STOPPING:
            return await self._release(stopped)
        note = await (self._bar(self._pairs) if self._pairs else self._no_entries())
        if order.action == "kill" and self._on_kill == "flatten":
            left = await self._flatten()
            if left:
                return Receipt(False, f"{note}; {left} trade(s) still close")
        return Receipt(True, note)

    async def beat(self, beat: Mapping[str, object]) -> None:
        """Freqtrade takes no heartbeats; the example strategy reads the lease from a file."""

    async def lost(self, held: Mapping[str, Order]) -> Collection[str]:
        """All, where a pair is off the blacklist or the bot takes entries: a restart forgets both."""
        if self._pairs:
            listed = await self._blacklist("GET")
            return () if all(pair in listed for pair in self._pairs) else tuple(held)
        return () if await self._entries_stopped() else tuple(held)

    # -- hold ----------------------------------------------------------------------------------------

    async def _bar(self, pairs: tuple[str, ...]) -> str:
        listed = await self._blacklist("GET")
        missing = [pair for pair in pairs if pair not in listed]
        if missing:
            await self._call("POST", "blacklist", {"blacklist": missing})
            listed = await self._blacklist("GET")
        absent = [pair for pair in pairs if pair not in listed]
        if absent:
            raise DeliveryError(f"{', '.join(absent)} did not come on the blacklist")
        return f"on the blacklist: {', '.join(pairs)}"

    async def _no_entries(self) -> str:
        if not await self._entries_stopped():
            await self._call("POST", "stopentry")
            if not await self._entries_stopped():
                raise DeliveryError("the bot still takes entries")
        return "the bot takes no entries"

    async def _entries_stopped(self) -> bool:
        shown = await self._call("GET", "show_config")
        # later versions pause the bot, earlier ones allow no trade more
        return shown.get("state") in ("paused", "stopped") or shown.get("max_open_trades") in (0, 0.0)

    # -- flatten -------------------------------------------------------------------------------------

    async def _flatten(self) -> int:
        trades = await self._trades()
        for trade in [t for t in trades if not t.get("has_open_orders")][:_EXITS]:
            await self._call("POST", "forceexit", {"tradeid": str(trade["trade_id"])})
        return len(await self._trades()) if trades else 0

    async def _trades(self) -> list[dict[str, Any]]:
        found = await self._call("GET", "status")
        if not isinstance(found, list):
            raise DeliveryError("its open trades cannot be read")
        return [t for t in found if t.get("is_open", True) and (not self._pairs or t["pair"] in self._pairs)]

    # -- release -------------------------------------------------------------------------------------

    async def _release(self, stopped: tuple[str, ...]) -> Receipt:
        if stopped:
            return Receipt(True, f"it stays stopped for {', '.join(stopped)}")
        if self._pairs:
            listed = await self._blacklist("GET")
            if found := [pair for pair in self._pairs if pair in listed]:
                await self._call("DELETE", "blacklist?" + urlencode([("pairs_to_delete", pair) for pair in found]))
            return Receipt(True, "off the blacklist")
        shown = await self._call("GET", "show_config")
        if shown.get("state") != "running":
            await self._call("POST", "start")
        elif shown.get("max_open_trades") in (0, 0.0):
            await self._call("POST", "reload_config")
        if await self._entries_stopped():
            raise DeliveryError("the bot still takes no entries")
        return Receipt(True, "the bot takes entries again")

    # -- asking --------------------------------------------------------------------------------------

    async def _blacklist(self, method: str) -> list[str]:
        answer = await self._call(method, "blacklist")
        return list(answer["blacklist"]) + list(answer.get("blacklist_expanded", []))

    async def _call(self, method: str, path: str, document: Any = None) -> Any:
        """Ask with the token; log in where there is none yet, or where it ran out."""
        for fresh in (False, True):
            if fresh or not self._token:
                await self._login()
            try:
                bearer = {"Authorization": f"Bearer {self._token}"}
                return await ask_json(method, f"{self._url}/{path}", document, bearer)
            except DeliveryError as error:
                if fresh or "HTTP 401" not in error.message:
                    raise
        raise DeliveryError("it takes no token")

    async def _login(self) -> None:
        answer = await ask_json("POST", f"{self._url}/token/login", {}, {"Authorization": self._basic})
        self._token = str(answer["access_token"])
