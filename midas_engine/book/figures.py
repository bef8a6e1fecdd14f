"""What is told of a book: every figure with its error, and none where nothing is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.forecast import UNKNOWN, Forecast
from midas_engine.models import NO_ESTIMATE, Estimate
from midas_engine.stats.hac import hac_lag, hac_mean
from midas_engine.stats.normal import Z90
from midas_engine.stats.sequential import Reference
from midas_engine.stats.sequential_delay import outlook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.book.paths import Market, Signals
    from midas_engine.book.walk import Walk
    from midas_engine.stats._jit import Floats

BPS = 1e4


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the book.

    Attributes:
        weight: Fraction of capital.
        holding_bars: Bars that a forecast is held.
        scale: What the mean of the last positions is multiplied by.
        marginal: What the book would lose without it, in bps of capital a year, both at the book's risk.
        alone: What it earns by itself at gross 1, in bps a year, after costs and funding.
        turnover: Traded a bar, at gross 1.
        dead_chance: How likely its edge is gone, by the live detectors' statistic; NaN where nothing was promised.
        called: The detectors call it dead: it has no weight.
        role: "book" where it was promoted for the book, else empty.
    """

    name: str
    version: int
    expression: str
    weight: float
    holding_bars: int
    scale: float
    marginal: Estimate
    alone: Estimate
    turnover: float
    dead_chance: float
    called: bool
    role: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """The book's path, one point a day (UTC), at its last bar.

    Attributes:
        at: Close at which that bar's positions are set, ISO.
        net_bps: Sum of net returns, in bps of capital.
        gross_bps: The same before costs and funding.
        trading_bps: Sum of what trades cost; what lies between gross and net beside it is funding.
        weights: By member.
    """

    at: tuple[str, ...] = ()
    net_bps: tuple[float, ...] = ()
    gross_bps: tuple[float, ...] = ()
    trading_bps: tuple[float, ...] = ()
    weights: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BookFigures:
    """The book of all deployed features on some data; unknown is NaN, never zero.

    Attributes:
        data: What it was measured on.
        first: First and `last` bar that was measured: after the part that members were searched on.
        members: By weight, largest first.
        left_out: Deployed features that are no members, and why.
        net: Measured net return, bps of capital a year.
        measured_sharpe: Measured net Sharpe ratio over those bars.
        equal: The same of equal weights of the same members, as they are held: what weighing was worth.
        equal_sharpe: Its Sharpe ratio.
        forecast: What is expected from here on, shrunk for selection.
        turnover: Traded a day, as a share of capital, netted; `members_turnover` if each traded for itself.
        gross: Mean gross exposure.
        capacity_usd: Capital at which 5 % of what is traded would exceed 1 % of a bar's volume.
        drawdown_bps: Largest fall of the sum of net returns; `drawdown_from` and `drawdown_to` its bars.
        funding_known: Funding was charged.
        cost_bps: What a trade costs one way, by kind.
        days_to_notice: Expected days to notice that the whole book has died.
        holdings: Symbol to fraction of capital at the last close.
        notes: What a reader should know.
        digest: Of what is traded; see `weights_document`.
    """

    data: str = ""
    first: str = ""
    last: str = ""
    bars: int = 0
    capital_usd: float = math.nan
    members: tuple[Member, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    net: Estimate = NO_ESTIMATE
    measured_sharpe: Estimate = NO_ESTIMATE
    equal: Estimate = NO_ESTIMATE
    equal_sharpe: Estimate = NO_ESTIMATE
    forecast: Forecast = UNKNOWN
    turnover: float = math.nan
    members_turnover: float = math.nan
    gross: float = math.nan
    capacity_usd: float = math.nan
    drawdown_bps: float = math.nan
    drawdown_from: str = ""
    drawdown_to: str = ""
    funding_known: bool = False
    cost_bps: dict[str, float] = field(default_factory=dict)
    days_to_notice: float = math.nan
    holdings: dict[str, float] = field(default_factory=dict)
    path: Path = Path()
    notes: tuple[str, ...] = ()
    digest: str = ""

    @property
    def empty(self) -> bool:
        """Nothing is deployed that could be a member."""
        return not self.members


def yearly(net: Floats, bars_per_year: float) -> Estimate:
    """Mean of returns per bar as bps a year, with its HAC error; unknown where nothing was ever held."""
    mean, se, _ = hac_mean(net, hac_lag(1))
    if not math.isfinite(se):
        return NO_ESTIMATE
    year = bars_per_year * BPS
    return Estimate(mean * year, se * year, (mean - Z90 * se) * year, (mean + Z90 * se) * year)


def sharpe(net: Floats, bars_per_year: float) -> Estimate:
    """Yearly Sharpe ratio of returns per bar, with the error of Lo (2002) and Newey-West's long-run variance."""
    known = net[np.isfinite(net)]
    size = float(known.std(ddof=1)) if known.size > 1 else 0.0
    if not size > 0.0:
        return NO_ESTIMATE
    mean, se, _ = hac_mean(net, hac_lag(1))
    ratio = mean / size
    root = math.sqrt(bars_per_year)
    error = math.sqrt((se / size) ** 2 + 0.5 * ratio * ratio / known.size) * root
    return Estimate(ratio * root, error, ratio * root - Z90 * error, ratio * root + Z90 * error)


def drawdown(net: Floats) -> tuple[float, int, int]:
    """Largest fall of the running sum, in bps, with the bars it began and ended at; NaN where nothing was held."""
    known = np.nan_to_num(net)
    if not known.any():
        return math.nan, 0, 0
    level = np.concatenate([[0.0], np.cumsum(known)])
    peak = np.maximum.accumulate(level)
    end = int(np.argmax(peak - level))
    start = int(np.argmax(level[: end + 1]))
    return float((peak - level)[end]) * BPS, max(start - 1, 0), max(end - 1, 0)


def days_to_notice(path: Walk, signals: Signals, market: Market, stored: Sequence[Reference | None] = ()) -> float:
    """Expected days until a detector on the weighted score sees that the whole book has died.

    NaN where less than half of the weight promised anything that could be missed.

    Args:
        path: The book.
        signals: Its members.
        market: Run length and bar.
        stored: Promises kept with the features, which the live detectors use; where there is none, that of the path.
    """
    promises = [kept or own for kept, own in zip(stored or path.references, path.references, strict=True)]
    weights = path.now.weights
    promised = np.array([r.score if r is not None else math.nan for r in promises])
    use = (weights > 0.0) & np.isfinite(promised)
    if weights[use].sum() <= 0.5 * weights.sum():
        return math.nan
    share = np.where(use, weights, 0.0)[:, None] / weights[use].sum()
    u, w = signals.u[:, path.first :], signals.w[:, path.first :]
    known = np.isfinite(u) & np.isfinite(w)
    mixed_u = (share * np.where(known, u, 0.0)).sum(axis=0)
    mixed_w = (share * np.where(known, w, 0.0)).sum(axis=0)
    slope = float((share[:, 0] * np.nan_to_num(promised)).sum())
    weight = float(mixed_w.sum())
    if not weight > 0.0:
        return math.nan
    measured = float(mixed_u.sum()) / weight
    variance = float(((mixed_u - measured * mixed_w) ** 2).sum()) / weight
    reference = Reference(slope, variance)
    if not reference.usable:
        return math.nan
    bars = outlook(slope, variance, arl0=market.arl0, bars_per_year=market.bars_per_year).drop_bars
    return bars / market.bars_per_year * 365.0
