"""Orders to a program of the user's own: the order on its standard input, its exit code is the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.outbound.http_post import DeliveryError
from midas_engine.outbound.order import Receipt
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.order import Order

SECONDS = 10.0
_PIECE, _LAST = 65_536, 200
_FREELY, _SLOWLY = 1_000_000, 0.05
"""Bytes that are read as they come; beyond them a piece each so many seconds."""
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class CommandLine:
    """A program that is started for each order, without a shell. Exit code 0 acknowledges.

    It gets the order as JSON on standard input, and MIDAS_ORDER_KEY, _ACTION and _FEATURE in an environment that
    holds nothing else but paths and language: no key of this process reaches it.
    """

    can = "what the program does, per feature; it must pass over a key that it has seen"
    leased = False
    most_pause = 30.0

    def __init__(self, address: Address) -> None:
        address.take(("features",))
        self._name = address.name
        try:
            self._words = shlex.split(address.reach())
        except ValueError as error:
            raise SettingsError(f"{address} cannot be read: {error}", hint="quote it as in a shell") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise SettingsError(f"{address} names no program that can be run", hint="give its whole path")

    async def deliver(self, order: Order, stopped: tuple[str, ...]) -> Receipt:
        """Run it with the order."""
        environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environ |= {f"MIDAS_ORDER_{n.upper()}": str(getattr(order, n)) for n in ("key", "action", "feature")}
        loop = asyncio.get_running_loop()
        words, errors = os.pipe()  # of our own: nothing waits for whoever else holds the other end
        said = _Tail(loop, words)
        try:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._words,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=errors,
                    env=environ,
                    start_new_session=True,
                )
            except OSError as error:
                raise DeliveryError(f"it cannot be run: {error.strerror}") from error
            finally:
                os.close(errors)
            code = await _ended(process, json.dumps(order.document(self._name, stopped)).encode() + b"\n")
        finally:
            said.close()
        if code:
            last = redact(said.last.decode("utf-8", "replace")).strip()
            raise DeliveryError(f"exit code {code}" + (f": {last}" if last else ""))
        return Receipt(True, "exit code 0")

    async def beat(self, beat: Mapping[str, object]) -> None:
        """A program takes no heartbeats."""

    async def lost(self, held: Mapping[str, Order]) -> None:
        """A program cannot be asked: it gets its orders again now and then."""


class _Tail:
    """The last words on a pipe; a program that never stops talking is read slowly, and costs neither memory nor time.

    Args:
        loop: Reads when there is something.
        handle: The pipe's end; closed by `close`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: int) -> None:
        self._loop, self._handle, self.last = loop, handle, b""
        self._read_bytes = 0
        self._later: asyncio.TimerHandle | None = None
        os.set_blocking(handle, False)
        loop.add_reader(handle, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._handle, _PIECE)
        except BlockingIOError:
            return
        self.last = (self.last + data)[-_LAST:]
        self._read_bytes += len(data)
        if not data or self._read_bytes > _FREELY:
            self._loop.remove_reader(self._handle)
        if data and self._read_bytes > _FREELY:
            self._later = self._loop.call_later(_SLOWLY, self._loop.add_reader, self._handle, self._read)

    def close(self) -> None:
        """Take what is there, and stop."""
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._handle)
        with contextlib.suppress(OSError):
            self.last = (self.last + os.read(self._handle, _PIECE))[-_LAST:]
        os.close(self._handle)


async def _ended(process: asyncio.subprocess.Process, told: bytes) -> int:
    """Give a program its order and wait for its end, not for that of what it started; its exit code."""
    assert process.stdin is not None
    try:
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # one that does not read its order
                process.stdin.write(told)
                await process.stdin.drain()
            process.stdin.close()
            return await process.wait()
    except TimeoutError:
        raise DeliveryError(f"it did not end within {SECONDS:g} s and was killed") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
