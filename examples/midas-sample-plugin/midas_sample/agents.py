"""An agent that wants more bars than Midas itself asks for."""

from collections.abc import Mapping
from typing import Any

from midas_engine.evaluator.gates.agents import check
from midas_engine.models import AgentVerdict, EvaluationResult


def sample_size(result: EvaluationResult, line: Mapping[str, Any], line_t: float) -> AgentVerdict:
    """Refuses a feature that was scored on fewer than `min_scored` bars."""
    gate = check("scored", result.bars_scored, ">=", line["min_scored"])
    tips = () if gate.passed else ("bring a longer history, or use columns that are filled",)
    return AgentVerdict("sample_size", gate.passed, float(gate.passed), (gate,), f"{gate.value:.0f} bars", tips)


sample_size.thresholds = {"min_scored": 1000}  # type: ignore[attr-defined]
