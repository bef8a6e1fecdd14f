"""The connection of an attached terminal: calls and their answers, the event stream, and coming back after a drop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine import errors
from midas_engine.errors import MidasError
from midas_engine.service.frames import MOST_ANSWER_BYTES, PROTOCOL, ClosedError, StreamChannel
from midas_engine.service.peers import connected
from midas_engine.service.wire import WireError, decoded, packed, unpacked

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.service.frames import Channel

Opener = Callable[[], Awaitable["Channel"]]
ANSWER_SECONDS = 60.0
FIRST_SECONDS = 20.0
# Pauses before the connection is tried again.
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def opener(address: str, token: Callable[[], str], starting: Callable[[Path], str] | None = None) -> Opener:
    """How to reach an address: a socket's path, or ws://127.0.0.1:PORT.

    Args:
        address: Where the service is.
        token: Gives the token of a WebSocket; not asked for otherwise.
        starting: Says who holds the base of a socket where nobody listens; empty: nobody does.
    """

    async def by_socket() -> Channel:
        found = await asyncio.to_thread(connected, Path(address))
        if found is None:
            held = await asyncio.to_thread(starting, Path(address)) if starting is not None else ""
            raise ClosedError(held or f"no service listens at {address}")
        found.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=found)
        return StreamChannel(reader, writer, MOST_ANSWER_BYTES)

    async def by_websocket() -> Channel:
        from midas_engine.service.websocket import open_websocket

        return await open_websocket(address, token(), MOST_ANSWER_BYTES)

    return by_websocket if address.startswith(("ws://", "wss://")) else by_socket


class Connection:
    """A connection that comes back by itself.

    Args:
        opener: Opens a channel.
        read_only: Ask to be let look only.
        clock: Times the pauses.
        take: Given every message of the stream.
        lost: Told why the connection is gone; "" when it is there again.

    Attributes:
        run: Which stream of the service this is.
        number: Number of the last event taken.
    """

    def __init__(
        self,
        opener: Opener,
        clock: Clock,
        *,
        read_only: bool,
        take: Callable[[dict[str, Any]], None],
        lost: Callable[[str], None],
    ) -> None:
        self._opener, self._clock, self._read_only = opener, clock, read_only
        self._take, self._lost = take, lost
        self._channel: Channel | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 0
        self._task: asyncio.Task[None] | None = None
        self.run, self.number = "", 0

    async def open(self) -> None:
        """Connect for the first time, then stay connected in the background.

        Raises:
            MidasError: There is no service, or it refuses this client.
        """
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await self._connect()
        except (ClosedError, TimeoutError) as error:
            raise MidasError(
                f"cannot attach: {error or 'the service does not answer'}",
                hint="midas status says whether one runs; midas run starts one",
            ) from None
        except WireError as error:
            raise MidasError(f"cannot attach: {error}", hint="update the older of the two") from None
        self._task = asyncio.get_running_loop().create_task(self._stay(), name="attached")

    async def _connect(self) -> None:
        channel = await self._opener()
        try:
            after = [self.run, self.number] if self.run else None
            hello = {"hello": PROTOCOL, "events": True, "read_only": self._read_only, "after": after}
            await channel.send(packed(hello))
            welcome = unpacked(await channel.receive())
            if "refused" in welcome:
                raise WireError(str(welcome["refused"])[:500])
            self._take(welcome)
            self.run = str(welcome["run"])
        except BaseException:
            await channel.close()
            raise
        self._channel = channel

    async def _stay(self) -> None:
        tries = 0
        while True:
            try:
                if self._channel is None:
                    async with asyncio.timeout(FIRST_SECONDS):
                        await self._connect()
                    self._lost("")
                    tries = 0
                await self._read()
            except (ClosedError, TimeoutError, WireError, KeyError) as error:
                await self._drop(f"{error}" or "the service is gone")
            await self._clock.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    async def _read(self) -> None:
        assert self._channel is not None
        while True:
            message = unpacked(await self._channel.receive())
            if "id" in message:
                future = self._waiting.pop(int(message["id"]), None)
                if future is not None and not future.done():
                    future.set_result(message)
            elif "refused" in message:
                raise ClosedError(str(message["refused"])[:500])
            else:
                self._take(message)

    async def _drop(self, why: str) -> None:
        channel, self._channel = self._channel, None
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ClosedError(why))
        self._lost(why)
        if channel is not None:
            with contextlib.suppress(ClosedError, OSError):
                await channel.close()

    async def call(self, name: str, kind: Any, *arguments: Any) -> Any:
        """Ask the service.

        Args:
            name: Of `CALLS`.
            kind: What the answer is read as; None: nothing.
            arguments: As the call takes them.

        Raises:
            MidasError: What the service refuses, in its words; or it cannot be reached.
        """
        channel = self._channel
        if channel is None:
            raise MidasError("the service is not reached now", hint="it is tried again all the time")
        self._next += 1
        number = self._next
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await channel.send(packed({"id": number, "call": name, "args": list(arguments)}))
            async with asyncio.timeout(ANSWER_SECONDS):
                message = await future
        except ClosedError:
            raise MidasError(
                f"the connection broke while {name} was asked: it may have been done", hint="look before you repeat it"
            ) from None
        except TimeoutError:
            raise MidasError(f"the service did not answer {name} in {ANSWER_SECONDS:g} s") from None
        finally:
            self._waiting.pop(number, None)
        return opened_answer(message, kind)

    async def close(self) -> None:
        """Leave."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._drop("closed")


def opened_answer(message: dict[str, Any], kind: Any) -> Any:
    """The value of an answer.

    Raises:
        MidasError: The service's own refusal, as the error it was there.
    """
    failed = message.get("error")
    if isinstance(failed, dict):
        found = getattr(errors, str(failed.get("type")), MidasError)
        error = found if isinstance(found, type) and issubclass(found, MidasError) else MidasError
        raise error(str(failed.get("message")), hint=str(failed.get("hint") or ""))
    try:
        return None if kind is None else decoded(kind, message.get("value"))
    except WireError as error:
        raise MidasError(f"the service's answer cannot be read: {error}", hint="update the older of the two") from None
