"""One browser and its program: what is typed goes one way, what is drawn the other, until one of them ends."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType

from midas_tui.sanitise import clean
from midas_tui.web.frames import Focus, Keys, Ping, Size, read_frame
from midas_tui.web.program import Program, ProgramError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiohttp import web

# A browser that reads nothing for so long holds the engine up, which draws into its pipe.
SLOW_SECONDS = 20.0
# Somebody who types, pastes and moves a mouse stays far below: 200 frames a second. A flood waits, then ends.
BYTES_A_SECOND = 200_000
FRAME_COST = 1_000
FLOOD_SECONDS = 10.0
NONSENSE_ALLOWED = 100

ENDED = "The terminal was closed."
SERVER_ENDS = "midas-tui --serve was ended."


class Meter:
    """Makes whoever says more than `rate` bytes a second wait."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._paid_until = 0.0
        self._late_since = float("inf")

    async def pay(self, size: int) -> bool:
        """Return at once while at most a second's worth is owed; False when it was more for long."""
        now = asyncio.get_running_loop().time()
        if self._paid_until <= now:  # all is paid; a sleep that came a little late is no rest
            self._late_since = float("inf")
        self._paid_until = max(self._paid_until, now) + size / self._rate
        wait = self._paid_until - now - 1.0
        if wait <= 0.0:
            return True
        self._late_since = min(self._late_since, now)
        await asyncio.sleep(wait)
        return now - self._late_since < FLOOD_SECONDS


async def converse(socket: web.WebSocketResponse, program: Program, closing: asyncio.Event) -> str:
    """Carry keys and screens until the browser, the program or the server ends; says which, in a sentence."""
    tasks = {
        asyncio.create_task(_hear(socket, program), name="browser"),
        asyncio.create_task(_show(socket, program), name="program"),
        asyncio.create_task(_until(closing), name="server"),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    first = done.pop()
    error = first.exception()
    if error is None:
        return first.result()
    if isinstance(error, ProgramError):
        return await _told(str(error), program)
    if isinstance(error, OSError):
        return "The browser went away."
    raise error


async def _until(closing: asyncio.Event) -> str:
    await closing.wait()
    return SERVER_ENDS


async def _hear(socket: web.WebSocketResponse, program: Program) -> str:
    meter, nonsense = Meter(BYTES_A_SECOND), 0
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return "The browser said something that is no message."
        frame = read_frame(message.data) if message.type is WSMsgType.TEXT else None
        if not await meter.pay(len(message.data) + FRAME_COST):
            return "The browser said more than anybody types."
        match frame:
            case Keys(text):
                await program.type(text)
            case Size() as size:
                await program.resize(size)
            case Focus(gained):
                await program.focus(gained=gained)
            case Ping(data):
                await socket.send_str(json.dumps(["pong", data]))
            case None:
                nonsense += 1
                if nonsense > NONSENSE_ALLOWED:
                    return "The browser speaks another language than this terminal."
    return "The page was closed."


async def _show(socket: web.WebSocketResponse, program: Program) -> str:
    async for kind, payload in program.packets():
        if kind == b"D":
            await _within(socket.send_bytes(payload))
        elif kind == b"M":
            meta = json.loads(payload)
            if meta["type"] == "exit":
                return ENDED
            # Only what a browser opens as a page: never a script or a file.
            if meta["type"] == "open_url" and str(meta["url"]).startswith(("https://", "http://")):
                await _within(socket.send_str(json.dumps(["open_url", {"url": meta["url"], "new_tab": True}])))
    return await _told(ENDED, program)


async def _within(sending: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(SLOW_SECONDS):
        await sending


async def _told(words: str, program: Program) -> str:
    """The sentence, and what the program said last: a failure is never silent."""
    lines = (await program.last_words()).strip().splitlines()
    return f"{words} It said: {clean(lines[-1], newlines=False)[:500]}" if lines else words
