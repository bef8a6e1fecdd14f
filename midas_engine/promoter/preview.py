"""What an action would do, for the dialog that asks before it is done."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, TransitionError
from midas_engine.kb.features import feature_path
from midas_engine.kb.names import split_version
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter.rules import ACTIONS, MOVES, state_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.kb.store import KnowledgeBase


@dataclass(frozen=True, slots=True)
class TodaysFigure:
    """One gate on today's data.

    Attributes:
        error: Standard error of the value; NaN where it has none.
    """

    agent: str
    gate: str
    value: float
    error: float
    comparison: str
    threshold: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect of an action, before it is taken.

    Attributes:
        changes: On disk, as ("write" | "remove", path), in the order a reader should see them.
        unmet: Gates that the saved figures do not meet or say nothing of, and what today's data withdraws, in words;
            with any of them the action needs force and a reason.
        figures: The research figures on today's data, where a pre-flight looked; it opens nothing sealed.
        data: What that data is.
        worth: What the feature would add to the book, in words.
        effects: What it would do to the days to notice a death and to the lifetime's budget, a line each.
        refusal: Why it is not possible; empty when it is.
        command: The same action on the command line.
    """

    action: str
    name: str
    before: str = ""
    after: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    unmet: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    needs_reason: bool = False
    undoable: bool = True
    confirmation: int = 1
    refusal: str = ""
    command: str = ""
    figures: tuple[TodaysFigure, ...] = ()
    data: str = ""
    worth: str = ""
    effects: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Nothing stands in the way."""
        return not self.refusal


Against = Callable[[str, FeatureRecord, Sequence[str]], tuple[str, ...]]


def make_preview(kb: KnowledgeBase, action: str, name: str, against: Against, withdrawn: Sequence[str] = ()) -> Preview:
    """Look at what `action` on `name` would change, without changing it.

    Args:
        kb: Where the feature lies.
        action: One of `MOVES`.
        name: The feature.
        against: Says why an action needs force; see `PipelineSteps.against`.
        withdrawn: What a pre-flight found against it.
    """
    if action not in MOVES:
        raise TransitionError(f"there is no action {action!r}", hint="one of " + ", ".join(MOVES))
    rule = ACTIONS[action]
    needs = rule.needs_reason
    try:
        record = kb.feature(name)
        needs = needs or (action == "redeploy" and record.killed)
        if action == "kill" and record.killed:
            raise TransitionError(f"{name} is killed already")
        after = state_after(action, record)
        changes = _changes(kb, action, record, after)
        refusal = ""
        if kb.read_only:
            refusal = f"the knowledge base is read-only: {kb.read_only_reason}"
    except MidasError as error:
        return Preview(
            action,
            name,
            refusal=str(error),
            needs_reason=needs,
            undoable=rule.undoable,
            confirmation=rule.confirmation,
        )
    unmet = against(action, record, withdrawn)
    needs = needs or bool(unmet)
    verb = ["promote", name, "--role", "book"] if action == "book" else [action, name]
    command = ["midas", *verb, "--kb", str(kb.path)]
    if needs:
        command += ["--reason", "..."]
    if unmet:
        command += ["--force"]
    return Preview(
        action,
        name,
        record.state.value,
        after.value,
        changes,
        unmet,
        dict(record.metrics),
        needs,
        rule.undoable,
        rule.confirmation,
        refusal,
        shlex.join(command),
    )


def _changes(kb: KnowledgeBase, action: str, record: FeatureRecord, after: FeatureState) -> tuple[tuple[str, str], ...]:
    changes: list[tuple[str, str]] = []
    base = split_version(record.name)[0]
    live = [r for r in kb.features(FeatureState.DEPLOYED) if split_version(r.name)[0] == base and r.name != record.name]
    if action in ("promote", "book") and live:
        raise TransitionError(f"{live[0].name} is deployed, another version of it", hint=f"redeploy {record.name}")
    if action == "redeploy":
        for other in live:
            changes += [("write", feature_path(other.name, FeatureState.ARCHIVED)), ("remove", other.path)]
    target = feature_path(record.name, after)
    changes.append(("write", target))
    if target != record.path:
        changes.append(("remove", record.path))
    if action == "rollback":
        back = [n for n in reversed(record.lineage) if (r := kb.find_feature(n)) and r.state is FeatureState.ARCHIVED]
        if not back:
            raise TransitionError(f"{record.name} replaced nothing that can come back")
        old = kb.feature(back[0])
        changes += [("write", feature_path(old.name, FeatureState.DEPLOYED)), ("remove", old.path)]
    return tuple(changes)
