"""When and where did the score fall: decay, one regime's failure, or chance, compared by their evidence.

A bar's score u given its weight w is normal with mean m w and variance s2 w. The healthy slope m is not known
exactly: it is normal around what was promised (a promise is shrunk, so the truth lies somewhat above it). "Chance"
says m held throughout; a rival says that on some bars the slope was d m instead, d one of 0.5, 0, -0.5 and -1, the
alternatives of the sequential test: on all bars from some bar on (decay), or on those of one regime, in every visit
or from some bar on (a regime's failure). m is integrated out in closed form, and the evidence of a rival is its
likelihood averaged over what it leaves open (the bar, the regime, d), so that a story with more freedom must earn it:
a fall that came with a regime, or is absent in the others, speaks for the regime, because decay would have had to begin
there by accident (Bayes factors: Kass and Raftery 1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.monitor.figures.score_history import Lookback

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

LEAST_BARS = 48
LEAST_INSIDE = 12
# a regime that fills nearly the whole look-back cannot be told from the calendar
MOST_OF_IT = 0.9
# the regime must have been seen lately, or it cannot be why the alarm came now
LATE_BARS = 720
# Healthy slope over promise: a promise is 0.7 of what was measured, and what was measured flatters.
HEALTHY, HEALTHY_SD = 1.2, 0.4
# How a regime's failure begins: it was always there; with a visit of the regime; on any bar.
BEGINS = (0.4, 0.4, 0.2)


@dataclass(frozen=True, slots=True)
class Segments:
    """Which story the scores tell.

    Attributes:
        log_decay: ln evidence of decay over chance.
        log_regime: ln evidence of one regime's failure over chance.
        break_at: Likeliest bar of the fall, an index into the look-back.
        regime: The regime that fails it most; "" when none can be tested.
        after: Mean slope since the break, its standard error and bars.
        before: The same of the bars before it.
        inside: The same in that regime since its failure began.
        outside: The same in the other regimes since then.
    """

    log_decay: float
    log_regime: float
    break_at: int
    regime: str
    after: tuple[float, float, float]
    before: tuple[float, float, float]
    inside: tuple[float, float, float]
    outside: tuple[float, float, float]


class _Scores:
    """Sums of one look-back, and the evidence of any set of bars having failed."""

    def __init__(self, u: Floats, w: Floats, base: float, variance: float) -> None:
        self.u, self.w, self.variance = u, w, variance
        self.centre, self.spread = HEALTHY * base, HEALTHY_SD * base
        self.log_chance = float(self._log(np.array(u.sum()), np.array(w.sum())))

    def _log(self, signal: Floats, weight: Floats) -> Floats:
        """Ln of the likelihood with m integrated out, less what all stories share."""
        a, b = weight / self.variance, signal / self.variance
        precision = 1.0 / self.spread**2
        pulled = b + self.centre * precision
        return np.asarray(
            0.5 * pulled**2 / (a + precision) - 0.5 * self.centre**2 * precision - 0.5 * np.log1p(a / precision)
        )

    def paths(self, failed: Flags) -> Floats:
        """Ln evidence over chance of "the bars of `failed` from bar t on", for every t and drop, weighted, [4, T]."""
        u_failed = np.cumsum((self.u * failed)[::-1])[::-1]
        w_failed = np.cumsum((self.w * failed)[::-1])[::-1]
        drops = np.array(DROPS)[:, None]
        signal = self.u.sum() - (1.0 - drops) * u_failed
        weight = self.w.sum() - (1.0 - drops**2) * w_failed
        return np.asarray(self._log(signal, weight) - self.log_chance + np.log(np.array(DROP_WEIGHTS))[:, None])

    def slope(self, chosen: Flags) -> tuple[float, float, float]:
        """Mean slope on some bars, its error, how many they are."""
        weight = float(self.w[chosen].sum())
        if weight <= 0:
            return float("nan"), float("nan"), 0.0
        return (
            float(self.u[chosen].sum() / weight),
            float(np.sqrt(self.variance / weight)),
            float((self.w[chosen] > 0).sum()),
        )


def compare_segments(look: Lookback, base: float, variance: float) -> Segments | None:
    """Weigh the stories; None without a promise or with fewer than 48 scored bars."""
    known = np.isfinite(look.u) & np.isfinite(look.w) & (look.w > 0)
    if not (np.isfinite(base) and base > 0 and variance > 0) or known.sum() < LEAST_BARS:
        return None
    scores = _Scores(np.where(known, look.u, 0.0), np.where(known, look.w, 0.0), base, variance)
    paths = scores.paths(known)
    by_bar = _log_sum(paths)
    break_at = int(np.argmax(by_bar))
    log_regime, regime, since = _regimes(scores, look.regimes, known)
    bars = np.arange(len(known))
    inside = known & (look.regimes == regime) if regime else np.zeros(len(known), np.bool_)
    return Segments(
        _log_mean(by_bar), log_regime, break_at, regime,
        scores.slope(known & (bars >= break_at)), scores.slope(known & (bars < break_at)),
        scores.slope(inside & (bars >= since)), scores.slope(known & ~inside & (bars >= since)),
    )  # fmt: skip


def _regimes(scores: _Scores, labels: NDArray[np.str_], known: Flags) -> tuple[float, str, int]:
    """Evidence of "one regime fails it", the regime, and since when."""
    found: list[tuple[float, str, int]] = []
    for label in np.unique(labels[known]):
        inside = (labels == label) & known
        if not label or not inside[-LATE_BARS:].any():
            continue
        if not LEAST_INSIDE <= inside.sum() <= MOST_OF_IT * known.sum():
            continue
        by_bar = _log_sum(scores.paths(inside))
        visits = np.flatnonzero(inside & ~np.concatenate([[False], inside[:-1]]))
        total, since = _begun(by_bar, visits)
        found.append((total, str(label), since))
    if not found:
        return -np.inf, "", 0
    best = max(found)
    total = float(np.logaddexp.reduce([log for log, _, _ in found])) - float(np.log(len(found)))
    return total, best[1], best[2]


def _begun(by_bar: Floats, visits: NDArray[np.intp]) -> tuple[float, int]:
    """The three ways a regime's failure begins, weighed together, and the likeliest begin."""
    ways = [float(by_bar[0]), _log_mean(by_bar[visits]), _log_mean(by_bar)]
    logs = [float(np.log(share)) + way for share, way in zip(BEGINS, ways, strict=True)]
    starts = (0, int(visits[np.argmax(by_bar[visits])]), int(np.argmax(by_bar)))
    return float(np.logaddexp.reduce(logs)), starts[int(np.argmax(logs))]


def _log_sum(paths: Floats) -> Floats:
    """Ln of the alternatives together at each bar (weights are in `paths`), [T]; in an eighth of logaddexp's time."""
    highest = paths.max(axis=0)
    return np.asarray(highest + np.log(np.exp(paths - highest).sum(axis=0)))


def _log_mean(by_bar: Floats) -> float:
    """Ln of the mean over bars."""
    highest = float(by_bar.max())
    return highest + float(np.log(np.exp(by_bar - highest).mean()))
