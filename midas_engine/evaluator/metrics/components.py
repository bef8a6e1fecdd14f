"""The pieces of an evaluation: each turns arrays into the few numbers one agent reads."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.metrics.standing import standing_net_bps
from midas_engine.models import NO_ESTIMATE, Estimate, FoldScore
from midas_engine.stats.book import BPS, break_even_ic, effective_ic, run_book
from midas_engine.stats.decay import LAGS, fit_half_life, half_life_known, lagged_means
from midas_engine.stats.hac import group_moments, hac_lag, hac_mean, mean_error
from midas_engine.stats.normal import Z90
from midas_engine.stats.positions import positions
from midas_engine.stats.regimes import MINIMUM_BARS, cochran_q

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.metrics.candidate import Candidate
    from midas_engine.stats._jit import Floats, Ints
    from midas_engine.stats.bar_scores import BarScores
    from midas_engine.stats.book import Book


def estimate(value: float, se: float, widening: float = 1.0) -> Estimate:
    """A value with its 90 % interval; `widening` is what clustering by symbol did to the score's error."""
    se *= widening
    return Estimate(value, se, value - Z90 * se, value + Z90 * se)


def horizon_ic(candidate: Candidate, context: EvaluationContext, horizon: int, widening: float = 1.0) -> Estimate:
    """Plain rank IC at a horizon with its HAC error, widened as the score's was by clustering by symbol."""
    series = context.against(candidate.rows, candidate.order, candidate.key, horizon)
    return estimate(*hac_mean(series, hac_lag(horizon))[:2], widening)


@dataclass(frozen=True, slots=True)
class DecayFigures:
    """Half-life in hours, and whether its interval spans a factor of 8 or less."""

    hours: Estimate
    known: bool


NO_DECAY = DecayFigures(NO_ESTIMATE, False)


def decay_figures(candidate: Candidate, context: EvaluationContext, variance: float) -> DecayFigures:
    """Half-life of the score against single bars up to 47 steps later; a step is an hour, or a bar when longer."""
    lags, stride = decay_lags(context)
    z, cross = candidate.bars.z_f, context.cross
    if lags < 1:
        return NO_DECAY
    own, _ = lagged_means(z, z, cross, lags, stride)
    means, counts = lagged_means(z, context.bar_scores, cross, lags, stride)
    return decay_of(own, means, counts / (candidate.bars.cells / max(candidate.count, 1)), variance, context)


def decay_lags(context: EvaluationContext) -> tuple[int, int]:
    """How many lags there are, and the bars between two of them."""
    stride = max(1, round(1.0 / context.hours_per_bar))
    return min(LAGS, context.T // (4 * stride)), stride


def decay_of(own: Floats, means: Floats, counts: Floats, variance: float, context: EvaluationContext) -> DecayFigures:
    """Half-life from the feature's autocorrelation, its mean score and how many bars there are, at each lag."""
    if own.size < 3:
        return NO_DECAY
    half, low, high, _ = fit_half_life(means, counts, variance, own)
    step = decay_lags(context)[1] * context.hours_per_bar
    known = half_life_known(low, high)
    # Ends the likelihood does not bound are shown as such: 0 and infinity.
    figures = Estimate(half * step, math.nan, low * step, high * step)
    return DecayFigures(figures, known)


def persistence(z: Floats, cross: bool) -> float:
    """The feature's autocorrelation from one bar to the next, in normal scores."""
    return float(lagged_means(z, z, cross, 2, 1)[0][1]) if z.size > 2 else 0.0


@dataclass(frozen=True, slots=True)
class BookFigures:
    """Costs in basis points per bar and unit gross; see `EvaluationResult`."""

    turnover: float
    held_turnover: float
    gross_bps: float
    funding_bps: float
    net_bps: float
    net_bps_per_trade: float
    cost_bps: float
    break_even_ic: float
    effective_ic: float = math.nan
    standing_net_bps: float = math.nan
    gross: Estimate = NO_ESTIMATE
    net: Estimate = NO_ESTIMATE
    break_even: Estimate = NO_ESTIMATE
    net_by_regime: dict[str, Estimate] = field(default_factory=dict)

    def judged(self, ic: float) -> BookFigures:
        """The same with the share of a rank IC that is left after costs."""
        return replace(self, effective_ic=effective_ic(ic, self.gross_bps, self.net_bps))


def book_figures(candidate: Candidate, context: EvaluationContext, widening: float = 1.0) -> BookFigures:
    """Turnover, gross, costs and what is left, each with its HAC error, widened as the score's by clustering."""
    horizon, one_way = candidate.held, context.costs.one_way_bps
    p = positions(candidate.bars.z_f, context.cross)
    forward, paid = context.horizon(horizon).forward, context.paid(horizon)
    book = run_book(p, forward, paid, horizon)
    standing = math.nan
    if context.cross:
        standing = standing_net_bps(p, candidate.bars.z_f, forward, paid, horizon, one_way)
    return book_of(book, standing, horizon, context, widening)


def book_of(
    book: Book, standing_bps: float, horizon: int, context: EvaluationContext, widening: float = 1.0
) -> BookFigures:
    """Figures of a book that was run, and of what its standing part earns net."""
    one_way = context.costs.one_way_bps
    gross, funding, held = book.gross_bps, book.funding_bps, book.held_turnover
    net = gross - held * one_way - funding
    lag = hac_lag(horizon)
    left = book.net(one_way) * BPS
    even = break_even_ic(held * horizon, one_way, context.sigma_bps(horizon))
    return BookFigures(
        turnover=book.turnover,
        held_turnover=held,
        gross_bps=gross,
        funding_bps=funding,
        net_bps=net,
        net_bps_per_trade=net / held if held > 0.0 else math.nan,
        cost_bps=one_way,
        break_even_ic=even,
        gross=estimate(gross, hac_mean(book.gross * BPS, lag)[1], widening),
        net=estimate(net, hac_mean(left, lag)[1], widening),
        break_even=estimate(even, even * hac_mean(book.held_traded, lag)[1] / held if held > 0.0 else math.nan),
        net_by_regime=_net_by_regime(left, lag, context, widening),
        standing_net_bps=standing_bps,
    )


def _net_by_regime(net: Floats, lag: int, context: EvaluationContext, widening: float) -> dict[str, Estimate]:
    """Net of every regime with at least 300 bars."""
    names, codes = context.regime_names, context.regime_codes
    if codes is None or not names:
        return {}
    rows = group_moments(net, codes, len(names), lag).tolist()
    found = zip(names, rows, strict=True)
    return {
        name: estimate(*mean_error(count, mean, long_run)[:2], widening)
        for name, (count, mean, _, long_run) in found
        if count >= MINIMUM_BARS
    }


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """Scores of the five folds, and of the in-sample and out-of-sample sides."""

    folds: tuple[FoldScore, ...]
    inside: Estimate
    outside: Estimate
    outside_t: float
    ratio: float
    z: float


def fold_figures(bars: BarScores, horizon: int, context: EvaluationContext, correction: float) -> FoldFigures:
    """Means of u over purged, embargoed folds; the ratio only where both sides exceed two errors.

    For time series they are correlations within the fold, as those of regimes are (see `regime_figures`): a slow
    feature's values are larger in one year than in the next, and its score with them, at the same strength of relation.
    """
    split = context.folds
    folds = []
    for (start, end), (count, mean, se) in zip(
        context.fold_names, _groups(bars, split.codes, len(split.spans), horizon, context, correction), strict=True
    ):
        folds.append(FoldScore(start, end, mean, se, mean / se if se > 0.0 else math.nan, int(count)))
    inside, outside = _groups(bars, split.sides, 2, horizon, context, correction)
    in_t, out_t = (mean / se if se > 0.0 else math.nan for _, mean, se in (inside, outside))
    shown = abs(in_t) > 2.0 and abs(out_t) > 2.0
    both = inside[2] > 0.0 and outside[2] > 0.0
    z = (inside[1] - outside[1]) / math.hypot(inside[2], outside[2]) if both else math.nan
    ratio = inside[1] / outside[1] if shown else math.nan
    return FoldFigures(tuple(folds), estimate(*inside[1:]), estimate(*outside[1:]), out_t, ratio, z)


def _groups(
    bars: BarScores, codes: Ints, groups: int, horizon: int, context: EvaluationContext, correction: float
) -> list[tuple[float, float, float]]:
    """Bars, mean score and its error in every group; for time series over the size of both normal scores there."""
    rows = group_moments(bars.u, codes, groups, hac_lag(horizon)).tolist()
    sizes = [1.0] * groups if context.cross else _sizes(bars, codes, groups).tolist()
    out = []
    for (count, mean, _, long_run), size in zip(rows, sizes, strict=True):
        scale = size if size > 0.0 else math.nan
        out.append((count, *mean_error(count, mean / scale, long_run / scale**2, correction)[:2]))
    return out


@dataclass(frozen=True, slots=True)
class RegimeFigures:
    """Mean score of every regime with its error, its bars, and Cochran's p over the regimes long enough."""

    ics: dict[str, Estimate]
    bars: dict[str, int]
    q_p: float


def regime_figures(bars: BarScores, horizon: int, context: EvaluationContext, correction: float) -> RegimeFigures:
    """Score of every regime; regimes under 300 bars are counted but not given a figure.

    For time series the mean of u is divided by the size of both normal scores inside the regime, which makes it
    the correlation within the regime: a regime chosen for its volatility has larger scaled returns than the
    lagged scale expected, and would otherwise show a larger score for the same strength of relation. Across
    symbols both have unit size on every bar already.
    """
    if context.regime_codes is None or not context.regime_names:
        return RegimeFigures({}, {}, math.nan)
    names, codes = context.regime_names, context.regime_codes
    ics, counts = {}, {}
    groups = _groups(bars, codes, len(names), horizon, context, correction)
    for name, (count, mean, se) in zip(names, groups, strict=True):
        counts[name] = int(count)
        if count >= MINIMUM_BARS and mean == mean:
            ics[name] = estimate(mean, se)
    q_p = cochran_q([e.value for e in ics.values()], [e.se for e in ics.values()])[1]
    return RegimeFigures(ics, counts, q_p)


def _sizes(bars: BarScores, codes: Ints, groups: int) -> Floats:
    """Root mean square of z_f times that of z_r over the cells of each regime."""
    known = (bars.z_f == bars.z_f) & (bars.z_r == bars.z_r)
    group = np.broadcast_to(np.where(codes < 0, groups, codes), known.shape)[known]
    cells = np.maximum(np.bincount(group, minlength=groups + 1)[:groups], 1)
    f = np.bincount(group, bars.z_f[known] ** 2, minlength=groups + 1)[:groups]
    r = np.bincount(group, bars.z_r[known] ** 2, minlength=groups + 1)[:groups]
    sizes: Floats = np.sqrt(f * r) / cells
    return sizes
