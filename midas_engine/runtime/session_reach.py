"""What a session could reach at all: its line, its next look, the smallest IC that could be promoted, its cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError
from midas_engine.runtime.session_order import cost_words

if TYPE_CHECKING:
    from midas_engine.market import Panel
    from midas_engine.runtime.session_order import SessionOrder
    from midas_engine.workspace import Workspace


def reach_lines(order: SessionOrder, panel: Panel, workspace: Workspace, day_left: float) -> tuple[str, ...]:
    """The lines of `Reach`, the most important first. Heavy: call it in a thread. Opens no candidate's look."""
    from midas_engine.evaluator.gates.verdict import session_line
    from midas_engine.evaluator.promotable import panel_words

    trials = order.config.planned_trials
    thresholds, _ = workspace.kb.last_good_thresholds()
    gate = f"the gate: t of {session_line(trials, math.inf):.2f} or more on research, for {trials} planned trials"
    try:
        words = panel_words(panel, order.settings, trials, _next_level(workspace), thresholds)
    except MidasError as error:
        words = (f"what could be promoted on this data is not known: {error.message}",)
    return (gate, cost_words(order, day_left), *words[1:], *words[:1])


def _next_level(workspace: Workspace) -> float:
    """What the next look at the sealed part will be charged."""
    from midas_engine.evaluator.trials.holdout import SealedHoldout
    from midas_engine.evaluator.trials.ledger import TrialLedger

    with TrialLedger(workspace.kb.journal_path, read_only=True) as ledger:
        return SealedHoldout(ledger).state().level()
