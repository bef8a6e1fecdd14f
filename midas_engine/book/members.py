"""From features and a panel to the members of a book: what each would hold at every close, and its causal score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.paths import Market, Signals
from midas_engine.errors import DataError, MidasError
from midas_engine.stats.causal_score import CausalScorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

_MEAN_ABS_NORMAL = math.sqrt(2.0 / math.pi)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Members that could be computed, and those that could not.

    Attributes:
        records: The features, in the order of the signals.
        left_out: Name and reason, in words.
    """

    records: tuple[FeatureRecord, ...]
    signals: Signals
    left_out: tuple[tuple[str, str], ...]


def market_of(panel: Panel, settings: Settings, whole: Panel | None = None) -> Market:
    """What the book trades: the next bar's return, the funding paid over it, and costs.

    Args:
        panel: The data.
        settings: Costs, run length, the mode of scoring.
        whole: What `panel` is a part of: the whole decides how members are scored.

    Raises:
        DataError: There is no close.
    """
    from midas_engine.evaluator.context.panel_inputs import panel_inputs
    from midas_engine.evaluator.context.scored_as import panel_is_cross

    if "close" not in panel.columns:
        raise DataError("the data has no close column, so the book has no returns", hint="add a close column")
    inputs = panel_inputs(panel, (1,), None)
    return Market(
        returns=inputs.returns[1],
        paid=inputs.funding,
        cost=settings.costs.one_way_bps / 1e4,
        bars_per_year=panel.bars_per_year,
        rebalance_bars=panel.bars(24),
        arl0=settings.monitor.arl0_bars(panel.bar_seconds),
        cross=panel_is_cross(panel if whole is None else whole, settings.evaluation.mode),
    )


def gather(
    records: Sequence[FeatureRecord], panel: Panel, market: Market, settings: Settings, named: Mapping[str, str]
) -> Gathered:
    """Compute every feature, once, over the whole panel. Heavy: call it in a thread.

    Args:
        records: The features that are to be members.
        panel: The data.
        market: Of that data.
        settings: Limits of expressions.
        named: Expressions that may be used by name.
    """
    from midas_engine.dsl import FeatureEngine

    engine = FeatureEngine(panel, limits=settings.dsl, features=dict(named))
    kept, values, left_out = [], [], []
    for record in records:
        if record.damaged:
            left_out.append((record.name, f"its file is damaged: {record.damaged}"))
            continue
        if record.paused:
            left_out.append((record.name, "paused"))
            continue
        try:
            found = np.array(engine.values(record.expression))
            found[~np.isfinite(found)] = np.nan
            if record.gate:
                found[~(engine.values(record.gate) > 0.0)] = np.nan
        except MidasError as error:
            left_out.append((record.name, error.message))
            continue
        if not np.isfinite(found).any():
            left_out.append((record.name, "it has no value anywhere in this data"))
            continue
        kept.append(record)
        values.append(found)
    stacked = np.stack(values) if values else np.empty((0, *panel.shape))
    positions, u, w = follow(stacked, market.returns, market.cross)
    names = tuple(r.name for r in kept)
    signals = Signals(names, positions, u, w, tuple(r.hold_bars for r in kept))
    return Gathered(tuple(kept), signals, tuple(left_out))


def follow(values: Floats, returns: Floats, cross: bool | None = None) -> tuple[Floats, Floats, Floats]:
    """Unit-gross positions [K, T, S] and causal scores u, w [K, T], bar by bar as the live monitor makes them.

    Args:
        values: [K, T, S].
        returns: Of the bar that follows each close [T, S].
        cross: As of `CausalScorer`.
    """
    features, bars, symbols = values.shape
    positions, u, w = np.zeros(values.shape), np.full((features, bars), np.nan), np.full((features, bars), np.nan)
    if not features:
        return positions, u, w
    scorer = CausalScorer(features, symbols, cross)
    for t in range(bars):
        scorer.update(np.ascontiguousarray(values[:, t]), np.ascontiguousarray(returns[t]))
        z = np.nan_to_num(np.clip(scorer.z, -3.0, 3.0))
        unit = np.abs(z).sum(axis=1) if scorer.cross else _MEAN_ABS_NORMAL * np.isfinite(scorer.z).sum(axis=1)
        positions[:, t] = z / np.where(unit > 0.0, unit, 1.0)[:, None]
        u[:, t], w[:, t] = scorer.u, scorer.w
    return positions, u, w
