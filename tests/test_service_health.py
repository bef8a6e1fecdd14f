"""The health endpoint: who is answered, what is said, and that nothing reads healthy by default."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from typing import TYPE_CHECKING

from midas_engine.clock import ManualClock, WallClock
from midas_engine.loopback.address import Address
from midas_engine.loopback.gate import MOST_CLIENTS
from midas_engine.runtime import Runtime
from midas_engine.service.health import health_door
from midas_engine.service.metrics import rendered
from midas_engine.service.place import Place
from midas_engine.service.service import Service
from midas_engine.service.vitals import Vitals
from tests.helpers_service import make_desk, plan_of, settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

TOKEN = "a-token-of-the-test-0123456789"


async def _ask(address: Address, head: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    answer = ""
    with contextlib.suppress(OSError):  # one that is refused in the middle may be cut off
        writer.write(head.encode())
        await writer.drain()
        answer = (await reader.read()).decode()
    writer.close()
    status = answer.split(" ")
    return int(status[1]) if len(status) > 1 else 0, answer.partition("\r\n\r\n")[2]


def _get(path: str, address: Address, *more: str, token: str = TOKEN, host: str = "") -> str:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host or address}", *([f"Authorization: Bearer {token}"] if token else [])]
    return "\r\n".join([*lines, *more]) + "\r\n\r\n"


@contextlib.asynccontextmanager
async def _door(desk: Path) -> AsyncIterator[tuple[Address, Runtime]]:
    runtime = Runtime(settings_of(desk))
    door = health_door(Address("127.0.0.1", 0), TOKEN, Vitals(runtime))
    await door.open()
    try:
        yield door.address, runtime
    finally:
        await door.close()


async def test_only_who_has_the_token_and_the_host_is_answered(tmp_path: Path) -> None:
    async with _door(tmp_path) as (at, _):
        for head, status in (
            (_get("/health", at, token=""), 401),
            (_get("/health", at, token=TOKEN[:-1]), 401),
            (_get("/health", at, host="evil.example"), 403),
            (_get("/health", at, host=f"127.0.0.1:{at.port}.evil.example"), 403),
            (_get("/health", at, "Origin: http://evil.example"), 403),
            (_get("/health", at, f"Host: {at}"), 403),  # two hosts are none
            (_get("/secrets", at), 404),
            (_get("/health", at).replace("GET", "POST", 1), 405),
        ):
            assert (await _ask(at, head))[0] == status, head
        assert (await _ask(at, "GET /health HTTP/1.1\r\n" + "x" * 20_000_000))[0] == 0


async def _whole(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_a_thousand_connections_are_bounded(tmp_path: Path) -> None:
    async with _door(tmp_path) as (at, _):
        held = [await asyncio.open_connection(at.host, at.port) for _ in range(300)]
        gone = await asyncio.gather(*(_whole(reader) for reader, _ in held[:-MOST_CLIENTS]))
        assert set(gone) == {b""}, "who says nothing makes place for who comes"
        assert (await _ask(at, _get("/metrics", at)))[0] == 200
        for _, writer in held:
            writer.close()


async def test_nothing_is_healthy_before_a_bar_came(tmp_path: Path) -> None:
    runtime = Runtime(settings_of(tmp_path), clock=ManualClock(WallClock().now()))
    vital = await Vitals(runtime).look()
    assert not vital.healthy
    assert vital.phase == "starting"
    assert vital.features is None
    assert vital.kills_pending is None
    assert math.isnan(vital.age_seconds)
    text = rendered(vital).decode()
    assert "midas_last_bar_age_seconds NaN" in text
    assert "midas_kills_pending NaN" in text
    assert "midas_healthy 0.0" in text


async def test_a_running_service_says_how_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path / "desk", bars=60, candidates=("spare",))
    monkeypatch.delenv("MIDAS_SERVICE_TOKEN", raising=False)
    async with Service(plan_of(desk, service__health="127.0.0.1:0")) as service:
        assert service.health is not None
        at, token = service.health.address, Place(desk / "kb").token()
        status, body = await _ask(at, _get("/health", at, token=token))
        document = json.loads(body)
        assert (status == 200) == document["healthy"]
        assert document["bars"] == 60
        assert document["features"] == {"candidate": 1, "shadow": 0, "deployed": 2, "archived": 0}
        status, text = await _ask(at, _get("/metrics", at, token=token))
        assert status == 200
        for line in ('midas_features{state="deployed"} 2.0', "midas_bars_seen_total 60.0", "midas_kills_pending 0.0"):
            assert line in text
        assert token not in (desk / "kb" / "service" / "midas.log").read_text()
    token_file = desk / "kb" / "service" / "token"
    assert token_file.stat().st_mode & 0o777 == 0o600
