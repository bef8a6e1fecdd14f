"""`Supervisor`: what runs in the background, which phase the program is in, and what failed and was survived."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError
from midas_engine.events import Event, FaultReported, RuntimeChanged

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock


class Supervisor:
    """Runs background work so that a failure is told, and tells the phases.

    Args:
        bus: Where it is told.
        clock: The wall's.

    Attributes:
        bus: As given: where the parts tell what they do.
        clock: As given.
        phase: starting, warming, running, degraded, stopping or stopped; `detail` says why.
        tasks: What runs now.
    """

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        self.bus, self.clock = bus, clock
        self.phase, self.detail = "starting", ""
        self.tasks: set[asyncio.Task[None]] = set()

    def background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` supervised: a failure is reported, never swallowed."""
        task = asyncio.get_running_loop().create_task(self._supervised(work, name), name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        # One that is cancelled before its first step never takes `work` up; closed, it is not missed.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _supervised(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            hint = error.hint if isinstance(error, MidasError) else "the rest of Midas goes on"
            self.fault(name, f"{type(error).__name__}: {error}", hint)

    async def cancel(self) -> None:
        """Cancel what runs, and wait for its end."""
        for task in tuple(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def fault(self, where: str, message: str, hint: str = "", severity: str = "warning") -> None:
        """Report something that failed and was survived; from any thread."""
        self.announce(FaultReported(at=self.clock.now(), where=where, message=message, hint=hint, severity=severity))

    def announce(self, event: Event) -> None:
        """Publish an event, from any thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.bus.publish_threadsafe(event)
        else:
            self.bus.publish(event)

    def change(self, phase: str, detail: str = "", progress: float = float("nan")) -> None:
        """Enter a phase, or say how far it is."""
        self.phase, self.detail = phase, detail
        self.bus.publish(RuntimeChanged(at=self.clock.now(), phase=phase, detail=detail, progress=progress))
