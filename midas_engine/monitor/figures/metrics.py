"""FeatureMetrics from the engine's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.models import Estimate, FeatureMetrics
from midas_engine.stats.normal import Z90

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from midas_engine.monitor.figures.engine import MonitorEngine

    Floats = NDArray[np.float64]

_PLAIN = (
    "pearson_1d",
    "pearson_5d",
    "pearson_30d",
    "ic_ratio",
    "ic_regime",
    "half_life_hours",
    "turnover",
    "slippage_bps",
    "expected_slippage_bps",
    "slippage_ratio",
    "pnl_bps",
    "pnl_1d_bps",
    "pnl_net_1d_bps",
    "coverage",
    "score",
    "decay_log_s",
    "kill_log_e",
)


def feature_metrics(
    engine: MonitorEngine, row: int, at: datetime, *, status: str, value: float, outlook: Mapping[str, float]
) -> FeatureMetrics:
    """Everything the screen shows of feature `row` after the last bar.

    Args:
        engine: Where the figures come from.
        row: Row of the feature.
        at: Open time of the bar.
        status: See `FeatureMetrics.status`.
        value: Its newest value; the mean over the symbols of a panel.
        outlook: ``days_to_detect_drop``, ``days_to_detect_flip``, ``false_alarms_per_year``; empty: unknown.
    """
    columns = engine.columns()
    figures: dict[str, Any] = {name: _estimate(columns, name, row) for name in ("ic_1d", "ic_5d", "ic_30d")}
    figures |= {name: float(columns[name][row]) for name in _PLAIN}
    figures |= outlook
    reference = float(columns["reference"][row])
    return FeatureMetrics(
        feature=engine.names[row],
        at=at,
        regime=engine.regime,
        status=status,
        value=value,
        bars=engine.bars,
        stale_bars=int(max(columns["missing_bars"][row], columns["frozen_bars"][row])),
        expected_score=reference if np.isfinite(reference) else None,
        decay_threshold=engine.bank.threshold,
        **figures,
    )


def _estimate(columns: Mapping[str, Floats], name: str, row: int) -> Estimate:
    value, se = float(columns[name][row]), float(columns[f"{name}_se"][row])
    return Estimate(value, se, value - Z90 * se, value + Z90 * se)
