"""A far side that forgot what it acknowledged is ordered again: the kill is latched here, whatever it remembers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.clock import WallClock
from midas_engine.events import FaultReported
from midas_engine.outbound import Outputs, outputs_of
from midas_engine.outbound.kill_output import KillOutput
from midas_engine.outbound.order import Order
from midas_engine.outbound.order_reader import OrderReader
from midas_engine.outbound.outbox import Outbox
from midas_engine.outbound.signing import answer_signature
from midas_engine.outbound_settings import OutboundSettings
from tests.helpers_monitor import START
from tests.helpers_outbound import SECRET, FarSide, LoopbackServer, source_of, until
from tests.test_outbound_bots import FreqtradeBot, HummingbotApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from midas_engine.outbound import Source

PAIRS = {"user": "me", "pairs": "BTC/USDT:USDT"}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    monkeypatch.setenv("MIDAS_SECRET_BOT", "pa55")


def settings_for(where: str, name: str = "bot", **options: str) -> OutboundSettings:
    own = {f"{name}.{key}": value for key, value in options.items()}
    return OutboundSettings(kills={name: where}, options=own, lease_seconds=0, again_seconds=0)


def kill(source: Source, feature: str = "carry") -> str:
    return source.kb.kill_file.latch(feature, reason="it fell", actor="operator", at=START).id


def told(source: Source) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    source.bus.tap(lambda e: said.append((e.severity, e.message)) if isinstance(e, FaultReported) else None)
    return said


def output_of(outputs: Outputs) -> KillOutput:
    (output,) = outputs.outputs
    assert isinstance(output, KillOutput)
    return output


def state_of(outputs: Outputs, key: str) -> str:
    posted = output_of(outputs).deliveries[0].outbox.posted.get(key)
    return "" if posted is None else posted.state


async def look(outputs: Outputs) -> None:
    """What the running engine does every twenty seconds."""
    (holding,) = output_of(outputs).holdings
    await holding.look()
    await output_of(outputs).deliveries[0].rest()


async def test_a_receiver_that_was_restarted_empty_gets_its_kills_again(tmp_path: Path) -> None:
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
    far = FarSide(tmp_path / "one")
    source = source_of(tmp_path / "kb")
    said = told(source)
    settings = replace(settings_for(f"webhook:{far.server.url}", "desk"), lease_seconds=0.6)
    outputs = outputs_of(settings, source)
    await outputs.start()
    key = kill(source)
    await until(lambda: state_of(outputs, key) == "acknowledged")
    far.server.close()
    again = FarSide(tmp_path / "another", far.server.port)  # the same address, and nothing remembered
    await until(lambda: again.effects == [(key, "kill", "carry")])
    await until(lambda: state_of(outputs, key) == "acknowledged")
    await until(lambda: any("holds every order again" in words for _, words in said))
    await outputs.close()
    again.server.close()
    assert again.receiver.stopped == {"carry"}
    assert [s for s, words in said if "no longer holds what it acknowledged: carry" in words] == ["critical"]


def _freqtrade_forgets(bot: FreqtradeBot) -> None:
    bot.blacklist, bot.state, bot.most, bot.trades = ["BNB/USDT:USDT"], "running", 3, {9: "BTC/USDT:USDT"}


@pytest.mark.parametrize("options", [PAIRS, {**PAIRS, "on-kill": "flatten"}, {"user": "me"}])
async def test_a_freqtrade_that_was_restarted_is_stopped_again(tmp_path: Path, options: dict[str, str]) -> None:
    bot, source = FreqtradeBot(), source_of(tmp_path / "kb")
    with LoopbackServer(bot.answer) as server:
        outputs = outputs_of(settings_for(f"freqtrade:{server.url}", **options), source)
        await outputs.start()
        key = kill(source)
        await until(lambda: state_of(outputs, key) == "acknowledged")
        _freqtrade_forgets(bot)
        await look(outputs)
        assert ("BTC/USDT:USDT" in bot.blacklist) if "pairs" in options else (bot.state == "paused")
        assert bot.trades == ({} if "on-kill" in options else {9: "BTC/USDT:USDT"})
        assert state_of(outputs, key) == "acknowledged"
        source.kb.kill_file.let_live("carry", reason="", actor="operator", at=START)
        await until(lambda: state_of(outputs, f"{key}:live") == "acknowledged")
        calls = len(bot.calls)
        await look(outputs)  # what lives again is nobody's to stop
        assert len(bot.calls) == calls
        await outputs.close()


@pytest.mark.parametrize("options", [{"bot": "desk bot", "controllers": "carry=pmm_carry"}, {"bot": "desk bot"}])
async def test_a_hummingbot_that_forgot_is_stopped_again(tmp_path: Path, options: dict[str, str]) -> None:
    api, source = HummingbotApi(), source_of(tmp_path / "kb")
    with LoopbackServer(api.answer) as server:
        outputs = outputs_of(settings_for(f"hummingbot:{server.url}", **options), source)
        await outputs.start()
        key = kill(source)
        await until(lambda: state_of(outputs, key) == "acknowledged")
        api.switches, api.running = dict.fromkeys(api.switches, False), True
        await look(outputs)
        assert api.switches["pmm_carry"] if "controllers" in options else not api.running
        assert state_of(outputs, key) == "acknowledged"
        await outputs.close()


@pytest.mark.parametrize("gone", [("",), (".acks",), ("", ".acks")])
async def test_an_order_file_that_was_taken_away_is_written_again(tmp_path: Path, gone: tuple[str, ...]) -> None:
    """As the reader of the nautilus actor has it: one that runs, then one that starts and knows nothing."""
    source, path, obeyed = source_of(tmp_path / "kb"), tmp_path / "orders.jsonl", list[str]()
    reader = OrderReader(path, lambda order: obeyed.append(order.key), WallClock())
    outputs = outputs_of(settings_for(f"file:{path}"), source)
    await outputs.start()
    key = kill(source)

    def acknowledged(by: OrderReader) -> Callable[[], bool]:
        return lambda: by.poll() >= 0 and state_of(outputs, key) == "acknowledged"

    await until(acknowledged(reader))
    for ending in gone:
        (tmp_path / f"orders.jsonl{ending}").unlink()
    (holding,) = output_of(outputs).holdings
    await holding.look()
    await until(acknowledged(reader))
    assert obeyed == [key]  # it had obeyed, and knows it
    fresh = OrderReader(path, lambda order: obeyed.append(order.key), WallClock())
    fresh.poll()
    assert fresh.stopped == {"carry"}
    await outputs.close()


async def test_who_cannot_be_asked_is_told_again_under_the_same_key(tmp_path: Path) -> None:
    seen, script, source = tmp_path / "seen", tmp_path / "stop.py", source_of(tmp_path / "kb")
    script.write_text(f"import os; print(os.environ['MIDAS_ORDER_KEY'], file=open({str(seen)!r}, 'a'))\n")
    settings = replace(settings_for(f"command:{sys.executable} {script}"), again_seconds=0.001)
    outputs = outputs_of(settings, source)
    await outputs.start()
    key = kill(source)
    await until(lambda: state_of(outputs, key) == "acknowledged")
    size = len(output_of(outputs).deliveries[0].outbox.path.read_bytes())
    await look(outputs)
    assert seen.read_text().split() == [key, key]
    assert len(output_of(outputs).deliveries[0].outbox.path.read_bytes()) == size  # nothing new to keep
    script.write_text("raise SystemExit('knows no such kill')\n")
    (holding,) = output_of(outputs).holdings
    await holding.look()
    assert state_of(outputs, key) == "pending"
    assert "knows no such kill" in output_of(outputs).status()["bot"]["why"]
    await outputs.close()
    kept = Outbox(tmp_path / "kb" / "outbound" / "bot.log")
    kept.load()
    assert [(p.state, bool(p.failing_since)) for p in kept.posted.values()] == [("pending", True)]


async def test_a_far_side_that_always_misses_is_told_once_and_ordered_each_time(tmp_path: Path) -> None:
    orders: list[str] = []

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        document: dict[str, Any] = json.loads(body)
        if document["action"] != "lease":
            orders.append(document["key"])
        signed = answer_signature(SECRET, headers["Midas-Nonce"], document["key"])
        said = {"acknowledged": document["key"], "signature": signed, "missing": document["stopped"]}
        return 200, json.dumps(said).encode()

    source = source_of(tmp_path / "kb")
    said = told(source)
    with LoopbackServer(answer) as server:
        settings = replace(settings_for(f"webhook:{server.url}", "desk"), lease_seconds=0.3)
        outputs = outputs_of(settings, source)
        await outputs.start()
        key = kill(source)
        await until(lambda: len(orders) > 3)
        await outputs.close()
    assert set(orders) == {key}
    assert len([words for _, words in said if "no longer holds" in words]) == 1


async def test_one_that_does_not_answer_is_unknown_and_told_once(tmp_path: Path) -> None:
    bot, source = FreqtradeBot(), source_of(tmp_path / "kb")
    said = told(source)
    server = LoopbackServer(bot.answer)
    outputs = outputs_of(settings_for(f"freqtrade:{server.url}", **PAIRS), source)
    await outputs.start()
    key = kill(source)
    await until(lambda: state_of(outputs, key) == "acknowledged")
    server.close()
    for _ in range(2):
        await look(outputs)
    with LoopbackServer(bot.answer, server.port):
        await look(outputs)
    await outputs.close()
    assert [s for s, words in said if "whether it holds its 1 order(s) is unknown" in words] == ["warning"]
    assert [s for s, words in said if "can be asked again" in words] == ["info"]


def test_an_order_that_is_open_again_is_so_after_a_restart_and_a_rewrite(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "bot.log")
    box.post(Order("k", 1, "kill", "carry"), "2026-01-05")
    box.settle("k", "acknowledged", "2026-01-05")
    box.reopen("k", "2026-01-06", "it no longer held it")
    for rewrite in (False, True):
        if rewrite:
            box.mend()
        again = Outbox(tmp_path / "bot.log")
        again.load()
        assert [(p.order.key, p.failing_since, p.why) for p in again.open] == [
            ("k", "2026-01-06", "it no longer held it")
        ]
    box.settle("k", "acknowledged", "2026-01-07")
    assert not box.open
