"""Pipeline commands: the one way in which terminal, command line and API move features."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from midas_engine.errors import TransitionError
from midas_engine.events import FeatureMoved
from midas_engine.models import FeatureRecord, FeatureState, PipelineSummary
from midas_engine.monitor.base_follower import BaseFollower
from midas_engine.monitor.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.monitor.base_follower import Move
    from midas_engine.promoter import FeaturePromoter, Preview
    from midas_engine.runtime.live import LiveWatch
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace


class PipelineCommands:
    """The part of the runtime that changes the pipeline."""

    panel: Panel | None
    settings: Settings
    background: Callable[[Coroutine[Any, Any, None], str], Any]
    refuse_changes: Callable[[], None]
    _seen: PipelineSummary | None = None
    watch_again: Callable[..., Coroutine[Any, Any, None]]
    bus: EventBus
    clock: Clock
    mode: str
    fault: Callable[..., None]
    _live: LiveWatch | None
    _promoter: FeaturePromoter | None
    _journal: Journal | None

    def _init_following(self) -> None:
        self._follower: BaseFollower | None = None
        self._obeying = asyncio.Lock()
        self._reader = Worker("midas-base")

    @property
    def kb(self) -> KnowledgeBase:
        """Given by the runtime."""
        raise AttributeError("kb")

    @property
    def promoter(self) -> FeaturePromoter:
        """Given by the runtime."""
        raise AttributeError("promoter")

    @property
    def workspace(self) -> Workspace:
        """Given by the runtime."""
        raise AttributeError("workspace")

    async def pipeline(self) -> PipelineSummary:
        """Every feature, by state; those whose file is damaged stand among them and say so."""
        if not self.kb.path.is_dir() or (self._seen is not None and self.kb.lost()):
            # A folder that went away took no feature out of the pipeline: what was seen last stands, under a badge.
            return self._seen or PipelineSummary((), (), (), ())
        self._seen = await asyncio.to_thread(self._summary)
        return self._seen

    def _summary(self) -> PipelineSummary:
        sound, damaged = self.promoter.pipeline_summary(), self.kb.damaged_features()

        def of(state: FeatureState, records: tuple[FeatureRecord, ...]) -> tuple[FeatureRecord, ...]:
            return (*records, *(r for r in damaged if r.state is state))

        return PipelineSummary(
            of(FeatureState.CANDIDATE, sound.candidates),
            of(FeatureState.SHADOW, sound.shadow),
            of(FeatureState.DEPLOYED, sound.deployed),
            of(FeatureState.ARCHIVED, sound.archived),
        )

    async def preview(self, action: str, name: str) -> Preview:
        """What an action would change on disk, before it is taken; a promotion is looked at on today's data.

        Raises:
            TransitionError: It is not possible; says why.
        """
        self.refuse_changes()
        found = await asyncio.to_thread(self.workspace.commands.preview, action, name)
        if not found.possible:
            raise TransitionError(found.refusal)
        return found

    async def act(self, action: str, name: str, reason: str = "") -> str:
        """Move a feature; says what happened. The dialog has shown what is against it: a reason is the force."""
        self.refuse_changes()
        commands = self.workspace.commands
        if action == "kill":
            done = await asyncio.to_thread(commands.kill, name, reason, latched=self._obey_from_thread())
        else:
            done = await asyncio.to_thread(commands.act, action, name, reason, force=bool(reason.strip()))
        self.background(self.obey(), "watch")
        return done.said

    def _obey_from_thread(self) -> Callable[[], None]:
        """What a kill calls once it is latched: whoever watches here obeys before the archive is waited for."""
        loop = asyncio.get_running_loop()

        def latched() -> None:
            loop.call_soon_threadsafe(lambda: self.background(self.obey(), "watch"))

        return latched

    async def obey(self, *, always: bool = True) -> None:
        """Watch what the pipeline says now, whoever changed it; what others did is told with who and where.

        Args:
            always: Compare what is watched with the pipeline even when no file of it seems to have changed.
        """
        follower = self._follower
        if follower is None or self.mode == "REPLAY" or self.kb.lost():
            return  # a folder that went away took no feature off
        if self._live is not None:
            self._live.monitor.obedience.obey_kills()
        async with self._obeying:
            if not follower.changed and not always:
                return
            moves = await asyncio.to_thread(follower.look)
            deeds = await follower.deeds(self._journal, self._reader, moves)
            for move in moves:
                event = follower.tell(move, deeds, self.clock.now())
                if event is not None and not self._told_by_monitor(move):
                    self.bus.publish(event)
            if always or any(move.concerns_the_book for move in moves):
                await self.watch_again(if_changed=True)

    async def _obey_before_bar(self) -> None:
        try:
            await self.obey(always=False)
        except Exception as error:  # the bar counts all the same
            self.fault("monitor", f"the base cannot be followed: {error}", "see `midas kb check`")

    def _tell_move(self, event: Event) -> None:
        """What the pipeline here did, from any thread; the archive of a kill that was told when it fell is no news."""
        known = self._live.announced if self._live is not None else frozenset()
        if not (isinstance(event, FeatureMoved) and event.action == "kill" and event.feature in known):
            self.bus.publish_threadsafe(event)

    def _told_by_monitor(self, move: Move) -> bool:
        killed = move.after is not None and move.after.killed
        return killed and self._live is not None and move.name in self._live.monitor.kills.killed

    def _begin_following(self) -> None:
        """Take the pipeline as it is for known; in a thread, before it is first watched."""
        promoter = self._promoter
        if self.kb.path.is_dir():
            ours = (lambda _: False) if promoter is None else promoter.announced
            self._follower = BaseFollower(self.kb, ours)
            self._follower.learn()

    async def undo(self) -> str:
        """Take the last reversible action back."""
        return await self._turn("undo")

    async def redo(self) -> str:
        """Do again what was undone."""
        return await self._turn("redo")

    async def _turn(self, which: Literal["undo", "redo"]) -> str:
        self.refuse_changes()
        commands = self.workspace.commands
        moved = await asyncio.to_thread(commands.undo if which == "undo" else commands.redo)
        self.background(self.obey(), "watch")
        return f"{which}: {moved.feature} is {moved.after or 'gone'} again"
