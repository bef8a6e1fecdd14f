"""`PartRows`: what the evaluator takes from a part of a panel, of as many of its rows as are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.context.funding import FundingPayments

if TYPE_CHECKING:
    from midas_engine.market import Panel
    from midas_engine.stats._jit import Floats

_BARS_AT_ONCE = 4096


def forward(panel: Panel, horizon: int, first: int, last: int, end: int) -> Floats:
    """close[t + h] / close[t] - 1 of a panel's rows first..last, NaN where t + h reaches `end`."""
    now = panel.rows("close", first, last)
    out = np.full(now.shape, np.nan)
    known = min(last, end - horizon) - first
    if known > 0:
        later = panel.rows("close", first + horizon, first + horizon + known)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:known] = later / now[:known] - 1.0
        out[~np.isfinite(out)] = np.nan
    return out


class PartRows:
    """Rows of one part of a panel; a row is counted from the start of the part. Returns end with the part.

    Args:
        panel: The history.
        rows: The part; None: all of it.

    Raises:
        EvaluationError: The panel has no close, or the part is empty.
    """

    def __init__(self, panel: Panel, rows: slice | None) -> None:
        if "close" not in panel.columns:
            raise EvaluationError("the data has no close column, so there are no returns", hint="add a close column")
        self.panel = panel
        self.start, self.stop, _ = slice(None).indices(panel.T) if rows is None else rows.indices(panel.T)
        if self.stop - self.start < 1:
            raise EvaluationError("this part of the data is empty", hint="use more data or other shares")
        self.bars = self.stop - self.start
        rates = [c for c in ("funding_paid", "funding_rate") if c in panel.columns and self._any(c)]
        # Where no settlement is known, what is paid is unknown, not nothing.
        self._paid = "" if not rates else "funding_paid" if "funding_paid" in panel.columns else "funding_rate"
        self._payments: FundingPayments | None = None
        if self._paid == "funding_rate":
            self._payments = FundingPayments(
                lambda first, last: panel.rows("funding_rate", first, last), panel.timestamps, float(panel.bar_seconds)
            )

    def _any(self, column: str) -> bool:
        return any(
            np.isfinite(self.panel.rows(column, first, min(first + _BARS_AT_ONCE, self.stop))).any()
            for first in range(self.start, self.stop, _BARS_AT_ONCE)
        )

    @property
    def knows_funding(self) -> bool:
        """Whether any settlement is known."""
        return bool(self._paid)

    def funding_known(self) -> tuple[float, tuple[str, ...]]:
        """Share of the traded cells whose funding is known, and the traded symbols that have none at all."""
        if not self._paid:
            return 0.0, self.panel.symbols
        traded, known = np.zeros(self.panel.S, np.int64), np.zeros(self.panel.S, np.int64)
        for first in range(self.start, self.stop, _BARS_AT_ONCE):
            last = min(first + _BARS_AT_ONCE, self.stop)
            here = np.isfinite(self.panel.rows("close", first, last))
            traded += here.sum(axis=0)
            known += (here & np.isfinite(self.panel.rows(self._paid, first, last))).sum(axis=0)
            self.panel.let_go()
        lacks = tuple(s for s, t, k in zip(self.panel.symbols, traded, known, strict=True) if t and not k)
        return float(known.sum() / max(traded.sum(), 1)), lacks

    @property
    def knows_volume(self) -> bool:
        """Whether traded notional is known."""
        return bool({"quote_volume", "volume"} & set(self.panel.columns))

    def forward(self, horizon: int, first: int, last: int) -> Floats:
        """close[t + h] / close[t] - 1 of rows first..last; NaN where it would leave the part."""
        return forward(self.panel, horizon, self.start + first, self.start + last, self.stop)

    def ended(self, first: int, last: int) -> Floats:
        """One-bar returns that ended with rows first..last of the PANEL; NaN at its first."""
        begin = max(first - 1, 0)
        close = self.panel.rows("close", begin, last)
        out = np.full((last - first, self.panel.S), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[max(1 - first, 0) :] = close[1:] / close[:-1] - 1.0
        out[~np.isfinite(out)] = np.nan
        return out

    def dollar_volume(self, first: int, last: int) -> Floats:
        """Traded notional; NaN where unknown. Ask only where `knows_volume`."""
        begin, end = self.start + first, self.start + last
        columns, volume = self.panel.columns, None
        if "quote_volume" in columns:
            volume = np.array(self.panel.rows("quote_volume", begin, end))
        if "volume" in columns:
            base = self.panel.rows("volume", begin, end) * self.panel.rows("close", begin, end)
            volume = base if volume is None else np.where(np.isnan(volume), base, volume)
        assert volume is not None
        return volume

    def funding(self, first: int, last: int) -> Floats:
        """What a long pays over the bar that follows, fraction of notional; 0 where unknown."""
        begin, end = self.start + first, self.start + last
        if self._payments is not None:
            return self._payments.rows(begin, end)
        out = np.zeros((last - first, self.panel.S))
        if self._paid:  # the part's last bar is not held further
            later = self.panel.rows("funding_paid", begin + 1, min(end + 1, self.stop))
            out[: len(later)] = np.nan_to_num(later)
        return out
