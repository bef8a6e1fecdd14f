"""The pipeline's state machine: candidate -> (shadow) -> deployed -> archived."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, LockTimeoutError, TransitionError
from midas_engine.journal.journal import Journal
from midas_engine.kb.names import check_name, split_version, version_name
from midas_engine.models import FeatureRecord, FeatureState, PipelineSummary
from midas_engine.promoter.action_log import Step
from midas_engine.promoter.core import PipelineSteps
from midas_engine.promoter.latch import check_kill
from midas_engine.promoter.preview import make_preview
from midas_engine.promoter.rules import check_force, check_reason, reference_changes, state_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from midas_engine.clock import Clock
    from midas_engine.events import Event, FeatureMoved
    from midas_engine.journal.journal import Action
    from midas_engine.kb.kill_file import Kill
    from midas_engine.kb.store import KnowledgeBase
    from midas_engine.promoter.preview import Preview


class FeaturePromoter:
    """Moves features between states: one change on disk each, journalled, undoable except kill.

    Every action takes the base's lock, so several processes may act at once, and is complete when
    the method returns. Nothing is ever overwritten.

    It moves features as they are: it knows no market data, so `promote` and `redeploy` called here run no pre-flight,
    and what was never measured stays so. `midas_engine.commands.Commands` is the door that looks at today's data
    first; the terminal, the command line, the service and `midas.commands` go through it. `midas.promoter` is this
    class itself, for features that only your own engine can compute.

    Args:
        kb: The knowledge base.
        journal: Where actions are recorded; None opens the base's own.
        clock: Stamps actions; the base's by default.
        actor: Who acts, for the record.
        on_event: Told of every move, after it is on disk.
        via: Where the actor acts: "terminal", "command line", "Python"; for the record.
    """

    def __init__(
        self,
        kb: KnowledgeBase,
        journal: Journal | None = None,
        *,
        clock: Clock | None = None,
        actor: str = "operator",
        on_event: Callable[[Event], None] | None = None,
        via: str = "",
    ) -> None:
        self.kb = kb
        self.clock = clock or kb.clock
        self.actor, self.via = actor, via
        self._own_journal = journal is None
        self.journal = journal or Journal(kb.journal_path, clock=self.clock, read_only=kb.read_only)
        self._on_event = on_event
        self._steps = PipelineSteps(kb, self.journal, self.clock, actor=actor, via=via, on_event=on_event)

    def close(self) -> None:
        """Close the journal, if it was opened here."""
        if self._own_journal:
            self.journal.close()

    # -- reading ---------------------------------------------------------------------------------

    def list_candidates(self) -> list[str]:
        """Names of the candidates."""
        return self._names(FeatureState.CANDIDATE)

    def list_shadow(self) -> list[str]:
        """Names of the features that run in shadow."""
        return self._names(FeatureState.SHADOW)

    def list_deployed(self) -> list[str]:
        """Names of the deployed features, paused ones included."""
        return self._names(FeatureState.DEPLOYED)

    def list_archived(self) -> list[str]:
        """Names of the archived features, killed ones included."""
        return self._names(FeatureState.ARCHIVED)

    def _names(self, state: FeatureState) -> list[str]:
        return [record.name for record in self.kb.features(state)]

    def feature_status(self, name: str) -> FeatureRecord:
        """The feature with its state, figures and history.

        Raises:
            TransitionError: There is none.
        """
        return self.kb.feature(name)

    def pipeline_summary(self) -> PipelineSummary:
        """All features by state, from one look at the disk."""
        records = self.kb.features()
        by_state = {state: tuple(r for r in records if r.state is state) for state in FeatureState}
        return PipelineSummary(
            by_state[FeatureState.CANDIDATE],
            by_state[FeatureState.SHADOW],
            by_state[FeatureState.DEPLOYED],
            by_state[FeatureState.ARCHIVED],
        )

    def preview(self, action: str, name: str, withdrawn: Sequence[str] = ()) -> Preview:
        """What an action would change on disk, what is against it, and whether it is possible at all."""
        return make_preview(self.kb, action, name, self._steps.against, withdrawn)

    def pending_kills(self) -> list[Kill]:
        """Kills whose `on_kill` has not returned yet: a monitor that has one calls it, at the latest at its start."""
        return self.kb.kill_file.read().pending

    def announced(self, path: str) -> bool:
        """Whether what lies at `path` was written here and told to `on_event`: nobody else need tell of it."""
        return self._on_event is not None and self._steps.ledger.wrote(path)

    def undoable(self) -> Action | None:
        """The action that `undo` would take back; None when there is none."""
        return self._steps.ledger.undoable()

    # -- moving ----------------------------------------------------------------------------------

    def save_candidate(self, record: FeatureRecord) -> FeatureRecord:
        """Write a new candidate; returns it as stored.

        Raises:
            NameRefusedError: Its name is not allowed.
            TransitionError: A feature is called so already, in whatever state.
        """
        check_name(record.name)
        with self.kb.lock():
            self._steps.settle()
            there = self._steps.there(record.name)
            if there:
                raise TransitionError(
                    f"{record.name} is there already: {there}", hint="nothing is overwritten; choose another name"
                )
            now = self.clock.now()
            fresh = dataclasses.replace(
                record,
                state=FeatureState.CANDIDATE,
                version=split_version(record.name)[1],
                created_at=record.created_at or now,
                changed_at=now,
                paused=False,
                killed=False,
                history=(),
                damaged="",
            )
            return self._steps.carry("save", [Step(None, fresh)], reason="")

    def promote(
        self,
        name: str,
        reason: str = "",
        force: bool = False,
        *,
        expected_score: float | None = None,
        breadth: float | None = None,
        withdrawn: Sequence[str] = (),
        book: Mapping[str, Any] | None = None,
    ) -> FeatureRecord:
        """Deploy a candidate or a feature in shadow, for itself or for what it adds to the book.

        Args:
            name: The feature.
            reason: Kept with it.
            force: Deploy although its figures do not meet every gate, or were never measured; needs a reason, and is
                kept in the feature's history with what was against it.
            expected_score: The reference score, where it is measured only now; see `calibrate`.
            breadth: The effective breadth that goes with it.
            withdrawn: What a pre-flight on today's data found against it; see `midas_engine.preflight`.
            book: Figures of its sealed look for the book (`midas_engine.book_look`); its role is the book then.

        Raises:
            TransitionError: Not possible from its state, or something is against it and it is not forced.
        """
        action = "promote" if book is None else "book"
        changes = reference_changes(name, expected_score, breadth)
        with self.kb.lock():
            record = self._steps.record(name)
            after = state_after(action, record)
            self._steps.refuse_second_version(record)
            against = self._steps.against(action, record, withdrawn)
            check_force(record, against, reason, force)
            role = {} if book is None else {"role": "book", "metrics": {**record.metrics, **book}}
            return self._steps.move(action, record, after, reason, forced=against, **changes, **role)

    def shadow(
        self, name: str, reason: str = "", *, expected_score: float | None = None, breadth: float | None = None
    ) -> FeatureRecord:
        """Let a candidate run live beside the deployed features, with a forward record of its own."""
        return self._simple("shadow", name, reason, **reference_changes(name, expected_score, breadth))

    def demote(self, name: str, reason: str) -> FeatureRecord:
        """Retire a deployed feature to the archive; a feature in shadow becomes a candidate again."""
        return self._simple("demote", name, reason)

    def reject(self, name: str, reason: str) -> FeatureRecord:
        """Archive a candidate or a feature in shadow."""
        return self._simple("reject", name, reason)

    def pause(self, name: str, reason: str = "") -> FeatureRecord:
        """Stop a live feature for now; it stays deployed and is watched."""
        return self._simple("pause", name, reason, paused=True)

    def resume(self, name: str, reason: str = "") -> FeatureRecord:
        """Let a paused feature act again."""
        return self._simple("resume", name, reason, paused=False)

    def kill(self, name: str, reason: str) -> FeatureRecord:
        """Stop a live feature for good. Latched before this returns; killing twice is one kill.

        The kill is written to the base's kill file first, which needs no lock: every monitor of the base obeys it
        from there. Then the feature is archived. While another process keeps the base's lock that waits: the
        feature comes back `killed` but not yet `archived`, and whoever next changes the pipeline archives it.

        A feature whose file cannot be read is killed from the journal's last copy.
        """
        record, text = self.check_kill(name, reason)
        if record.killed and record.state is FeatureState.ARCHIVED:
            return record
        latched = record.killed or self._steps.latch(record, text)
        try:
            with self.kb.lock():
                return self._archive_killed(name, text)
        except LockTimeoutError as error:
            if not latched:
                raise
            self._steps.fault(
                "kill", f"{name} is killed; its file moves when the base is free: {error.message}", error.hint
            )
            return dataclasses.replace(record, killed=True)

    def check_kill(self, name: str, reason: str) -> tuple[FeatureRecord, str]:
        """What `kill` would refuse is refused here, without waiting for anybody; the feature and the reason kept.

        Raises:
            TransitionError: It is not live, or there is no reason.
            ReadOnlyError: The base may not be written.
        """
        self.kb.check_writable()
        return check_kill(self.kb, name, reason, self._steps.ledger.last_known)

    def _archive_killed(self, name: str, reason: str) -> FeatureRecord:
        self._steps.settle()
        record = self._steps.look(name, or_last_known=True)
        held = self.kb.kill_file.read().kills.get(name)
        if record.state not in (FeatureState.DEPLOYED, FeatureState.SHADOW):
            return dataclasses.replace(record, killed=record.killed or held is not None)
        if held is not None:
            return self._steps.archive_kill(held, record)
        return self._steps.move("kill", record, state_after("kill", record), reason, killed=True, paused=False)

    def calibrate(self, name: str, expected_score: float, breadth: float | None = None) -> FeatureRecord:
        """Store the reference score (sealed part, shrunk) that the live detectors compare with."""
        reference = reference_changes(name, expected_score, breadth)
        with self.kb.lock():
            record = self._steps.record(name)
            changed = self._steps.stamped(dataclasses.replace(record, **reference))
            return self._steps.carry("calibrate", [Step(record, changed)], reason="")

    def _simple(self, action: str, name: str, reason: str, **changes: Any) -> FeatureRecord:
        with self.kb.lock():
            record = self._steps.record(name)
            return self._steps.move(action, record, state_after(action, record), reason, **changes)

    # -- versions --------------------------------------------------------------------------------

    def propose_version(self, name: str, expression: str, reason: str, **changes: Any) -> FeatureRecord:
        """Save a changed expression of a feature as a candidate version (`name@2`) with its lineage.

        Args:
            name: The feature that is to be mended, in any version.
            expression: The new expression; parse and score it first.
            reason: Why.
            changes: Further fields of the record, such as metrics or session_id.
        """
        with self.kb.lock():
            origin = self._steps.record(name)
            base = split_version(name)[0]
            taken = [split_version(r.name)[1] for r in self._steps.everything() if split_version(r.name)[0] == base]
            fresh = FeatureRecord(
                name=version_name(base, max(taken) + 1),
                expression=expression,
                state=FeatureState.CANDIDATE,
                version=max(taken) + 1,
                created_at=self.clock.now(),
                hypothesis=origin.hypothesis,
                reason=check_reason("promote", reason, origin),
                gate=origin.gate,
                hold_bars=origin.hold_bars,
                horizon_bars=origin.horizon_bars,
                lineage=(*origin.lineage, origin.name),
            )
            fresh = self._steps.stamped(dataclasses.replace(fresh, **changes))
            return self._steps.carry("save", [Step(None, fresh)], reason=fresh.reason)

    def redeploy(
        self,
        name: str,
        reason: str = "",
        force: bool = False,
        *,
        expected_score: float | None = None,
        breadth: float | None = None,
        withdrawn: Sequence[str] = (),
    ) -> FeatureRecord:
        """Deploy a version in place of the one that is live, or bring an archived feature back, in one swap.

        A killed feature comes back only with a reason. The arguments are those of `promote`.
        """
        reference = reference_changes(name, expected_score, breadth)
        with self.kb.lock():
            record = self._steps.record(name)
            after = state_after("redeploy", record)
            text = check_reason("redeploy", reason, record)
            against = self._steps.against("redeploy", record, withdrawn)
            check_force(record, against, text, force)
            if record.killed:
                # Before the move: should that fail, the feature's file still says that it is killed.
                now = self.clock.now()
                self.kb.kill_file.let_live(name, reason=text, actor=self.actor, at=now, via=self.via)
            incumbent = self._steps.incumbent(record.name)
            steps = [] if incumbent is None else [self._steps.retired(incumbent, f"replaced by {name}", "redeploy")]
            lineage = record.lineage
            if incumbent is not None and incumbent.name not in lineage:
                lineage = (*lineage, incumbent.name)
            changes = {"killed": False, "paused": False, "lineage": lineage, **reference}
            steps.append(self._steps.step("redeploy", record, after, text, forced=against, **changes))
            return self._steps.carry("redeploy", steps, reason=text, feature=name)

    def rollback(self, name: str, reason: str = "") -> FeatureRecord:
        """Put back the version that the live one replaced, in one swap; returns the version that is live now."""
        with self.kb.lock():
            self._steps.settle()
            current = self._steps.incumbent(check_name(name))
            if current is None:
                raise TransitionError(f"no version of {split_version(name)[0]} is deployed", hint="redeploy one")
            previous = next((r for n in reversed(current.lineage) if (r := self._steps.archived(n)) is not None), None)
            if previous is None:
                raise TransitionError(
                    f"{current.name} replaced nothing that can come back",
                    hint="demote it, or redeploy an archived version",
                )
            text = check_reason("rollback", reason, current) or f"rolled back from {current.name}"
            steps = [
                self._steps.retired(current, text, "rollback"),
                self._steps.step("rollback", previous, FeatureState.DEPLOYED, text, paused=False),
            ]
            return self._steps.carry("rollback", steps, reason=text, feature=current.name)

    # -- taking back -----------------------------------------------------------------------------

    def undo(self, name: str | None = None) -> FeatureMoved:
        """Take back the last action, or the last one on `name`; refused if its files changed since.

        Raises:
            UndoError: Nothing to undo, a kill, or the files changed.
        """
        with self.kb.lock():
            self._steps.settle()
            return self._steps.tell(self._steps.ledger.undo(name, at=self.clock.now(), actor=self.actor, via=self.via))

    def redo(self, name: str | None = None) -> FeatureMoved:
        """Do again what `undo` took back.

        Raises:
            UndoError: Nothing to redo, or the files changed.
        """
        with self.kb.lock():
            self._steps.settle()
            return self._steps.tell(self._steps.ledger.redo(name, at=self.clock.now(), actor=self.actor, via=self.via))

    def restore(self, name: str) -> FeatureRecord:
        """Rewrite a feature whose file is damaged from the journal's last copy of it."""
        with self.kb.lock():
            self._steps.settle()
            try:
                sound = self.kb.find_feature(check_name(name))
            except DocumentDamagedError:
                sound = None
            if sound is not None:
                raise TransitionError(f"{name} is not damaged", hint="nothing was changed")
            record = self._steps.ledger.last_known(name)
            if record is None:
                raise TransitionError(f"the journal has no copy of {name}", hint="mend the file by hand")
            return self._steps.carry("restore", [Step(record, record)], reason="the file was damaged")
