"""What a session keeps for the book: an expression that predicts, does not pay alone, and would pay beside others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from midas_engine.evaluator.context.scored_as import kept_mode
from midas_engine.loops.records import flat_figures
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter.measured import ECONOMIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from midas_engine.evaluator.trials.holdout import HoldoutLook
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import Estimate, MultiAgentResult
    from midas_engine.proposer.protocol import Proposal


@runtime_checkable
class KnowsWorth(Protocol):
    """An assessor that knows what an expression would add to a book of features."""

    async def worth(self, record: FeatureRecord, kb: KnowledgeBase) -> Estimate:
        """Marginal net on research bars, bps of capital a year; unknown beside an empty book."""
        ...


def only_costs(research: MultiAgentResult, look: HoldoutLook | None = None) -> bool:
    """Whether costs alone stand between an expression and its acceptance: on research, or at its sealed look."""
    if look is not None:
        return look.p <= look.line and bool(look.vetoes) and set(look.vetoes) <= set(ECONOMIC)
    return research.statistical_pass and bool(research.failed_agents) and set(research.failed_agents) <= set(ECONOMIC)


def book_candidate(
    proposal: Proposal,
    research: MultiAgentResult,
    *,
    session_id: str,
    at: datetime,
    data: tuple[str, int],
    unproven: Sequence[str] = (),
) -> FeatureRecord:
    """The document of an expression that is kept for the book; nothing sealed of it was looked at for that."""
    metrics = flat_figures(research) | {
        "composite": round(research.composite_score, 6),
        "line_t": round(research.line_t, 4),
        "trials": research.trials,
        "overall_pass": False,
        "passed_agents": ", ".join(v.agent for v in research.verdicts if v.passed),
        "failed_agents": ", ".join(research.failed_agents or ECONOMIC[:1]),
        **kept_mode(research.evaluation.extra),
    }
    if unproven:
        metrics["unproven"] = ", ".join(unproven)
    if data[0]:
        metrics["measured_on"], metrics["horizon"] = data
    return FeatureRecord(
        name=proposal.name, expression=proposal.expression, state=FeatureState.CANDIDATE, created_at=at, changed_at=at,
        hypothesis=proposal.rationale, session_id=session_id, reason="does not pay alone, and may pay in the book",
        gate=proposal.gate, hold_bars=proposal.hold, horizon_bars=proposal.horizon, metrics=metrics,
    )  # fmt: skip


def words_for_book(name: str, worth: Estimate) -> str:
    """What is said of one that is kept; empty where it would add nothing."""
    from midas_engine.book.rows import span

    if not (math.isfinite(worth.value) and worth.value > 0.0):
        return ""
    return (
        f"{name} does not pay alone and would add {span(worth)} bps/yr to the book, on research: kept as a candidate; "
        f"midas promote {name} --role book looks at the sealed part once, and is charged\n"
    )
