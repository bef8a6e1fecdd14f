"""Sessions as a tree: each with its plans, their proposals, and what each of those was refined to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from midas_tui.session_view import SessionView, TrialRow

Guides = tuple[str, str, str, str]
"""Before a child, before the last child, past a child with followers, past the last one."""
LINES: Guides = ("├ ", "└ ", "│ ", "  ")
ASCII_LINES: Guides = ("|-", "`-", "| ", "  ")


@dataclass(frozen=True, slots=True)
class Node:
    """One row of the tree.

    Attributes:
        key: Unique over all sessions.
        session: Whose it is.
        guide: The lines that lead to it.
        iteration: The plan's number; 0 for a session.
        trial: The expression; None for a session or a plan.
    """

    key: str
    session: SessionView
    guide: str = ""
    iteration: int = 0
    trial: TrialRow | None = None


def trial_key(session: SessionView, trial: TrialRow) -> str:
    """Key of an expression's row."""
    return f"{session.session_id}/{trial.key}"


def tree_of(
    sessions: Iterable[SessionView],
    is_open: Callable[[SessionView], bool],
    wanted: Callable[[TrialRow], bool],
    guides: Guides = LINES,
) -> list[Node]:
    """The rows in the order drawn; a folded session is one row.

    Args:
        sessions: In their order.
        is_open: Whether a session is unfolded.
        wanted: Whether an expression matches the filter; what it comes from stays with it.
        guides: How lines are drawn.
    """
    found: list[Node] = []
    for session in sessions:
        found.append(Node(session.session_id, session))
        if is_open(session):
            found += _inside(session, wanted, guides)
    return found


def flat_of(session: SessionView, wanted: Callable[[TrialRow], bool]) -> list[Node]:
    """The expressions of one session alone, for a sorted list."""
    return [
        Node(trial_key(session, t), session, "", t.iteration, t) for t in session.trials.values() if wanted(t)
    ]  # fmt: skip


def _inside(session: SessionView, wanted: Callable[[TrialRow], bool], guides: Guides) -> Iterator[Node]:
    under: dict[str, list[TrialRow]] = {}
    kept = _with_ancestors(session, wanted)
    for trial in session.trials.values():
        if trial.key in kept:
            under.setdefault(trial.parent or f"plan {trial.iteration}", []).append(trial)
    told = {t.iteration for t in session.trials.values() if t.key in kept}
    plans = sorted(told if len(kept) < len(session.trials) else told | set(session.plans))
    child, last, past, past_last = guides
    for number in plans:
        ends = number == plans[-1]
        yield Node(f"{session.session_id}/plan {number}", session, last if ends else child, number)
        yield from _below(session, under.get(f"plan {number}", ()), under, past_last if ends else past, guides)


def _below(
    session: SessionView, trials: Sequence[TrialRow], under: dict[str, list[TrialRow]], before: str, guides: Guides
) -> Iterator[Node]:
    child, last, past, past_last = guides
    for trial in trials:
        ends = trial is trials[-1]
        yield Node(trial_key(session, trial), session, before + (last if ends else child), trial.iteration, trial)
        further = under.get(trial.key)
        if further:
            yield from _below(session, further, under, before + (past_last if ends else past), guides)


def _with_ancestors(session: SessionView, wanted: Callable[[TrialRow], bool]) -> set[str]:
    kept: set[str] = set()
    for trial in session.trials.values():
        if wanted(trial):
            key = trial.key
            while key and key not in kept:
                kept.add(key)
                key = session.trials[key].parent
    return kept
