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

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.context.history_split import Parts, split_history, split_panel, split_parts
    from midas_engine.evaluator.context.options import ScoringOptions
    from midas_engine.evaluator.gates.thresholds import DEFAULT_THRESHOLDS, validate_thresholds
    from midas_engine.evaluator.gates.verdict import judge, session_line
    from midas_engine.evaluator.metrics.capacity import capacity_of
    from midas_engine.evaluator.metrics.evaluate import evaluate_values
    from midas_engine.evaluator.pandas_input.alpha import AlphaEvaluator
    from midas_engine.evaluator.pandas_input.multi import MultiAgentEvaluator
    from midas_engine.evaluator.pandas_input.user_engine import check_data, checked_compute
    from midas_engine.evaluator.reports.explanation import explain
    from midas_engine.evaluator.reports.rendering import render, to_dict
    from midas_engine.evaluator.reports.tearsheet import tearsheet_html, write_tearsheet
    from midas_engine.evaluator.reports.tearsheet_figures import tearsheet_figures
    from midas_engine.evaluator.trials.holdout import SealedHoldout, sealed_vetoes
    from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger


__all__ = [
    "AlphaEvaluator",
    "DEFAULT_THRESHOLDS",
    "EvaluationContext",
    "MultiAgentEvaluator",
    "Parts",
    "ScoringOptions",
    "SealedHoldout",
    "TrialKey",
    "TrialLedger",
    "capacity_of",
    "check_data",
    "checked_compute",
    "evaluate_values",
    "explain",
    "judge",
    "render",
    "sealed_vetoes",
    "session_line",
    "split_history",
    "split_panel",
    "split_parts",
    "tearsheet_figures",
    "tearsheet_html",
    "to_dict",
    "validate_thresholds",
    "write_tearsheet",
]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "AlphaEvaluator": ".pandas_input.alpha",
        "DEFAULT_THRESHOLDS": ".gates.thresholds",
        "EvaluationContext": ".context.evaluation_context",
        "MultiAgentEvaluator": ".pandas_input.multi",
        "Parts": ".context.history_split",
        "ScoringOptions": ".context.options",
        "SealedHoldout": ".trials.holdout",
        "TrialKey": ".trials.ledger",
        "TrialLedger": ".trials.ledger",
        "capacity_of": ".metrics.capacity",
        "check_data": ".pandas_input.user_engine",
        "checked_compute": ".pandas_input.user_engine",
        "evaluate_values": ".metrics.evaluate",
        "explain": ".reports.explanation",
        "judge": ".gates.verdict",
        "render": ".reports.rendering",
        "sealed_vetoes": ".trials.holdout",
        "session_line": ".gates.verdict",
        "split_history": ".context.history_split",
        "split_panel": ".context.history_split",
        "split_parts": ".context.history_split",
        "tearsheet_figures": ".reports.tearsheet_figures",
        "tearsheet_html": ".reports.tearsheet",
        "to_dict": ".reports.rendering",
        "validate_thresholds": ".gates.thresholds",
        "write_tearsheet": ".reports.tearsheet",
    },
)
