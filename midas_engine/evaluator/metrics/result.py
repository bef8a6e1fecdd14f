"""From figures to an `EvaluationResult`, for a feature that was scored and for one that could not be."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.evaluator.context.layout import mode_name
from midas_engine.evaluator.metrics.components import (
    BookFigures,
    DecayFigures,
    book_figures,
    decay_figures,
    estimate,
    fold_figures,
    horizon_ic,
    persistence,
    regime_figures,
)
from midas_engine.evaluator.metrics.composite import composite_score
from midas_engine.evaluator.metrics.diversification import Diversification, diversification
from midas_engine.evaluator.metrics.significance import ScoreFigures, score_figures
from midas_engine.evaluator.metrics.standing import StandingFigures, standing_figures
from midas_engine.models import NO_ESTIMATE, Estimate, EvaluationResult
from midas_engine.stats.bar_scores import linear_scores
from midas_engine.stats.deflation import session_p
from midas_engine.stats.hac import hac_lag, hac_mean, t_line
from midas_engine.stats.information_ratio import information_ratio
from midas_engine.stats.power import effective_breadth, smallest_detectable_ic

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.metrics.candidate import Candidate
    from midas_engine.stats._jit import Floats
    from midas_engine.stats.bar_scores import BarScores

PARALLEL_CELLS = 100_000


FEWEST_BARS = 60


def assemble(
    candidate: Candidate,
    context: EvaluationContext,
    name: str,
    notes: list[str],
    score: ScoreFigures | None = None,
    effect: Estimate | None = None,
    **extra: Any,
) -> EvaluationResult:
    """All figures of a candidate whose bars are scored.

    Args:
        candidate: The feature with its bar scores.
        context: What it is scored against.
        name: For messages.
        notes: Warnings so far.
        score: Significance when it is not the HAC's (event features).
        effect: Effect size when it is not the plain rank IC (event features).
        extra: Added to the result's `extra`.
    """
    target, bars = candidate.horizon, candidate.bars
    standing = score is None
    steady = persistence(bars.z_f, context.cross) if target > 1 else 0.0
    if score is None:
        score = score_figures(bars, target, steady, context.cross)
    rest = _heavy(candidate, context, score, steady if standing else None)
    linear = linear_scores(candidate.rows, context.horizon(target).rows, context.minimum, context.cross)
    figures = Figures(
        target, candidate.coverage, bars, score, effect, linear, rest.by_horizon, rest.decay, rest.book, rest.mixed,
        rest.standing,
    )  # fmt: skip
    return result_of(figures, context, name, notes, **extra)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of a candidate, before it is put together.

    Attributes:
        effect: Effect size when it is not the plain rank IC.
        linear: Pearson's score of each bar [T].
        mixed: Beside the deployed features; None without any.
        standing: None for a feature scored in time, and for an event.
    """

    horizon: int
    coverage: float
    bars: BarScores
    score: ScoreFigures
    effect: Estimate | None
    linear: Floats
    by_horizon: dict[str, Estimate]
    decay: DecayFigures
    book: BookFigures
    mixed: Diversification | None
    standing: StandingFigures | None


def result_of(
    figures: Figures, context: EvaluationContext, name: str, notes: list[str], **extra: Any
) -> EvaluationResult:
    """A result of what was measured; `extra` is added to its `extra`."""
    target, bars, score = figures.horizon, figures.bars, figures.score
    lag = hac_lag(target)
    by_horizon, decay, mixed = figures.by_horizon, figures.decay, figures.mixed
    rank = by_horizon[context.horizon_name(target)] if figures.effect is None else figures.effect
    book = figures.book.judged(rank.value)
    parts = None if figures.standing is None else figures.standing.earning(book.net_bps, book.standing_net_bps)
    if mixed is None:
        mixed = Diversification(0.0, "", rank, score.t)
    folds = fold_figures(bars, target, context, score.correction)
    regimes = regime_figures(bars, target, context, score.correction)
    long_run = score.variance if target == 1 else score.long_run
    per_year = _scored_per_year(bars.u, score.count, context)
    ratio, ratio_se, *_ = information_ratio(score.mean, long_run, score.count, per_year)
    notes.extend(_notes(figures.coverage, context))
    return EvaluationResult(
        feature_name=name,
        horizon_bars=target,
        bars_scored=score.count,
        symbols=context.S,
        coverage=figures.coverage,
        rank_ic=rank,
        ic=estimate(*hac_mean(figures.linear, lag, correction=score.correction)[:2], score.widening),
        score=estimate(score.mean, score.se),
        score_t=score.t,
        score_p=score.p,
        ir=estimate(ratio, ratio_se, score.widening),
        ic_by_horizon=by_horizon,
        half_life_hours=decay.hours,
        half_life_known=decay.known,
        turnover=book.turnover,
        gross_bps=book.gross_bps,
        net_bps=book.net_bps,
        net_bps_per_trade=book.net_bps_per_trade,
        cost_bps=book.cost_bps,
        effective_ic=book.effective_ic,
        break_even_ic=book.break_even_ic,
        max_correlation=mixed.max_correlation,
        most_correlated=mixed.most_correlated,
        marginal_ic=mixed.marginal,
        marginal_t=mixed.marginal_t,
        is_ic=folds.inside,
        oos_ic=folds.outside,
        overfit_ratio=folds.ratio,
        overfit_z=folds.z,
        folds=folds.folds,
        ic_by_regime=regimes.ics,
        regime_bars=regimes.bars,
        regime_q_p=regimes.q_p,
        effective_breadth=min(effective_breadth(bars.cell_variance, score.variance), bars.cells / score.count),
        composite_score=composite_score(
            score.t,
            ratio,
            ratio_se * score.widening,
            book.effective_ic,
            rank.value,
            mixed.marginal_t,
            folds.outside_t,
        ),
        smallest_detectable_ic=smallest_detectable_ic(t_line(session_p(1), score.dof), score.se),
        bars_per_year=context.bars_per_year,
        warnings=tuple(notes),
        extra={
            "part": context.part,
            "mode": mode_name(context.cross),
            "dof": score.dof,
            "hac_lag": lag,
            "widening": score.widening,
            "oos_t": folds.outside_t,
            **_funding(book.funding_bps, context),
            "held_turnover": book.held_turnover,
            "sigma_bps": context.sigma_bps(target),
            "hours_per_bar": context.hours_per_bar,
            "deployed": len(context.deployed.names),
            **({"held_correlation": mixed.held_correlation} if context.waiting else {}),
            "worst_bars": _worst_bars(bars.u, context),
            "gross": asdict(book.gross),
            "net": asdict(book.net),
            "break_even": asdict(book.break_even),
            "net_by_regime": {regime: asdict(value) for regime, value in book.net_by_regime.items()},
            "standing": None if parts is None else asdict(parts),
            **_until(context),
            **extra,
        },
    )


@dataclass(frozen=True, slots=True)
class _Heavy:
    by_horizon: dict[str, Estimate]
    decay: DecayFigures
    book: BookFigures
    mixed: Diversification | None
    standing: StandingFigures | None


def _heavy(candidate: Candidate, context: EvaluationContext, score: ScoreFigures, steady: float | None) -> _Heavy:
    """The figures that cost time, in threads when the panel is large enough to pay for them.

    The kernels release the interpreter lock. On one series of a year of hours the whole evaluation takes two
    milliseconds and handing work to threads would take longer than the work.
    """
    jobs: list[Callable[[], Any]] = [
        lambda: decay_figures(candidate, context, score.variance),
        lambda: book_figures(candidate, context, score.widening),
        lambda: diversification(candidate, context),
        # An event feature is scored uncentred: its standing direction is what it claims.
        lambda: None if steady is None else standing_figures(candidate, context, steady),
    ]
    horizons = sorted({*context.horizons, candidate.horizon})
    jobs += [partial(horizon_ic, candidate, context, h, score.widening) for h in horizons]
    if candidate.rows.size >= PARALLEL_CELLS:
        done = [future.result() for future in [_pool().submit(job) for job in jobs]]
    else:
        done = [job() for job in jobs]
    names = [context.horizon_name(h) for h in horizons]
    return _Heavy(dict(zip(names, done[4:], strict=True)), *done[:4])


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(6, os.cpu_count() or 1), thread_name_prefix="midas-figures")


def _scored_per_year(u: Floats, count: int, context: EvaluationContext) -> float:
    """Bars a year that are scored: all of them for most features, the triggered ones for an event."""
    known = np.flatnonzero(u == u)
    span = int(known[-1] - known[0]) + 1 if known.size else 1
    return context.bars_per_year * count / span


def empty_result(
    name: str, context: EvaluationContext, count: int, coverage: float, notes: list[str]
) -> EvaluationResult:
    """A result without figures: coverage and the reason are all there is to say."""
    nan = math.nan
    return EvaluationResult(
        feature_name=name, horizon_bars=context.target, bars_scored=count, symbols=context.S, coverage=coverage,
        rank_ic=NO_ESTIMATE, ic=NO_ESTIMATE, score=NO_ESTIMATE, score_t=nan, score_p=nan, ir=NO_ESTIMATE,
        ic_by_horizon={}, half_life_hours=NO_ESTIMATE, half_life_known=False, turnover=nan, gross_bps=nan, net_bps=nan,
        net_bps_per_trade=nan, cost_bps=context.costs.one_way_bps, effective_ic=nan, break_even_ic=nan,
        max_correlation=nan, most_correlated="", marginal_ic=NO_ESTIMATE, marginal_t=nan, is_ic=NO_ESTIMATE,
        oos_ic=NO_ESTIMATE, overfit_ratio=nan, overfit_z=nan, folds=(), ic_by_regime={}, regime_bars={}, regime_q_p=nan,
        effective_breadth=nan, composite_score=0.0, smallest_detectable_ic=nan, bars_per_year=context.bars_per_year,
        warnings=tuple(notes), extra={"part": context.part, "dof": nan, "empty": True, **_until(context)},
    )  # fmt: skip


def _funding(bps: float, context: EvaluationContext) -> dict[str, Any]:
    """Funding paid; unknown, and not zero, where no settlement is known or those of most bars are not."""
    share, lacks = context.funding_known
    if context.funding is None or share < 0.5:
        bps = math.nan
    partly = context.funding is not None and share < 0.995
    return {"funding_bps": bps} | ({"funding_known": share, "funding_lacks": list(lacks)} if partly else {})


def _until(context: EvaluationContext) -> dict[str, str]:
    """Open time of the last bar of the sealed part: what is later did not exist at the look."""
    if context.part != "sealed" or not context.T:
        return {}
    return {"until": f"{np.datetime_as_string(context.timestamps[-1], unit='s')}+00:00"}


def why_empty(array: Floats, count: int, flat: int, context: EvaluationContext) -> str:
    """Why a feature could not be scored, in words."""
    if flat and not count:
        return "the feature is one number for all symbols at each bar" if context.cross else "the feature is constant"
    known = array[array == array]
    if known.size == 0:
        return "the feature has no value at all"
    if count == 0:
        return "no bar could be scored: the feature never varies where a return is known"
    return f"only {count} bars could be scored; {FEWEST_BARS} are the least for any figure"


def _notes(coverage: float, context: EvaluationContext) -> list[str]:
    notes = []
    if coverage < 0.5:
        notes.append(f"the feature is known on {coverage:.0%} of the cells that could be scored")
    if context.horizons[0] != 1:
        notes.append(
            f"half-life is measured on returns over {context.horizons[0]} bars; the single bar's were not given"
        )
    return notes


def _worst_bars(u: Floats, context: EvaluationContext, worst: int = 5) -> list[dict[str, Any]]:
    filled = np.where(u == u, u, np.inf)
    picks = np.argpartition(filled, min(worst, u.size - 1))[:worst]
    picks = picks[np.argsort(filled[picks])]
    names = np.datetime_as_string(context.timestamps[picks], unit="m").tolist()
    return [
        {"at": at, "score": score} for at, score in zip(names, filled[picks].tolist(), strict=True) if score < np.inf
    ]
