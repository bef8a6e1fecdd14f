"""When and where did the score fall: decay, one regime's failure, or chance, compared by their evidence.

Under "healthy" a bar's score u given its weight w is normal with mean b w and variance s2 w, b being the promise.
Each rival says that from some bar on (decay), or in the bars of one regime, always or from some bar on
(regime), the slope is d b instead, d one of 0.5, 0, -0.5 and -1, the alternatives of the sequential test. The
evidence of a rival is its likelihood averaged over what it leaves open (the bar, the regime, d), so that a story
with more freedom must earn it: a fall that began with the regime, or is absent in the others, speaks for the
regime because decay would need to have begun there by accident (Bayes factors: Kass and Raftery 1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.monitor.evidence import Lookback

    Floats = NDArray[np.float64]

LEAST_BARS = 48
# a regime that fills nearly the whole look-back cannot be told from the calendar
MOST_OF_IT = 0.9
# the share of healthy-in-every-regime features is not known; a regime that always failed and one that
# began to fail are given equal chances
ALWAYS_SHARE = 0.5
LATE_BARS = 720


@dataclass(frozen=True, slots=True)
class Segments:
    """Which story the scores tell.

    Attributes:
        log_decay: ln evidence of decay over healthy.
        log_regime: ln evidence of one regime's failure over healthy.
        break_at: Likeliest bar of the fall, an index into the look-back.
        regime: The regime that fails it most; "" when none can be tested.
        after: Mean slope since the break and its standard error.
        before: Mean slope before it.
        inside: Slope in that regime since the break, its error and bars.
        outside: Slope in the other regimes since the break, its error and bars.
    """

    log_decay: float
    log_regime: float
    break_at: int
    regime: str
    after: tuple[float, float]
    before: tuple[float, float]
    inside: tuple[float, float, float]
    outside: tuple[float, float, float]


def compare_segments(look: Lookback, base: float, variance: float) -> Segments | None:
    """Weigh the stories; None without a promise or with fewer than 48 scored bars."""
    known = np.isfinite(look.u) & np.isfinite(look.w) & (look.w > 0)
    if not (np.isfinite(base) and base > 0 and variance > 0) or known.sum() < LEAST_BARS:
        return None
    u, w = np.where(known, look.u, 0.0), np.where(known, look.w, 0.0)
    slopes = base * np.array(DROPS)[:, None]
    gain = (u * (slopes - base) - 0.5 * w * (slopes**2 - base**2)) / variance  # [4, T]
    prior = np.log(np.array(DROP_WEIGHTS))[:, None]
    paths = _suffix(gain) + prior
    log_decay = _log_mean(paths)
    break_at = int(np.argmax(_log_sum(paths, axis=0)))
    log_regime, regime, since = _regimes(look.regimes, known, gain, prior)
    start = break_at if not regime else min(break_at, since)
    in_it = (look.regimes == regime) & known if regime else np.zeros(len(u), np.bool_)
    late = np.arange(len(u)) >= start
    return Segments(
        log_decay, log_regime, break_at, regime,
        _slope(u, w, variance, known & (np.arange(len(u)) >= break_at))[:2],
        _slope(u, w, variance, known & (np.arange(len(u)) < break_at))[:2],
        _slope(u, w, variance, in_it & late),
        _slope(u, w, variance, known & ~in_it & late),
    )  # fmt: skip


def _regimes(labels: NDArray[np.str_], known: NDArray[np.bool_], gain: Floats, prior: Floats) -> tuple[float, str, int]:
    """Evidence of "one regime fails it", the regime, and since when."""
    found: list[tuple[float, str, int]] = []
    recent = labels[-LATE_BARS:]
    for label in np.unique(labels[known]):
        inside = (labels == label) & known
        if not label or label not in recent or inside.sum() < LEAST_BARS // 2:
            continue
        if inside.sum() > MOST_OF_IT * known.sum():
            continue
        paths = _suffix(gain * inside) + prior
        always = float(_log_sum(paths[:, :1], axis=0)[0])
        # a start inside the regime's absence is the same story as its next visit
        since = _log_mean(paths)
        total = float(np.logaddexp(np.log(ALWAYS_SHARE) + always, np.log(1 - ALWAYS_SHARE) + since))
        start = 0 if always >= since else int(np.argmax(_log_sum(paths, axis=0)))
        found.append((total, str(label), start))
    if not found:
        return -np.inf, "", 0
    best = max(found)
    total = float(np.logaddexp.reduce([log for log, _, _ in found])) - float(np.log(len(found)))
    return total, best[1], best[2]


def _suffix(gain: Floats) -> Floats:
    """Sum from each bar to the end."""
    return np.cumsum(gain[:, ::-1], axis=1)[:, ::-1]


def _log_sum(logs: Floats, axis: int) -> Floats:
    return np.asarray(np.logaddexp.reduce(logs, axis=axis))


def _log_mean(paths: Floats) -> float:
    """Ln of the mean over bars of the summed alternatives (their weights are in `paths`)."""
    return float(np.logaddexp.reduce(paths, axis=None) - np.log(paths.shape[1]))


def _slope(u: Floats, w: Floats, variance: float, chosen: NDArray[np.bool_]) -> tuple[float, float, float]:
    weight = float(w[chosen].sum())
    if weight <= 0:
        return float("nan"), float("nan"), 0.0
    return float(u[chosen].sum() / weight), float(np.sqrt(variance / weight)), float(chosen.sum())
