"""The book of a knowledge base on a panel: its members put together, measured, and what each is worth."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.figures import BookFigures, Member, Path, days_to_notice, drawdown, sharpe, yearly
from midas_engine.book.forecast import forecast
from midas_engine.book.limits import Limits
from midas_engine.book.marginal import marginal
from midas_engine.book.members import Gathered, gather, market_of
from midas_engine.book.partners import partner_words
from midas_engine.book.strength import Prior, default_prior, fit_prior
from midas_engine.book.walk import Walk, equally, walk
from midas_engine.book.weights_out import digest_of
from midas_engine.models import FeatureState
from midas_engine.stats.capacity import capacity_usd

if TYPE_CHECKING:
    from midas_engine.book.paths import Market
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

NOTHING = "nothing is deployed: `midas discover GOAL` finds candidates, `midas promote NAME` deploys one"


def book_of(kb: KnowledgeBase, panel: Panel, settings: Settings) -> BookFigures:
    """Measure the book of every deployed feature. Heavy: call it in a thread.

    The members' weights at each day are those that were to be known by then. The path begins where the part ends that
    members were searched on; holdings, scales and promises are measured before it.

    Raises:
        DataError: The data has no close.
        EvaluationError: It is too short to be split.
    """
    from midas_engine.evaluator.context.history_split import split_panel

    deployed = tuple(kb.features(FeatureState.DEPLOYED))
    if not deployed:
        return nothing_deployed(settings)
    market = market_of(panel, settings)
    found = gather(deployed, panel, market, settings, named(kb))
    if not found.records:
        none = "no deployed feature can be computed on this data"
        return dataclasses.replace(nothing_deployed(settings), left_out=found.left_out, notes=(none,))
    research = split_panel(panel, settings, max(settings.evaluation.horizons)).research
    prior = prior_of(kb, research.stop - (research.start or 0), panel.bars_per_year)
    limits = limits_of(settings)
    path = walk(found.signals, market, research, prior, limits)
    return _told(found, path, panel, market, settings, research, prior, limits)


def nothing_deployed(settings: Settings) -> BookFigures:
    """The empty book, which says what to do."""
    return BookFigures(data=settings.data, capital_usd=settings.book.capital_usd, notes=(NOTHING,))


def named(kb: KnowledgeBase) -> dict[str, str]:
    """Expressions that may be used by name."""
    states = (FeatureState.CANDIDATE, FeatureState.SHADOW, FeatureState.DEPLOYED)
    return {r.name: r.expression for state in states for r in kb.features(state) if not r.damaged}


def limits_of(settings: Settings) -> Limits:
    """Caps and neutrality as the settings say."""
    book = settings.book
    return Limits(book.symbol_cap, book.net_cap, book.neutrality == "dollar")


def prior_of(kb: KnowledgeBase, bars: int, bars_per_year: float) -> Prior:
    """What the base's own trials say of candidates in general; the default where none was tried."""
    from midas_engine.evaluator.trials.ledger import TrialLedger

    if not os.path.lexists(kb.journal_path):
        return default_prior(bars_per_year)
    with TrialLedger(kb.journal_path, read_only=True) as ledger:
        t = [x.score_t for x in ledger.history() if x.outcome == "scored" and x.score_t is not None]
    return fit_prior(np.array(t, np.float64), bars, bars_per_year)


def _told(
    found: Gathered, path: Walk, panel: Panel, market: Market, settings: Settings, research: slice, prior: Prior,
    limits: Limits,
) -> BookFigures:  # fmt: skip
    from midas_engine.evaluator.context.panel_inputs import panel_inputs
    from midas_engine.evaluator.metrics.reference_score import stored_reference

    year, net = market.bars_per_year, path.net
    volume = panel_inputs(panel, (1,), slice(path.first, panel.T)).dollar_volume
    closes = np.datetime_as_string(panel.closes[path.first :], unit="m")
    fall, start, end = drawdown(net)
    members = tuple(
        _member(record, k, found, path, market, research, prior, limits) for k, record in enumerate(found.records)
    )
    members = tuple(sorted(members, key=lambda m: (-m.weight, m.name)))
    holdings = {s: float(p) for s, p in zip(panel.symbols, path.positions[-1], strict=True) if p != 0.0}
    per_day = 24.0 / panel.hours_per_bar
    equal = equally(path, market, limits)
    notes = []
    if market.paid is None:
        notes.append("funding is unknown on this data and is not charged")
    if not path.now.weights.any():
        notes.append("no mixture of the members is expected to earn its costs: the book holds nothing")
    notes += partner_words(members)
    costs = settings.costs
    figures = BookFigures(
        data=settings.data,
        first=str(closes[0]),
        last=str(closes[-1]),
        bars=int(np.isfinite(net).sum()),
        capital_usd=settings.book.capital_usd,
        members=members,
        left_out=found.left_out,
        net=yearly(net, year),
        measured_sharpe=sharpe(net, year),
        equal=yearly(equal, year),
        equal_sharpe=sharpe(equal, year),
        forecast=forecast(path.now, market.cost, year),
        turnover=float(path.traded.mean()) * per_day,
        members_turnover=float(path.members_traded.mean()) * per_day,
        gross=float(np.abs(path.positions).sum(axis=1).mean()),
        capacity_usd=float("nan") if volume is None else capacity_usd(path.positions, volume, 1),
        drawdown_bps=fall,
        drawdown_from=str(closes[start]),
        drawdown_to=str(closes[end]),
        funding_known=market.paid is not None,
        cost_bps={"fees": costs.fee_bps, "spread": costs.half_spread_bps, "slippage": costs.slippage_bps},
        days_to_notice=days_to_notice(path, found.signals, market, [stored_reference(r) for r in found.records]),
        holdings=holdings,
        path=_path(path, panel.closes[path.first :], market, found.signals.names),
        notes=tuple(notes),
    )
    return digest_of(figures)


def _member(
    record: FeatureRecord, k: int, found: Gathered, path: Walk, market: Market, research: slice, prior: Prior,
    limits: Limits,
) -> Member:  # fmt: skip
    held = path.held
    moved = np.abs(np.diff(held.positions[k, path.first :], axis=0, prepend=0.0)).sum(axis=1)
    alone: Floats = held.earned[k, path.first :] - moved * market.cost
    known = path.references[k] is not None
    return Member(
        name=record.name,
        version=record.version,
        expression=record.expression,
        weight=float(path.now.weights[k]),
        holding_bars=held.holdings[k],
        scale=held.scales[k],
        marginal=marginal(path, k, found.signals, market, research, prior, limits),
        alone=yearly(alone, market.bars_per_year),
        turnover=float(moved.mean()),
        dead_chance=float(path.now.dead[k]) if known else float("nan"),
        called=bool(path.called[k]),
        role=record.role,
    )


def _path(
    path: Walk, closes: np.ndarray[tuple[int], np.dtype[np.datetime64]], market: Market, names: tuple[str, ...]
) -> Path:
    # What is earned over the bar that follows a close belongs to the day that this bar begins in.
    known = np.flatnonzero(np.isfinite(path.net))
    if not known.size:
        return Path()
    days = closes[: known[-1] + 1].astype("datetime64[D]")
    rows = np.append(np.flatnonzero(days[1:] != days[:-1]), days.size - 1)
    net = np.cumsum(np.nan_to_num(path.net)) * 1e4
    rate = np.where(np.isfinite(market.returns[path.first :]), market.returns[path.first :], 0.0)
    traded = np.cumsum(np.where(np.isfinite(path.net), path.traded * market.cost, 0.0)) * 1e4
    gross = np.cumsum((path.positions * rate).sum(axis=1)) * 1e4
    return Path(
        at=tuple(str(x) for x in np.datetime_as_string(closes[rows], unit="m")),
        net_bps=tuple(np.round(net[rows], 3).tolist()),
        gross_bps=tuple(np.round(gross[rows], 3).tolist()),
        trading_bps=tuple(np.round(traded[rows], 3).tolist()),
        weights={name: tuple(np.round(path.weights[rows, k], 5).tolist()) for k, name in enumerate(names)},
    )
