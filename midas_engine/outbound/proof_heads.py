"""A file that the head of the proof leaves to: one that cannot be written is said, tried again, and holds up nobody."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from midas_engine.monitor.worker import Worker
from midas_engine.outbound.appending import append_whole
from midas_engine.outbound.retry import Retry

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.outbound.outputs import Source
    from midas_engine.outbound.proof import ProofChain

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0


class HeadFile:
    """Adds the head to one file when it is asked to, however long that takes.

    It has a thread of its own: a share that hangs keeps neither the chain nor the other files waiting. What is written
    is the newest head at that moment, which speaks for every one before it.

    Args:
        path: The file.
        chain: Whose head.
        source: The engine.
    """

    def __init__(self, path: Path, chain: ProofChain, source: Source) -> None:
        self.path, self._chain, self._source = path, chain, source
        self._worker = Worker(f"midas-head-{path.name}")
        self._task: asyncio.Task[None] | None = None
        self._due = False
        self.failing = self.failing_since = ""

    def send(self) -> None:
        """Have the head leave; one that still could not leave leaves with it."""
        self._due = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._leave(), name=f"head to {self.path.name}")

    async def _leave(self) -> None:
        clock, retry = self._source.clock, Retry(_FIRST_PAUSE, _LONGEST_PAUSE)
        while self._due:
            self._due = False  # a day that begins meanwhile has its head leave too
            try:
                await self._worker.submit(self._write)
            except Exception as error:  # whatever the far side does, the chain goes on
                self._due = True
                why = getattr(error, "message", "") or str(error) or type(error).__name__
                if not self.failing:
                    self.failing_since = clock.now().isoformat()
                    words = f"the head of the proof could not leave to {self.path}: {why}"
                    self._source.fault("proof", f"{words}; what is committed goes on, and it is tried again", "warning")
                self.failing = why
                await clock.sleep(retry.failed(clock.monotonic()))
                continue
            if self.failing:
                self._source.fault("proof", f"the head of the proof leaves to {self.path} again", "info")
                self.failing = self.failing_since = ""

    def _write(self) -> None:
        head, at = self._chain.head, max(self._source.clock.now().isoformat(), self._chain.written)
        append_whole(self.path, json.dumps({"at": at, "n": head.n, "digest": head.digest}).encode() + b"\n")

    async def close(self) -> None:
        """Stop trying; the next start sends the head again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def status(self) -> dict[str, Any]:
        """Whether the newest head is there."""
        return {"due": self._due, "failing_since": self.failing_since or None, "why": self.failing}
