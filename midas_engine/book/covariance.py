"""Covariance of members' returns, its correlations shrunk towards none by the closed form of Chen et al. (2010)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats


def shrunk_correlation(correlation: Floats, bars: float) -> Floats:
    """Oracle approximating shrinkage of a correlation matrix [K, K] measured on `bars` bars.

    Towards the identity, by an amount that falls with the bars and grows with the members; Chen, Wiesel, Eldar and
    Hero, "Shrinkage algorithms for MMSE covariance estimation", 2010, equation 23, for a trace of K.

    Example:
        >>> c = np.array([[1.0, 0.5], [0.5, 1.0]])
        >>> bool(0.0 < shrunk_correlation(c, 10.0)[0, 1] < 0.5), bool(shrunk_correlation(c, 1e6)[0, 1] > 0.499)
        (True, True)
    """
    size = correlation.shape[0]
    if size < 2:
        return correlation
    squares = float((correlation * correlation).sum())
    above = (1.0 - 2.0 / size) * squares + size * size
    below = (bars + 1.0 - 2.0 / size) * (squares - size)
    amount = min(1.0, above / below) if below > 0.0 else 1.0
    out = correlation * (1.0 - amount)
    np.fill_diagonal(out, 1.0)
    return out


def normalised(moments: Floats) -> tuple[Floats, Floats]:
    """A second-moment matrix [K, K] as sizes [K] and correlations; a member without any moves with nobody."""
    size = np.sqrt(np.maximum(np.diag(moments), 0.0))
    safe = np.where(size > 0.0, size, 1.0)
    correlation = moments / np.outer(safe, safe)
    np.fill_diagonal(correlation, 1.0)
    return size, np.clip(correlation, -1.0, 1.0)
