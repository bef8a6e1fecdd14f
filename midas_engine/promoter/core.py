"""`PipelineSteps`: what every action of the pipeline shares, looking, refusing, carrying out, telling."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError, TransitionError
from midas_engine.events import FaultReported, FeatureMoved
from midas_engine.kb.features import feature_path
from midas_engine.kb.names import check_name, split_version
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter.action_log import ActionLedger, Carried, Step
from midas_engine.promoter.latch import look
from midas_engine.promoter.rules import GATED, check_reason, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.journal.journal import Journal
    from midas_engine.kb.kill_file import Kill
    from midas_engine.kb.store import KnowledgeBase

# What was against a forced promotion is kept in one line of the history.
_MOST_FORCED = 500
_LIVE = frozenset({FeatureState.DEPLOYED, FeatureState.SHADOW})


class PipelineSteps:
    """Looks at features and carries steps out; which steps an action takes is `FeaturePromoter`'s to say.

    Args:
        kb: The knowledge base.
        journal: Where actions are recorded.
        clock: Stamps actions.
        actor: Who acts, for the record.
        via: Where the actor acts.
        on_event: Told of every move, after it is on disk.
    """

    def __init__(
        self,
        kb: KnowledgeBase,
        journal: Journal,
        clock: Clock,
        *,
        actor: str,
        via: str,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self.kb, self.clock = kb, clock
        self.actor, self.via = actor, via
        self._on_event = on_event
        self._journal = journal
        self.ledger = ActionLedger(kb, journal)
        if not kb.read_only and not kb.transactions.idle:
            with kb.lock():
                self.ledger.settle()

    def settle(self) -> None:
        """Finish what another process left half done, journal what waits, and archive what is latched."""
        self.report(self.ledger.settle())
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
                self.archive_kill(kill, record)

    def archive_kill(self, kill: Kill, record: FeatureRecord) -> FeatureRecord:
        """Archive what a latched kill names."""
        by = (kill.actor, kill.via)
        step = self.step("kill", record, FeatureState.ARCHIVED, kill.reason, by=by, killed=True, paused=False)
        return self.carry("kill", [step], reason=kill.reason, by=by)

    def record(self, name: str, *, or_last_known: bool = False) -> FeatureRecord:
        """The feature, to be acted on; killed where the kill file says so."""
        check_name(name)
        self.settle()
        record = self.look(name, or_last_known=or_last_known)
        if not record.killed and name in self.kb.kill_file.read().kills:
            return dataclasses.replace(record, killed=True)
        return record

    def look(self, name: str, *, or_last_known: bool = False) -> FeatureRecord:
        """The feature as it lies there."""
        return look(self.kb, name, self.ledger.last_known if or_last_known else lambda _: None)

    def everything(self) -> list[FeatureRecord]:
        """Every feature, damaged ones too."""
        return [*self.kb.features(), *self.kb.damaged_features()]

    def there(self, name: str) -> str:
        """The path of a feature of that name; empty when there is none."""
        return next((r.path for r in self.everything() if r.name == name), "")

    def archived(self, name: str) -> FeatureRecord | None:
        """An archived feature that may come back: one that was not killed."""
        record = self.kb.find_feature(name)
        if record is None or record.state is not FeatureState.ARCHIVED or record.killed:
            return None
        return None if name in self.kb.kill_file.read().kills else record

    def incumbent(self, name: str) -> FeatureRecord | None:
        """The deployed version of what `name` is a version of; `name` itself before the others."""
        base = split_version(name)[0]
        live = [r for r in self.kb.features(FeatureState.DEPLOYED) if split_version(r.name)[0] == base]
        return min(live, key=lambda r: r.name != name, default=None)

    def against(self, action: str, record: FeatureRecord, withdrawn: Sequence[str] = ()) -> tuple[str, ...]:
        """Why `action` needs force: saved figures, what is still awaited in shadow, and what today's data withdraws."""
        from midas_engine.promoter.graduated import awaited

        waits = awaited(record, self._journal, action) if action in GATED else ()
        return (*refusals(action, record), *waits, *(withdrawn if action in GATED else ()))

    def refuse_second_version(self, record: FeatureRecord) -> None:
        """Refuse what would leave two versions of a feature live."""
        live = self.incumbent(record.name)
        if live is not None:
            raise TransitionError(
                f"{live.name} is deployed, another version of it", hint=f"swap them: redeploy {record.name}"
            )

    def move(
        self, action: str, record: FeatureRecord, after: FeatureState, reason: str, **changes: Any
    ) -> FeatureRecord:
        """Carry one step out."""
        text = check_reason(action, reason, record)
        return self.carry(action, [self.step(action, record, after, text, **changes)], reason=text)

    def retired(self, record: FeatureRecord, reason: str, action: str) -> Step:
        """The step that archives what another replaces."""
        return self.step(action, record, FeatureState.ARCHIVED, reason, paused=False)

    def step(
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
        """A feature in its new state, with the entry in its history."""
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
        return Step(record, self.stamped(changed))

    def stamped(self, record: FeatureRecord) -> FeatureRecord:
        """The feature with the time of its change."""
        now = self.clock.now()
        late = record.changed_at is not None and record.changed_at > now  # a clock that was set back
        return dataclasses.replace(record, changed_at=record.changed_at if late else now, damaged="")

    def carry(
        self, action: str, steps: list[Step], *, reason: str, feature: str = "", by: tuple[str, str] | None = None
    ) -> FeatureRecord:
        """Write steps as one change, journalled and told."""
        actor, via = by or (self.actor, self.via)
        last = steps[-1].after
        for step in steps:
            target = feature_path(step.after.name, step.after.state)
            taken = self.kb.occupied(target)
            if taken and (step.before is None or step.before.path != target):
                raise TransitionError(f"{target} is in the way", hint="see `midas kb check`; nothing was changed")
        carried = self.ledger.carry_out(
            action, feature or last.name, steps, at=self.clock.now(), actor=actor, reason=reason, via=via
        )
        self.tell(carried)
        return dataclasses.replace(last, path=feature_path(last.name, last.state))

    def tell(self, carried: Carried) -> FeatureMoved:
        """Tell what was carried out; gives the last move."""
        self.report(carried.fault)
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

    def report(self, fault: str) -> None:
        """Tell a fault of the journal."""
        if fault:
            self.fault("journal", fault, "the change itself is on disk; it goes into the journal when that works again")

    def fault(self, where: str, message: str, hint: str = "", severity: str = "warning") -> None:
        """Tell something that failed and was survived."""
        if self._on_event is not None:
            self._on_event(
                FaultReported(at=self.clock.now(), where=where, message=message, hint=hint, severity=severity)
            )

    def latch(self, record: FeatureRecord, reason: str) -> bool:
        """Write the kill where no lock is needed; False when the disk refused, which is said."""
        kills = self.kb.kill_file
        try:
            kills.latch(record.name, reason=reason, actor=self.actor, at=self.clock.now(), via=self.via)
        except KnowledgeBaseError as error:
            self.fault("kill", f"{error.message}; the pipeline itself is tried", error.hint, "critical")
            return False
        return True
