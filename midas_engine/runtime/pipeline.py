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

    from midas_engine.commands import AllDone
    from midas_engine.events import Event
    from midas_engine.monitor.base_follower import Move
    from midas_engine.promoter import Preview
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched


class Pipeline:
    """Shows and moves features, and follows what others do to them.

    Args:
        base: The open base.
        watched: What is watched.
        supervisor: Runs what follows an action, and is told moves of others.
        watch_again: Builds the watch anew; with `if_changed` only when it is another one.
    """

    def __init__(
        self,
        base: OpenBase,
        watched: Watched,
        supervisor: Supervisor,
        *,
        watch_again: Callable[..., Coroutine[Any, Any, None]],
    ) -> None:
        self._base, self._watched = base, watched
        self._supervisor, self._watch_again = supervisor, watch_again
        self._seen: PipelineSummary | None = None
        self._follower: BaseFollower | None = None
        self._obeying = asyncio.Lock()
        self._partners: tuple[str, ...] | None = None
        self._reader = Worker("midas-base")

    async def summary(self) -> PipelineSummary:
        """Every feature, by state; those whose file is damaged stand among them and say so."""
        if not self._base.kb.path.is_dir() or (self._seen is not None and self._base.lost()):
            # A folder that went away took no feature out of the pipeline: what was seen last stands, under a badge.
            return self._seen or PipelineSummary((), (), (), ())
        self._seen = await asyncio.to_thread(self._summary)
        return self._seen

    def _summary(self) -> PipelineSummary:
        sound, damaged = self._base.workspace.promoter.pipeline_summary(), self._base.kb.damaged_features()

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
        self._base.refuse_changes()
        found = await asyncio.to_thread(self._base.workspace.commands.preview, action, name)
        if not found.possible:
            raise TransitionError(found.refusal)
        return found

    async def act(self, action: str, name: str, reason: str = "") -> str:
        """Move a feature; says what happened. The dialog has shown what is against it: a reason is the force."""
        self._base.refuse_changes()
        commands = self._base.workspace.commands
        if action == "kill":
            done = await asyncio.to_thread(commands.kill, name, reason, latched=self.obey_from_thread())
        else:
            done = await asyncio.to_thread(commands.act, action, name, reason, force=bool(reason.strip()))
        self._supervisor.background(self.obey(), "watch")
        return done.said

    async def live(self) -> tuple[str, ...]:
        """The live features that are not killed, damaged ones among them, by name."""
        return await asyncio.to_thread(self._base.workspace.commands.live)

    async def kill_all(self, reason: str) -> AllDone:
        """Stop everything live for good, in one latched command; see `Commands.kill_all`."""
        self._base.refuse_changes()
        commands = self._base.workspace.commands
        done = await asyncio.to_thread(commands.kill_all, reason, latched=self.obey_from_thread())
        self._supervisor.background(self.obey(), "watch")
        return done

    async def pause_all(self, reason: str) -> AllDone:
        """Set everything live aside; see `Commands.pause_all`."""
        self._base.refuse_changes()
        done = await asyncio.to_thread(self._base.workspace.commands.pause_all, reason)
        self._supervisor.background(self.obey(), "watch")
        return done

    def obey_from_thread(self) -> Callable[[], None]:
        """What a kill calls once it is latched: whoever watches here obeys before the archive is waited for."""
        loop = asyncio.get_running_loop()

        def latched() -> None:
            loop.call_soon_threadsafe(lambda: self._supervisor.background(self.obey(), "watch"))

        return latched

    async def obey(self, *, always: bool = True) -> None:
        """Watch what the pipeline says now, whoever changed it; what others did is told with who and where.

        Args:
            always: Compare what is watched with the pipeline even when no file of it seems to have changed.
        """
        follower = self._follower
        if follower is None or self._watched.replaying or self._base.lost():
            return  # a folder that went away took no feature off
        if (monitor := self._watched.monitor) is not None:
            monitor.obedience.obey_kills()
        async with self._obeying:
            if not follower.changed and not always:
                return
            moves = await asyncio.to_thread(follower.look)
            deeds = await follower.deeds(self._base.journal, self._reader, moves)
            for move in moves:
                event = follower.tell(move, deeds, self._supervisor.clock.now())
                if event is not None and not self._told_by_monitor(move):
                    self._supervisor.bus.publish(event)
            if always or any(move.concerns_the_book for move in moves):
                await self._watch_again(if_changed=True)
                self._supervisor.background(self._tell_partners(), "book")

    async def _tell_partners(self) -> None:
        """Say what members that were promoted for the book are worth, once their partners are others than before."""
        live = await asyncio.to_thread(self._base.kb.features, FeatureState.DEPLOYED)
        names = tuple(sorted(r.name for r in live if not r.paused))
        before, self._partners = self._partners, names
        if before is None or set(before) <= set(names) or not any(r.role == "book" for r in live):
            return
        for line in await asyncio.to_thread(self._base.workspace.commands.book_words):
            self._supervisor.fault("book", line, "6 shows the book")

    async def obey_before_bar(self) -> None:
        """`obey`, and let nothing stop the bar."""
        try:
            await self.obey(always=False)
        except Exception as error:  # the bar counts all the same
            self._supervisor.fault("monitor", f"the base cannot be followed: {error}", "see `midas kb check`")

    def tell_move(self, event: Event) -> None:
        """What the pipeline here did, from any thread; the archive of a kill that was told when it fell is no news."""
        live = self._watched.live
        known = live.announced if live is not None else frozenset()
        if not (isinstance(event, FeatureMoved) and event.action == "kill" and event.feature in known):
            self._supervisor.bus.publish_threadsafe(event)

    def _told_by_monitor(self, move: Move) -> bool:
        monitor, killed = self._watched.monitor, move.after is not None and move.after.killed
        return killed and monitor is not None and move.name in monitor.kills.killed

    def begin_following(self) -> None:
        """Take the pipeline as it is for known; in a thread, before it is first watched."""
        kb, promoter = self._base.kb, self._base.promoter
        if kb.path.is_dir():
            ours = (lambda _: False) if promoter is None else promoter.announced
            self._follower = BaseFollower(kb, ours)
            self._follower.learn()
            self._partners = tuple(sorted(r.name for r in kb.features(FeatureState.DEPLOYED) if not r.paused))

    async def undo(self) -> str:
        """Take the last reversible action back."""
        return await self._turn("undo")

    async def redo(self) -> str:
        """Do again what was undone."""
        return await self._turn("redo")

    async def _turn(self, which: Literal["undo", "redo"]) -> str:
        self._base.refuse_changes()
        commands = self._base.workspace.commands
        moved = await asyncio.to_thread(commands.undo if which == "undo" else commands.redo)
        self._supervisor.background(self.obey(), "watch")
        if moved.before == moved.after and moved.after:  # a pause, or its end: the state says nothing of it
            record = await asyncio.to_thread(self._base.kb.feature, moved.feature)
            return f"{which}: {moved.feature} is {'paused' if record.paused else 'not paused'} again"
        return f"{which}: {moved.feature} is {moved.after or 'gone'} again"
