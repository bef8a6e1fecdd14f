"""The causal score: what a feature's value foresaw of the next bar's return, one number a bar, no future in it.

Two shapes of one idea:

* **series** (fewer than ten symbols, or a history that is scored in time): per symbol u = clip(z_f, 3) x psi(z_r),
  averaged over the valid symbols.
  z_f is the value standardised by its own exponentially weighted past (half-life 720 bars), z_r the next
  bar's return over the lagged EWMA of absolute returns (half-life 24 bars), psi the location score of a
  Student-t(4) variate, psi(z) = 5z/(2 + z^2), scaled to unit variance, so that one wick cannot move it far.
* **cross** (ten or more symbols): u = mean over symbols of z(f) x z(r / sigma), z the normal score of the rank
  across symbols; bars with fewer than ten valid symbols are not scored.

Beside u comes its weight w = mean of clip(z_f, 3)^2 (1 in the cross-section): given the value, E[u] = b w for a
feature of strength b, and Var[u] is proportional to w. The detectors use the pair; a slowly moving feature then
raises no alarm merely because its value stayed small for a week.

Only one-bar returns may be scored: every guarantee of the detectors dies with overlapping returns.
Source of psi: the score function of the t location family (Lange, Little and Taylor 1989).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.stats.causal_kernels import (
    CLIP,
    CROSS_MINIMUM,
    cross_positions,
    return_scale_step,
    score_bar_cross,
    score_bar_series,
    standardise_step,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["CLIP", "CROSS_MINIMUM", "CausalScorer", "causal_scores"]


class CausalScorer:
    """Scores F features on S symbols bar by bar, with bounded, serialisable state.

    Args:
        features: F.
        symbols: S.
        cross: The cross shape, or the series shape whatever the width; None: by the width.

    Attributes:
        cross: Which of the two shapes.
        u: Score of the last bar, [F]; NaN where there was none.
        w: Its weight, [F].
        z: The standardised values of the last bar, [F, S], clipped at 3: the positions before scaling.
        rank_ic: Plain Spearman of the last bar across symbols, [F] (cross shape only, else NaN).
        pearson: Plain Pearson of the last bar across symbols, [F] (cross shape only, else NaN).
        breaks: How often a feature's unit was seen to change, [F].

    Example:
        >>> scorer = CausalScorer(features=1, symbols=1)
        >>> rng = np.random.default_rng(0)
        >>> for _ in range(100):
        ...     scorer.update(rng.normal(size=(1, 1)), rng.normal(size=1) * 0.01)
        >>> bool(abs(scorer.u[0]) < 5)
        True
    """

    def __init__(self, features: int, symbols: int, cross: bool | None = None) -> None:
        if cross and symbols < CROSS_MINIMUM:
            raise MonitorError(
                f"a cross-section needs {CROSS_MINIMUM} symbols, there are {symbols}",
                hint="watch in time: evaluation.mode auto or time",
            )
        self.cross = symbols >= CROSS_MINIMUM if cross is None else cross
        self.symbols = symbols
        self.moments = np.zeros((features, symbols, 5))
        self.breaks = np.zeros(features, np.int64)
        self.scale = np.zeros((symbols, 2))
        self._size(features)

    def _size(self, features: int) -> None:
        self.z = np.full((features, self.symbols), np.nan)
        self.z_return = np.full(self.symbols, np.nan)
        self.u, self.w, self.rank_ic, self.pearson = (np.full(features, np.nan) for _ in range(4))

    def update(self, values: Floats, returns: Floats) -> None:
        """Score one pair: `values` [F, S] at a bar's close and `returns` [S] of the one bar that follows."""
        return_scale_step(returns, self.scale, self.z_return)
        if self.cross:
            score_bar_cross(values, returns, self.z_return, self.z, self.u, self.w, self.rank_ic, self.pearson)
            if not np.isfinite(returns).all():
                cross_positions(values, self.z)
        else:
            standardise_step(values, self.moments, self.breaks, self.z)
            score_bar_series(self.z, self.z_return, self.u, self.w)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {"moments": self.moments, "breaks": self.breaks, "scale": self.scale}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        moments = np.ascontiguousarray(arrays["moments"], np.float64)
        if moments.shape != self.moments.shape:
            raise MonitorError(f"scorer state has shape {moments.shape}, this one is {self.moments.shape}")
        self.moments = moments
        self.breaks = np.ascontiguousarray(arrays["breaks"], np.int64)
        self.scale = np.ascontiguousarray(arrays["scale"], np.float64)

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds a new one."""
        fresh = np.zeros((1, self.symbols, 5))
        self.moments = np.concatenate([fresh if r < 0 else self.moments[r : r + 1] for r in rows] or [fresh[:0]])
        self.breaks = np.array([0 if r < 0 else self.breaks[r] for r in rows], np.int64)
        self._size(len(rows))


def causal_scores(values: Floats, returns: Floats, cross: bool | None = None) -> tuple[Floats, Floats]:
    """U [T] and w [T] of one feature over a history, exactly as the live monitor would have scored it.

    Args:
        values: [T] or [T, S]; the value known at the close of bar t.
        returns: [T] or [T, S]; the one-bar return that follows it.
        cross: As of `CausalScorer`.
    """
    values = np.ascontiguousarray(values, np.float64)
    returns = np.ascontiguousarray(returns, np.float64)
    if values.shape != returns.shape:
        raise MonitorError(f"values {values.shape} and returns {returns.shape} must have one shape")
    if values.ndim == 1:
        values, returns = values[:, None], returns[:, None]
    scorer = CausalScorer(1, values.shape[1], cross)
    u, w = np.empty(len(values)), np.empty(len(values))
    for t in range(len(values)):
        scorer.update(values[t : t + 1], returns[t])
        u[t], w[t] = scorer.u[0], scorer.w[0]
    return u, w
