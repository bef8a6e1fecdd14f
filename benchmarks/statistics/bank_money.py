"""What stands between a bank's survivors and money: before costs, at other holdings, and netted in one book."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.build import limits_of
from midas_engine.book.figures import yearly
from midas_engine.book.members import gather, market_of
from midas_engine.book.strength import default_prior
from midas_engine.book.walk import walk
from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator import EvaluationContext, ScoringOptions, split_panel
from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.stats.book import BPS, run_book
from midas_engine.stats.hac import hac_lag, hac_mean
from midas_engine.stats.positions import positions
from midas_engine.stats.ranks import blank_flat_rows, sort_rows

if TYPE_CHECKING:
    from midas_engine.banks.result import BankResult
    from midas_engine.market import Panel
    from midas_engine.settings import Settings

HOLDINGS = (1, 3, 7, 14)
"""Times the target that a forecast is held."""
MOST = 25


@dataclass(frozen=True, slots=True)
class Money:
    """On research alone.

    Attributes:
        gross_t: The largest t of gross money of the whole bank, and whose.
        held_t: The largest t of net of any survivor at any holding, and which; chosen with hindsight.
        book: Net of all survivors in one book over the second half of research, bps of capital a year, in words.
    """

    gross_t: tuple[float, str] = (math.nan, "")
    held_t: tuple[float, str] = (math.nan, "")
    book: str = "-"


def money_of(result: BankResult, panel: Panel, settings: Settings) -> Money:
    """The three figures."""
    gross = []
    for row in result.rows:
        found = row.verdict.evaluation.extra.get("gross") or {}
        if found.get("se", 0.0) > 0.0:
            gross.append((found["value"] / found["se"], row.name))
    best = max(gross, default=(math.nan, ""))
    if not result.survivors:
        return Money(best)
    return Money(best, _held(result, panel, settings), _book(result, panel, settings))


def _held(result: BankResult, panel: Panel, settings: Settings) -> tuple[float, str]:
    target, cost = settings.evaluation.target, settings.costs.one_way_bps
    rows = split_panel(panel, settings, target).research
    context = EvaluationContext.from_panel(
        panel, horizons=(1, target), rows=rows, options=ScoringOptions.from_settings(settings)
    )
    engine, found = FeatureEngine(panel, limits=settings.dsl), []
    for row in result.survivors[:MOST]:
        laid = context.lay(context.take(engine.values(row.expression), row.name))
        laid[np.isinf(laid)] = np.nan
        blank_flat_rows(laid)
        z = context.score(laid, sort_rows(laid), mask_key(laid), target).z_f
        p = positions(z, context.cross)
        for times in HOLDINGS:
            bars = times * target
            net = run_book(p, context.forward(bars), context.paid(bars), bars).net(cost) * BPS
            mean, se, _ = hac_mean(net, hac_lag(bars))
            if se > 0.0:
                found.append((mean / se, f"{row.name}, {bars} bars"))
    return max(found, default=(math.nan, ""))


def _book(result: BankResult, panel: Panel, settings: Settings) -> str:
    research = split_panel(panel, settings, settings.evaluation.target).research
    seen = panel.slice(0, research.stop)
    market = market_of(seen, settings, panel)
    records = [FeatureRecord(r.name, r.expression, FeatureState.CANDIDATE) for r in result.survivors[:MOST]]
    found = gather(records, seen, market, settings, {})
    if not found.records:
        return "-"
    path = walk(found.signals, market, slice(0, seen.T // 2), default_prior(market.bars_per_year), limits_of(settings))
    if not path.weights.any():
        return "holds nothing"
    net = yearly(path.net, market.bars_per_year)
    return f"{net.value:+.0f} ± {net.se:.0f}"
