"""What an operator may tell a monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError
from midas_engine.monitor.state.recovery import NOTE_SECONDS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.models import Alert
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.stats.sequential import Reference


class OperatorCommands:
    """Carries commands out: each survives a crash right after it.

    Args:
        fleet: What they change, its alerts and its kills.
        bus: Told what follows.
        clock: Engine time.
        turn: Held while the fleet changes.
        snapshot: Saves the fleet, with `turn` held; a journal that takes longer than so many seconds is a fault that is
            told.
    """

    def __init__(
        self,
        fleet: Fleet,
        bus: EventBus,
        clock: Clock,
        turn: asyncio.Lock,
        snapshot: Callable[[float], Awaitable[None]],
    ) -> None:
        self._fleet, self._bus, self._clock = fleet, bus, clock
        self._turn, self._snapshot = turn, snapshot

    async def kill(self, name: str, **how: Any) -> bool:
        """Stop a feature for good; False when it was killed before. See `KillSwitch.kill` for `how`."""
        fleet = self._fleet
        if name not in fleet.names and name not in fleet.kills.killed:
            raise MonitorError(f"feature {name!r} is not monitored", hint="monitored: " + ", ".join(fleet.names))
        if fleet.built and name in fleet.names:
            fleet.engine.set_live(name, False)
        last = fleet.stream.last if fleet.built else None
        killed = await fleet.kills.kill(name, at=self._clock.now(), bar=-1 if last is None else last, **how)
        fleet.kill_wanted.pop(name, None)
        return killed

    async def rearm(self, name: str, actor: str) -> bool:
        """Let a killed feature live again; False when it was not killed."""
        done = await self._fleet.kills.rearm(name, actor=actor)
        if done:
            self._fleet.apply_live()
        return done

    async def set_paused(self, name: str, paused: bool) -> None:
        """Take a feature's position off, or on again."""
        if name not in self._fleet.names:
            raise MonitorError(f"feature {name!r} is not monitored")
        async with self._turn:
            (self._fleet.paused.add if paused else self._fleet.paused.discard)(name)
            self._fleet.apply_live()
            await self._snapshot(NOTE_SECONDS)

    async def watch(
        self, names: Sequence[str], references: Mapping[str, Reference | float], shadow: Collection[str] | None
    ) -> None:
        """Monitor exactly `names`; with `shadow`, those of them that have a book of their own."""
        async with self._turn:
            if shadow is not None:
                self._fleet.shadow = set(shadow)
            self._publish(self._fleet.resize(names, references, self._clock.now()))
            await self._snapshot(NOTE_SECONDS)

    async def acknowledge(self, alert_id: str, actor: str) -> Alert:
        """Mark a running alert as seen."""
        return await self._answered(self._fleet.alerts.acknowledge(alert_id, self._clock.now(), actor))

    async def snooze(self, alert_id: str, hours: float) -> Alert:
        """Silence a running alert for `hours`."""
        return await self._answered(self._fleet.alerts.snooze(alert_id, hours, self._clock.now()))

    async def _answered(self, events: Sequence[Event]) -> Alert:
        self._publish(events)
        await self.save()
        alert: Alert = events[-1].alert  # type: ignore[attr-defined]
        return alert

    async def save(self, seconds: float = NOTE_SECONDS) -> None:
        """Save the state now; a journal that takes longer than `seconds` is a fault that is told."""
        async with self._turn:
            await self._snapshot(seconds)

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            self._bus.publish(event)
