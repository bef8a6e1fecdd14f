"""Plain information coefficients of two series, as scipy computes them."""

from __future__ import annotations

import math

from midas_engine.stats._jit import Floats, owned
from midas_engine.stats.bar_scores import rank_scores
from midas_engine.stats.ranks import joint_ranks, sort_rows


def rank_ic(feature: Floats, forward: Floats) -> float:
    """Spearman's correlation over the bars where both are known; NaN when one never varies.

    Example:
        >>> import numpy as np
        >>> rank_ic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0]))
        0.8
    """
    f, r = owned(feature).reshape(1, -1), owned(forward).reshape(1, -1)
    ranks = joint_ranks(f, sort_rows(f), r, sort_rows(r))
    return _single(rank_scores(*ranks, 2, True))


def _single(scores: Floats) -> float:
    value = float(scores[0])
    return value if math.isfinite(value) else math.nan
