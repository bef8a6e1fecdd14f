"""Whether a feature's score is the same in every regime: Cochran's Q."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy.special import chdtrc

if TYPE_CHECKING:
    from collections.abc import Sequence

MINIMUM_BARS = 300
"""Scored bars a regime needs before it is judged."""


def cochran_q(means: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Q = sum of w (m - m_w)^2 with w = 1 / se^2, and its p on k - 1 degrees of freedom (Cochran 1954).

    Returns:
        (Q, p); NaN with fewer than two usable groups.

    Example:
        >>> q, p = cochran_q([0.05, 0.05], [0.01, 0.01])
        >>> q, p
        (0.0, 1.0)
    """
    usable = [(m, e) for m, e in zip(means, errors, strict=True) if math.isfinite(m) and e > 0.0]
    if len(usable) < 2:
        return math.nan, math.nan
    weights = [1.0 / (e * e) for _, e in usable]
    centre = sum(w * m for w, (m, _) in zip(weights, usable, strict=True)) / sum(weights)
    q = sum(w * (m - centre) ** 2 for w, (m, _) in zip(weights, usable, strict=True))
    return q, float(chdtrc(len(usable) - 1, q))
