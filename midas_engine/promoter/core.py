"""What every action of the pipeline shares: looking, refusing, carrying out, telling."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError, TransitionError
from midas_engine.events import Event, FaultReported, FeatureMoved
from midas_engine.journal.journal import Action, Journal
from midas_engine.kb.features import feature_path
from midas_engine.kb.names import check_name
from midas_engine.models import FeatureRecord, FeatureState, PipelineSummary
from midas_engine.promoter.action_log import ActionLedger, Carried, Step
from midas_engine.promoter.latch import look
from midas_engine.promoter.preview import Preview, make_preview
from midas_engine.promoter.rules import check_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.kb.kill_file import Kill
    from midas_engine.kb.store import KnowledgeBase

# What was against a forced promotion is kept in one line of the history.
_MOST_FORCED = 500
_LIVE = frozenset({FeatureState.DEPLOYED, FeatureState.SHADOW})


class PipelineCore:
    """Reads the pipeline and carries steps out; the actions themselves are `FeaturePromoter`'s."""

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

    def preview(self, action: str, name: str, withdrawn: Sequence[str] = ()) -> Preview:
        """What an action would change on disk, what is against it, and whether it is possible at all."""
        return make_preview(self.kb, action, name, withdrawn)

    def pending_kills(self) -> list[Kill]:
        """Kills whose `on_kill` has not returned yet: a monitor that has one calls it, at the latest at its start."""
        return self.kb.kill_file.read().pending

    def announced(self, path: str) -> bool:
        """Whether what lies at `path` was written here and told to `on_event`: nobody else need tell of it."""
        return self._on_event is not None and self._ledger.wrote(path)

    def undoable(self) -> Action | None:
        """The action that `undo` would take back; None when there is none."""
        return self._ledger.undoable()

    # -- the common part -------------------------------------------------------------------------

    def _settle(self) -> None:
        self._report(self._ledger.settle())
        self._archive_latched()

    def _archive_latched(self) -> None:
        """Carry out the kills that are latched but not in the pipeline: its lock was held, or an old copy came back."""
        for kill in self.kb.kill_file.read().kills.values():
            places = (FeatureState.DEPLOYED, FeatureState.SHADOW)
            if not any(self.kb.occupied(feature_path(kill.feature, state)) for state in places):
                continue
            try:
                record = self.kb.find_feature(kill.feature)
            except DocumentDamagedError:
                continue  # who kills it by name takes the journal's copy
            if record is not None and record.state in _LIVE and not record.killed:
                self._archive_kill(kill, record)

    def _archive_kill(self, kill: Kill, record: FeatureRecord) -> FeatureRecord:
        by = (kill.actor, kill.via)
        step = self._step("kill", record, FeatureState.ARCHIVED, kill.reason, by=by, killed=True, paused=False)
        return self._carry("kill", [step], reason=kill.reason, by=by)

    def _record(self, name: str, *, or_last_known: bool = False) -> FeatureRecord:
        check_name(name)
        self._settle()
        record = self._look(name, or_last_known=or_last_known)
        if not record.killed and name in self.kb.kill_file.read().kills:
            return dataclasses.replace(record, killed=True)
        return record

    def _look(self, name: str, *, or_last_known: bool = False) -> FeatureRecord:
        return look(self.kb, name, self._ledger.last_known if or_last_known else lambda _: None)

    def _everything(self) -> list[FeatureRecord]:
        return [*self.kb.features(), *self.kb.damaged_features()]

    def _there(self, name: str) -> str:
        return next((r.path for r in self._everything() if r.name == name), "")

    def _move(
        self, action: str, record: FeatureRecord, after: FeatureState, reason: str, **changes: Any
    ) -> FeatureRecord:
        text = check_reason(action, reason, record)
        return self._carry(action, [self._step(action, record, after, text, **changes)], reason=text)

    def _retired(self, record: FeatureRecord, reason: str, action: str) -> Step:
        return self._step(action, record, FeatureState.ARCHIVED, reason, paused=False)

    def _step(
        self,
        action: str,
        record: FeatureRecord,
        after: FeatureState,
        reason: str,
        *,
        forced: Sequence[str] = (),
        by: tuple[str, str] | None = None,
        **changes: Any,
    ) -> Step:
        now = self.clock.now()
        actor, via = by or (self.actor, self.via)
        entry = {
            "at": now.isoformat(timespec="seconds"),
            "action": action,
            "from": record.state.value,
            "to": after.value,
            "actor": actor,
        }
        if via:
            entry["via"] = via
        if reason:
            entry["reason"] = reason
        if forced:
            entry["forced"] = "; ".join(forced)[:_MOST_FORCED]
        changed = dataclasses.replace(
            record, state=after, reason=reason or record.reason, history=(*record.history, entry), **changes
        )
        return Step(record, self._stamped(changed))

    def _stamped(self, record: FeatureRecord) -> FeatureRecord:
        now = self.clock.now()
        late = record.changed_at is not None and record.changed_at > now  # a clock that was set back
        return dataclasses.replace(record, changed_at=record.changed_at if late else now, damaged="")

    def _carry(
        self, action: str, steps: list[Step], *, reason: str, feature: str = "", by: tuple[str, str] | None = None
    ) -> FeatureRecord:
        actor, via = by or (self.actor, self.via)
        last = steps[-1].after
        for step in steps:
            target = feature_path(step.after.name, step.after.state)
            taken = self.kb.occupied(target)
            if taken and (step.before is None or step.before.path != target):
                raise TransitionError(f"{target} is in the way", hint="see `midas kb check`; nothing was changed")
        carried = self._ledger.carry_out(
            action, feature or last.name, steps, at=self.clock.now(), actor=actor, reason=reason, via=via
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
        if fault:
            self._fault(
                "journal", fault, "the change itself is on disk; it goes into the journal when that works again"
            )

    def _fault(self, where: str, message: str, hint: str = "", severity: str = "warning") -> None:
        if self._on_event is not None:
            self._on_event(
                FaultReported(at=self.clock.now(), where=where, message=message, hint=hint, severity=severity)
            )

    def _latch(self, record: FeatureRecord, reason: str) -> bool:
        """Write the kill where no lock is needed; False when the disk refused, which is said."""
        kills = self.kb.kill_file
        try:
            kills.latch(record.name, reason=reason, actor=self.actor, at=self.clock.now(), via=self.via)
        except KnowledgeBaseError as error:
            self._fault("kill", f"{error.message}; the pipeline itself is tried", error.hint, "critical")
            return False
        return True
