"""What a diagnosis looks at, copied out of the running monitor in one go: the next bar waits for nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.monitor.figures.portfolio import PORTFOLIO
from midas_engine.monitor.figures.score_history import Lookback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from midas_engine.models import Alert
    from midas_engine.monitor.figures.engine import MonitorEngine
    from midas_engine.monitor.fleet import Fleet

# keys of `market_context` that may say what trading costs now, and what it was expected to cost
_COSTS = ("spread_bps", "half_spread_bps", "fee_bps", "funding_bps")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One feature at one bar.

    Attributes:
        alert: What was raised; None when the operator asked.
        values: Figures by the keys of `figures.SPECS`.
        details: What a reader should know beside a figure, by the same keys.
        look: Scores, weights and regimes of the last ninety days.
        base: Promised score; NaN: uncalibrated.
        variance: Variance of a bar's score per unit of weight.
    """

    feature: str
    at: datetime
    alert: Alert | None
    expression: str
    regime: str
    look: Lookback
    base: float
    variance: float
    values: Mapping[str, float]
    details: Mapping[str, str] = field(default_factory=dict)
    partner: str = ""

    @property
    def alert_type(self) -> str:
        """Type of the alert; "" when the operator asked."""
        return self.alert.alert_type if self.alert is not None else ""


def take_snapshot(
    fleet: Fleet,
    feature: str,
    at: datetime,
    *,
    alert: Alert | None = None,
    expression: str = "",
    context: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Copy what is known of `feature` (or of the portfolio) after the last bar; microseconds.

    Raises:
        MonitorError: The feature is not monitored, or no bar has come.
    """
    engine = fleet.engine
    if feature == PORTFOLIO:
        return _portfolio(fleet, at, alert)
    row = engine.row(feature)
    look = engine.evidence.of(row)
    columns = engine.columns()
    partner = int(columns["correlation_partner"][row])
    values = {key: float(columns[key][row]) for key in _COLUMNS}
    values |= _inputs(engine, row, look)
    values |= {
        "promised": float(engine.bank.base[row]),
        "score_5d": float(columns["score"][row]),
        "log_s": _log_s(engine, row, alert),
        "portfolio_log_s": engine.portfolio.log_s,
        "gross_bps": float(engine.book.habit[row, 1]),
        "turnover_usual": float(engine.book.habit[row, 2]),
        "cost_bps": float(columns["turnover"][row]) * engine.config.one_way_bps,
        "other_costs": _other_costs(context or {}),
    }
    named = fleet.names[partner] if 0 <= partner < len(fleet.names) else ""
    details = {"correlation": f"with {named}", "correlation_usual": f"with {named}"} if named else {}
    details["log_s"] = f"it calls at {engine.bank.threshold:.2f}"
    return Snapshot(
        feature, at, alert, expression, engine.regime, look, values["promised"],
        float(engine.bank.variance[row]), values, details, named,
    )  # fmt: skip


_COLUMNS = (
    "missing_bars", "frozen_bars", "coverage", "slippage_bps", "expected_slippage_bps", "slippage_ratio",
    "turnover", "correlation", "correlation_usual", "pnl_1d_bps",
)  # fmt: skip


def _inputs(engine: MonitorEngine, row: int, look: Lookback) -> dict[str, float]:
    presence = engine.presence
    short = max(1, engine.short // look.step)
    recent, before = look.u[-short:], look.u[:-short]
    lost = float(np.mean(~np.isfinite(recent))) if len(recent) else math.nan
    usual = float(np.mean(~np.isfinite(before[short:]))) if len(before) > 2 * short else 0.0
    return {
        "coverage_usual": float(presence.habit[row, 1]),
        "stuck": float(presence.stuck[row]),
        "stuck_usual": float(presence.habit[row, 2]),
        "rescaled": presence.rescaled_share(row),
        "outliers": max(0.0, float(presence.outliers[row] - 2.0 * presence.outliers_usual()[row])),
        "unscored": lost if engine.bars > 2 * engine.short and lost > usual else 0.0,
    }


def _log_s(engine: MonitorEngine, row: int, alert: Alert | None) -> float:
    """The test starts again when it has called: what it had reached stands in the alert."""
    if alert is not None and alert.rule == "detector" and math.isfinite(alert.value):
        return alert.value
    return float(engine.bank.decay_log_s[row])


def _other_costs(context: Mapping[str, Any]) -> float:
    """Spread, fees and funding now over what was expected of them; NaN when nobody said."""
    now = expected = 0.0
    for key in _COSTS:
        paid, planned = _number(context.get(key)), _number(context.get(f"expected_{key}"))
        if math.isfinite(paid) and math.isfinite(planned):
            now, expected = now + paid, expected + planned
    return now / expected if expected > 0 and now > 0 else math.nan


def _number(value: Any) -> float:
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float(value) if good and math.isfinite(value) else math.nan


def _portfolio(fleet: Fleet, at: datetime, alert: Alert | None) -> Snapshot:
    """All promised live features as one: the mean of their scores against the mean of their promises."""
    engine = fleet.engine
    rows = np.flatnonzero(np.isfinite(engine.bank.base) & (engine.counted > 0))
    looks = [engine.evidence.of(int(row)) for row in rows]
    slope = engine.portfolio.slope
    u, w = np.full(engine.evidence.filled, np.nan), np.full(engine.evidence.filled, np.nan)
    if looks:
        scores = np.array([look.u for look in looks])
        weights = np.array([look.w for look in looks])
        known = np.isfinite(scores) & np.isfinite(weights)
        count = known.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            u = np.where(count > 0, np.where(known, scores, 0.0).sum(axis=0) / count, np.nan)
            promised = np.where(known, weights * engine.bank.base[rows][:, None], 0.0).sum(axis=0)
            w = np.where(count > 0, promised / count / slope, np.nan)
    regimes = looks[0].regimes if looks else np.zeros(0, np.str_)
    parts = [_inputs(engine, int(row), look) for row, look in zip(rows, looks, strict=True)]
    values = {key: float(np.mean([p[key] for p in parts])) for key in (parts[0] if parts else {})}
    columns = engine.columns()
    values |= {key: float(np.nanmean(columns[key][rows])) for key in ("coverage", "turnover") if len(rows)}
    values |= {"promised": slope, "log_s": alert.value if alert else engine.portfolio.log_s}
    values["slippage_ratio"] = _mean(columns["slippage_ratio"][rows])
    values["pnl_1d_bps"] = float(np.nansum(columns["pnl_1d_bps"]))
    look = Lookback(u, w, regimes, engine.evidence.step)
    return Snapshot(
        PORTFOLIO, at, alert, "", engine.regime, look, slope, engine.portfolio.variance,
        values, {"promised": f"mean of {len(rows)} features"},
    )  # fmt: skip


def _mean(values: Any) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
