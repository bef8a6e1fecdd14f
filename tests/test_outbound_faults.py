"""Far sides at their worst: slow, garbled, endless, broken off; programs that never stop; clocks that are set."""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import SettingsError
from midas_engine.outbound import OrderReceiver, outputs_of
from midas_engine.outbound.command_line import CommandLine
from midas_engine.outbound.destination import Address
from midas_engine.outbound.http_post import DeliveryError, ask
from midas_engine.outbound.order import Order
from midas_engine.outbound.order_file import OrderFile
from midas_engine.outbound.order_reader import OrderReader
from midas_engine.outbound.signing import headers
from midas_engine.outbound_settings import OutboundSettings
from tests.helpers_outbound import SECRET, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
OK = b"HTTP/1.1 200 OK\r\n"


class RawServer:
    """Reads a request and lets `talk(send, over)` answer with any bytes; `over` is set when the test is done."""

    def __init__(self, talk: Callable[[Callable[[bytes], None], threading.Event], None]) -> None:
        self._talk, self.over, self.asked = talk, threading.Event(), 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._threads[0].start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._one, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(1.0)
            try:
                with connection.makefile("rb") as request:
                    head = iter(request.readline, b"\r\n")
                    size = [int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length:")]
                    request.read(sum(size))  # what is left unread would reset the connection
                self.asked += 1
                self._talk(connection.sendall, self.over)
            except OSError:
                return  # who asked is gone

    def close(self) -> None:
        self.over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    made: list[RawServer] = []

    def make(talk: Callable[..., None]) -> RawServer:
        made.append(RawServer(talk))
        return made[-1]

    yield make
    for server in made:
        server.close()


def _says(data: bytes) -> Callable[..., None]:
    return lambda send, over: send(data)


def _trickles(send: Callable[[bytes], None], over: threading.Event) -> None:
    send(OK + b"X: ")
    while not over.wait(0.02):
        send(b"a")


def _goes_on(send: Callable[[bytes], None], over: threading.Event) -> None:
    while not over.is_set():
        send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _stays(send: Callable[[bytes], None], over: threading.Event) -> None:
    send(OK + b"Content-Length: 2\r\n\r\nok")
    over.wait(10)


@pytest.mark.parametrize(
    ("talk", "wanted"),
    [
        (_trickles, "no answer within"),
        (_goes_on, "no answer within"),
        (_says(b"\x00\xff\x1b[31m" * 3000), "BadStatusLine"),
        (_says(OK + b"Content-Length: 200\r\n\r\nok"), "broke off after 2 of 200 bytes"),
        (_says(OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\nok"), "IncompleteRead"),
        (_says(OK + b"\r\n" + b"x" * 10_000_000), "more than 1,000,000 bytes"),
        (_says(OK + b"X: a\r\n" * 500 + b"\r\n"), "headers"),
        (_says(b""), "closed connection without response"),
    ],
    ids=["trickle", "continue", "garbage", "broken-off", "chunks", "10-mb", "headers", "nothing"],
)
async def test_an_answer_that_is_none_is_an_error_in_time_and_leaves_nothing_behind(
    serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch, talk: Any, wanted: str
) -> None:
    monkeypatch.setattr("midas_engine.monitor.worker._IDLE_SECONDS", 0.01)
    with pytest.raises(DeliveryError, match=wanted) as caught:
        await ask("POST", serve(talk).url, b"{}", {}, 0.4)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200
    for _ in range(300):  # the thread that asked ends, though the far side goes on
        if not (left := [t for t in threading.enumerate() if t.name == "midas-http"]):
            break
        await asyncio.sleep(0.02)
    assert not left


async def test_who_keeps_the_connection_open_has_answered_all_the_same(serve: Callable[..., RawServer]) -> None:
    assert (await ask("POST", serve(_stays).url, b"{}", {}, 5.0)).body == b"ok"


async def test_a_redirect_and_a_refusal_are_told_in_their_words_and_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., RawServer]
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    other = serve(_says(OK + b"\r\n"))
    for status, more, wanted in (
        ("302 Found", f"Location: {other.url}\r\n", "a redirect, which is not followed"),
        ("401 No", "", "HTTP 401: a clock is wrong"),
    ):
        far = serve(_says(f"HTTP/1.1 {status}\r\n{more}Content-Length: 16\r\n\r\na clock is wrong".encode()))
        source = source_of(tmp_path / status[:3])
        source.kb.kill_file.latch("carry", reason="dead", actor="operator", at=START)
        outputs = outputs_of(OutboundSettings(kills={"desk": f"webhook:{far.url}"}), source)
        await outputs.start()
        for _ in range(500):
            if wanted in str(outputs.status()["kills"]["desk"]["why"]):
                break
            await asyncio.sleep(0.01)
        assert wanted in outputs.status()["kills"]["desk"]["why"]
        await outputs.close()
    assert other.asked == 0


# -- programs ----------------------------------------------------------------------------------------


def _program(script: str) -> CommandLine:
    return CommandLine(Address("bot", "command", shlex.join([sys.executable, "-S", "-c", script])))


ORDER = Order("k1", 1, "kill", "carry")


async def test_a_program_that_never_stops_talking_is_killed_in_time_and_held_in_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import resource

    monkeypatch.setattr("midas_engine.outbound.command_line.SECONDS", 1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    talking = "import os\nwhile 1: os.write(2, b'x' * 1000000)"
    with pytest.raises(DeliveryError, match="did not end within 1 s and was killed"):
        await _program(talking).deliver(ORDER, ())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB; it said more in that second


async def test_who_talks_much_and_ends_well_and_leaves_a_child_behind_has_obeyed() -> None:
    much = "import os, subprocess, sys\nos.write(2, b'x' * 3000000)\n"
    child = "subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(3)'])"  # it holds the pipe
    begun = WallClock().monotonic()
    assert (await _program(much + child).deliver(ORDER, ())).acknowledged
    assert WallClock().monotonic() - begun < 2.9


async def test_what_a_program_said_last_is_told_and_one_that_reads_nothing_is_no_fault(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="exit code 3: no such bot"):
        await _program("import os; os.write(2, b'no such bot'); os._exit(3)").deliver(ORDER, ())
    script = tmp_path / "stop"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    program = CommandLine(Address("bot", "command", str(script)))
    assert (await program.deliver(ORDER, ())).acknowledged
    script.write_text("no program at all")
    with pytest.raises(DeliveryError, match="cannot be run: Exec format error"):
        await program.deliver(ORDER, ())
    script.chmod(0o600)
    with pytest.raises(DeliveryError, match="cannot be run: Permission denied"):
        await program.deliver(ORDER, ())
    with pytest.raises(SettingsError, match="names no program that can be run"):
        CommandLine(Address("bot", "command", str(script)))


# -- clocks that are set -----------------------------------------------------------------------------


class SetClock(ManualClock):
    """A wall clock that can be set, beside a monotonic one that cannot."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.mark.parametrize("hours", [-24, 24])
async def test_a_clock_that_is_set_neither_ends_a_lease_nor_stretches_it(tmp_path: Path, hours: int) -> None:
    clock, ended = SetClock(START), []  # type: tuple[SetClock, list[str]]
    receiver = OrderReceiver(SECRET, tmp_path / "log", lambda order: None, clock, lambda: ended.append("web"))
    body = json.dumps({"key": "lease:1", "action": "lease", "seconds": 60}).encode()
    assert receiver.receive(headers(SECRET, str(START.timestamp()), "n", "lease:1", body), body)[0] == 200
    path = tmp_path / "orders.jsonl"
    reader = OrderReader(path, lambda order: None, clock, lambda: ended.append("file"))
    writer = OrderFile(Address("bot", "file", str(path)))
    await writer.beat({"at": clock.now().isoformat(), "seconds": 60})
    assert reader.lease_holds()
    clock.advance(50)
    clock.ahead = timedelta(hours=hours)
    assert (receiver.check_lease(), reader.lease_holds(), ended) == (True, True, [])
    clock.advance(11)
    assert (receiver.check_lease(), reader.lease_holds()) == (False, False)
    assert ended == ["web", "file"]
    await writer.beat({"at": clock.now().isoformat(), "seconds": 60})
    assert reader.lease_holds()
    await writer.beat({"at": (clock.now() - timedelta(hours=2)).isoformat(), "seconds": 60})
    clock.advance(9000)  # looked at rarely: what came in between is as old as it says
    assert not reader.lease_holds()
