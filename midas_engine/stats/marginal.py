"""What a feature adds to the deployed ones: what is left of it after a regression on them.

The regression is of features on features, over the whole part: no return is in it, so there is nothing to be fitted
too well, and what is left correlates with none of them. With coefficients of the past it would still hold a share of
them wherever the relation moved, and so would the ranks of what is left (Frisch and Waugh 1933; Lovell 1963).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats._jit import Floats, fast_kernel
from midas_engine.stats.cholesky import factorise, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.stats.correlation import Singles

_RIDGE = 1e-4
EXPLAINED = 0.999
"""Share of variance beyond which nothing is left to score: the rest is rounding and ties."""


@dataclass(frozen=True, slots=True)
class Regressors:
    """Deployed features as regressors, squared once.

    Attributes:
        block: [K + 1, cells] normal scores with a row of ones, 0 where unknown.
        gram: Their cross products [K + 1, K + 1].
    """

    block: Singles
    gram: Floats

    @classmethod
    def build(cls, block: Singles) -> Regressors:
        """Square a block; its last row is the row of ones."""
        return cls(block, _square(block))


def _square(block: Singles) -> Floats:
    gram = np.zeros((block.shape[0], block.shape[0]))
    for start in range(0, block.shape[1], 65_536):
        piece = block[:, start : start + 65_536].astype(np.float64)
        gram += piece @ piece.T
    return gram


def known_factor(missing: NDArray[np.bool_], regressors: Regressors) -> Floats:
    """Cholesky factor of the cross products over the cells a feature knows.

    Depends on the feature only through which cells it knows, so candidates with one mask share it.

    Args:
        missing: [cells].
        regressors: The deployed features.

    Returns:
        [K + 1, K + 1]; NaN where too little is known or they are singular.
    """
    size = regressors.gram.shape[0]
    known = missing.size - int(np.count_nonzero(missing))
    if known > 2 * size:
        factor = _known_gram(regressors.gram, regressors.block, missing) + _RIDGE * known * np.eye(size)
        if factorise(factor):
            return factor
    return np.full((size, size), np.nan)


def _known_gram(whole: Floats, block: Singles, gone: NDArray[np.bool_]) -> Floats:
    """Cross products over the cells the feature knows: by subtraction when few are missing."""
    missing = int(np.count_nonzero(gone))
    if missing == 0:
        return whole
    if missing > gone.size // 2:
        return _square(np.ascontiguousarray(block[:, ~gone]))
    return whole - _square(np.ascontiguousarray(block[:, gone]))


@fast_kernel
def _match(block: Singles, x: Floats, out: Floats) -> None:
    """Out += block x."""
    rows, n = block.shape
    for k in range(rows):
        row = block[k]
        total = 0.0
        for j in range(n):
            total += np.float64(row[j]) * x[j]
        out[k] += total


@fast_kernel
def _subtract(block: Singles, beta: Floats, out: Floats) -> None:
    """Out -= beta block."""
    rows, n = block.shape
    for k in range(rows):
        row = block[k]
        factor = beta[k]
        for j in range(n):
            out[j] -= factor * np.float64(row[j])


def residual(x: Floats, regressors: Regressors, factor: Floats) -> Floats:
    """What is left of a feature.

    Args:
        x: Its normal scores [cells], NaN where unknown.
        regressors: The deployed features over the same cells.
        factor: From `known_factor` for the same mask.

    Returns:
        [cells], NaN where x is; all NaN where the regression cannot be fitted or explains everything.
    """
    known = x == x
    filled = np.where(known, x, 0.0)
    if factor[0, 0] != factor[0, 0]:
        return np.full(x.size, np.nan)
    beta = np.zeros(factor.shape[0])
    _match(regressors.block, filled, beta)
    solve(factor, beta)
    rest = filled.copy()
    _subtract(regressors.block, beta, rest)
    rest[~known] = 0.0
    left = float((rest * rest).sum()) > (1.0 - EXPLAINED) * float((filled * filled).sum())
    return np.where(known, rest, np.nan) if left else np.full(x.size, np.nan)
