"""The service's door: what crosses the wire is what was there, nobody strange comes in, and nothing grows unbounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import WallClock
from midas_engine.errors import EvaluationError, MidasError, ReadOnlyError, TransitionError
from midas_engine.events import FaultReported
from midas_engine.kb import KnowledgeBase
from midas_engine.loopback.websocket import MOST_CONNECTIONS
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.service.frames import framed
from midas_engine.service.peers import connected, listening_socket
from midas_engine.service.place import MOST_SOCKET_BYTES, Place, private_folder
from midas_engine.service.remote import RemoteRuntime
from midas_engine.service.service import Service
from midas_engine.service.wire import packed, unpacked
from tests.helpers_cli import run_midas
from tests.helpers_holders import until
from tests.helpers_service import copy_desk, make_desk, plan_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = datetime(2026, 1, 5, tzinfo=UTC)
RECORD = FeatureRecord("a", "close", FeatureState.DEPLOYED, created_at=NOW, metrics={"t": 2.0}, history=({"at": "x"},))


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_desk(tmp_path_factory.mktemp("door") / "desk", bars=60, candidates=("spare",))


@pytest.fixture
async def service(stocked: Path, tmp_path: Path) -> AsyncIterator[Service]:
    desk = copy_desk(stocked, tmp_path / "desk")
    async with Service(plan_of(desk, service__clients=6, service__websocket="127.0.0.1:0")) as found:
        yield found


def _address(service: Service) -> str:
    return str(service.plan.place.socket)


# -- who comes in ------------------------------------------------------------------------------------


async def test_the_socket_is_private_and_goes_with_the_service(service: Service) -> None:
    path = service.plan.place.socket
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await service.stop()
    assert not path.exists()


def test_a_long_path_falls_back_to_the_runtime_folder(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    place = Place(tmp_path / ("deep" * 30) / "kb")
    assert place.socket.parent == run / "midas"
    assert len(os.fsencode(place.socket)) <= MOST_SOCKET_BYTES
    assert place.socket != Place(tmp_path / ("deep" * 30) / "kb2").socket


def test_stale_and_foreign_sockets_are_told_apart(tmp_path: Path) -> None:
    private_folder(tmp_path / "s")
    path = tmp_path / "s" / "socket"
    listening_socket(path).close()
    assert path.exists()
    assert connected(path) is None  # stale
    living = listening_socket(path)  # replaced
    try:
        with pytest.raises(MidasError, match="another process listens"):
            listening_socket(path)
        found = connected(path)
        assert found is not None
        found.close()
        path.chmod(0o666)
        assert connected(path) is None  # others could have put it there
    finally:
        living.close()
    path.unlink()
    path.write_text("a file")
    with pytest.raises(MidasError, match="is no socket"):
        listening_socket(path)


def test_a_folder_that_is_a_link_is_no_place_for_a_socket(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(MidasError, match="is a link"):
        private_folder(tmp_path / "link")


@pytest.mark.parametrize(
    "sent",
    [
        (10_000_000).to_bytes(4, "big") + b"{",
        framed(b"not json"),
        framed(b"[]"),
        framed(b'{"hello":99}'),
        framed(b'{"hello":' + b"[" * 5_000 + b"}"),
        framed(b'{"hello":1}') + (10_000_000).to_bytes(4, "big"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["10 MB", "no JSON", "a list", "a newer one", "deep", "10 MB later", "HTTP"],
)
async def test_what_is_no_client_is_let_go_with_a_word(service: Service, sent: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(_address(service))
    writer.write(sent)
    await writer.drain()
    async with asyncio.timeout(90):
        with contextlib.suppress(ConnectionError):
            assert b"refused" in await reader.read()
    writer.close()


async def test_more_than_the_most_are_refused_and_a_thousand_do_no_harm(service: Service) -> None:
    held = [await asyncio.open_unix_connection(_address(service)) for _ in range(6)]
    for reader, writer in held:
        writer.write(framed(b'{"hello":1}'))
        await reader.readexactly(4)
    assert service.door is not None
    assert service.door.clients == 6
    for _ in range(20):
        many = [await asyncio.open_unix_connection(_address(service)) for _ in range(50)]
        for reader, writer in many:
            with contextlib.suppress(ConnectionError):
                assert b"are connected already" in await reader.read()
            writer.close()
    assert service.door.clients == 6
    for _, writer in held:
        writer.close()


async def test_who_reads_too_slowly_takes_the_state_whole(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    door = service.door
    assert door is not None
    door.stream._kept = type(door.stream._kept)(maxlen=100)
    reader, writer = await asyncio.open_unix_connection(_address(service))
    writer.write(framed(packed({"hello": 1, "events": True})))

    async def message() -> dict[str, Any]:
        size = int.from_bytes(await reader.readexactly(4), "big")
        return unpacked(await reader.readexactly(size))

    welcome = await message()
    assert welcome["whole"]["metrics"]
    for number in range(3_000):  # nobody reads: far more than a socket holds
        fault = FaultReported(at=NOW, where="test", message=f"{number} " + "x" * 2_000)
        service.runtime.bus.publish(fault)
        if number % 50 == 0:
            await asyncio.sleep(0)
    seen, last = [welcome], door.stream.last
    async with asyncio.timeout(90):
        while seen[-1].get("seq", 0) < last:
            seen.append(await message())
    assert any("whole" in found for found in seen[1:])
    assert sum(len(found.get("events", ())) for found in seen) < 3_000
    writer.close()


# -- attached ----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def attached(service: Service, *, websocket: bool = False, **options: Any) -> AsyncIterator[RemoteRuntime]:
    address = f"ws://{service.websocket.address}" if websocket and service.websocket else _address(service)
    remote = RemoteRuntime(address, token=service.plan.place.token, **options)
    await remote.start()
    try:
        yield remote
    finally:
        await remote.stop()


@pytest.mark.parametrize("websocket", [False, True], ids=["socket", "websocket"])
async def test_an_attached_terminal_sees_and_does_what_the_engine_does(service: Service, websocket: bool) -> None:
    own = service.runtime
    async with attached(service, websocket=websocket) as remote:
        assert repr(remote.queries.metrics()) == repr(own.queries.metrics())
        assert {a.id for a in remote.queries.alerts()} == {a.id for a in own.queries.alerts()}
        assert repr(await remote.pipeline.summary()) == repr(await own.pipeline.summary())
        assert remote.queries.chart("carry") is None  # asked for now
        await until(lambda: remote.queries.chart("carry") is not None, 90)
        assert repr(remote.queries.chart("carry")) == repr(own.queries.chart("carry"))
        await until(lambda: remote.queries.timeline("carry") is not None, 90)
        assert repr(remote.queries.timeline("carry")) == repr(own.queries.timeline("carry"))
        remote.queries.money("carry")  # asked for now
        await until(lambda: ("queries.money", "carry") in remote.queries._answers, 90)
        assert repr(remote.queries.money("carry")) == repr(own.queries.money("carry"))
        when = own.watched.live.fleet.last_bar if own.watched.live is not None else None
        assert when is not None
        await until(lambda: remote.queries.moment(when), 90)
        assert repr(remote.queries.moment(when)) == repr(dict(own.queries.moment(when)))
        assert [d.path for d in await remote.documents.list()] == [d.path for d in await own.documents.list()]
        with pytest.raises(EvaluationError, match="60 bars leave nothing"):  # its own error, not a stranger
            await remote.book.figures()
        heard = remote.bus.subscribe("test", ev.FeatureMoved)
        assert "demoted" in await remote.pipeline.act("demote", "fast", "a test")
        await until(lambda: "fast" not in remote.queries.metrics(), 90)
        assert [e.feature for e in heard.take() if isinstance(e, ev.FeatureMoved)] == ["fast"]
        with pytest.raises(TransitionError, match="reason"):
            await remote.pipeline.act("kill", "carry", "")
        assert "is deployed again" in await remote.pipeline.undo()


async def test_a_read_only_terminal_looks_and_changes_nothing(service: Service) -> None:
    async with attached(service, read_only=True) as remote:
        assert remote.read_only
        assert remote.queries.metrics()
        for call in (
            remote.pipeline.act("demote", "fast", "no"),
            remote.pipeline.undo(),
            remote.queries.acknowledge("x"),
            remote.sessions.start("momentum"),
            remote.diagnosing.ask("carry"),
        ):
            with pytest.raises(ReadOnlyError, match="attached read-only"):
                await call


async def test_a_dropped_connection_comes_back_without_loss(service: Service) -> None:
    assert service.door is not None
    async with attached(service) as remote, attached(service) as other:
        heard = remote.bus.subscribe("test", FaultReported)
        for number in range(200):
            service.runtime.supervisor.fault("test", f"{number}")
            if number % 20 == 7:
                for task in tuple(service.door._clients):
                    task.cancel()  # both lose their connection in the middle
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
        found: list[str] = []

        def all_there() -> bool:
            found.extend(e.message for e in heard.take() if isinstance(e, FaultReported) and e.where == "test")
            return len(found) >= 200

        await until(all_there, 90)
        assert found == [str(number) for number in range(200)]
        await until(lambda: not other.mirror.lost, 90)


async def test_a_restarted_service_is_attached_to_again(stocked: Path, tmp_path: Path) -> None:
    desk = copy_desk(stocked, tmp_path / "desk")
    first = Service(plan_of(desk))
    await first.start()
    remote = RemoteRuntime(_address(first))
    await remote.start()
    try:
        before = remote.queries.metrics()
        await first.stop()
        await until(lambda: remote.mirror.lost, 90)
        assert remote.phase == "degraded"
        assert remote.queries.stale
        assert remote.troubles()[0].badge == "NOT ATTACHED"
        with pytest.raises(MidasError, match="not reached"):
            await remote.pipeline.summary()
        async with Service(plan_of(desk)):
            await until(lambda: not remote.mirror.lost, 90)
            after = remote.queries.metrics()
            assert {n: m.bars for n, m in after.items()} == {n: m.bars for n, m in before.items()}
            assert (await remote.pipeline.summary()).deployed
    finally:
        await remote.stop()


# -- the WebSocket -----------------------------------------------------------------------------------


async def test_the_websocket_lets_in_who_has_the_token_and_no_foreign_page(service: Service) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    assert service.websocket is not None
    at, token = service.websocket.address, service.plan.place.token()
    good = {"Authorization": f"Bearer {token}"}
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({**good, "Origin": "http://evil.example"}, 403),
        ({**good, "Origin": "null"}, 403),
    ):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://{at}", additional_headers=headers, proxy=None)
        assert caught.value.response.status_code == status
    foreign = socket.create_connection((at.host, at.port))
    foreign.sendall(
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 403 " in await asyncio.to_thread(foreign.recv, 100)
    foreign.close()
    big = await connect(f"ws://{at}", additional_headers=good, proxy=None, max_size=None)
    with contextlib.suppress(OSError, ConnectionClosed):
        await big.send(b"x" * 10_000_000)
    async with asyncio.timeout(90):
        await big.wait_closed()
    assert big.close_code in (1009, 1006)  # too big, or cut off before that could be said


async def test_a_crowd_that_says_nothing_is_bounded_and_keeps_nobody_out(service: Service) -> None:
    from websockets.asyncio.client import connect

    listener = service.websocket
    assert listener is not None
    at, token = listener.address, service.plan.place.token()
    crowd = []
    for _ in range(200):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((at.host, at.port))
        crowd.append(one)
        await asyncio.sleep(0)
    await until(lambda: listener.refused >= 200 - MOST_CONNECTIONS, 90)
    assert len(listener.held) <= MOST_CONNECTIONS
    for one in crowd:
        one.close()
    await until(lambda: not listener.held, 90)
    async with connect(f"ws://{at}", additional_headers={"Authorization": f"Bearer {token}"}, proxy=None):
        await until(lambda: len(listener.clients) == 1, 90)


# -- the command line beside a service ---------------------------------------------------------------


async def test_changing_verbs_go_through_the_service(service: Service) -> None:
    kb = str(service.plan.settings.kb_path)

    async def midas(*args: str) -> Any:
        return await asyncio.to_thread(run_midas, *args, "--kb", kb, "--data", "sample")

    done = await midas("demote", "fast", "--reason", "a test")
    assert done.code == 0, done.err
    await until(lambda: "fast" not in service.runtime.watched.names, 90)
    refused = await midas("demote", "fast", "--reason", "again")
    assert refused.code == 7
    assert "demote is not possible" in refused.err
    assert (await midas("undo")).code == 0
    assert (await midas("pause", "--all", "--yes", "pause all", "--reason", "t")).code == 0
    await until(lambda: service.runtime.watched.live.fleet.paused == {"carry", "fast"}, 90)  # type: ignore[union-attr]
    wrong = await midas("kill", "--all", "--reason", "fire", "--yes", "yes")
    assert wrong.code == 6
    assert (await midas("kill", "--all", "--reason", "fire", "--yes", "kill all")).code == 0
    base = KnowledgeBase(service.plan.settings.kb_path, read_only=True)
    killed = base.kill_file.read().kills
    assert {name: kill.via for name, kill in killed.items()} == dict.fromkeys(("carry", "fast"), "command line")
    await until(lambda: not service.runtime.watched.names, 90)


async def test_a_stuck_service_does_not_delay_a_kill(stocked: Path, tmp_path: Path) -> None:
    desk = copy_desk(stocked, tmp_path / "desk")
    place = Place(desk / "kb")
    place.make()
    deaf = listening_socket(place.socket)  # accepts, and never answers
    try:
        began = WallClock().monotonic()
        done = await asyncio.to_thread(
            run_midas, "kill", "carry", "--reason", "x", "--yes", "carry", "--kb", str(desk / "kb")
        )
        assert done.code == 0, done.err
        assert WallClock().monotonic() - began < 40
    finally:
        deaf.close()
    assert "carry" in KnowledgeBase(desk / "kb", read_only=True).kill_file.read().kills
