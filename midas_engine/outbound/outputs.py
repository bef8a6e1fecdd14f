"""`Outputs`: everything that leaves an engine, started and closed as one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from midas_engine.events import FaultReported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.kb.locks import Claim
    from midas_engine.market import Panel
    from midas_engine.settings import Settings


@dataclass(frozen=True, slots=True)
class Source:
    """What outputs read: an engine that runs, whoever runs it.

    Attributes:
        panel: The market as it stands, history and all; None before there is one.
        monitor: The live monitor; None before there is one.
        live: Who follows the feed, and takes fills; None before there is one.
        settings: Costs, caps and limits, for the book's weights; None: none are told.
    """

    kb: KnowledgeBase
    bus: EventBus
    clock: Clock
    journal: Callable[[], Journal | None] = lambda: None
    panel: Callable[[], Panel | None] = lambda: None
    monitor: Callable[[], Any] = lambda: None
    settings: Settings | None = None
    live: Callable[[], Any] = lambda: None

    def fault(self, where: str, message: str, severity: str = "warning", hint: str = "") -> None:
        """Tell what failed and was survived; on the event loop."""
        at = self.clock.now()
        self.bus.publish(FaultReported(at=at, where=where, message=message, severity=severity, hint=hint))


class Output(Protocol):
    """One kind of thing that leaves."""

    name: str

    async def start(self) -> None:
        """Begin; MidasError when it cannot."""
        ...

    async def close(self) -> None:
        """End; what is under way goes on at the next start."""
        ...

    def status(self) -> dict[str, Any]:
        """How it stands, as JSON types."""
        ...

    def unwritten(self) -> tuple[str, ...]:
        """What of its own record the disk refuses now, in words."""
        ...


class Outputs:
    """The outputs of one engine. One process sends for a base.

    Args:
        outputs: From `outputs_of`; may be none.
        source: The base they are of; None where there are none.
    """

    def __init__(self, outputs: Sequence[Output], source: Source | None = None) -> None:
        self.outputs, self._source = tuple(outputs), source
        self._claim: Claim | None = None
        self._started: list[Output] = []

    def __bool__(self) -> bool:
        return bool(self.outputs)

    async def start(self) -> None:
        """Start all, or none.

        Raises:
            LockTimeoutError: Another process sends for this base.
            MidasError: One cannot start: an output that is set and does not work is no small matter.
        """
        if self.outputs and self._source is not None:
            self._claim = self._source.kb.claim("sender")
        try:
            for output in self.outputs:
                await output.start()
                self._started.append(output)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close what was started, the last one first. Safe to call twice."""
        started, self._started = self._started[::-1], []
        await asyncio.gather(*(output.close() for output in started), return_exceptions=True)
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def status(self) -> dict[str, Any]:
        """How each stands, by its name."""
        return {output.name: output.status() for output in self._started}

    def unwritten(self) -> tuple[str, ...]:
        """What of their records the disk refuses now, in words."""
        return tuple(what for output in self._started for what in output.unwritten())
