"""One served program: a process of its own, its pipes, and its certain end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import site
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from midas_tui.web.frames import Size

_DRIVER = "midas_tui.web.driver:DoorDriver"
_READY = b"__GANGLION__\n"
START_SECONDS = 60.0
# Closing in order, then after a signal; a frozen engine has had its chance.
LEAVE_SECONDS = 4.0
SIGNAL_SECONDS = 1.0
KEYS_SECONDS = 10.0
MAX_PACKET_BYTES = 16 * 2**20
_ERRORS_KEPT = 8_192


class ProgramError(Exception):
    """The program did not start, or does not behave; the text is for the operator."""


class Program:
    """A `midas_tui` process behind pipes. `start` makes one; `end` must be awaited.

    Data packets are what it draws; meta packets are what it asks the browser for.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._errors = bytearray()
        self._listening = asyncio.create_task(self._keep_errors(), name="errors of a served program")

    @classmethod
    async def start(cls, arguments: Sequence[str], size: Size) -> Program:
        """Start `midas-tui` with `arguments`, for a browser of `size`. No shell reads any of it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "midas_tui", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=_environment(size),
            # A group of its own: Ctrl-C reaches the server, which ends the program in order, its workers with it.
            start_new_session=True,
        )  # fmt: skip
        return cls(process)

    async def last_words(self) -> str:
        """The end of what it wrote to its standard error; a program that ends is heard out."""
        await asyncio.wait({self._listening}, timeout=SIGNAL_SECONDS)
        return self._errors.decode("utf-8", "replace")

    async def _keep_errors(self) -> None:
        while chunk := await self._err.read(4096):
            self._errors += chunk
            del self._errors[:-_ERRORS_KEPT]

    # -- from the program --------------------------------------------------------------------------

    async def packets(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Kind and payload of each packet, until the program ends.

        Raises:
            ProgramError: It never began to draw, or a packet is larger than a screen can be.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._out.readuntil(_READY)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ProgramError("the terminal could not start") from error
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await self._out.readexactly(5)
                size = int.from_bytes(head[1:], "big")
                if size > MAX_PACKET_BYTES:
                    raise ProgramError(f"the terminal drew {size} bytes at once")
                yield head[:1], await self._out.readexactly(size)

    # -- to the program ----------------------------------------------------------------------------

    async def type(self, keys: str) -> None:
        """Send keys; ProgramError when it does not read them. Half a character is none: a `?` would be a key."""
        typed = keys.encode("utf-8", "ignore")
        if typed:  # an empty packet is the end of all input to Textual's reader
            await self._send(b"D", typed)

    async def resize(self, size: Size) -> None:
        """Tell it the browser's size."""
        await self._tell({"type": "resize", "width": size.columns, "height": size.lines})

    async def focus(self, *, gained: bool) -> None:
        """Tell it whether the page has the keyboard."""
        await self._tell({"type": "focus" if gained else "blur"})

    async def _tell(self, meta: dict[str, object]) -> None:
        await self._send(b"M", json.dumps(meta).encode())

    async def _send(self, kind: bytes, payload: bytes) -> None:
        try:
            self._in.write(kind + len(payload).to_bytes(4, "big") + payload)
            async with asyncio.timeout(KEYS_SECONDS):
                await self._in.drain()
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ProgramError("the terminal does not answer") from error

    # -- its end -----------------------------------------------------------------------------------

    async def end(self) -> None:
        """Close it in order; a program that does not close is killed, with whatever it started."""
        draining = asyncio.create_task(self._drain(), name="last words of a served program")
        try:
            with contextlib.suppress(ProgramError, TimeoutError):
                if self._process.returncode is None:
                    async with asyncio.timeout(SIGNAL_SECONDS):
                        await self._tell({"type": "quit"})
            self._in.close()
            for number, seconds in ((signal.SIGTERM, LEAVE_SECONDS), (signal.SIGKILL, SIGNAL_SECONDS)):
                if await self._ended_within(seconds):
                    return
                self.signal(number)
            await self._process.wait()
        finally:
            self.signal(signal.SIGKILL)
            draining.cancel()
            self._listening.cancel()
            await asyncio.gather(draining, self._listening, return_exceptions=True)

    async def _drain(self) -> None:
        """Read on: a program that waits for its reader cannot close."""
        while await self._out.read(65_536):
            pass

    async def _ended_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the program and its workers, unless it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _environment(size: Size) -> dict[str, str]:
    environ = dict(os.environ)
    environ |= {
        "TEXTUAL_DRIVER": _DRIVER,
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "COLUMNS": str(size.columns),
        "ROWS": str(size.lines),
    }
    # -P keeps the working folder's modules out; a checkout that is not installed must be found all the same.
    root = str(Path(__file__).resolve().parents[2])
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        environ["PYTHONPATH"] = os.pathsep.join(p for p in (root, environ.get("PYTHONPATH", "")) if p)
    return environ
