"""A running monitor obeys what other processes did to its base, before its next bar and within a moment between bars.

Two things are followed, both by looking at files, for that needs no lock, no port and no second process, and works on
any file system: the kill file (one `stat`) and the pipeline (a token and the times of four folders). They are looked
at before every bar, which costs about 20 microseconds, and four times a second between bars, so that `on_kill` fires
at once and not with the next bar. Only a look that finds a change reads anything.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from midas_engine.clock import WallClock
from midas_engine.events import FeatureMoved
from midas_engine.models import FeatureState
from midas_engine.monitor.base_follower import BaseFollower, by
from midas_engine.monitor.neighbours import journal_of
from midas_engine.monitor.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.monitor.base_follower import Move
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.monitor.kill.switch import KillRecord, KillSwitch
    from midas_engine.monitor.protocols import Retirer
    from midas_engine.stats.sequential import Reference

LOOK_SECONDS = 0.25


class Obeying(Protocol):
    """A monitor, as far as it obeys."""

    fleet: Fleet
    kills: KillSwitch
    promoter: Retirer | None
    bus: EventBus
    clock: Clock
    expressions: dict[str, str]

    async def obey(self) -> None:
        """Obey now what moved."""
        ...

    def fault(self, message: str, severity: str = "warning") -> None:
        """Report something that failed and was survived."""
        ...


class Obedience:
    """Follows a monitor's base.

    A feature that is killed elsewhere is killed here, and `on_kill` is called. One that is demoted, rejected, rolled
    back or undone is not watched any more; one that comes back is, and so is one that is new where the monitor
    watches all that is deployed. A pause is obeyed, and so is its end.

    Args:
        monitor: Who obeys.
        follower: Looks at the pipeline; None: there is none, or somebody else follows it.

    Attributes:
        everything: Watch what is newly deployed too.
        announced: Features whose kill elsewhere was told here: that their files move then is no further news.
    """

    def __init__(self, monitor: Obeying, follower: BaseFollower | None) -> None:
        self._monitor, self.follower = monitor, follower
        self.everything = False
        self._wanted = frozenset(monitor.fleet.names)
        self.announced: set[str] = set()
        self._worker = Worker("midas-base")
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._failing = ""

    async def begin(self) -> None:
        """Take what is there now for known, and look from now on."""
        if self.follower is not None:
            await self._worker.submit(self.follower.learn)
            fleet = self._monitor.fleet
            for name in fleet.names:
                shadow = self.follower.in_shadow(name)
                if shadow is not None:
                    (fleet.shadow.add if shadow else fleet.shadow.discard)(name)
            fleet.apply_live()
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="base")

    async def end(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        wall = WallClock()
        while True:
            await wall.sleep(LOOK_SECONDS)
            try:
                self.obey_kills()
                if self.follower is not None and self.follower.changed:
                    await self._monitor.obey()
                self._failing = ""
            except Exception as error:
                self.failed(error)

    def failed(self, error: Exception) -> None:
        """Tell, once for as long as it lasts, that the base cannot be followed."""
        if str(error) != self._failing:
            self._monitor.fault(f"the base cannot be followed: {error}", "critical")
        self._failing = str(error)

    def obey_kills(self) -> None:
        """Stop what was killed elsewhere, and let live what was redeployed."""
        monitor = self._monitor
        fleet = monitor.fleet
        last = fleet.stream.last if fleet.built else None
        fresh, alive = monitor.kills.follow(-1 if last is None else last)
        for record in fresh:
            self.announced.add(record.feature)
            fleet.kill_wanted.pop(record.feature, None)
            monitor.bus.publish(self._killed(record))
        self.announced.difference_update(alive)
        if fresh or alive:
            fleet.apply_live()

    def _killed(self, record: KillRecord) -> FeatureMoved:
        shadow = record.feature in self._monitor.fleet.shadow
        return FeatureMoved(
            at=self._monitor.clock.now(),
            feature=record.feature,
            action="kill",
            before=(FeatureState.SHADOW if shadow else FeatureState.DEPLOYED).value,
            after=FeatureState.ARCHIVED.value,
            reason=record.reason,
            actor=by(record.actor, record.via),
        )

    async def moves(self) -> list[Move]:
        """What moved in the pipeline since the last look; each is told."""
        if self.follower is None or not self.follower.changed:
            return []
        async with self._turn:
            moves = await self._worker.submit(self.follower.look)
            if moves:
                journal = journal_of(self._monitor.promoter)
                deeds = await self.follower.deeds(journal, self._worker, moves)
                for move in moves:
                    event = self.follower.tell(move, deeds, self._monitor.clock.now())
                    killed = move.after is not None and move.after.killed
                    if event is not None and not (killed and move.name in self.announced):
                        self._monitor.bus.publish(event)
        return [move for move in moves if move.concerns_the_book]

    def apply(self, moves: Sequence[Move]) -> list[Event]:
        """Bring the fleet to what moved; between bars, with the monitor's lock held."""
        from midas_engine.evaluator.context.scored_as import other_mode_words
        from midas_engine.evaluator.metrics.reference_score import watched_references

        monitor = self._monitor
        fleet = monitor.fleet
        names: list[str] = list(fleet.names)
        references: dict[str, Reference] = {}
        for move in moves:
            name, after = move.name, move.after
            if move.live and after is not None:
                new = self.everything and after.state is FeatureState.DEPLOYED
                if name not in names and (new or name in self._wanted):
                    names.append(name)
                    monitor.expressions[name] = after.expression
                    promised, others = watched_references([after], *fleet.width_and_mode)
                    references |= promised
                    if others:
                        monitor.fault(other_mode_words(others, fleet.width_and_mode[1]))
                if name in names:
                    (fleet.paused.add if after.paused else fleet.paused.discard)(name)
                    (fleet.shadow.add if after.state is FeatureState.SHADOW else fleet.shadow.discard)(name)
            elif name in names and name not in monitor.kills.killed:
                names.remove(name)
        if names != fleet.names:
            return fleet.resize(names, references, monitor.clock.now())
        fleet.apply_live()
        return []
