"""Where fills come from: a file of JSON lines or CSV that grows, a door for POST requests, an exchange's own trades."""

from __future__ import annotations

import asyncio
import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.errors import MidasError, SettingsError
from midas_engine.loopback.http import HttpDoor, Reply, Request
from midas_engine.monitor.worker import Worker
from midas_engine.redaction import REDACTOR, redact
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.outputs import Source

    Take = Callable[[Mapping[str, Any]], Awaitable[str]]

LOOK_SECONDS = 0.5
TRADES_SECONDS = 60.0
_PIECE = 1_000_000
MOST_BODY = 1_000_000


class FillLines:
    """Lines of a file as records: JSON objects, or CSV under a first line with the columns' names."""

    def __init__(self) -> None:
        self._columns: list[str] = []

    def records(self, data: bytes) -> Iterator[dict[str, Any]]:
        """A record for each line; one that cannot be read is a record that will be refused."""
        for line in data.decode("utf-8-sig", "replace").splitlines():
            if not line.strip():
                continue
            if line.lstrip().startswith("{"):
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError):
                    found = {"unreadable": line[:40]}
                yield found
            elif not self._columns:
                self._columns = [name.strip() for name in next(csv.reader([line]))]
            else:
                yield dict(zip(self._columns, next(csv.reader([line])), strict=False))


class FillFile:
    """A file that is added to; what was taken before is known by its id, so it is read from its beginning."""

    def __init__(self, address: Address, source: Source) -> None:
        address.take(())
        self.name, self._source = address.name, source
        self._path = Path(address.reach()).expanduser()
        self._worker = Worker(f"midas-fills-{address.name}")
        self._offset, self.lines = 0, FillLines()
        self._task: asyncio.Task[None] | None = None
        self._failing = ""

    async def start(self, take: Take) -> None:
        """Read on, twice a second."""
        self._task = asyncio.get_running_loop().create_task(self._follow(take), name=f"fills {self.name}")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, take: Take) -> None:
        wall = WallClock()
        while True:
            try:
                for record in await self._worker.submit(self._fresh):
                    await take(record)
                self._failing = ""
            except (OSError, MidasError) as error:
                if not self._failing:
                    self._source.fault("fills", f"{self._path.name} cannot be read: {error}", "warning")
                self._failing = str(error)
            await wall.sleep(LOOK_SECONDS)

    def _fresh(self) -> list[Any]:
        try:
            handle = open_regular(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return []
        with os.fdopen(handle, "rb") as file:
            if os.fstat(file.fileno()).st_size < self._offset:
                self._offset, self.lines = 0, FillLines()  # another file took its place
            file.seek(self._offset)
            data = file.read(_PIECE)
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == _PIECE:
            whole = data  # a line of a megabyte is no fill: it is refused piece by piece
        self._offset += len(whole)
        return list(self.lines.records(whole))

    def status(self) -> dict[str, Any]:
        """How far it is."""
        return {"kind": "file", "bytes": self._offset, "failing": self._failing}


class FillDoor:
    """POST requests on loopback, one record or a list of them; a token opens it, and no page may.

    Raises:
        SettingsError: The address is not on loopback, or there is no token.
    """

    def __init__(self, address: Address, source: Source) -> None:
        address.take(())
        self.name = address.name
        self.http = HttpDoor(str(address), address.door(), address.secret(), self._answer, _said)
        self._take: Take | None = None

    async def start(self, take: Take) -> None:
        """Listen."""
        self._take = take
        await self.http.open()

    async def close(self) -> None:
        """Stop listening."""
        await self.http.close()

    async def _answer(self, request: Request) -> Reply:
        length = request.headers.get("content-length", "")
        if request.method != "POST" or not length.isdecimal():
            return _said(405, "POST with a Content-Length only")
        if len(length) > 9 or int(length) > MOST_BODY:
            return _said(413, f"at most {MOST_BODY} bytes")
        try:
            sent = json.loads(await request.body.readexactly(int(length)))
        except (ValueError, RecursionError):
            return _said(400, "no JSON")
        assert self._take is not None
        answers = [await self._take(record) for record in (sent if isinstance(sent, list) else [sent])]
        refused = [why for why in answers if why]
        return _said(400, refused[:20]) if refused else _said(200, len(answers))

    def status(self) -> dict[str, Any]:
        """Where it is."""
        return {"kind": "webhook", "address": str(self.http.address), "refused": self.http.refused_count}


def _said(status: int, said: Any) -> Reply:
    body = json.dumps({"error" if status >= 400 else "taken": said}).encode()
    return Reply(status, body, "application/json")


class FillTrades:
    """An exchange's own record of the account's trades, asked for each minute with a key that can only read.

    Raises:
        SettingsError: There is no key, or its secret.
    """

    def __init__(self, address: Address, source: Source, urls: Mapping[str, str] | None = None) -> None:
        address.take(("key", "symbols"))
        self.name, self._address, self._source, self._urls = address.name, address, source, urls
        self._key, self._secret = address.filled(address.options.get("key", "")), address.password()
        REDACTOR.register(self._key)
        if not self._key:
            raise SettingsError(
                f"{address} has no key", hint=f"set {address.name}.key; its secret: {address.secret_name}"
            )
        self._task: asyncio.Task[None] | None = None
        self._since: dict[str, int] = {}
        self._failing = ""

    async def start(self, take: Take) -> None:
        """Ask from now on."""
        self._from = int(self._source.clock.now().timestamp() * 1e3) - 86_400_000
        self._task = asyncio.get_running_loop().create_task(self._follow(take), name=f"fills {self.name}")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, take: Take) -> None:
        from midas_engine.market.venues.client import open_client

        settings = self._source.settings
        where = "" if settings is None else settings.venue_url
        client = open_client(self._address.where, base_url=where, urls=self._urls)
        client.apiKey, client.secret = self._key, self._secret
        try:
            while True:
                try:
                    await self._ask(client, take)
                    self._failing = ""
                except asyncio.CancelledError:
                    raise
                except Exception as error:  # whatever ccxt raises
                    words = redact(f"{type(error).__name__}: {error}")[:200]
                    if not self._failing:
                        self._source.fault("fills", f"{self.name}: trades cannot be asked for: {words}", "warning")
                    self._failing = words
                await self._source.clock.sleep(TRADES_SECONDS)
        finally:
            await client.close()

    async def _ask(self, client: Any, take: Take) -> None:
        panel = self._source.panel()
        wanted = set() if panel is None else set(panel.symbols)
        for symbol, market in (await client.load_markets()).items():
            if market.get("id", "").upper() not in wanted or not market.get("swap"):
                continue
            trades = await client.fetch_my_trades(symbol, self._since.get(symbol, self._from), 500)
            for trade in trades:
                await take(_of_trade(trade, market["id"], self._address.where))
                self._since[symbol] = max(self._since.get(symbol, 0), int(trade["timestamp"]))

    def status(self) -> dict[str, Any]:
        """How it stands."""
        return {"kind": "ccxt", "exchange": self._address.where, "failing": self._failing}


def _of_trade(trade: Mapping[str, Any], symbol: str, venue: str) -> dict[str, Any]:
    """A trade of ccxt as a fill; a client order id such as `carry-0017` names the feature."""
    tag = str((trade.get("info") or {}).get("clientOrderId") or trade.get("clientOrderId") or "")
    feature = tag.rpartition("-")[0]
    amount = trade["amount"]
    record = {"id": f"{venue}:{symbol}:{trade['id']}", "at": trade["timestamp"], "symbol": symbol, "feature": feature}
    return {**record, "side": trade["side"], "price": trade["price"], "quantity": amount}
