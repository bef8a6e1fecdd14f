"""What a feature adds to the deployed ones: its residual after a regression fitted on past folds only."""

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
    """Deployed features as regressors, cut into folds and squared once.

    Attributes:
        blocks: Per fold [K + 1, cells] normal scores with a row of ones, 0 where unknown.
        grams: Per fold the cross products [K + 1, K + 1].
    """

    blocks: tuple[Singles, ...]
    grams: tuple[Floats, ...]

    @classmethod
    def build(cls, blocks: list[Singles]) -> Regressors:
        """Square every fold's block once; the last row of a block is its row of ones."""
        return cls(tuple(blocks), tuple(_square(block) for block in blocks))


def _square(block: Singles) -> Floats:
    gram = np.zeros((block.shape[0], block.shape[0]))
    for start in range(0, block.shape[1], 65_536):
        piece = block[:, start : start + 65_536].astype(np.float64)
        gram += piece @ piece.T
    return gram


def past_factors(missing: list[NDArray[np.bool_]], regressors: Regressors) -> Floats:
    """Cholesky factors of the cross products over the folds before each, on the cells the feature knows.

    Depends on the feature only through which cells it knows, so candidates with one mask share it.

    Returns:
        [folds, K + 1, K + 1]; NaN where the past is too short or singular.
    """
    size = regressors.grams[0].shape[0]
    out = np.full((len(missing), size, size), np.nan)
    gram = np.zeros((size, size))
    past = 0
    for k, gone in enumerate(missing):
        if past > 2 * size:
            factor = gram + _RIDGE * past * np.eye(size)
            if factorise(factor):
                out[k] = factor
        gram += _known_gram(regressors.grams[k], regressors.blocks[k], gone)
        past += gone.size - int(np.count_nonzero(gone))
    return out


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


def residuals(pieces: list[Floats], regressors: Regressors, factors: Floats) -> list[Floats]:
    """Residual of every fold after the first, with coefficients from the folds before it.

    Args:
        pieces: The feature's normal scores, one flat array a fold, NaN where unknown.
        regressors: The deployed features over the same cells.
        factors: From `past_factors` for the same mask.

    Returns:
        One array a fold; all NaN for the first, and wherever the past cannot be fitted or explains everything.
    """
    match = np.zeros(factors.shape[1])
    out: list[Floats] = []
    for k, piece in enumerate(pieces):
        known = piece == piece
        filled = np.where(known, piece, 0.0)
        if factors[k, 0, 0] == factors[k, 0, 0]:
            beta = match.copy()
            solve(factors[k], beta)
            rest = filled.copy()
            _subtract(regressors.blocks[k], beta, rest)
            rest[~known] = 0.0
            left = float((rest * rest).sum()) > (1.0 - EXPLAINED) * float((filled * filled).sum())
            out.append(np.where(known, rest, np.nan) if left else np.full(piece.size, np.nan))
        else:
            out.append(np.full(piece.size, np.nan))
        _match(regressors.blocks[k], filled, match)
    return out
