"""What a session leaves behind: trial results, candidate records, learning documents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.evaluator.context.scored_as import kept_mode
from midas_engine.evaluator.trials.sealed_evidence import text_mark
from midas_engine.events import AgentRow
from midas_engine.models import FeatureRecord, FeatureState, LearningDocument
from midas_engine.proposer.protocol import TrialResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from midas_engine.evaluator.trials.holdout import HoldoutLook
    from midas_engine.loops.assessors import Promise
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import LearningDraft, Proposal


@dataclass(frozen=True, slots=True)
class Judged:
    """What the parts said of an expression, and the look that was charged for the second."""

    research: MultiAgentResult
    sealed: MultiAgentResult
    look: HoldoutLook
    promise: Promise


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended.

    Attributes:
        result: success, failure, error or cancelled.
        reason: Why it ended; may be empty.
        results: Everything that was tried.
        accepted: Names of the candidates it saved.
        confirmed_failures: How many passed the research part and no other.
    """

    goal: str
    result: str
    reason: str
    results: Sequence[TrialResult]
    accepted: Sequence[str]
    researcher: str
    regime: str
    session_id: str
    at: datetime
    confirmed_failures: int


def trial_result(iteration: int, proposal: Proposal, result: MultiAgentResult) -> TrialResult:
    """What the researcher is told: research figures and verdicts."""
    e = result.evaluation
    verdicts = tuple(f"{v.agent}: {'pass' if v.passed else 'FAIL'} {v.score:.2f}, {v.summary}" for v in result.verdicts)
    return TrialResult(
        iteration,
        proposal.name,
        proposal.expression,
        passed=result.overall_pass,
        score_t=e.score_t,
        rank_ic=e.rank_ic.value,
        line_t=result.line_t,
        composite=result.composite_score,
        turnover=e.turnover,
        net_bps=e.net_bps,
        rank_ic_se=e.rank_ic.se,
        net_se=net_error(result),
        failed_agents=result.failed_agents,
        verdicts=verdicts,
        suggestions=result.suggestions,
        rationale=proposal.rationale,
    )


def agent_rows(result: MultiAgentResult) -> tuple[AgentRow, ...]:
    """The scorecard's rows."""
    return tuple(AgentRow(agent=v.agent, passed=v.passed, score=v.score, summary=v.summary) for v in result.verdicts)


def refusal_words(result: MultiAgentResult) -> str:
    """What the research part refused an expression for: each agent that did, in its own words."""
    return "; ".join(f"{v.agent}: {v.summary}" for v in result.verdicts if not v.passed)


def flat_figures(result: MultiAgentResult, prefix: str = "") -> dict[str, Any]:
    """The figures kept with a candidate; NaN is left out."""
    e = result.evaluation
    figures: dict[str, Any] = {
        "rank_ic": e.rank_ic.value,
        "rank_ic_se": e.rank_ic.se,
        "score_t": e.score_t,
        "score_p": e.score_p,
        "ir": e.ir.value,
        "half_life_hours": e.half_life_hours.value,
        "turnover": e.turnover,
        "net_bps": e.net_bps,
        "net_se": net_error(result),
        "effective_ic": e.effective_ic,
        "max_correlation": e.max_correlation,
        "marginal_ic": e.marginal_ic.value,
        "oos_ic": e.oos_ic.value,
        "effective_breadth": e.effective_breadth,
        "bars_scored": e.bars_scored,
    }
    return {prefix + k: _kept(v) for k, v in figures.items() if isinstance(v, int) or math.isfinite(v)}


def _kept(value: float) -> float:
    """Eight decimals, of what is smaller as many figures: a p of 1e-12 is not zero."""
    return round(value, 8) if isinstance(value, int) or abs(value) >= 1e-4 else float(f"{value:.5g}")


def net_error(result: MultiAgentResult) -> float:
    """Standard error of the net return, in bps a bar; NaN where it is not known."""
    return float((result.evaluation.extra.get("net") or {}).get("se", math.nan))


def look_figures(look: HoldoutLook) -> dict[str, Any]:
    """The look as the feature remembers it: the frozen start of whatever evidence comes later.

    `sealed_p` as it was tested, `sealed_t` the t of the per-bar score, `sealed_level` what was charged, `sealed_line`
    what p had to reach, `sealed_bars` the bars scored, `sealed_look` its number, `sealed_until` the last bar that
    existed then.
    """
    figures: dict[str, Any] = {
        "sealed_p": look.p,
        "sealed_level": look.level,
        "sealed_line": look.line,
        "sealed_bars": look.bars,
        "sealed_look": look.number,
        "sealed_passed": look.passed,
    }
    if math.isfinite(look.score_t):
        figures["sealed_t"] = look.score_t
    if look.until:
        figures["sealed_until"] = look.until
    return figures


def look_words(look: HoldoutLook) -> str:
    """What the operator hears of a look: how it ended and the line it had to reach; the researcher hears nothing."""
    again = ", answered from the ledger" if look.repeated else ""
    fate = "held" if look.passed else f"did not hold ({', '.join(look.vetoes)})" if look.vetoes else "did not hold"
    return f"sealed look {look.number}{again}: {fate} (p had to reach {look.line:.2g})\n"


def candidate_record(
    proposal: Proposal,
    judged: Judged,
    *,
    name: str,
    session_id: str,
    hypothesis: str,
    at: datetime,
    data: tuple[str, int] = ("", 0),
    unproven: Sequence[str] = (),
) -> FeatureRecord:
    """The document of an accepted expression, with the figures of every part and what it promises.

    `data` is the content hash of the data that the figures are of, and the horizon in bars; `unproven` the columns it
    reads that nobody vouches for.
    """
    research = judged.research
    metrics = flat_figures(research)
    metrics |= {
        "composite": round(research.composite_score, 6),
        "line_t": round(research.line_t, 4),
        "trials": research.trials,
        **kept_mode(research.evaluation.extra),
    }
    metrics |= flat_figures(judged.sealed, "sealed_")
    metrics |= look_figures(judged.look)
    metrics["sealed_of"] = text_mark(proposal.expression)
    metrics["sealed_hours_per_bar"] = float(judged.sealed.evaluation.extra.get("hours_per_bar", 1.0))
    expected, variance, bars = judged.promise
    if expected is not None:
        metrics["reference_bars"] = bars
    metrics["overall_pass"] = True
    metrics["passed_agents"] = ", ".join(v.agent for v in research.verdicts if v.passed)
    if unproven:
        metrics["unproven"] = ", ".join(unproven)
    if data[0]:
        metrics["measured_on"], metrics["horizon"] = data
    return FeatureRecord(
        name=name,
        expression=proposal.expression,
        state=FeatureState.CANDIDATE,
        created_at=at,
        changed_at=at,
        hypothesis=proposal.rationale or hypothesis,
        session_id=session_id,
        reason="" if judged.look.passed else "sound, and short of the lifetime's line at its sealed look",
        expected_score=expected,
        breadth=1.0 / variance if expected is not None and variance > 0 else None,
        gate=proposal.gate,
        hold_bars=proposal.hold,
        horizon_bars=proposal.horizon,
        metrics=metrics,
    )


def learning_document(draft: LearningDraft | None, end: SessionEnd) -> LearningDocument:
    """The learning of a session. Figures are written by the program; the researcher's words stand beside them."""
    results, accepted = end.results, end.accepted
    scored = [r for r in results if not r.refused]
    best = max(scored, key=lambda r: r.score_t if math.isfinite(r.score_t) else -math.inf, default=None)
    lines = ["| expression | t | IC | verdict |", "| --- | --- | --- | --- |"]
    for r in results:
        fate = (
            r.refused.splitlines()[0] if r.refused else "passed" if r.passed else "failed " + ", ".join(r.failed_agents)
        )
        lines.append(
            f"| `{r.expression.replace('|', '/')}` | {r.score_t:+.2f} | {r.rank_ic:+.4f} | {fate.replace('|', '/')} |"
        )
    body = "## Everything that was tried\n\n" + "\n".join(lines) if results else "Nothing was tried."
    if end.reason:
        body = f"{end.reason}\n\n{body}"
    figures: dict[str, Any] = {"tried": len(results), "scored": len(scored), "accepted": len(accepted)}
    if known := sum(bool(r.known) for r in results):
        figures["known_before"] = known
    figures["passed_research_only"] = end.confirmed_failures
    if best is not None and math.isfinite(best.score_t):
        figures |= {
            "best_t": round(best.score_t, 3),
            "best_ic": round(best.rank_ic, 5),
            "line_t": round(best.line_t, 3),
        }
    return LearningDocument(
        title=draft.title if draft is not None else f"{end.result}: {end.goal}"[:90],
        loop="offline",
        result=end.result,
        created_at=end.at,
        research_goal=end.goal,
        pattern_identified=draft.pattern_identified if draft is not None else "",
        what_worked=draft.what_worked if draft is not None else "",
        what_failed=draft.what_failed if draft is not None else "",
        recommendation=draft.recommendation if draft is not None else "",
        regime=end.regime,
        session_id=end.session_id,
        expressions=tuple(r.expression for r in results),
        accepted=tuple(accepted),
        tags=draft.tags if draft is not None else (),
        provenance=end.researcher,
        metrics=figures,
        body=body,
    )
