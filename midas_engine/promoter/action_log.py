"""How an action of the pipeline reaches disk and journal, and how it is taken back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from midas_engine.errors import JournalError, UndoError
from midas_engine.kb.documents import feature_from_bytes, feature_text
from midas_engine.kb.features import feature_path, state_of
from midas_engine.kb.transaction import Change, digest
from midas_engine.models import FeatureRecord, FeatureState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.journal.journal import Action, Journal
    from midas_engine.kb.store import KnowledgeBase

# Actions that undo steps over: they are bookkeeping, or the work of the loops.
# (the first two are of older versions, which kept the state of a kill's callback here)
_STEPPED_OVER = frozenset({"kill_confirmed", "kill_attempted", "save", "restore"})
_FINAL = frozenset({"kill"})


@dataclass(frozen=True, slots=True)
class Step:
    """What an action does to one feature: the record before (None: new) and after."""

    before: FeatureRecord | None
    after: FeatureRecord


@dataclass(frozen=True, slots=True)
class Carried:
    """An action that is on disk."""

    id: str
    action: str
    feature: str
    at: datetime
    reason: str
    actor: str
    moves: tuple[tuple[str, str, str], ...]
    fault: str = ""
    files: Mapping[str, str | None] = field(default_factory=dict)


class ActionLedger:
    """Carries actions out as one change on disk, then journals them. Every method needs the store's lock."""

    def __init__(self, kb: KnowledgeBase, journal: Journal) -> None:
        self._kb = kb
        self._journal = journal
        self._wrote: dict[str, str] = {}

    def wrote(self, path: str) -> bool:
        """Whether what lies at `path` now is what this ledger wrote there last."""
        return path in self._wrote and self._wrote[path] == digest(self._text(path))

    def settle(self) -> str:
        """Finish what a dead process left and hand finished changes to the journal; returns a fault, if any."""
        self._kb.transactions.recover()
        return self._drain()

    def _drain(self) -> str:
        for change in self._kb.transactions.unjournalled():
            try:
                self._append(change)
            except JournalError as error:
                return str(error)  # the change stands; its copy waits for a journal that works
            self._kb.transactions.journalled(change)
        return ""

    def _append(self, change: Change) -> None:
        note = dict(change.note)
        self._journal.append_action(
            str(note.pop("action", "unknown")),
            str(note.pop("feature", "")),
            id=change.id,
            at=datetime.fromisoformat(str(note.pop("at"))),
            actor=str(note.pop("actor", "")),
            reason=str(note.pop("reason", "")),
            body={**note, "after": dict(change.files)},
        )

    def carry_out(
        self,
        action: str,
        feature: str,
        steps: Sequence[Step],
        *,
        at: datetime,
        actor: str,
        reason: str,
        via: str = "",
    ) -> Carried:
        """Write the steps as one change: all of it happens, or none."""
        files: dict[str, str | None] = {}
        moves: list[tuple[str, str, str]] = []
        for step in steps:
            target = feature_path(step.after.name, step.after.state)
            notes = self._kb.feature_notes(step.before) if step.before else None
            if step.before and step.before.path and step.before.path != target:
                files[step.before.path] = None
            files[target] = feature_text(step.after, notes)
            moves.append((step.after.name, step.before.state.value if step.before else "", step.after.state.value))
        return self._commit(action, feature, files, moves, at=at, actor=actor, reason=reason, via=via)

    def _commit(
        self,
        action: str,
        feature: str,
        files: Mapping[str, str | None],
        moves: Sequence[tuple[str, str, str]],
        *,
        at: datetime,
        actor: str,
        reason: str,
        **extra: Any,
    ) -> Carried:
        note = {
            "at": at.isoformat(),
            "action": action,
            "feature": feature,
            "actor": actor,
            "reason": reason,
            "moves": [list(m) for m in moves],
            "before": {path: self._text(path) for path in files},
            **extra,
        }
        # before the commit: who follows the files must not take this for somebody else's doing
        self._wrote.update((path, digest(text)) for path, text in files.items())
        change = self._kb.transactions.commit(files, note)
        return Carried(change.id, action, feature, at, reason, actor, tuple(moves), self._drain(), dict(files))

    def _text(self, path: str) -> str | None:
        try:
            return self._kb.read_raw(path).decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
        except FileNotFoundError:
            return None

    # -- taking back -----------------------------------------------------------------------------

    def undo(self, name: str | None, *, at: datetime, actor: str, via: str = "") -> Carried:
        """Take back the last action (of `name`, if given).

        Raises:
            UndoError: There is none, it is final, or its files changed since.
        """
        done, _ = self._stacks(name)
        if not done:
            raise UndoError("there is nothing to undo" + (f" for {name}" if name else ""))
        last = done[-1]
        if last.action in _FINAL:
            raise UndoError(
                f"the last action killed {last.feature}, and a kill is final: its callback has fired",
                hint=f"bring it back as a new promotion: redeploy {last.feature}, with a reason",
            )
        return self._reverse("undo", last, "after", "before", at=at, actor=actor, via=via, undoes=last.id)

    def redo(self, name: str | None, *, at: datetime, actor: str, via: str = "") -> Carried:
        """Do again what the last undo took back.

        Raises:
            UndoError: There is nothing to redo, or its files changed since.
        """
        _, undone = self._stacks(name)
        if not undone:
            raise UndoError("there is nothing to redo" + (f" for {name}" if name else ""))
        last = undone[-1]
        return self._reverse("redo", last, "before", "after", at=at, actor=actor, via=via, redoes=last.id)

    def _reverse(
        self, verb: str, action: Action, now: str, then: str, *, at: datetime, actor: str, **extra: Any
    ) -> Carried:
        expected: dict[str, str | None] = dict(action.body.get(now, {}))
        target: dict[str, str | None] = dict(action.body.get(then, {}))
        for path, text in expected.items():
            if digest(self._text(path)) != digest(text):
                raise UndoError(
                    f"{path} changed since {action.action} of {action.feature}: {verb} would overwrite that",
                    hint="take the change back by hand, or use demote, promote or redeploy",
                )
        self._check_kills(verb, action, target, at=at, actor=actor)
        moves = [(m[0], m[2], m[1]) if verb == "undo" else (m[0], m[1], m[2]) for m in action.body.get("moves", [])]
        reason = f"{verb} {action.action}"
        return self._commit(verb, action.feature, target, moves, at=at, actor=actor, reason=reason, **extra)

    def _check_kills(
        self, verb: str, action: Action, then: Mapping[str, str | None], *, at: datetime, actor: str
    ) -> None:
        """Keep the kill file true to what is taken back: only a redeploy, done again, lets a feature live again."""
        kills = self._kb.kill_file
        held = kills.read().kills
        for record in _records(then):
            if record.killed and record.name not in held:
                kills.latch(record.name, reason=record.reason, actor=actor, at=at)  # its redeploy is taken back
            elif not record.killed and record.name in held and record.state is not FeatureState.ARCHIVED:
                if (verb, action.action, action.feature) != ("redo", "redeploy", record.name):
                    raise UndoError(
                        f"{verb} would let {record.name} live again, which was killed",
                        hint=f"redeploy {record.name}, with a reason",
                    )
                kills.let_live(record.name, reason=action.reason, actor=actor, at=at)

    def _stacks(self, name: str | None) -> tuple[list[Action], list[Action]]:
        """What can be undone and redone, from as much of the journal's end as that takes."""
        window = 64
        while True:
            actions = self._journal.actions(limit=window)
            done, undone, whole = _stacks(actions, name)
            if len(actions) < window or (whole and done):
                return done, undone
            window *= 8

    def undoable(self) -> Action | None:
        """The action that `undo` would take back; None when it would refuse."""
        done, _ = self._stacks(None)
        return done[-1] if done and done[-1].action not in _FINAL else None

    # -- what the journal still knows ------------------------------------------------------------

    def last_known(self, name: str) -> FeatureRecord | None:
        """The feature as the journal last saw it written, for when its file cannot be read."""
        for action in reversed(self._journal.actions()):
            for path, text in dict(action.body.get("after", {})).items():
                stem = path.rpartition("/")[2].removesuffix(".md")
                if stem == name and isinstance(text, str):
                    moved = {m[0]: m[2] for m in action.body.get("moves", [])}
                    state = FeatureState(moved.get(name) or FeatureState.CANDIDATE)
                    record = feature_from_bytes(text.encode(), name, state, path)
                    if not record.damaged:
                        return record
        return None


def _records(files: Mapping[str, str | None]) -> list[FeatureRecord]:
    found = []
    for path, text in files.items():
        if text is not None and (state := state_of(path)) is not None:
            found.append(feature_from_bytes(text.encode(), path.rpartition("/")[2].removesuffix(".md"), state, path))
    return found


def _stacks(actions: Sequence[Action], name: str | None) -> tuple[list[Action], list[Action], bool]:
    """What can be undone and what can be redone, newest last; and whether all that is referred to was there."""
    done: list[Action] = []
    undone: list[Action] = []
    by_id: dict[str, Action] = {}
    whole = True
    for action in actions:
        if action.action in _STEPPED_OVER or not action.body.get("after"):
            continue
        if name is not None and name not in {m[0] for m in action.body.get("moves", [])}:
            continue
        if action.action in ("undo", "redo"):
            source, target = (done, undone) if action.action == "undo" else (undone, done)
            origin = by_id.get(str(action.body.get("undoes") or action.body.get("redoes") or ""))
            if origin is None:
                whole = False
            elif origin in source:
                source.remove(origin)
                target.append(origin)
        else:
            by_id[action.id] = action
            done.append(action)
            undone.clear()
    return done, undone, whole
