"""One fill as it comes in, what it cost, and what it should have cost."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.market import Panel
    from midas_engine.settings import CostSettings

BPS = 1e4
MOST_BPS = 1000.0
"""A tenth of the price: a slippage beyond it is a price in another unit, or of another contract."""
_TIMES = "ISO 8601, or since 1970"
_LATEST = 1e20  # nanoseconds of the year 5138
_SPAN_BARS = 48
MOST_OF_A_BAR = 10.0
"""A fill of so many times the largest bar is in another unit: contracts, or money; another venue's may be larger."""
MOST_NOTIONAL = 1e10
_LEAST_BARS = 8
_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "trade_id", "fill_id", "tradeId"),
    "at": ("at", "time", "timestamp", "datetime", "date"),
    "symbol": ("symbol", "pair", "market", "instrument"),
    "side": ("side", "direction"),
    "price": ("price", "fill_price", "avg_price", "average"),
    "quantity": ("quantity", "qty", "amount", "size", "filled"),
    "feature": ("feature", "strategy", "signal", "tag"),
    "slippage_bps": ("slippage_bps", "realized_bps", "realised_bps"),
    "expected_bps": ("expected_bps", "expected_slippage_bps"),
}
_BESIDE = frozenset(
    {"fee", "fees", "fee_currency", "cost", "order", "order_id", "client_order_id", "venue", "exchange"}
)
_BESIDE |= {"liquidity", "maker", "taker", "takerOrMaker", "type", "info", "notional"}
_SIDES = {"buy": 1.0, "long": 1.0, "b": 1.0, "sell": -1.0, "short": -1.0, "s": -1.0}


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill.

    Attributes:
        id: Its own, or made from its content: one that comes twice is one.
        sign: 1 bought, -1 sold.
        feature: Whose it is; empty: of the book as a whole.
        slippage_bps: As the sender measured it; NaN: measured here.
    """

    id: str
    at: datetime
    symbol: str
    sign: float
    price: float
    quantity: float
    feature: str = ""
    slippage_bps: float = math.nan
    expected_bps: float = math.nan


def read_fill(record: Mapping[str, Any], now: datetime) -> tuple[Fill, list[str]]:
    """A fill, and the keys of its record that mean nothing here.

    Raises:
        DataError: Something that it needs is missing, or cannot be right; says what.
    """
    if not isinstance(record, dict):
        raise DataError(f"a fill is a record of names and values, not {type(record).__name__}")
    found: dict[str, Any] = {}
    known = set(_BESIDE)
    for name, spellings in _NAMES.items():
        known.update(spellings)
        values = [record[s] for s in spellings if record.get(s) not in (None, "")]
        if values:
            found[name] = values[0]
    strange = [str(key)[:40] for key in record if key not in known]
    missing = [name for name in ("at", "symbol", "side", "price", "quantity") if name not in found]
    if missing:
        beside = f" (keys that mean nothing here: {', '.join(strange[:5])})" if strange else ""
        raise DataError(f"a fill without {', '.join(missing)}{beside}", hint=f"known: {', '.join(sorted(known))}")
    side = str(found["side"]).lower()
    if side not in _SIDES:
        raise DataError(f"side {side[:20]!r} is neither buy nor sell")
    at = _instant(found["at"], now)
    price, quantity = (_positive(found[name], name) for name in ("price", "quantity"))
    slippage, expected = (_bps(found.get(name), name) for name in ("slippage_bps", "expected_bps"))
    if not sys.float_info.min < price * quantity < sys.float_info.max:
        raise DataError(f"{price:g} times {quantity:g} is no value of a fill")
    text = json.dumps([str(v) for v in found.values()])
    own = str(found.get("id", "")) or hashlib.sha256(text.encode()).hexdigest()[:24]
    feature = found.get("feature", "")
    if not isinstance(feature, str):
        raise DataError(f"feature {str(feature)[:30]!r} is no name", hint="a fill is of one feature, or of none")
    symbol = str(found["symbol"]).replace("/", "").partition(":")[0].upper()
    return Fill(own[:100], at, symbol, _SIDES[side], price, quantity, feature, slippage, expected), strange


def names_columns(cells: Sequence[str]) -> bool:
    """Whether a line of a table is its head: one of its cells is the name of something that a fill has."""
    return any(cell.strip() in spellings for cell in cells for spellings in _NAMES.values())


def _positive(value: Any, name: str) -> float:
    try:
        number = abs(float(value)) if name == "quantity" else float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{name} {str(value)[:30]!r} is no number") from None
    if isinstance(value, bool) or not math.isfinite(number) or number <= 0:
        raise DataError(f"{name} {str(value)[:30]!r} cannot be right")
    return number


def _bps(value: Any, name: str) -> float:
    if value is None:
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{name} {str(value)[:30]!r} is no number") from None
    if abs(number) > MOST_BPS:
        raise DataError(f"{name} of {number:g} is more than {MOST_BPS:g} bps", hint="give basis points, 1 % is 100")
    return number


def _instant(value: Any, now: datetime) -> datetime:
    """A time; numbers are seconds, milli-, micro- or nanoseconds since 1970, whichever is a time to trade at."""
    text, wrong = str(value).strip()[:60], DataError(f"time {str(value)[:40]!r} cannot be read", hint=_TIMES)
    try:
        number = float(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
            found = found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            raise wrong from None
    else:
        if not abs(number) < _LATEST:  # infinity would be divided for ever
            raise wrong
        while number > 1e11:
            number /= 1e3
        found = datetime.fromtimestamp(max(number, 0.0), UTC)
    if not datetime(2009, 1, 3, tzinfo=UTC) <= found <= now + timedelta(minutes=5):
        raise DataError(f"time {text[:40]!r} cannot be right: {found:%Y-%m-%d %H:%M}", hint="UTC, and not ahead of now")
    return found


def cost_of(fill: Fill, panel: Panel, costs: CostSettings) -> tuple[float, float]:
    """Realised and expected slippage in bps.

    Realised is against the close of the last bar that had closed: what the signal saw. Expected is half the spread (the
    column `spread_bps` where the data has one, else the setting) plus the impact of the size by the square-root law,
    volatility of a bar times the root of the share of a bar's volume (Toth et al. 2011, with a constant of 1); where
    the volume is unknown, the setting's slippage stands for the impact.

    Raises:
        DataError: The symbol is not on the market, no bar had closed, or the price cannot be in its unit.
    """
    if fill.symbol not in panel.symbols:
        raise DataError(f"{fill.symbol} is not on the market that is watched")
    column = panel.symbols.index(fill.symbol)
    stamp = np.datetime64(fill.at.replace(tzinfo=None), "ns")
    row = int(np.searchsorted(panel.closes, stamp, side="right")) - 1
    close = panel.values("close")[:, column]
    if row < 0 or not close[row] > 0:
        raise DataError(f"no bar of {fill.symbol} had closed at {fill.at:%Y-%m-%d %H:%M}")
    realised = fill.sign * (fill.price / float(close[row]) - 1.0) * BPS
    if math.isfinite(fill.slippage_bps):
        realised = fill.slippage_bps
    elif abs(realised) > MOST_BPS:
        raise DataError(
            f"{fill.price:g} for {fill.symbol} is {realised:+.0f} bps from the last close of {close[row]:g}",
            hint="another unit, another contract, or another time",
        )
    _check_size(fill, panel, row, column)
    return realised, fill.expected_bps if math.isfinite(fill.expected_bps) else _expected(
        fill, panel, row, column, costs
    )


def _check_size(fill: Fill, panel: Panel, row: int, column: int) -> None:
    """Refuse a quantity in another unit: weighted by its value it would be all that is seen of a bar's fills."""
    hint = "give the quantity in units of the coin"
    value = fill.price * fill.quantity
    if value > MOST_NOTIONAL:
        raise DataError(f"{fill.quantity:g} of {fill.symbol} are worth {value:.3g}: no fill is that large", hint=hint)
    if "volume" not in panel.columns:
        return
    volume = panel.values("volume")[max(0, row - _SPAN_BARS + 1) : row + 1, column]
    most = float(np.nanmax(volume)) if np.isfinite(volume).any() else 0.0
    if most > 0 and fill.quantity > MOST_OF_A_BAR * most:
        times = fill.quantity / most
        raise DataError(
            f"{fill.quantity:g} of {fill.symbol} are {times:.3g} times the largest of the last {volume.size} bars",
            hint=hint,
        )


def _expected(fill: Fill, panel: Panel, row: int, column: int, costs: CostSettings) -> float:
    half = costs.half_spread_bps
    if "spread_bps" in panel.columns:
        spread = float(panel.values("spread_bps")[row, column])
        half = spread / 2.0 if math.isfinite(spread) else half
    first = max(0, row - _SPAN_BARS + 1)
    close = panel.values("close")[first : row + 1, column]
    volume = panel.values("volume")[first : row + 1, column] if "volume" in panel.columns else np.array([])
    moves = np.diff(np.log(close[close > 0]))
    traded = float(np.nanmedian(volume)) if np.isfinite(volume).any() else math.nan
    if moves.size < _LEAST_BARS or not traded > 0:
        return half + costs.slippage_bps
    return half + float(np.std(moves)) * BPS * math.sqrt(min(fill.quantity / traded, 1.0))
