"""Which action is allowed from which state, and what it asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midas_engine.errors import TransitionError
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter.measured import ECONOMIC, in_words, unknown_gates

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# Actions that put a feature into the book; they ask for every gate.
GATED = ("promote", "book", "redeploy")
C, S, D, A = FeatureState.CANDIDATE, FeatureState.SHADOW, FeatureState.DEPLOYED, FeatureState.ARCHIVED


# Where people act. A model, a plug-in's researcher and a client of the researcher's door stand in none of these: they
# propose, and no action takes a proposal for an order.
DOORS = ("terminal", "command line", "Python", "service")


@dataclass(frozen=True, slots=True)
class ActionRule:
    """One thing that can be done to a feature, an alert or a session; every door and its documentation read the table.

    Attributes:
        done: What is said when it is done: "promoted".
        after: State before -> state after; empty where no feature moves.
        needs_reason: Refused without a reason.
        undoable: `undo` can take it back.
        confirmation: What the terminal asks for: 0 nothing, 1 a dialog, 2 the name typed out.
        doors: From where it is taken; "detector" is the monitor's own kill policy.
    """

    done: str
    after: Mapping[FeatureState, FeatureState] = field(default_factory=dict)
    needs_reason: bool = False
    undoable: bool = True
    confirmation: int = 1
    doors: tuple[str, ...] = DOORS


ACTIONS: dict[str, ActionRule] = {
    "promote": ActionRule("promoted", {C: D, S: D}),
    "book": ActionRule("promoted to the book", {C: D, S: D}),
    "shadow": ActionRule("runs in shadow", {C: S}),
    "demote": ActionRule("demoted", {D: A, S: C}, needs_reason=True),
    "reject": ActionRule("rejected", {C: A, S: A}, needs_reason=True),
    "kill": ActionRule(
        "killed", {D: A, S: A}, needs_reason=True, undoable=False, confirmation=2, doors=(*DOORS, "detector")
    ),
    "pause": ActionRule("paused", {D: D, S: S}),
    "resume": ActionRule("resumed", {D: D, S: S}),
    "redeploy": ActionRule("redeployed", {C: D, S: D, A: D}),
    "rollback": ActionRule("rolled back", {D: A}),
    "undo": ActionRule("taken back", confirmation=0),
    "redo": ActionRule("done again", confirmation=0),
    "acknowledge": ActionRule("acknowledged", confirmation=0),
    "snooze": ActionRule("snoozed", confirmation=0),
    "reopen": ActionRule("open again", confirmation=0),
    "discover": ActionRule("started", undoable=False),
    "continue": ActionRule("goes on", undoable=False),
    "replay": ActionRule("is repeated from its record", undoable=False, confirmation=0),
    "cancel": ActionRule("cancelled, its learning is written", undoable=False),
}
MOVES = tuple(name for name, action in ACTIONS.items() if action.after)
"""The actions that move a feature from state to state."""

_HINTS = {
    ("promote", D): "it is deployed already",
    ("promote", A): "an archived feature comes back with redeploy",
    ("book", D): "it is deployed already",
    ("book", A): "an archived feature comes back with redeploy",
    ("demote", C): "a candidate is refused with reject",
    ("demote", A): "it is archived already",
    ("reject", D): "a deployed feature is retired with demote",
    ("reject", A): "it is archived already",
    ("kill", C): "a candidate is refused with reject; it is not live",
    ("kill", A): "it is archived already; nothing of it is live",
    ("shadow", D): "it is live already",
    ("shadow", A): "propose it again as a candidate",
    ("pause", C): "only live features can be paused",
    ("pause", A): "only live features can be paused",
    ("redeploy", D): "it is deployed already; resume it if it is paused",
}


def state_after(action: str, record: FeatureRecord) -> FeatureState:
    """Where `action` takes the feature.

    Raises:
        TransitionError: The action is not allowed from its state.
    """
    rule = ACTIONS[action]
    if record.state not in rule.after:
        raise TransitionError(
            f"{record.name} is {'killed' if record.killed else record.state.value}: {action} is not possible",
            hint=_HINTS.get((action, record.state), f"{action} takes " + ", ".join(s.value for s in rule.after)),
        )
    if record.killed and action in ("promote", "book", "shadow", "pause", "resume"):
        raise TransitionError(
            f"{record.name} is killed: {action} is not possible",
            hint=f"only a redeploy by its name ends a kill: midas redeploy {record.name} --reason ...",
        )
    if action == "pause" and record.paused:
        raise TransitionError(f"{record.name} is paused already", hint="resume it, or leave it")
    if action == "resume" and not record.paused:
        raise TransitionError(f"{record.name} is not paused", hint="pause it first")
    return rule.after[record.state]


def check_reason(action: str, reason: str, record: FeatureRecord) -> str:
    """The reason as it is kept: one line, bounded.

    Raises:
        TransitionError: The action needs one and there is none.
    """
    if not isinstance(reason, str):
        raise TransitionError(f"the reason for {action} must be text, not {type(reason).__name__}")
    line = " ".join(reason.encode("utf-8", "replace").decode().split())[:1000]
    needed = ACTIONS[action].needs_reason or (action == "redeploy" and record.killed)
    if needed and not line:
        raise TransitionError(f"{action} needs a reason", hint='say why, such as --reason "IC below zero in LOW_VOL"')
    return line


def unmet_gates(record: FeatureRecord, waived: Collection[str] = ()) -> tuple[str, ...]:
    """The gates that the figures saved with the feature did not meet, and those they say nothing of, in words.

    Reads `gates` (a list of mappings with name, value, comparison, threshold, passed), `failed_agents`
    (names, as a list or joined by commas) and `overall_pass`, whichever the record has. A fix must also have run in
    shadow. Agents in `waived` are not asked.
    """
    metrics: dict[str, Any] = record.metrics
    gates = metrics.get("gates")
    found = (
        [_words(g) for g in gates if isinstance(g, dict) and g.get("passed") is False and g.get("agent") not in waived]
        if isinstance(gates, list)
        else []
    )
    failed = metrics.get("failed_agents")
    if not found and failed:
        named = [f.strip() for f in failed.split(",")] if isinstance(failed, str) else [str(f) for f in failed]
        found = [f for f in named if f not in waived]
    if not found and not (failed and waived) and metrics.get("overall_pass") is False:
        found = ["the evaluation did not pass"]
    if metrics.get("fix_of") and not any(entry.get("action") == "shadow" for entry in record.history):
        found.append(f"it is a fix of {metrics['fix_of']} and has not run in shadow")
    missing = in_words(unknown_gates(record))
    return tuple(f for f in (missing, *found) if f)


def refusals(action: str, record: FeatureRecord, withdrawn: Sequence[str] = ()) -> tuple[str, ...]:
    """Why `action` needs force: what the saved figures do not show, and what today's withdraw.

    Args:
        action: promote, book or redeploy; nothing else asks. To the book a feature need not pay alone.
        record: The feature. One that was live before brings what it did live, not the figures of its youth.
        withdrawn: What a pre-flight on today's data found against it.
    """
    if action not in GATED:
        return ()
    saved = () if _was_live(record) else unmet_gates(record, ECONOMIC if action == "book" else ())
    return (*saved, *withdrawn)


def _was_live(record: FeatureRecord) -> bool:
    return any(entry.get("to") == FeatureState.DEPLOYED.value for entry in record.history)


def check_force(record: FeatureRecord, against: Sequence[str], reason: str, force: bool) -> None:
    """Refuse what has something against it, unless it is forced with a reason.

    Raises:
        TransitionError: It is not forced, or not explained.
    """
    if not against:
        return
    if not force:
        raise TransitionError(
            f"{record.name} does not meet: {'; '.join(against)}",
            hint='deploy it all the same with force and a reason (--force --reason "...")',
        )
    if not reason.strip():
        raise TransitionError(
            f"forcing {record.name} needs a reason; against it: {'; '.join(against)}",
            hint='say why, such as --force --reason "known from the paper of 2024"',
        )


def _words(gate: dict[str, Any]) -> str:
    value, threshold = gate.get("value"), gate.get("threshold")
    figures = [
        f"{v:.4g}" if isinstance(v, int | float) and not isinstance(v, bool) else "unknown" for v in (value, threshold)
    ]
    return f"{gate.get('name', 'gate')} {figures[0]}, needs {gate.get('comparison', '')} {figures[1]}"


def reference_changes(name: str, expected_score: float | None, breadth: float | None) -> dict[str, Any]:
    """What a promotion changes of a feature's promise; only what is given.

    Raises:
        TransitionError: A figure is not finite.
    """
    given = {"expected_score": expected_score, "breadth": breadth}
    changes = {key: float(value) for key, value in given.items() if value is not None}
    if not all(math.isfinite(value) for value in changes.values()):
        raise TransitionError(f"{name}: a reference score must be a finite number", hint="score more bars")
    return changes
