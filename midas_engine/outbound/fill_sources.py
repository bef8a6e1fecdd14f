"""Where fills come from: a file of JSON lines or CSV that grows, a door for POST requests, an exchange's own trades."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.errors import MidasError, SettingsError
from midas_engine.loopback.http import HttpDoor, Reply, Request
from midas_engine.monitor.worker import Worker
from midas_engine.outbound.fills import names_columns
from midas_engine.outbound.growing_file import GrowingFile
from midas_engine.redaction import REDACTOR, redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.outputs import Source

    Take = Callable[[Mapping[str, Any]], Awaitable[str]]

LOOK_SECONDS = 0.5
TRADES_SECONDS = 60.0
_PIECE = 1_000_000
MOST_BODY = 1_000_000


class FillLines:
    """Lines of a file as records: JSON objects, or CSV under a first line with the columns' names.

    Args:
        columns: Of the file before, for one that goes on without a head.
    """

    def __init__(self, columns: Sequence[str] = ()) -> None:
        self.columns = list(columns)
        self._first = True

    def records(self, data: bytes) -> Iterator[dict[str, Any]]:
        """A record for each line; one that cannot be read is a record that will be refused."""
        for line in data.decode("utf-8-sig", "replace").split("\n"):
            if not line.strip():
                continue
            if line.lstrip().startswith("{"):
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError):
                    found = {"unreadable": line[:40]}
                yield found
                continue
            try:
                cells = next(csv.reader([line.rstrip("\r")]), [])
            except csv.Error:
                yield {"unreadable": line[:40]}
                continue
            head = not self.columns or (self._first and names_columns(cells))
            self._first = False
            if head:
                self.columns = [name.strip() for name in cells]
            else:
                yield dict(zip(self.columns, cells, strict=False))


def _ready(source: Source) -> bool:
    """Whether there is a market to hold fills against: before, they wait."""
    return source.panel() is not None and source.monitor() is not None


class FillFile:
    """A file that is added to; what was taken before is known by its id, so it is read from its beginning."""

    def __init__(self, address: Address, source: Source) -> None:
        address.take(())
        self.name, self._source = address.name, source
        self._path = Path(address.reach()).expanduser()
        self._worker = Worker(f"midas-fills-{address.name}")
        self._file, self._lines = GrowingFile(self._path), FillLines()
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
        await self._worker.submit(self._file.close)

    async def _follow(self, take: Take) -> None:
        wall = WallClock()
        while True:
            try:
                if _ready(self._source):
                    while await self._take_some(take):
                        pass
                    self._failing = ""
            except (OSError, MidasError) as error:
                if not self._failing:
                    self._source.fault("fills", f"{self._path.name} cannot be read: {error}", "warning")
                self._failing = str(error)
            await wall.sleep(LOOK_SECONDS)

    async def _take_some(self, take: Take) -> bool:
        """Take the next lines; what cannot be put on record is read again. Whether there may be more."""
        data, begins = await self._worker.submit(self._file.read)
        lines = FillLines(self._lines.columns) if begins else self._lines
        before = list(lines.columns)
        try:
            for record in lines.records(data):
                await take(record)
        except BaseException:
            lines.columns = before
            raise
        self._file.keep()
        self._lines = lines
        return bool(data)

    def status(self) -> dict[str, Any]:
        """How far it is."""
        return {"kind": "file", "bytes": self._file.offset, "failing": self._failing}


class FillDoor:
    """POST requests on loopback, one record or a list of them; a token opens it, and no page may.

    Raises:
        SettingsError: The address is not on loopback, or there is no token.
    """

    def __init__(self, address: Address, source: Source) -> None:
        address.take(())
        self.name, self._source = address.name, source
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
        if not _ready(self._source):
            return _said(503, "no market is watched yet: send it again")
        try:
            answers = [await self._take(record) for record in (sent if isinstance(sent, list) else [sent])]
        except (OSError, MidasError) as error:  # those before it are known when they come again
            return _said(503, f"not on record: {error}: send it again")
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
        """Ask from now on.

        Raises:
            FeedError: ccxt is not installed, or knows no such exchange.
        """
        from midas_engine.market.venues.client import open_client

        settings = self._source.settings
        where = "" if settings is None else settings.venue_url
        client = open_client(self._address.where, base_url=where, urls=self._urls)
        client.apiKey, client.secret = self._key, self._secret
        self._from = int(self._source.clock.now().timestamp() * 1e3) - 86_400_000
        self._task = asyncio.get_running_loop().create_task(self._follow(client, take), name=f"fills {self.name}")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, client: Any, take: Take) -> None:
        try:
            while True:
                # until there is a market nothing is asked for, and a look costs nothing
                pause = TRADES_SECONDS if _ready(self._source) else LOOK_SECONDS
                if _ready(self._source):
                    words = "; ".join(await self._ask(client, take))[:200]
                    if words and not self._failing:
                        self._source.fault("fills", f"{self.name}: trades cannot be asked for: {words}", "warning")
                    self._failing = words
                await self._source.clock.sleep(pause)
        finally:
            await client.close()

    async def _ask(self, client: Any, take: Take) -> list[str]:
        """Ask for the trades of each contract; what went wrong. One that fails keeps none of the others back."""
        panel, wrong = self._source.panel(), []
        wanted = set() if panel is None else set(panel.symbols)
        try:
            markets = list((await client.load_markets()).items())
        except Exception as error:  # whatever ccxt raises
            return [_words_of(error)]
        for symbol, market in markets:
            try:
                if not market.get("swap") or str(market.get("id")).upper() not in wanted:
                    continue
                trades = await client.fetch_my_trades(symbol, self._since.get(symbol, self._from), 500)
                for trade in list(trades):
                    await take(_of_trade(trade, market["id"], self._address.where))
                    self._since[symbol] = max(self._since.get(symbol, 0), self._moment(trade))
            except Exception as error:  # whatever ccxt raises
                wrong.append(f"{symbol}: {_words_of(error)}")
        return wrong

    def _moment(self, trade: Any) -> int:
        """When a trade was, ms; 0 where that is not known, or cannot be: nothing must hide the trades after it."""
        at = trade.get("timestamp") if isinstance(trade, dict) else None
        now = self._source.clock.now().timestamp() * 1e3
        return at if isinstance(at, int) and 0 < at <= now else 0

    def status(self) -> dict[str, Any]:
        """How it stands."""
        return {"kind": "ccxt", "exchange": self._address.where, "failing": self._failing}


def _words_of(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}")[:200]


def _of_trade(trade: Any, symbol: str, venue: str) -> Any:
    """A trade of ccxt as a fill; a client order id such as `carry-0017` names the feature.

    What is no trade is handed on as it is, and what a trade lacks is left out: whoever takes fills says what is wrong.
    """
    if not isinstance(trade, dict):
        return trade
    info = trade.get("info")
    tag = str((info.get("clientOrderId") if isinstance(info, dict) else "") or trade.get("clientOrderId") or "")
    own = trade.get("id")
    record = {"symbol": symbol, "feature": tag.rpartition("-")[0], "at": trade.get("timestamp")}
    record |= {"side": trade.get("side"), "price": trade.get("price"), "quantity": trade.get("amount")}
    return record if own in (None, "") else {**record, "id": f"{venue}:{symbol}:{own}"}
