"""The figures of a tear sheet: everything that is plotted, as plain lists, the same for the page and for JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.metrics.capacity import PARTICIPATION, book_positions
from midas_engine.evaluator.reports.explanation import explain
from midas_engine.evaluator.reports.rendering import to_dict
from midas_engine.jsonable import plain
from midas_engine.stats.book import run_book
from midas_engine.stats.capacity import capacity_usd
from midas_engine.stats.decay import LAGS, fit_half_life, lagged_means
from midas_engine.stats.hac import hac_lag, hac_mean
from midas_engine.stats.normal import Z90
from midas_engine.stats.quantiles import quantile_returns
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.models import MultiAgentResult
    from midas_engine.stats._jit import Floats

POINTS = 400
"""Points of a plotted path: more than a page has pixels for would only make it heavy."""


def tearsheet_figures(
    values: Any,
    context: EvaluationContext,
    verdict: MultiAgentResult,
    *,
    gate: Any = None,
    expression: str = "",
    participation: float = PARTICIPATION,
) -> dict[str, Any]:
    """Figures of a feature on the part that the verdict was given on.

    Args:
        values: [T, S], as they were scored.
        context: What they were scored against.
        verdict: From `judge`.
        gate: Of an event feature.
        expression: Shown on the page.
        participation: Cap on the share of a bar's volume, for capacity.

    Raises:
        EvaluationError: The feature has no scored bar, so there is nothing to draw.
    """
    result = verdict.evaluation
    if result.extra.get("empty"):
        raise EvaluationError(
            "the feature could not be scored, so there is no tear sheet",
            hint=result.warnings[-1] if result.warnings else "",
        )
    array = context.take(values)
    array[~np.isfinite(array)] = np.nan
    if gate is not None:
        array[~(context.take(gate, "gate") > 0.0)] = np.nan
    rows = context.lay(array)
    order = sort_rows(rows)
    target = result.horizon_bars
    from midas_engine.evaluator.context.byte_cache import mask_key

    bars = context.score(rows, order, mask_key(rows), target)
    ranks, counts = own_ranks(rows, order)
    held = book_positions(values, context, gate)
    book = run_book(held, context.horizon(target).forward, context.paid(target), target)
    by_quantile = quantile_returns(ranks, counts, context.horizon(target).rows, context.cross)
    known = ~np.isnan(rows) if context.cross else ~np.isnan(rows).T
    scorable = ~np.isnan(context.horizon(target).forward)
    found = {
        "expression": expression,
        "name": result.feature_name,
        "verdict": to_dict(verdict),
        "explanation": plain({"bars_needed": explain(verdict).bars_needed, "text": explain(verdict).text()}),
        "symbols": list(context.symbols),
        "from": context.when(0),
        "to": context.when(context.T - 1),
        "cumulative_score": _cumulative(bars.u, context, result.score.se, result.bars_scored),
        "decay": _decay(bars.z_f, context, result.bars_scored, bars.cells, float(np.nanvar(bars.u))),
        "quantile_returns": [_with_error(row, target) for row in by_quantile],
        "equity": _equity(book, context),
        "turnover": _thin(_smooth(book.traded, 168), context),
        "coverage": _thin((known & scorable).sum(axis=1) / np.maximum(scorable.sum(axis=1), 1), context),
        "correlations": _correlations(rows, order, context),
        "capacity_usd": math.nan,
        "participation": participation,
    }
    if (volume := context.dollar_volume) is not None:
        found["capacity_usd"] = capacity_usd(held, volume, target, participation)
    clean = plain(found)
    assert isinstance(clean, dict)
    return clean


def _thin(path: Floats, context: EvaluationContext) -> dict[str, Any]:
    picks = np.unique(np.linspace(0, path.size - 1, min(POINTS, path.size)).astype(int))
    return {"at": np.datetime_as_string(context.timestamps[picks], unit="m").tolist(), "value": path[picks].tolist()}


def _smooth(x: Floats, window: int) -> Floats:
    ok = x == x
    ones = np.ones(min(window, x.size))
    weight = np.convolve(ok.astype(float), ones)[: x.size]
    return np.where(weight > 0, np.convolve(np.where(ok, x, 0.0), ones)[: x.size] / np.maximum(weight, 1.0), np.nan)


def _cumulative(u: Floats, context: EvaluationContext, se: float, count: int) -> dict[str, Any]:
    """Running sum of u with the 90 % band of a feature without any skill."""
    done = np.cumsum(u == u)
    path = _thin(np.cumsum(np.nan_to_num(u)), context)
    path["band"] = _thin(Z90 * se * math.sqrt(count) * np.sqrt(done), context)["value"]
    return path


def _decay(z: Floats, context: EvaluationContext, count: int, cells: int, variance: float) -> dict[str, Any]:
    stride = max(1, round(1.0 / context.hours_per_bar))
    lags = min(LAGS, context.T // (4 * stride))
    if lags < 3:
        return {}
    own, _ = lagged_means(z, z, context.cross, lags, stride)
    means, overlap = lagged_means(z, context.bar_scores, context.cross, lags, stride)
    bars = overlap / max(cells / max(count, 1), 1.0)
    half, low, high, height = fit_half_life(means, bars, variance, own)
    step = stride * context.hours_per_bar
    hours = np.arange(lags) * step
    return {
        "hours": hours.tolist(),
        "score": means.tolist(),
        "error": (Z90 * np.sqrt(variance / np.maximum(bars, 1.0))).tolist(),
        "fit": (height * np.exp2(-hours / (half * step))).tolist() if half == half else [],
        "half_life_hours": half * step,
        "low": low * step,
        "high": high * step,
    }


def _with_error(series: Floats, horizon: int) -> dict[str, float]:
    mean, se, _ = hac_mean(series, hac_lag(horizon))
    return {"mean_bps": mean * 1e4, "se_bps": se * 1e4}


def _equity(book: Any, context: EvaluationContext) -> dict[str, Any]:
    cost = context.costs.one_way_bps
    gross = np.cumsum(np.nan_to_num(book.gross)) * 1e4
    paid = np.cumsum(np.nan_to_num(book.funding)) * 1e4
    net = np.cumsum(np.nan_to_num(book.net(cost))) * 1e4
    path = _thin(gross, context)
    path["gross_bps"] = path.pop("value")
    path["net_bps"] = _thin(net, context)["value"]
    path["funding_bps"] = _thin(paid, context)["value"]
    return path


def _correlations(rows: Floats, order: Any, context: EvaluationContext, most: int = 15) -> list[dict[str, Any]]:
    deployed = context.deployed
    if not deployed.names:
        return []
    found = deployed.correlations(rows, order, context.minimum)
    ranked = np.argsort(-np.abs(np.nan_to_num(found)))[:most]
    return [{"name": deployed.names[k], "correlation": float(found[k])} for k in ranked]
