"""The pipeline's state machine: candidate -> (shadow) -> deployed -> archived."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from midas_engine.clock import Clock
from midas_engine.errors import DocumentDamagedError, TransitionError
from midas_engine.events import Event, FaultReported, FeatureMoved
from midas_engine.journal.journal import Action, Journal, PendingKill
from midas_engine.kb.features import feature_path
from midas_engine.kb.names import check_name, split_version, version_name
from midas_engine.kb.store import KnowledgeBase
from midas_engine.models import FeatureRecord, FeatureState, PipelineSummary
from midas_engine.promoter.ledger import ActionLedger, Carried, Step
from midas_engine.promoter.preview import Preview, make_preview
from midas_engine.promoter.rules import check_reason, state_after, unmet_gates


class FeaturePromoter:
    """Moves features between states: one change on disk each, journalled, undoable except kill.

    Every action takes the base's lock, so several processes may act at once, and is complete when
    the method returns. Nothing is ever overwritten.

    Args:
        kb: The knowledge base.
        journal: Where actions are recorded; None opens the base's own.
        clock: Stamps actions; the base's by default.
        actor: Who acts, for the record.
        on_event: Told of every move, after it is on disk.
    """

    def __init__(
        self,
        kb: KnowledgeBase,
        journal: Journal | None = None,
        *,
        clock: Clock | None = None,
        actor: str = "operator",
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.kb = kb
        self.clock = clock or kb.clock
        self.actor = actor
        self._own_journal = journal is None
        self.journal = journal or Journal(kb.journal_path, clock=self.clock, read_only=kb.read_only)
        self._on_event = on_event
        self._ledger = ActionLedger(kb, self.journal)
        if not kb.read_only and not kb.transactions.idle:
            with kb.lock():
                self._ledger.settle()

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

    def preview(self, action: str, name: str) -> Preview:
        """What an action would change on disk, which gates are not met, and whether it is possible at all."""
        return make_preview(self.kb, action, name)

    def pending_kills(self) -> list[PendingKill]:
        """Kills whose callback has not confirmed, to be called again after a restart."""
        return self._ledger.pending_kills()

    def undoable(self) -> Action | None:
        """The action that `undo` would take back; None when there is none."""
        return self._ledger.undoable()

    # -- moving ----------------------------------------------------------------------------------

    def save_candidate(self, record: FeatureRecord) -> FeatureRecord:
        """Write a new candidate; returns it as stored.

        Raises:
            NameRefusedError: Its name is not allowed.
            TransitionError: A feature is called so already, in whatever state.
        """
        check_name(record.name)
        with self.kb.lock():
            self._settle()
            there = self._there(record.name)
            if there:
                raise TransitionError(f"{record.name} is there already: {there}", hint="nothing is overwritten; choose another name")
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
            return self._carry("save", [Step(None, fresh)], reason="")

    def promote(self, name: str, reason: str = "", force: bool = False) -> FeatureRecord:
        """Deploy a candidate or a feature in shadow.

        Args:
            name: The feature.
            reason: Kept with it.
            force: Deploy although its figures do not meet every gate.
        """
        with self.kb.lock():
            record = self._record(name)
            after = state_after("promote", record)
            self._refuse_second_version(record)
            unmet = unmet_gates(record)
            if unmet and not force:
                raise TransitionError(
                    f"{name} does not meet: {'; '.join(unmet)}", hint="deploy it all the same with force (--force)"
                )
            return self._move("promote", record, after, reason)

    def shadow(self, name: str, reason: str = "") -> FeatureRecord:
        """Let a candidate run live beside the deployed features, with a forward record of its own."""
        return self._simple("shadow", name, reason)

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
        """Stop a live feature for good. Latched and on disk before this returns; killing twice is one kill.

        A feature whose file cannot be read is killed from the journal's last copy.
        """
        with self.kb.lock():
            record = self._record(name, or_last_known=True)
            if record.killed:
                return record
            after = state_after("kill", record)
            return self._move("kill", record, after, reason, killed=True, paused=False)

    def calibrate(self, name: str, expected_score: float, breadth: float | None = None) -> FeatureRecord:
        """Store the reference score (confirmation part, shrunk) that the live detectors compare with."""
        with self.kb.lock():
            record = self._record(name)
            changed = dataclasses.replace(record, expected_score=float(expected_score), breadth=breadth)
            return self._carry("calibrate", [Step(record, self._stamped(changed))], reason="")

    def _simple(self, action: str, name: str, reason: str, **changes: Any) -> FeatureRecord:
        with self.kb.lock():
            record = self._record(name)
            return self._move(action, record, state_after(action, record), reason, **changes)

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
            origin = self._record(name)
            base = split_version(name)[0]
            taken = [split_version(r.name)[1] for r in self._everything() if split_version(r.name)[0] == base]
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
                lineage=(*origin.lineage, origin.name),
            )
            fresh = self._stamped(dataclasses.replace(fresh, **changes))
            return self._carry("save", [Step(None, fresh)], reason=fresh.reason)

    def redeploy(self, name: str, reason: str = "", force: bool = False) -> FeatureRecord:
        """Deploy a version in place of the one that is live, or bring an archived feature back, in one swap.

        A killed feature comes back only with a reason.
        """
        with self.kb.lock():
            record = self._record(name)
            after = state_after("redeploy", record)
            unmet = unmet_gates(record) if record.state is not FeatureState.ARCHIVED else ()
            if unmet and not force:
                raise TransitionError(f"{name} does not meet: {'; '.join(unmet)}", hint="use force (--force)")
            text = check_reason("redeploy", reason, record)
            incumbent = self._incumbent(record.name)
            steps = [] if incumbent is None else [self._retired(incumbent, f"replaced by {name}", "redeploy")]
            lineage = record.lineage
            if incumbent is not None and incumbent.name not in lineage:
                lineage = (*lineage, incumbent.name)
            steps.append(self._step("redeploy", record, after, text, killed=False, paused=False, lineage=lineage))
            return self._carry("redeploy", steps, reason=text, feature=name)

    def rollback(self, name: str, reason: str = "") -> FeatureRecord:
        """Put back the version that the live one replaced, in one swap; returns the version that is live now."""
        with self.kb.lock():
            self._settle()
            current = self._incumbent(check_name(name))
            if current is None:
                raise TransitionError(f"no version of {split_version(name)[0]} is deployed", hint="redeploy one")
            previous = next((r for n in reversed(current.lineage) if (r := self._archived(n)) is not None), None)
            if previous is None:
                raise TransitionError(
                    f"{current.name} replaced nothing that can come back", hint="demote it, or redeploy an archived version"
                )
            text = check_reason("rollback", reason, current) or f"rolled back from {current.name}"
            steps = [
                self._retired(current, text, "rollback"),
                self._step("rollback", previous, FeatureState.DEPLOYED, text, paused=False),
            ]
            return self._carry("rollback", steps, reason=text, feature=current.name)

    def _archived(self, name: str) -> FeatureRecord | None:
        record = self.kb.find_feature(name)
        return record if record and record.state is FeatureState.ARCHIVED and not record.killed else None

    def _incumbent(self, name: str) -> FeatureRecord | None:
        base = split_version(name)[0]
        live = [r for r in self.kb.features(FeatureState.DEPLOYED) if split_version(r.name)[0] == base and r.name != name]
        own = [r for r in self.kb.features(FeatureState.DEPLOYED) if r.name == name]
        return (own or live or [None])[0]

    def _refuse_second_version(self, record: FeatureRecord) -> None:
        live = self._incumbent(record.name)
        if live is not None:
            raise TransitionError(
                f"{live.name} is deployed, another version of it", hint=f"swap them: redeploy {record.name}"
            )

    # -- taking back -----------------------------------------------------------------------------

    def undo(self, name: str | None = None) -> FeatureMoved:
        """Take back the last action, or the last one on `name`; refused if its files changed since.

        Raises:
            UndoError: Nothing to undo, a kill, or the files changed.
        """
        with self.kb.lock():
            self._settle()
            return self._tell(self._ledger.undo(name, at=self.clock.now(), actor=self.actor))

    def redo(self, name: str | None = None) -> FeatureMoved:
        """Do again what `undo` took back.

        Raises:
            UndoError: Nothing to redo, or the files changed.
        """
        with self.kb.lock():
            self._settle()
            return self._tell(self._ledger.redo(name, at=self.clock.now(), actor=self.actor))

    def restore(self, name: str) -> FeatureRecord:
        """Rewrite a feature whose file is damaged from the journal's last copy of it."""
        with self.kb.lock():
            self._settle()
            try:
                sound = self.kb.find_feature(check_name(name))
            except DocumentDamagedError:
                sound = None
            if sound is not None:
                raise TransitionError(f"{name} is not damaged", hint="nothing was changed")
            record = self._ledger.last_known(name)
            if record is None:
                raise TransitionError(f"the journal has no copy of {name}", hint="mend the file by hand")
            return self._carry("restore", [Step(record, record)], reason="the file was damaged")

    # -- the common part -------------------------------------------------------------------------

    def _settle(self) -> None:
        self._report(self._ledger.settle())

    def _record(self, name: str, *, or_last_known: bool = False) -> FeatureRecord:
        check_name(name)
        self._settle()
        try:
            return self.kb.feature(name)
        except DocumentDamagedError:
            known = self._ledger.last_known(name) if or_last_known else None
            if known is None:
                raise
            return known

    def _everything(self) -> list[FeatureRecord]:
        return [*self.kb.features(), *self.kb.damaged_features()]

    def _there(self, name: str) -> str:
        return next((r.path for r in self._everything() if r.name == name), "")

    def _move(self, action: str, record: FeatureRecord, after: FeatureState, reason: str, **changes: Any) -> FeatureRecord:
        text = check_reason(action, reason, record)
        return self._carry(action, [self._step(action, record, after, text, **changes)], reason=text)

    def _retired(self, record: FeatureRecord, reason: str, action: str) -> Step:
        return self._step(action, record, FeatureState.ARCHIVED, reason, paused=False)

    def _step(self, action: str, record: FeatureRecord, after: FeatureState, reason: str, **changes: Any) -> Step:
        now = self.clock.now()
        entry = {
            "at": now.isoformat(timespec="seconds"),
            "action": action,
            "from": record.state.value,
            "to": after.value,
            "actor": self.actor,
        }
        if reason:
            entry["reason"] = reason
        changed = dataclasses.replace(
            record, state=after, reason=reason or record.reason, history=(*record.history, entry), **changes
        )
        return Step(record, self._stamped(changed))

    def _stamped(self, record: FeatureRecord) -> FeatureRecord:
        now = self.clock.now()
        late = record.changed_at is not None and record.changed_at > now  # a clock that was set back
        return dataclasses.replace(record, changed_at=record.changed_at if late else now, damaged="")

    def _carry(self, action: str, steps: list[Step], *, reason: str, feature: str = "") -> FeatureRecord:
        last = steps[-1].after
        for step in steps:
            target = feature_path(step.after.name, step.after.state)
            taken = self.kb.occupied(target)
            if taken and (step.before is None or step.before.path != target):
                raise TransitionError(f"{target} is in the way", hint="see `midas kb check`; nothing was changed")
        carried = self._ledger.carry_out(
            action, feature or last.name, steps, at=self.clock.now(), actor=self.actor, reason=reason
        )
        self._tell(carried)
        return dataclasses.replace(last, path=feature_path(last.name, last.state))

    def _tell(self, carried: Carried) -> FeatureMoved:
        self._report(carried.fault)
        events = [
            FeatureMoved(
                at=carried.at,
                feature=name,
                action=carried.action,
                before=before,
                after=after,
                reason=carried.reason,
                actor=carried.actor,
            )
            for name, before, after in carried.moves
        ]
        if self._on_event is not None:
            for event in events:
                self._on_event(event)
        return events[-1]

    def _report(self, fault: str) -> None:
        if fault and self._on_event is not None:
            self._on_event(
                FaultReported(
                    at=self.clock.now(),
                    where="journal",
                    message=fault,
                    hint="the change itself is on disk; it goes into the journal when that works again",
                )
            )

    def path_of(self, record: FeatureRecord) -> Path:
        """The file of a feature."""
        return self.kb.path / record.path
