"""The far sides of `day_at_speed.py`, each a process that can be killed: the venue, and the webhook that fails."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks"), str(ROOT)]


async def _until_stopped() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


async def serve_venue(symbols: tuple[str, ...], clock: Any, bar: str, port: int) -> None:
    """The venue at a port, until SIGTERM; bars of `bar`, in the clock's time."""
    from helpers_venue import HOUR, FakeVenue

    class Venue(FakeVenue):
        """Shows no bar that still runs: at this speed an answer is minutes old when it is read."""

        async def __aenter__(self) -> FakeVenue:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
            return self

        def _wire(self, target: str, body: bytes) -> Any:
            found = super()._wire(target, body)
            self.asked.clear()
            self.queries.clear()
            return found

        def _answer(self, path: str, query: dict[str, str]) -> Any:
            """An hour of the venue's world is a minute here, where minutes are asked for; funding keeps its hours."""
            rows = path.endswith("lines")
            if not rows or bar != "1m":
                found = super()._answer(path, query)
                return [row for row in found if row[0] + HOUR <= self.now_ms()] if rows else found
            ends, now, listed = query.get("endTime"), self.now_ms, self.listed
            asked = {**query, "interval": "1h", "startTime": str(int(query["startTime"]) * 60)}
            self.now_ms, self.listed = (lambda: now() * 60), listed * 60
            try:
                found = super()._answer(path, {**asked, **({"endTime": str(int(ends) * 60)} if ends else {})})
            finally:
                self.now_ms, self.listed = now, listed
            whole = [row for row in found if row[0] + HOUR <= now() * 60]
            return [[row[0] // 60, *row[1:6], (row[6] + 1) // 60 - 1, *row[7:]] for row in whole]

    days = 40 if bar == "1h" else 2
    listed = int((clock.start - timedelta(days=days)).timestamp() * 1000)
    async with Venue(symbols, lambda: int(clock.now().timestamp() * 1000), listed=listed):
        await _until_stopped()


async def serve_hook(taken: Path, port: int, seed: int) -> None:
    """A webhook at a port, until SIGTERM: what it takes is on disk before it says so, and half the time it fails.

    A failure is a 503, a connection that ends without a word, or an answer that is lost after it took the record.
    """
    from helpers_outbound import LoopbackServer

    chance = random.Random(f"{seed} {os.getpid()}")

    def answer(method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes] | None:
        if path == "/calm":
            return 200, b"{}"
        fails = chance.choice(("", "", "", "busy", "gone", "lost"))
        if fails == "busy":
            return 503, b""
        if fails != "gone":
            with taken.open("a") as file:
                file.write(json.dumps({"sequence": json.loads(body)["sequence"], "lost": fails == "lost"}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return None if fails else (200, b"{}")

    with LoopbackServer(answer, port):
        await _until_stopped()
