"""The composite score: ranks candidates, never accepts one."""

from __future__ import annotations

import math

WEIGHTS = {"rank_ic": 0.30, "ir": 0.20, "effective_ic": 0.20, "marginal_ic": 0.15, "oos_ic": 0.15}
"""The original system's weights."""

FULL_T = 5.0
"""The t at which a term is worth all of its weight."""


def _term(t: float) -> float:
    return min(max(t / FULL_T, 0.0), 1.0) if math.isfinite(t) else 0.0


def composite_score(
    score_t: float, ir: float, ir_se: float, effective_ic: float, rank_ic: float, marginal_t: float, oos_t: float
) -> float:
    """Weighted sum of t-based terms, each clipped to [0, 1]; in [0, 1].

    The effective term is the score's t scaled by the share of the IC that is left after costs.

    Example:
        >>> composite_score(10.0, 5.0, 1.0, 0.03, 0.03, 9.0, 9.0)
        1.0
    """
    share = effective_ic / rank_ic if rank_ic > 0.0 and effective_ic > 0.0 else 0.0
    terms = {
        "rank_ic": _term(score_t),
        "ir": _term(ir / ir_se) if ir_se > 0.0 else 0.0,
        "effective_ic": _term(score_t * share),
        "marginal_ic": _term(marginal_t),
        "oos_ic": _term(oos_t),
    }
    return round(sum(WEIGHTS[name] * value for name, value in terms.items()), 12)
