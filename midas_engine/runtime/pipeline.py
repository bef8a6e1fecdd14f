"""Pipeline commands: the one way in which terminal, command line and API move features."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.errors import TransitionError
from midas_engine.models import FeatureRecord, FeatureState, PipelineSummary
from midas_engine.promoter.rules import GATED
from midas_engine.runtime.promotion import MEASURED, Preflight, carry_out, preflight, preview_with

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
    _looked: tuple[tuple[object, ...], Panel | None, Preflight] | None = None

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
        """What an action would change on disk, before it is taken; a promotion is looked at on today's data.

        Raises:
            TransitionError: It is not possible; says why.
        """
        self.refuse_changes()
        found = await asyncio.to_thread(self.promoter.preview, action, name)
        if not found.possible:
            raise TransitionError(found.refusal)
        if action not in GATED:
            return found
        return await asyncio.to_thread(lambda: preview_with(self.promoter, action, name, self._preflight(action, name)))

    async def act(self, action: str, name: str, reason: str = "") -> str:
        """Take a pipeline action. A promotion measures what the feature promises; says what happened."""
        self.refuse_changes()
        if action not in ACTIONS:
            raise TransitionError(f"there is no action {action!r}", hint="one of " + ", ".join(ACTIONS))
        said = await asyncio.to_thread(self._act, action, name, reason)
        self.background(self.watch_again(), "watch")
        return said

    def _act(self, action: str, name: str, reason: str) -> str:
        found = self._preflight(action, name)
        # The dialog has shown what is against it: a reason given there is the force.
        record = carry_out(self.promoter, action, name, reason, found=found, force=bool(reason.strip()))
        return f"{record.name} {_PAST[action]}" + (f", {found.words}" if found.words else "")

    def _preflight(self, action: str, name: str) -> Preflight:
        """What today's data says; looked at once for the dialog and the deed while nothing changed."""
        if action not in MEASURED:
            return Preflight()
        record, panel = self.kb.feature(name), self.panel
        book = tuple((r.name, r.expression) for r in self.kb.features(FeatureState.DEPLOYED))
        gates = repr(self.kb.last_good_thresholds())
        key = (action, name, record.expression, record.gate, record.hold_bars, record.expected_score, book, gates)
        if self._looked is None or self._looked[0] != key or self._looked[1] is not panel:
            self._looked = (key, panel, preflight(self.kb, action, name, panel, self.settings))
        return self._looked[2]

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
