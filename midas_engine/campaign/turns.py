"""`Turns`: several campaigns on one base, a session each in turn. Every lock ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from midas_engine.alive import Alive, is_alive
from midas_engine.clock import WallClock
from midas_engine.errors import LockTimeoutError
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_AGAIN_SECONDS = 0.2


class Turns:
    """The turn to run a session, passed from campaign to campaign.

    Args:
        folder: Where the locks lie, inside the base.
        campaign: Whose turns; one process at a time may run a campaign.

    Raises:
        LockTimeoutError: Another process runs this very campaign.
    """

    def __init__(self, folder: Path, campaign: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._campaign = folder, campaign
        self._clock = WallClock()  # who waits for another process waits for the world
        mark = folder / f"{campaign}.runs"
        if is_alive(mark):
            raise LockTimeoutError(
                f"campaign {campaign} runs already", hint="wait for its end, or stop that process; then start it again"
            )
        self._running = Alive(mark)

    def close(self) -> None:
        """Let another process run this campaign."""
        self._running.release()

    @contextlib.asynccontextmanager
    async def turn(self, waits: Callable[[str], None]) -> AsyncIterator[None]:
        """Have the turn for one session.

        Args:
            waits: Told once, with a line, when another campaign has it.
        """
        handle = open_regular(self._folder / "turn", os.O_RDWR | os.O_CREAT)
        waiting: Alive | None = None
        try:
            while not self._taken(handle):
                if waiting is None:
                    waiting = Alive(self._folder / f"{self._campaign}.waits")
                    waits("another campaign of this base has its turn; this one waits for its own")
                await self._clock.sleep(_AGAIN_SECONDS)
            if waiting is not None:
                waiting.release()
            os.ftruncate(handle, 0)
            os.pwrite(handle, self._campaign.encode(), 0)
            yield
        finally:
            if waiting is not None:
                waiting.release()
            os.close(handle)  # the lock ends with it

    def _taken(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        last = os.pread(handle, 200, 0).decode("utf-8", "replace")
        if last == self._campaign and self._others_wait():
            fcntl.flock(handle, fcntl.LOCK_UN)  # it had the last one
            return False
        return True

    def _others_wait(self) -> bool:
        own = f"{self._campaign}.waits"
        return any(path.name != own and is_alive(path) for path in self._folder.glob("*.waits"))
