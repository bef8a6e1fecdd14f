"""Bots are told in their own words, and asked back: freqtrade, Hummingbot, an order file and its reader."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import sys
import types
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import SettingsError
from midas_engine.outbound.destination import Address
from midas_engine.outbound.freqtrade import Freqtrade
from midas_engine.outbound.http_post import DeliveryError
from midas_engine.outbound.hummingbot import Hummingbot
from midas_engine.outbound.order import Order, Receipt
from midas_engine.outbound.order_file import OrderFile
from midas_engine.outbound.order_reader import OrderReader
from tests.helpers_cli import ROOT
from tests.helpers_monitor import START
from tests.helpers_outbound import Answer, LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PASSWORD = "pa55"


class FreqtradeBot:
    """Speaks freqtrade's API, as its documentation and its source have it.

    Attributes:
        modern: `stopentry` pauses the bot; before, it allowed no trade more.
        slow: Trades whose exit order is placed and not filled.
    """

    def __init__(self) -> None:
        self.modern, self.state, self.most = True, "running", 3
        self.blacklist = ["BNB/USDT:USDT"]
        self.trades = {1: "BTC/USDT:USDT", 2: "ETH/USDT:USDT"}
        self.slow: set[int] = set()
        self.deaf = False
        self.tokens = 0
        self.calls: list[str] = []

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        told = urlsplit(path)
        name = told.path.removeprefix("/api/v1/")
        self.calls.append(f"{method} {name}")
        if name == "token/login":
            wanted = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
            if headers.get("Authorization") != wanted:
                return 401, b'{"detail": "Unauthorized"}'
            self.tokens += 1
            return 200, json.dumps({"access_token": f"t{self.tokens}", "refresh_token": "r"}).encode()
        if headers.get("Authorization") != f"Bearer t{self.tokens}":
            return 401, b'{"detail": "Unauthorized"}'
        sent = json.loads(body) if body else {}
        return 200, json.dumps(self._do(method, name, sent, parse_qs(told.query))).encode()

    def _do(self, method: str, name: str, sent: Any, query: dict[str, list[str]]) -> Any:
        if name == "blacklist":
            if not self.deaf:
                self.blacklist += sent.get("blacklist", [])
                self.blacklist = [p for p in self.blacklist if p not in query.get("pairs_to_delete", [])]
            return {"blacklist": self.blacklist, "blacklist_expanded": [], "errors": {}, "length": 1, "method": []}
        if name == "stopentry":
            self.state, self.most = ("paused", self.most) if self.modern else (self.state, 0)
            return {"status": "paused"}
        if name in ("start", "reload_config"):
            self.state, self.most = "running", 3
            return {"status": name}
        if name == "show_config":
            return {"state": self.state, "max_open_trades": self.most, "bot_name": "freqtrade"}
        if name == "status":
            return [
                {"trade_id": n, "pair": p, "is_open": True, "has_open_orders": n in self.slow}
                for n, p in self.trades.items()
            ]
        assert name == "forceexit"
        number = int(sent["tradeid"])
        assert number not in self.slow, "a second exit order beside the first"
        if number in self.trades and self.deaf:
            self.slow.add(number)
        else:
            self.trades.pop(number)
        return {"result": f"Created exit order for trade {number}."}


def freqtrade(url: str, **options: str) -> Freqtrade:
    return Freqtrade(
        Address("bot", "freqtrade", url, {"user": "me", **{k.replace("_", "-"): v for k, v in options.items()}})
    )


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_SECRET_BOT", PASSWORD)


KILL, LIVE, PAUSE = (Order(a, n, a, "carry") for n, a in enumerate(("kill", "live", "pause")))


async def test_freqtrade_holds_and_flattens_pairs_and_lets_them_go() -> None:
    bot = FreqtradeBot()
    with LoopbackServer(bot.answer) as server:
        side = freqtrade(server.url, pairs="BTC/USDT:USDT,SOL/USDT:USDT", on_kill="flatten")
        assert (await side.deliver(PAUSE, ("carry",))).acknowledged
        assert len(bot.trades) == 2  # a pause holds
        for _ in range(2):  # said twice it changes nothing
            assert (await side.deliver(KILL, ("carry",))).acknowledged
        assert bot.blacklist == ["BNB/USDT:USDT", "BTC/USDT:USDT", "SOL/USDT:USDT"]
        assert bot.trades == {2: "ETH/USDT:USDT"}
        assert "trend" in (await side.deliver(LIVE, ("trend",))).note
        assert "BTC/USDT:USDT" in bot.blacklist
        bot.tokens += 1  # the token ran out
        assert (await side.deliver(LIVE, ())).acknowledged
        assert bot.blacklist == ["BNB/USDT:USDT"]
    assert bot.calls.count("POST token/login") == 2


@pytest.mark.parametrize("modern", [True, False])
async def test_freqtrade_stops_and_starts_the_whole_bot(modern: bool) -> None:
    bot = FreqtradeBot()
    bot.modern = modern
    with LoopbackServer(bot.answer) as server:
        side = freqtrade(server.url, on_kill="flatten")
        assert (await side.deliver(KILL, ("carry",))).acknowledged
        assert (bot.state, bot.most, bot.trades) == (("paused", 3, {}) if modern else ("running", 0, {}))
        assert (await side.deliver(LIVE, ())).acknowledged
        assert (bot.state, bot.most) == ("running", 3)


async def test_freqtrade_is_not_believed_before_it_did_it() -> None:
    bot = FreqtradeBot()
    bot.deaf = True
    with LoopbackServer(bot.answer) as server:
        with pytest.raises(DeliveryError, match="blacklist"):
            await freqtrade(server.url, pairs="BTC/USDT:USDT").deliver(KILL, ("carry",))
        side = freqtrade(server.url, on_kill="flatten")
        for _ in range(2):  # the exit orders are placed once, and not filled
            answer = await side.deliver(KILL, ("carry",))
            assert (answer.acknowledged, "2 trade(s) still close" in answer.note) == (False, True)
        bot.trades.clear()
        assert (await side.deliver(KILL, ("carry",))).acknowledged


async def test_freqtrade_refuses_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_SECRET_BOT", "wrong-pass-0123")
    with LoopbackServer(FreqtradeBot().answer) as server, pytest.raises(DeliveryError, match="401") as told:
        await freqtrade(server.url).deliver(KILL, ())
    assert "wrong-pass" not in str(told.value)


class HummingbotApi:
    """Speaks the Hummingbot API, as its routers have it."""

    def __init__(self) -> None:
        self.switches = {"pmm_carry": False, "dman_trend": False}
        self.running, self.deaf = True, False

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if headers.get("Authorization") != "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode():
            return 401, b"{}"
        sent = json.loads(body) if body else {}
        if path == "/controllers/bots/desk%20bot/configs":
            found = [{"_config_name": n, "id": n, "manual_kill_switch": on} for n, on in self.switches.items()]
            return 200, json.dumps(found).encode()
        if path.startswith("/controllers/bots/desk%20bot/") and method == "POST":
            if not self.deaf:
                self.switches[path.split("/")[-2]] = sent["manual_kill_switch"]
            return 200, b'{"message": "updated"}'
        if path == "/bot-orchestration/status":
            status = "running" if self.running else "stopped"
            return 200, json.dumps({"status": "success", "data": {"desk bot": {"status": status}}}).encode()
        if path == "/bot-orchestration/stop-bot" and sent["bot_name"] == "desk bot":
            self.running = self.deaf
            return 200, b'{"status": "success", "response": {"success": true}}'
        return 404, b"{}"


def hummingbot(url: str, **options: str) -> Hummingbot:
    return Hummingbot(Address("bot", "hummingbot", url, {"bot": "desk bot", **options}))


async def test_hummingbot_switches_the_controller_of_a_feature_or_stops_the_bot() -> None:
    api = HummingbotApi()
    with LoopbackServer(api.answer) as server:
        side = hummingbot(server.url, controllers="carry=pmm_carry,basis=pmm_carry,trend=dman_trend")
        for _ in range(2):
            assert (await side.deliver(KILL, ("carry",))).acknowledged
        assert (api.switches, api.running) == ({"pmm_carry": True, "dman_trend": False}, True)
        assert "basis" in (await side.deliver(LIVE, ("basis",))).note
        assert api.switches["pmm_carry"]
        assert (await side.deliver(LIVE, ("trend",))).acknowledged
        assert not api.switches["pmm_carry"]
        assert (await side.deliver(Order("k", 9, "kill", "other"), ("other",))).acknowledged
        assert not api.running
        assert "by hand" in (await side.deliver(Order("l", 10, "live", "other"), ())).note


async def test_hummingbot_is_not_believed_before_it_did_it() -> None:
    api = HummingbotApi()
    api.deaf = True
    with LoopbackServer(api.answer) as server:
        with pytest.raises(DeliveryError, match="did not change"):
            await hummingbot(server.url, controllers="carry=pmm_carry").deliver(KILL, ())
        assert await hummingbot(server.url).deliver(KILL, ()) == Receipt(
            False, "desk bot was told to stop, and still runs"
        )
        with pytest.raises(DeliveryError, match="no controller gone"):
            await hummingbot(server.url, controllers="carry=gone").deliver(KILL, ())
    with pytest.raises(SettingsError, match="names no bot"):
        Hummingbot(Address("bot", "hummingbot", "http://127.0.0.1:1", {}))


async def test_a_reader_obeys_a_file_once_over_its_own_restarts(tmp_path: Path) -> None:
    path, clock = tmp_path / "orders.jsonl", ManualClock(START)
    writer = OrderFile(Address("bot", "file", str(path)))
    obeyed: list[str] = []
    reader = OrderReader(path, lambda order: obeyed.append(order.key), clock)
    assert reader.poll() == 0
    assert not (await writer.deliver(Order("k2", 2, "kill", "carry"), ())).acknowledged
    await writer.deliver(Order("r1", 1, "resume", "carry"), ())  # overtaken on its way
    with path.open("a") as file:
        file.write('{"key": "half')
    assert reader.poll() == 1
    assert reader.poll() == 0
    assert (await writer.deliver(Order("k2", 2, "kill", "carry"), ())).acknowledged
    assert (await writer.deliver(Order("r1", 1, "resume", "carry"), ())).acknowledged
    again = OrderReader(path, lambda order: obeyed.append(order.key), clock)
    assert again.poll() == 0
    assert again.stopped == {"carry"}
    assert obeyed == ["k2"]


async def test_the_lease_of_a_file_ends_and_comes_back(tmp_path: Path) -> None:
    path, clock, ended = tmp_path / "orders.jsonl", ManualClock(START), []
    reader = OrderReader(path, lambda order: None, clock, lambda: ended.append(1))
    assert reader.lease_holds()
    writer = OrderFile(Address("bot", "file", str(path)))
    await writer.beat({"at": START.isoformat(), "seconds": 60})
    clock.advance(59)
    assert reader.lease_holds()
    clock.advance(2)
    assert [reader.lease_holds(), reader.lease_holds()] == [False, False]
    await writer.beat({"at": clock.now().isoformat(), "seconds": 60})
    assert reader.lease_holds()
    assert ended == [1]
    (tmp_path / "orders.jsonl.lease").write_text("{")
    assert not reader.lease_holds()  # what cannot be read holds nothing


def example(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / "outbound" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_freqtrade_strategy_takes_no_entry_while_its_feature_stands_still(tmp_path: Path) -> None:
    class IStrategy:
        def confirm_trade_entry(self, *args: Any, **kwargs: Any) -> bool:
            return True

    lease = example("freqtrade_lease")
    path = tmp_path / "orders.jsonl"
    fields = {"midas_orders": str(path), "midas_features": {"carry"}}
    strategy = type("Mine", (lease.MidasLease, IStrategy), fields)
    assert strategy().confirm_trade_entry("BTC/USDT")
    writer = OrderFile(Address("bot", "file", str(path)))
    asyncio.run(writer.deliver(Order("k2", 2, "kill", "carry"), ()))
    assert not strategy().confirm_trade_entry("BTC/USDT")
    assert not strategy().confirm_trade_entry("BTC/USDT")  # after its restart too


def test_the_nautilus_actor_obeys_acknowledges_and_flattens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the parts of nautilus_trader's Actor that it uses; the real package is not among the dependencies."""
    stub_nautilus(monkeypatch)
    module = example("nautilus_actor")
    path = tmp_path / "orders.jsonl"
    config = module.MidasActorConfig()
    config.orders, config.instruments, config.on_kill = str(path), {"carry": ["BTCUSDT-PERP.BINANCE"]}, "flatten"
    writer = OrderFile(Address("bot", "file", str(path)))
    asyncio.run(writer.deliver(Order("k2", 2, "kill", "carry"), ()))
    for start in range(2):
        actor = module.MidasActor(config)
        actor.on_start()
        topics = [topic for topic, _ in actor.msgbus.published]
        assert topics == (
            ["midas.order.carry"] if start else ["midas.order.carry", "midas.flatten.S-1", "midas.order.carry"]
        )
    assert (tmp_path / "orders.jsonl.acks").read_text() == "k2\n"


def stub_nautilus(monkeypatch: pytest.MonkeyPatch) -> None:
    class Actor:
        def __init__(self, config: Any) -> None:
            self.config = config
            self.log = types.SimpleNamespace(warning=lambda text: None, error=lambda text: None)
            self.clock = types.SimpleNamespace(set_timer=lambda *a, **k: None, cancel_timer=lambda name: None)
            self.msgbus = types.SimpleNamespace(published=[])
            self.msgbus.publish = lambda topic, message: self.msgbus.published.append((topic, message))
            held = types.SimpleNamespace(strategy_id="S-1", instrument_id="BTCUSDT-PERP.BINANCE")
            self.cache = types.SimpleNamespace(positions_open=lambda instrument_id: [held])

    class ActorConfig:
        def __init_subclass__(cls, **options: Any) -> None:
            pass

    parts: dict[str, dict[str, Any]] = {
        "nautilus_trader": {},
        "nautilus_trader.common": {},
        "nautilus_trader.common.actor": {"Actor": Actor},
        "nautilus_trader.config": {"ActorConfig": ActorConfig},
        "nautilus_trader.model": {},
        "nautilus_trader.model.identifiers": {"InstrumentId": types.SimpleNamespace(from_str=str)},
    }
    for name, members in parts.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
