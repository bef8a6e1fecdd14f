"""Who reads the record of signals: a file of JSON lines, and a webhook; each goes on where it was."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, SettingsError
from midas_engine.kb.atomic import atomic_write
from midas_engine.monitor.worker import Worker
from midas_engine.outbound.appending import append_whole
from midas_engine.outbound.http_post import ask, refused
from midas_engine.outbound.retry import Retry
from midas_engine.outbound.signal_log import canonical
from midas_engine.outbound.signing import headers
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.outputs import Source
    from midas_engine.outbound.signal_log import SignalLog

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 60.0
CALM_SECONDS = 60.0
"""Without a failure for so long all is well again: who fails now and then is told once, not at each record."""
_TAIL = 32_000_000


class Reader:
    """Hands one record after another over, in order; a failure is tried again, ever more slowly, and told once."""

    def __init__(self, name: str, kind: str, source: Source) -> None:
        self.name, self._kind, self.source = name, kind, source
        self.clock: Clock = source.clock
        self.worker = Worker(f"midas-signals-{name}")
        self._task: asyncio.Task[None] | None = None
        self.sequence, self.failing, self.failing_since = 0, "", ""
        self._failed_at, self._waiting = 0.0, 0

    async def start(self, log: SignalLog, fresh: Callable[[], asyncio.Future[None]]) -> None:
        """Begin where it was."""
        self.sequence = await self.worker.submit(lambda: self.begin(log))
        self._task = asyncio.get_running_loop().create_task(self._follow(log, fresh), name=f"signals {self.name}")

    async def close(self) -> None:
        """Stop; it goes on from there."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, log: SignalLog, fresh: Callable[[], asyncio.Future[None]]) -> None:
        retry = Retry(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            wake = fresh()
            try:
                for record in await self.worker.submit(lambda: list(_some(log, self.sequence))):
                    if 0 < self.sequence < record["sequence"] - 1:  # older files were removed meanwhile
                        gone = f"{self.sequence + 1} to {record['sequence'] - 1}"
                        words = f"{self.name}: records {gone} were removed before it took them"
                        self.source.fault("signals", words, "critical")
                        self.sequence = record["sequence"] - 1
                    await self.hand_over(record)
                    self.sequence = record["sequence"]
                    retry.worked()
                self._waiting = log.sequence - self.sequence
            except Exception as error:  # whatever it is, the record keeps what could not be handed over
                self._waiting = log.sequence - self.sequence
                self._fails(error)
                await self.clock.sleep(retry.failed(self.clock.monotonic()))
                continue
            if self.sequence >= log.sequence:
                await self._rest(wake)

    async def _rest(self, wake: asyncio.Future[None]) -> None:
        """Wait for the next record; say meanwhile that all is well, once it has been for a while."""
        if self.failing:
            calm = self._failed_at + CALM_SECONDS - self.clock.monotonic()
            if calm > 0 and not await self._woken(wake, calm):
                calm = 0.0
            if calm <= 0:
                self.source.fault("signals", f"{self.name}: signals arrive again", "info")
                self.failing = self.failing_since = ""
        await wake

    async def _woken(self, wake: asyncio.Future[None], seconds: float) -> bool:
        """Whether there is a new record before so long."""
        pause = asyncio.ensure_future(self.clock.sleep(seconds))
        try:
            await asyncio.wait({wake, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
        return wake.done()

    def _fails(self, error: Exception) -> None:
        why = (str(error) if isinstance(error, MidasError | OSError) else "") or f"{type(error).__name__}: {error}"
        self._failed_at = self.clock.monotonic()
        if not self.failing:
            self.failing_since = self.clock.now().isoformat()
            self.source.fault("signals", f"{self.name}: signals do not arrive: {why}; they are sent again", "warning")
        self.failing = why

    def begin(self, log: SignalLog) -> int:
        """The number of the last record that was handed over. Blocking."""
        raise NotImplementedError

    async def hand_over(self, record: dict[str, Any]) -> None:
        """Hand one over, durably; MidasError or OSError when that fails."""
        raise NotImplementedError

    def status(self) -> dict[str, Any]:
        """How far it is."""
        return {"kind": self._kind, "sequence": self.sequence, "waiting": self._waiting,
                "failing_since": self.failing_since or None, "why": self.failing}  # fmt: skip


def _some(log: SignalLog, sequence: int) -> list[dict[str, Any]]:
    found = []
    for record in log.since(sequence):
        found.append(record)
        if len(found) >= 100:
            break
    return found


class SignalFile(Reader):
    """A file that is added to; it says itself how far it is, so that a record stands in it once."""

    def __init__(self, address: Address, source: Source) -> None:
        super().__init__(address.name, address.kind, source)
        address.take(())
        self._path = Path(address.reach()).expanduser()
        if not self._path.parent.is_dir():
            raise SettingsError(f"{address}: there is no folder {self._path.parent}", hint="make it first")

    def begin(self, log: SignalLog) -> int:
        """The number of the last whole record in the file; a file that is new begins with the next bar."""
        with contextlib.suppress(FileNotFoundError):
            handle = open_regular(self._path, os.O_RDWR)
            with os.fdopen(handle, "r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                data = file.read()
                file.truncate(size - len(data) + data.rfind(b"\n") + 1)
                for line in reversed(data.splitlines()):
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        return int(json.loads(line)["sequence"])
        return log.sequence

    async def hand_over(self, record: dict[str, Any]) -> None:
        """Hand one over."""
        await self.worker.submit(lambda: append_whole(self._path, canonical(record) + b"\n"))


class SignalWebhook(Reader):
    """Signed POST requests, at least once: the number of the last one that was taken is kept beside the record."""

    def __init__(self, address: Address, source: Source) -> None:
        super().__init__(address.name, address.kind, source)
        address.take(("clear-text",))
        self._url, self._secret = address.url(), address.secret()
        self._cursor = source.kb.path / "outbound" / f"signals-{address.name}.cursor"

    def begin(self, log: SignalLog) -> int:
        """The number that is kept; one that is new begins with the next bar."""
        try:
            return int(self._cursor.read_text("ascii"))
        except (OSError, ValueError):
            return log.sequence

    async def hand_over(self, record: dict[str, Any]) -> None:
        """Hand one over."""
        body, nonce = canonical(record), secrets.token_hex(16)
        stamp, key = str(int(self.clock.now().timestamp())), f"signals:{record['sequence']}"
        reply = await ask("POST", self._url, body, headers(self._secret, stamp, nonce, key, body))
        if not 200 <= reply.status < 300:
            raise refused(reply)
        await self.worker.submit(lambda: self._keep(record["sequence"]))

    def _keep(self, sequence: int) -> None:
        self._cursor.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write(self._cursor, str(sequence).encode())
