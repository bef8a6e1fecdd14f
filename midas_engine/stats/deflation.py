"""The price of looking often: the session line and its alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SESSION_ERROR = 0.05
"""Chance that a whole session of noise accepts anything."""

BH_SHARE = 0.10
"""Share of false acceptances aimed at under Benjamini-Hochberg."""


def session_p(trials: int, error: float = SESSION_ERROR) -> float:
    """One-sided p a candidate must reach when `trials` candidates were tried: error / N (Bonferroni).

    Example:
        >>> session_p(1000)
        5e-05
    """
    return error / max(1, trials)


def benjamini_hochberg(p_values: Sequence[float], share: float = BH_SHARE) -> float:
    """Largest p that is accepted among all of a session's p-values; 0 when none is (Benjamini, Hochberg 1995).

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.9], 0.10)
        0.04
    """
    ordered = sorted(p_values)
    accepted = [p for k, p in enumerate(ordered, start=1) if p <= share * k / len(ordered)]
    return accepted[-1] if accepted else 0.0
