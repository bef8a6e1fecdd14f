"""Orders to a Hummingbot bot through the Hummingbot API, written from its documentation and public source.

With `controllers` an order sets the kill switch of the controller that trades the feature; without, it stops the bot.
What was asked for is read back before it is acknowledged.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from midas_engine.errors import SettingsError
from midas_engine.outbound.destination import words
from midas_engine.outbound.http_post import DeliveryError, ask_json
from midas_engine.outbound.order import STOPPING, Receipt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.order import Order


class Hummingbot:
    """A bot, or the controllers within it.

    Raises:
        SettingsError: Its address, user, bot or controllers cannot be used.
    """

    can = (
        "per controller its own kill switch, which stops its executors and closes what they hold; per bot a stop, with "
        "orders cancelled and positions kept; a stopped bot is started by hand; it has no lease of its own"
    )
    leased = False
    most_pause = 30.0

    def __init__(self, address: Address) -> None:
        address.take(("features", "clear-text", "user", "bot", "controllers"))
        self._url, self._bot = address.url(), address.options.get("bot", "")
        if not self._bot:
            raise SettingsError(f"{address} names no bot", hint=f"set {address.name}.bot to the bot's name")
        self._controllers: dict[str, str] = {}
        for pair in words(address.options.get("controllers", "")):
            feature, mark, controller = pair.partition("=")
            if not mark or not feature or not controller:
                raise SettingsError(f"{address}: {pair!r} names no controller", hint="as in carry=pmm_carry,trend=dman")
            self._controllers[feature.strip()] = controller.strip()
        login = f"{address.options.get('user', 'admin')}:{address.password()}"
        self._headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}

    async def deliver(self, order: Order, stopped: tuple[str, ...]) -> Receipt:
        """Bring controller or bot to where it should stand; said twice it changes nothing."""
        stop = order.action in STOPPING
        controller = self._controllers.get(order.feature)
        if controller is not None:
            others = [f for f in stopped if f != order.feature and self._controllers.get(f) == controller]
            if not stop and others:
                return Receipt(True, f"{controller} stays stopped for {', '.join(others)}")
            return await self._switch(controller, stop)
        if not stop:
            return Receipt(True, f"start {self._bot} by hand: the API cannot start it as it was")
        return await self._stop()

    async def beat(self, beat: Mapping[str, object]) -> None:
        """Hummingbot takes no heartbeats."""

    async def lost(self, held: Mapping[str, Order]) -> Collection[str]:
        """Features whose controller has its kill switch off, and those without one while the bot runs."""
        switched: dict[str, bool] = {}
        for controller in {self._controllers[name] for name in held if name in self._controllers}:
            switched[controller] = await self._switched(controller)
        runs = await self._runs() if any(name not in self._controllers for name in held) else False
        return [
            name for name in held if (runs if name not in self._controllers else not switched[self._controllers[name]])
        ]

    async def _switch(self, controller: str, stop: bool) -> Receipt:
        if await self._switched(controller) is not stop:
            path = f"controllers/bots/{quote(self._bot, safe='')}/{quote(controller, safe='')}/config"
            await self._call("POST", path, {"manual_kill_switch": stop})
            if await self._switched(controller) is not stop:
                raise DeliveryError(f"the kill switch of {controller} did not change")
        return Receipt(True, f"kill switch of {controller} is {'on' if stop else 'off'}")

    async def _switched(self, controller: str) -> bool:
        found = await self._call("GET", f"controllers/bots/{quote(self._bot, safe='')}/configs")
        for config in found:
            if controller in (config.get("_config_name"), config.get("id")):
                return bool(config.get("manual_kill_switch"))
        raise DeliveryError(f"{self._bot} has no controller {controller}")

    async def _stop(self) -> Receipt:
        if await self._runs():
            body = {"bot_name": self._bot, "skip_order_cancellation": False, "async_backend": False}
            await self._call("POST", "bot-orchestration/stop-bot", body)
            if await self._runs():
                return Receipt(False, f"{self._bot} was told to stop, and still runs")
        return Receipt(True, f"{self._bot} is stopped")

    async def _runs(self) -> bool:
        """A bot that the API does not list among its active ones is not running."""
        found = await self._call("GET", "bot-orchestration/status")
        bot = found["data"].get(self._bot)
        return bot is not None and bot.get("status") == "running"

    async def _call(self, method: str, path: str, document: Any = None) -> Any:
        return await ask_json(method, f"{self._url}/{path}", document, self._headers)
