"""Why a feature was refused: how far each gate was missed, what decided, and how much data it would take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.stats.power import bars_needed
from midas_engine.text import number

if TYPE_CHECKING:
    from midas_engine.models import MultiAgentResult


@dataclass(frozen=True, slots=True)
class Miss:
    """A gate that did not hold.

    Attributes:
        distance: How far the figure is on the wrong side, in its own unit; NaN when there is no figure.
        errors: The same in standard errors of the figure, where it has one.
    """

    agent: str
    gate: str
    value: float
    comparison: str
    threshold: float
    distance: float
    errors: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What decided a verdict.

    Attributes:
        misses: Gates that did not hold, in the agents' order.
        bars_needed: Bars at which the measured score would pass the session line with 80 % chance; infinite when
            the score is not positive, and what there is when the line was passed.
        days_needed: The same in days.
        weakest_fold: Span and t of the fold with the lowest t.
        weakest_regime: Name and t.
        worst_bars: Bars with the lowest scores, worst first.
        smallest_ic: Smallest IC this sample can tell from zero at the line.
    """

    accepted: bool
    misses: tuple[Miss, ...]
    bars_scored: int
    bars_needed: float
    days_needed: float
    weakest_fold: tuple[str, float]
    weakest_regime: tuple[str, float]
    worst_bars: tuple[dict[str, Any], ...]
    smallest_ic: float
    suggestions: tuple[str, ...]

    def text(self) -> str:
        """As a few lines of plain text."""
        lines = ["accepted: every gate held" if self.accepted else "refused"]
        for miss in self.misses:
            far = f", short by {number(abs(miss.distance))}" if miss.distance == miss.distance else ""
            errors = f" ({number(abs(miss.errors), 1)} standard errors)" if miss.errors == miss.errors else ""
            detail = f"  ({miss.detail})" if miss.detail else ""
            line = f"  {miss.agent}: {miss.gate} {number(miss.value)}, needs {miss.comparison} {number(miss.threshold)}"
            lines.append(line + far + errors + detail)
        if math.isfinite(self.bars_needed) and self.bars_needed > self.bars_scored:
            lines.append(
                f"  at the measured score, {self.bars_needed:,.0f} bars ({self.days_needed:,.0f} days) of such data "
                f"would pass the session line with 80 % chance; there are {self.bars_scored:,}"
            )
        elif math.isinf(self.bars_needed):
            lines.append("  the measured score is not positive: no amount of data would pass it")
        if self.smallest_ic == self.smallest_ic:
            lines.append(f"  smallest IC this sample can tell from zero at the line: {self.smallest_ic:.4f}")
        if self.weakest_fold[0]:
            lines.append(f"  weakest fold: {self.weakest_fold[0]} (t {number(self.weakest_fold[1], 2)})")
        if self.weakest_regime[0]:
            lines.append(f"  weakest regime: {self.weakest_regime[0]} (t {number(self.weakest_regime[1], 2)})")
        if self.worst_bars:
            worst = ", ".join(f"{bar['at']} ({bar['score']:.1f})" for bar in self.worst_bars)
            lines.append(f"  worst bars: {worst}")
        lines += [f"  - {tip}" for tip in self.suggestions]
        return "\n".join(lines)


def explain(verdict: MultiAgentResult) -> Explanation:
    """What decided a verdict, from the figures it keeps."""
    result = verdict.evaluation
    errors = {
        "rank_ic": result.rank_ic.se,
        "score_t": 1.0,
        "ir": result.ir.se,
        "marginal_ic": result.marginal_ic.se,
        "marginal_t": 1.0,
        "oos_t": 1.0,
        "overfit_z": 1.0,
        "regime_t": 1.0,
    }
    misses = []
    for agent in verdict.verdicts:
        for gate in agent.gates:
            if not gate.passed:
                distance = gate.threshold - gate.value
                se = errors.get(gate.name, math.nan)
                misses.append(
                    Miss(
                        agent.agent,
                        gate.name,
                        gate.value,
                        gate.comparison,
                        gate.threshold,
                        distance,
                        distance / se if se > 0.0 else math.nan,
                        gate.detail,
                    )  # fmt: skip
                )
    needed = math.nan
    if result.score.se == result.score.se:
        needed = bars_needed(result.score.value, result.score.se, result.bars_scored, verdict.line_t)
    folds = [(f"{f.start} to {f.end}", f.t) for f in result.folds if f.t == f.t]
    regimes = [(name, e.value / e.se) for name, e in result.ic_by_regime.items() if e.se > 0.0]
    hours = float(result.extra.get("hours_per_bar", math.nan))
    return Explanation(
        accepted=verdict.overall_pass,
        misses=tuple(misses),
        bars_scored=result.bars_scored,
        bars_needed=needed,
        days_needed=needed * hours / 24.0,
        weakest_fold=min(folds, key=lambda pair: pair[1], default=("", math.nan)),
        weakest_regime=min(regimes, key=lambda pair: pair[1], default=("", math.nan)),
        worst_bars=tuple(result.extra.get("worst_bars", ())),
        smallest_ic=result.smallest_detectable_ic,
        suggestions=verdict.suggestions,
    )
