"""Small makers for tests of the knowledge base, the journal and the pipeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from midas_engine.models import FeatureRecord, FeatureState, LearningDocument

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


# Every figure that a discovery session saves with what it accepts.
MEASURED: dict[str, Any] = {
    "rank_ic": 0.031, "rank_ic_se": 0.006, "score_t": 4.2, "ir": 1.4, "turnover": 0.12, "net_bps": 0.4,
    "effective_ic": 0.02, "max_correlation": 0.3, "marginal_ic": 0.02, "oos_ic": 0.025, "bars_scored": 6000,
    "overall_pass": True,
}  # fmt: skip


def record(name: str = "carry", **changes: Any) -> FeatureRecord:
    """A candidate with everything an ordinary one has."""
    values: dict[str, Any] = {
        "name": name,
        "expression": "neg(cs_rank(ts_mean(funding_rate, 72)))",
        "state": FeatureState.CANDIDATE,
        "created_at": START,
        "changed_at": START,
        "hypothesis": "Crowded longs pay.",
        "session_id": "s1",
        "expected_score": 0.021,
        "breadth": 9.5,
        "metrics": dict(MEASURED),
    }
    return FeatureRecord(**(values | changes))


def learning(title: str = "Funding carry survives", **changes: Any) -> LearningDocument:
    """A learning with every section filled."""
    values: dict[str, Any] = {
        "title": title,
        "loop": "offline",
        "result": "success",
        "created_at": START,
        "research_goal": "funding carry on majors",
        "pattern_identified": "Slow funding predicts.",
        "what_worked": "A mean over 72 bars.",
        "what_failed": "Anything faster than a settlement.",
        "recommendation": "Try the change of funding.",
        "regime": "HIGH_VOL",
        "session_id": "s1",
        "expressions": ("neg(cs_rank(funding_rate))",),
        "accepted": ("carry",),
        "tags": ("funding", "carry"),
        "provenance": "program",
        "metrics": {"tried": 12, "best_t": 4.2},
        "body": "Twelve tried.",
    }
    return LearningDocument(**(values | changes))
