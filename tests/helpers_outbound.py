"""Far sides on loopback for the outbound tests and the fault drill: a real HTTP server that can be down or lie."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.kb import KnowledgeBase
from midas_engine.outbound import OrderReceiver, Source
from midas_engine.outbound.signal_log import FOLDER, SignalLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from midas_engine.outbound.order import Order

SECRET = "the-secret-of-both-sides-0123456789"
Answer = tuple[int, bytes]


class LoopbackServer:
    """Answers with `answer(method, path, headers, body)`; None closes the connection without a word."""

    def __init__(self, answer: Callable[[str, str, Mapping[str, str], bytes], Answer | None], port: int = 0) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                found = answer(self.command, self.path, dict(self.headers), body)
                self.close_connection = True
                if found is None:
                    return
                status, said = found
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_DELETE = _serve

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Whoever asked is gone: that is what some tests are about."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FarSide:
    """An `OrderReceiver` behind a server, with the effects it had.

    Attributes:
        fault: What the next requests meet, in order: down, silent (obeys, and the answer is lost), empty (200 without
            an acknowledgement, not obeyed), wrong (acknowledges another order), forged (not signed).
        effects: Every effect, in order: (key, action, feature); of the present life.
        past: The effects of the lives before: `forget` begins another one, which knows nothing.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.fault: list[str] = []
        self.effects: list[tuple[str, str, str]] = []
        self.met: list[str] = []
        self.past: list[list[tuple[str, str, str]]] = []
        self._lock, self._folder = threading.Lock(), folder
        self.receiver = OrderReceiver(SECRET, folder / "received.log", self._obey, WallClock())
        self.server = LoopbackServer(self._answer, port)

    def forget(self) -> None:
        """Begin anew, as one that was restarted on an empty disk."""
        with self._lock:
            self.past.append(self.effects)
            self.effects = []
            path = self._folder / f"received-{len(self.past)}.log"
            self.receiver = OrderReceiver(SECRET, path, self._obey, WallClock())

    def _obey(self, order: Order) -> None:
        self.effects.append((order.key, order.action, order.feature))

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        with self._lock:
            lease = b'"action":"lease"' in body
            fault = self.fault.pop(0) if self.fault and not lease else ""
            if fault:
                self.met.append(fault)
            if fault == "drop":
                return None
            if fault == "down":
                return 503, b""
            if fault == "empty":
                return 200, b"ok"
            if fault == "wrong":
                return 200, json.dumps({"acknowledged": "another", "signature": "v1=00"}).encode()
            if fault == "forged":
                return 200, json.dumps({"acknowledged": json.loads(body)["key"], "signature": "v1=00"}).encode()
            answer = self.receiver.receive(headers, body)
            if fault == "double":
                assert self.receiver.receive(headers, body)[0] == 409
            return None if fault == "silent" else answer


def source_of(folder: Path) -> Source:
    """A base with a bus, as a running engine has them."""
    return Source(KnowledgeBase(folder), EventBus(), WallClock())


def signal_body(number: int, **more: Any) -> dict[str, Any]:
    return {"bar": f"2026-01-01T{number:02d}:00:00+00:00", "features": {}, **more}


def signal_log(folder: Path, count: int, **more: Any) -> SignalLog:
    log = SignalLog(folder / "kb" / FOLDER)
    log.open()
    for number in range(count):
        log.append(signal_body(number, **more))
    return log


class Fresh:
    """Wakes the readers of a log."""

    def __init__(self) -> None:
        self.wakes: list[asyncio.Future[None]] = []

    def __call__(self) -> asyncio.Future[None]:
        self.wakes.append(asyncio.get_running_loop().create_future())
        return self.wakes[-1]

    def wake(self) -> None:
        for wake in self.wakes:
            if not wake.done():
                wake.set_result(None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is a file, or another thread
            await asyncio.sleep(0.005)
