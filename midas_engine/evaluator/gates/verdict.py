"""`judge`: the six agents side by side on one evaluation."""

from __future__ import annotations

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from scipy.special import ndtri

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.gates.agents import AGENTS
from midas_engine.evaluator.gates.thresholds import default_thresholds, validate_thresholds
from midas_engine.models import EvaluationResult, MultiAgentResult
from midas_engine.stats.deflation import session_p
from midas_engine.stats.hac import t_line
from midas_engine.stats.power import smallest_detectable_ic

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=len(AGENTS), thread_name_prefix="midas-agent")


def session_line(trials: int, dof: float = math.inf, error: float = 0.05) -> float:
    """The t that one of `trials` noise candidates passes with chance `error` in a whole session.

    Example:
        >>> round(session_line(60), 2)
        3.14
    """
    p = session_p(trials, error)
    return t_line(p, dof) if math.isfinite(dof) else float(-ndtri(p))


def judge(
    result: EvaluationResult,
    thresholds: Mapping[str, Any] | None = None,
    trials: int = 1,
    *,
    line_p: float | None = None,
) -> MultiAgentResult:
    """The six verdicts on an evaluation.

    Args:
        result: From `evaluate_values`.
        thresholds: Any part of `DEFAULT_THRESHOLDS`; checked.
        trials: Candidates tried in the session, this one included.
        line_p: The one-sided p to reach instead of the Bonferroni line (Benjamini-Hochberg by choice).

    Raises:
        SettingsError: A threshold is wrong.
        EvaluationError: `trials` is not a positive whole number.
    """
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise EvaluationError(f"trials must be a whole number of at least 1, not {trials!r}")
    limits = default_thresholds() if thresholds is None else validate_thresholds(thresholds)
    dof = float(result.extra.get("dof", math.inf))
    dof = dof if dof == dof else math.inf
    error = float(limits["predictive_power"]["session_error"])
    line_t = session_line(trials, dof, error) if line_p is None else session_line(1, dof, line_p)
    result = dataclasses.replace(result, smallest_detectable_ic=smallest_detectable_ic(line_t, result.score.se))
    verdicts = tuple(agent(result, limits[name], line_t) for name, agent in AGENTS.items())
    suggestions = tuple(dict.fromkeys(tip for v in verdicts for tip in v.suggestions))
    return MultiAgentResult(
        evaluation=result,
        verdicts=verdicts,
        overall_pass=all(v.passed for v in verdicts),
        statistical_pass=all(v.passed for v in verdicts if not v.economic),
        composite_score=result.composite_score,
        trials=trials,
        line_t=line_t,
        suggestions=suggestions,
    )
