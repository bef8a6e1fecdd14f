"""What the book is expected to earn from here on, with what is not known of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.models import Estimate
from midas_engine.stats.normal import Z90

if TYPE_CHECKING:
    from midas_engine.book.walk import Outlook


@dataclass(frozen=True, slots=True)
class Forecast:
    """Yearly figures of the book at today's weights; fractions of capital.

    Attributes:
        net: Expected net return.
        risk: Standard deviation.
        sharpe: Net over risk: the long-run figure, with what is unknown of the members' strengths.
        year: The same value with the interval that the Sharpe ratio *realised in the next year* should fall in.
    """

    net: float
    risk: float
    sharpe: Estimate
    year: Estimate


UNKNOWN = Forecast(math.nan, math.nan, Estimate(math.nan), Estimate(math.nan))


def forecast(now: Outlook, cost: float, bars_per_year: float) -> Forecast:
    """The forecast at one look; all unknown for a book without weights.

    Args:
        now: What is expected of the members.
        cost: One-way trading cost, as a fraction.
        bars_per_year: Of the data.
    """
    w = now.weights
    covariance = now.correlation * np.outer(now.size, now.size)
    risk = math.sqrt(max(float(w @ covariance @ w), 0.0))
    if not risk > 0.0:
        return UNKNOWN
    turnover = math.sqrt(max(float(w @ now.change @ w), 0.0))
    net = float(w @ now.mean) - cost * turnover
    doubt = math.sqrt(max(float(w @ (now.correlation * np.outer(now.error, now.error)) @ w), 0.0))
    root = math.sqrt(bars_per_year)
    value, error = net / risk * root, doubt / risk * root
    return Forecast(net * bars_per_year, risk * root, _span(value, error), _span(value, math.hypot(error, 1.0)))


def _span(value: float, error: float) -> Estimate:
    return Estimate(value, error, value - Z90 * error, value + Z90 * error)
