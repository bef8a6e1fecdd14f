"""What a reader must know before any figure: a bet on names, and figures that point in opposite directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.text import number, with_capital

if TYPE_CHECKING:
    from midas_engine.models import EvaluationResult, MultiAgentResult


def said_first(result: MultiAgentResult) -> list[str]:
    """Sentences that come before the figures; often none."""
    from midas_engine.evaluator.gates.agents import bet_on_symbols

    lines = []
    gates = {g.name: g.threshold for v in result.verdicts for g in v.gates if v.agent == "predictive_power"}
    line = {key: gates.get(key.partition("_")[2], math.nan) for key in ("min_moving_share", "max_standing_variance")}
    bet = bet_on_symbols(result.evaluation, line) if "moving_share" in gates or "comparable" in gates else ""
    if bet:
        lines.append(with_capital(bet))
    return [*lines, *opposite_signs(result.evaluation)]


def opposite_signs(result: EvaluationResult) -> list[str]:
    """Whether IC and money disagree in sign: ranks say one thing, and the book they imply earns the other."""
    ic, gross, net = result.rank_ic.value, result.gross_bps, result.net_bps
    if not ic * gross < 0.0:
        return []
    why = "the ranks are right more often, the large moves go against them"
    if ic < 0.0:
        why = "the ranks are wrong more often, the large moves go with them"
    figures = f"rank IC {number(ic, 4, sign=True)}, gross {number(gross, 3, sign=True)}"
    return [f"IC and money disagree: {figures} and net {number(net, 3, sign=True)} bps a bar: {why}"]
