"""Pipeline commands: the one way in which terminal, command line and API move features."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.errors import TransitionError
from midas_engine.models import FeatureRecord, FeatureState, PipelineSummary
from midas_engine.runtime.promotion import MEASURED, calibrate_from_data

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.promoter import FeaturePromoter, Preview
    from midas_engine.settings import Settings

ACTIONS = ("promote", "demote", "reject", "kill", "pause", "resume", "shadow", "redeploy", "rollback")
_PAST = {
    "promote": "promoted", "demote": "demoted", "reject": "rejected", "kill": "killed", "pause": "paused",
    "resume": "resumed", "shadow": "runs in shadow", "redeploy": "redeployed", "rollback": "rolled back",
}  # fmt: skip


class PipelineCommands:
    """The part of the runtime that changes the pipeline."""

    panel: Panel | None
    settings: Settings
    background: Callable[[Coroutine[Any, Any, None], str], Any]
    refuse_changes: Callable[[], None]
    watch_again: Callable[[], Coroutine[Any, Any, None]]

    @property
    def kb(self) -> KnowledgeBase:
        """Given by the runtime."""
        raise AttributeError("kb")

    @property
    def promoter(self) -> FeaturePromoter:
        """Given by the runtime."""
        raise AttributeError("promoter")

    async def pipeline(self) -> PipelineSummary:
        """Every feature, by state; those whose file is damaged stand among them and say so."""
        if not self.kb.path.is_dir():
            return PipelineSummary((), (), (), ())
        return await asyncio.to_thread(self._summary)

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
        """What an action would change on disk, before it is taken.

        Raises:
            TransitionError: It is not possible; says why.
        """
        self.refuse_changes()
        found = await asyncio.to_thread(self.promoter.preview, action, name)
        if not found.possible:
            raise TransitionError(found.refusal)
        return found

    async def act(self, action: str, name: str, reason: str = "") -> str:
        """Take a pipeline action. A promotion measures what the feature promises; says what happened."""
        self.refuse_changes()
        if action not in ACTIONS:
            raise TransitionError(f"there is no action {action!r}", hint="one of " + ", ".join(ACTIONS))
        said = await asyncio.to_thread(self._act, action, name, reason)
        self.background(self.watch_again(), "watch")
        return said

    def _act(self, action: str, name: str, reason: str) -> str:
        promoter = self.promoter
        record: FeatureRecord
        promise = ""
        if action in MEASURED and self.panel is not None:
            # Before the move, so that undoing takes the move back first.
            promise = ", " + calibrate_from_data(promoter, name, self.panel, self.settings)
        if action in ("promote", "redeploy"):
            # The dialog has shown which gates are not met: confirming it is the force.
            record = getattr(promoter, action)(name, reason, force=True)
        elif action in ("demote", "reject", "kill"):
            record = getattr(promoter, action)(name, reason)
        else:
            record = getattr(promoter, action)(name)
        return f"{record.name} {_PAST[action]}{promise}"

    async def undo(self) -> str:
        """Take the last reversible action back."""
        return await self._turn("undo")

    async def redo(self) -> str:
        """Do again what was undone."""
        return await self._turn("redo")

    async def _turn(self, which: str) -> str:
        self.refuse_changes()
        moved = await asyncio.to_thread(getattr(self.promoter, which))
        self.background(self.watch_again(), "watch")
        return f"{which}: {moved.feature} is {moved.after or 'gone'} again"
