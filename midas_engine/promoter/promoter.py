"""The pipeline's state machine: candidate -> (shadow) -> deployed -> archived."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, LockTimeoutError, TransitionError
from midas_engine.kb.names import check_name, split_version, version_name
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter.action_log import Step
from midas_engine.promoter.core import PipelineCore
from midas_engine.promoter.latch import check_kill
from midas_engine.promoter.rules import check_force, check_reason, refusals, state_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.events import FeatureMoved


class FeaturePromoter(PipelineCore):
    """Moves features between states: one change on disk each, journalled, undoable except kill.

    Every action takes the base's lock, so several processes may act at once, and is complete when
    the method returns. Nothing is ever overwritten.

    Args:
        kb: The knowledge base.
        journal: Where actions are recorded; None opens the base's own.
        clock: Stamps actions; the base's by default.
        actor: Who acts, for the record.
        on_event: Told of every move, after it is on disk.
        via: Where the actor acts: "terminal", "command line", "Python"; for the record.
    """

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
            return self._carry("save", [Step(None, fresh)], reason="")

    def promote(
        self,
        name: str,
        reason: str = "",
        force: bool = False,
        *,
        expected_score: float | None = None,
        breadth: float | None = None,
        withdrawn: Sequence[str] = (),
    ) -> FeatureRecord:
        """Deploy a candidate or a feature in shadow.

        Args:
            name: The feature.
            reason: Kept with it.
            force: Deploy although its figures do not meet every gate, or were never measured; needs a reason, and is
                kept in the feature's history with what was against it.
            expected_score: The reference score, where it is measured only now; see `calibrate`.
            breadth: The effective breadth that goes with it.
            withdrawn: What a pre-flight on today's data found against it; see `midas_engine.runtime.promotion`.

        Raises:
            TransitionError: Not possible from its state, or something is against it and it is not forced.
        """
        reference = _reference(name, expected_score, breadth)
        with self.kb.lock():
            record = self._record(name)
            after = state_after("promote", record)
            self._refuse_second_version(record)
            against = refusals("promote", record, withdrawn)
            check_force(record, against, reason, force)
            return self._move("promote", record, after, reason, forced=against, **reference)

    def shadow(
        self, name: str, reason: str = "", *, expected_score: float | None = None, breadth: float | None = None
    ) -> FeatureRecord:
        """Let a candidate run live beside the deployed features, with a forward record of its own."""
        return self._simple("shadow", name, reason, **_reference(name, expected_score, breadth))

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
        latched = record.killed or self._latch(record, text)
        try:
            with self.kb.lock():
                return self._archive_killed(name, text)
        except LockTimeoutError as error:
            if not latched:
                raise
            self._fault("kill", f"{name} is killed; its file moves when the base is free: {error.message}", error.hint)
            return dataclasses.replace(record, killed=True)

    def check_kill(self, name: str, reason: str) -> tuple[FeatureRecord, str]:
        """What `kill` would refuse is refused here, without waiting for anybody; the feature and the reason kept.

        Raises:
            TransitionError: It is not live, or there is no reason.
            ReadOnlyError: The base may not be written.
        """
        self.kb.check_writable()
        return check_kill(self.kb, name, reason, self._ledger.last_known)

    def _archive_killed(self, name: str, reason: str) -> FeatureRecord:
        self._settle()
        record = self._look(name, or_last_known=True)
        held = self.kb.kill_file.read().kills.get(name)
        if record.state not in (FeatureState.DEPLOYED, FeatureState.SHADOW):
            return dataclasses.replace(record, killed=record.killed or held is not None)
        if held is not None:
            return self._archive_kill(held, record)
        return self._move("kill", record, state_after("kill", record), reason, killed=True, paused=False)

    def calibrate(self, name: str, expected_score: float, breadth: float | None = None) -> FeatureRecord:
        """Store the reference score (confirmation part, shrunk) that the live detectors compare with."""
        reference = _reference(name, expected_score, breadth)
        with self.kb.lock():
            record = self._record(name)
            changed = self._stamped(dataclasses.replace(record, **reference))
            return self._carry("calibrate", [Step(record, changed)], reason="")

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
        reference = _reference(name, expected_score, breadth)
        with self.kb.lock():
            record = self._record(name)
            after = state_after("redeploy", record)
            text = check_reason("redeploy", reason, record)
            against = refusals("redeploy", record, withdrawn)
            check_force(record, against, text, force)
            if record.killed:
                # Before the move: should that fail, the feature's file still says that it is killed.
                now = self.clock.now()
                self.kb.kill_file.let_live(name, reason=text, actor=self.actor, at=now, via=self.via)
            incumbent = self._incumbent(record.name)
            steps = [] if incumbent is None else [self._retired(incumbent, f"replaced by {name}", "redeploy")]
            lineage = record.lineage
            if incumbent is not None and incumbent.name not in lineage:
                lineage = (*lineage, incumbent.name)
            changes = {"killed": False, "paused": False, "lineage": lineage, **reference}
            steps.append(self._step("redeploy", record, after, text, forced=against, **changes))
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
                    f"{current.name} replaced nothing that can come back",
                    hint="demote it, or redeploy an archived version",
                )
            text = check_reason("rollback", reason, current) or f"rolled back from {current.name}"
            steps = [
                self._retired(current, text, "rollback"),
                self._step("rollback", previous, FeatureState.DEPLOYED, text, paused=False),
            ]
            return self._carry("rollback", steps, reason=text, feature=current.name)

    def _archived(self, name: str) -> FeatureRecord | None:
        record = self.kb.find_feature(name)
        if record is None or record.state is not FeatureState.ARCHIVED or record.killed:
            return None
        return None if name in self.kb.kill_file.read().kills else record

    def _incumbent(self, name: str) -> FeatureRecord | None:
        """The deployed version of what `name` is a version of; `name` itself before the others."""
        base = split_version(name)[0]
        live = [r for r in self.kb.features(FeatureState.DEPLOYED) if split_version(r.name)[0] == base]
        return min(live, key=lambda r: r.name != name, default=None)

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
            return self._tell(self._ledger.undo(name, at=self.clock.now(), actor=self.actor, via=self.via))

    def redo(self, name: str | None = None) -> FeatureMoved:
        """Do again what `undo` took back.

        Raises:
            UndoError: Nothing to redo, or the files changed.
        """
        with self.kb.lock():
            self._settle()
            return self._tell(self._ledger.redo(name, at=self.clock.now(), actor=self.actor, via=self.via))

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


def _reference(name: str, expected_score: float | None, breadth: float | None) -> dict[str, Any]:
    given = {"expected_score": expected_score, "breadth": breadth}
    changes = {key: float(value) for key, value in given.items() if value is not None}
    if not all(math.isfinite(value) for value in changes.values()):
        raise TransitionError(f"{name}: a reference score must be a finite number", hint="score more bars")
    return changes
