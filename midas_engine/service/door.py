"""The service's door: terminals and commands come in by the base's socket, or by a WebSocket on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError
from midas_engine.service.calls import answer
from midas_engine.service.frames import MOST_REQUEST_BYTES, PROTOCOL, ClosedError, StreamChannel
from midas_engine.service.peers import listening_socket, peer_is_us
from midas_engine.service.picture import Past, facts_of, whole_of
from midas_engine.service.stream import Stream
from midas_engine.service.wire import WireError, packed, unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.service.desk import Desk
    from midas_engine.service.frames import Channel

HELLO_SECONDS = 5.0
STUCK_SECONDS = 30.0
AT_ONCE = 16
CALLS_SECONDS = 5.0
DOORS = ("terminal", "command line")


class _StuckError(TimeoutError):
    """Who is served does not read."""


class Door:
    """Serves clients, however they came in.

    Args:
        desk: What their calls are carried out on.
        most: Clients at a time; another one is told so and let go.
    """

    def __init__(self, desk: Desk, most: int) -> None:
        self._desk, self._most = desk, most
        self._bus = desk.runtime.bus
        self.stream = Stream(self._bus, self._facts, self._whole)
        self._past = Past(self._bus)
        self._clients: set[asyncio.Task[Any]] = set()
        self.calls: set[asyncio.Task[None]] = set()  # what was begun is finished, though who asked has left
        self._server: asyncio.Server | None = None
        self._path: Path | None = None

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    async def listen(self, path: Path) -> None:
        """Listen at the base's socket.

        Raises:
            KnowledgeBaseError: It cannot be made.
        """
        made = listening_socket(path)
        self._path = path
        self._server = await asyncio.start_unix_server(self._came, sock=made)

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = StreamChannel(reader, writer, MOST_REQUEST_BYTES)
        connection = writer.get_extra_info("socket")
        if connection is None or not peer_is_us(connection):
            await channel.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # the task is this connection's own: its end is all it was
            await self.serve(channel)

    async def serve(self, channel: Channel) -> None:
        """Serve one client until it leaves."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._clients) >= self._most:
            with contextlib.suppress(ClosedError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await channel.send(packed({"refused": f"{self._most} are connected already", "full": True}))
            await channel.close()
            return
        self._clients.add(task)
        try:
            await _Client(self, self._desk, channel).run()
        except _StuckError:
            words = f"a terminal did not read for {STUCK_SECONDS:g} s and was let go"
            self._desk.runtime.supervisor.fault("door", words, "info")
        except (ClosedError, TimeoutError):
            pass  # it left, or said nothing
        except (WireError, MidasError) as error:
            with contextlib.suppress(ClosedError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await channel.send(packed({"refused": str(error)}))
        finally:
            self._clients.discard(task)
            await channel.close()

    def welcome(self, after: object) -> tuple[bytes, int]:
        """The first answer, and the number the stream goes on after: what is kept of what was missed, or all anew."""
        body = b'{"welcome":%d,"run":"%s","facts":%s' % (PROTOCOL, self.stream.run.encode(), self._facts())
        match after:
            case [self.stream.run, int(number)] if self.stream.has(number):
                return body + b"}", number
        return body + b"," + self.anew() + b"}", self.stream.last

    def anew(self) -> bytes:
        """All that a client needs which knows nothing, as fields of a message."""
        return b'"seq":%d,"whole":%s,"past":%s' % (self.stream.last, self._whole(), self._past.message())

    def _facts(self) -> bytes:
        return packed(facts_of(self._desk.runtime))

    def _whole(self) -> bytes:
        return packed(whole_of(self._desk.runtime))

    async def close(self) -> None:
        """Let everybody go and remove the socket."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self.calls:
            await asyncio.wait(self.calls, timeout=CALLS_SECONDS)
        if self._server is not None:
            await self._server.wait_closed()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self.stream.close()
        self._past.close()


class _Client:
    """One connection: its calls are answered as they are done, its events sent as fast as it reads."""

    def __init__(self, door: Door, desk: Desk, channel: Channel) -> None:
        self._door, self._desk, self._channel = door, desk, channel
        self._calls: set[asyncio.Task[None]] = set()
        self._read_only = False

    async def run(self) -> None:
        async with asyncio.timeout(HELLO_SECONDS):
            hello = unpacked(await self._channel.receive())
        asked = hello.get("hello")
        if asked != PROTOCOL:
            raise WireError(f"this service speaks protocol {PROTOCOL}, not {str(asked)[:20]}: update the older one")
        self._read_only = bool(hello.get("read_only"))
        wants_events = hello.get("events") is True
        if not wants_events:
            await self._send(packed({"welcome": PROTOCOL, "base": str(self._desk.runtime.kb.path.resolve())}))
            await self._listen()
            return
        body, number = self._door.welcome(hello.get("after"))
        await self._send(body)
        sending = asyncio.create_task(self._follow(number), name="attached")
        listening = asyncio.create_task(self._listen(), name="attached calls")
        try:
            done, _ = await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (sending, listening):
                task.cancel()
            await asyncio.gather(sending, listening, return_exceptions=True)

    async def _send(self, body: bytes) -> None:
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                await self._channel.send(body)
        except TimeoutError:
            raise _StuckError from None

    async def _follow(self, number: int) -> None:
        """Send what comes; who is too slow for what is kept takes the state whole again."""
        stream = self._door.stream
        wake = stream.follow()
        try:
            while True:
                if not stream.has(number):
                    body, number = b"{" + self._door.anew() + b"}", stream.last
                else:
                    body, number = stream.batch(number)
                if body:
                    await self._send(body)
                else:
                    await stream.sleep(wake, number)
        finally:
            stream.leave(wake)

    async def _listen(self) -> None:
        while True:
            request = unpacked(await self._channel.receive())
            if len(self._calls) >= AT_ONCE:
                await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._answer(request), name="call")
            for running in (self._calls, self._door.calls):
                running.add(task)
                task.add_done_callback(running.discard)

    async def _answer(self, request: dict[str, Any]) -> None:
        number = request.get("id")
        if not isinstance(number, int):
            return
        reply: dict[str, Any] = {"id": number}
        try:
            reply["value"] = await answer(
                self._desk, request.get("call"), request.get("args"), read_only=self._read_only
            )
        except MidasError as error:
            reply["error"] = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        except Exception as error:
            self._desk.runtime.supervisor.fault("door", f"{request.get('call')}: {type(error).__name__}: {error}")
            reply["error"] = {"type": "MidasError", "message": f"{type(error).__name__}: {error}"[:500], "hint": ""}
        with contextlib.suppress(ClosedError, TimeoutError):
            await self._send(packed(reply))
