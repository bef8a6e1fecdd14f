"""The evaluator: every metric of a feature with its error, and six verdicts on it.

Example:
    >>> import numpy as np, pandas as pd
    >>> from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator
    >>> index = pd.date_range("2026-01-01", periods=2000, freq="h", tz="UTC")
    >>> rng = np.random.default_rng(0)
    >>> feature = pd.Series(rng.normal(size=2000), index)
    >>> returns = pd.DataFrame({"ret_1h": rng.normal(size=2000) * 0.01}, index)
    >>> MultiAgentEvaluator(AlphaEvaluator()).evaluate(feature, returns, trials=60).overall_pass
    False
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.evaluator.adapters import check_data, checked_compute
    from midas_engine.evaluator.alpha import AlphaEvaluator
    from midas_engine.evaluator.context import EvaluationContext
    from midas_engine.evaluator.metrics import evaluate_values
    from midas_engine.evaluator.multi import MultiAgentEvaluator
    from midas_engine.evaluator.parts import Parts, split_parts
    from midas_engine.evaluator.rendering import render, to_dict
    from midas_engine.evaluator.thresholds import DEFAULT_THRESHOLDS, validate_thresholds
    from midas_engine.evaluator.verdict import judge, session_line

_HOMES = {
    "AlphaEvaluator": "alpha",
    "DEFAULT_THRESHOLDS": "thresholds",
    "EvaluationContext": "context",
    "MultiAgentEvaluator": "multi",
    "Parts": "parts",
    "check_data": "adapters",
    "checked_compute": "adapters",
    "evaluate_values": "metrics",
    "judge": "verdict",
    "render": "rendering",
    "session_line": "verdict",
    "split_parts": "parts",
    "to_dict": "rendering",
    "validate_thresholds": "thresholds",
}

__all__ = [
    "AlphaEvaluator",
    "DEFAULT_THRESHOLDS",
    "EvaluationContext",
    "MultiAgentEvaluator",
    "Parts",
    "check_data",
    "checked_compute",
    "evaluate_values",
    "judge",
    "render",
    "session_line",
    "split_parts",
    "to_dict",
    "validate_thresholds",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: numpy and numba stay out of a fresh import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
