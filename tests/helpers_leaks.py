"""The market that the leak corpus reads, and how a case of the corpus becomes a compute function."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.leaks import ComputeAuditor
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

    Case = Callable[[Any], Any]

FIELDS = ("open", "high", "low", "close", "volume", "funding_rate", "open_interest")


def build_market(bars: int = 8760, symbols: int = 20, seed: int = 5) -> SimpleNamespace:
    """Hourly frames with 0.2 % holes and late listings; 8-hour settlements, 4-hour snapshots, daily bars."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    times = pd.date_range("2025-01-01", periods=bars, freq="h", tz="UTC", name="timestamp")
    names = [f"S{i:02d}USDT" for i in range(symbols)]
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, shape), axis=0))
    values = {
        "open": close * (1 + rng.normal(0, 0.001, shape)),
        "high": close * (1 + np.abs(rng.normal(0, 0.003, shape))),
        "low": close * (1 - np.abs(rng.normal(0, 0.003, shape))),
        "close": close,
        "volume": rng.lognormal(3, 1, shape),
        "funding_rate": rng.normal(0, 1e-4, shape),
        "open_interest": np.abs(rng.normal(1e4, 1e3, shape)),
    }
    gone = rng.random(shape) < 0.002
    for s in range(0, symbols, 3):
        gone[: int(rng.integers(bars // 50, bars // 3)), s] = True
    for array in values.values():
        array[gone] = np.nan
    wide = {name: pd.DataFrame(array, index=times, columns=names) for name, array in values.items()}
    market = SimpleNamespace(**wide, index=times, symbols=names, bars=bars)
    market.fwd = wide["close"].shift(-1) / wide["close"] - 1
    market.fwd24 = wide["close"].shift(-24) / wide["close"] - 1
    settled = times[(times.hour % 8 == 0)]
    rates = rng.normal(0, 1e-4, (len(settled), symbols))
    market.settled = pd.DataFrame(rates, index=settled, columns=names)
    market.settlements = pd.DataFrame(
        {"time": np.repeat(settled, symbols), "symbol": np.tile(names, len(settled)), "rate": rates.reshape(-1)}
    )
    snaps = times[(times.hour % 4 == 0)]
    market.snapshots = pd.DataFrame(rng.lognormal(5, 0.1, (len(snaps), symbols)), index=snaps, columns=names)
    market.daily_close = wide["close"].resample("1D").last()
    market.daily = pd.DataFrame(
        {
            "high": wide["high"].iloc[:, 0].resample("1D").max(),
            "low": wide["low"].iloc[:, 0].resample("1D").min(),
            "close": wide["close"].iloc[:, 0].resample("1D").last(),
        }
    )
    index = pd.MultiIndex.from_product([times, names], names=["timestamp", "symbol"])
    market.long = pd.DataFrame({name: frame.to_numpy().reshape(-1) for name, frame in wide.items()}, index=index)
    market.array = np.ascontiguousarray(wide["close"].to_numpy())
    fields = {name: np.array(frame.to_numpy()) for name, frame in wide.items()}
    market.panel = Panel(times.tz_localize(None).to_numpy().astype("datetime64[ns]"), names, fields, 3600)
    market.returns = pd.DataFrame({"ret_1h": long(market.fwd), "ret_24h": long(market.fwd24)})
    market.horizons = {"ret_1h": 1, "ret_24h": 24}
    return market


def long(frame: Any) -> Any:
    """A wide frame as a series by (timestamp, symbol), holes kept."""
    index = pd.MultiIndex.from_product([frame.index, frame.columns], names=["timestamp", "symbol"])
    return pd.Series(frame.to_numpy(dtype=float).reshape(-1), index=index)


def r(m: Any, n: int = 1) -> Any:
    """Returns over the last n bars."""
    return m.close.pct_change(n, fill_method=None)


def like(frame: Any, values: Any) -> Any:
    """Values in the shape of a frame."""
    return pd.DataFrame(np.asarray(values, dtype=float), index=frame.index, columns=frame.columns)


def per_column(frame: Any, function: Any) -> Any:
    """A function of one column's array, column by column."""
    return like(frame, np.column_stack([function(column) for column in frame.to_numpy().T]))


def filled(frame: Any) -> Any:
    """Without holes, from the past only."""
    return frame.ffill().fillna(1.0)


def as_compute(case: Case, market: Any) -> Any:
    """The compute function of a case: a closure over the market, as users write them."""
    made = getattr(case, "makes_compute", None)
    if made is not None:
        return case(market)

    def compute(expression: str) -> Any:
        result = case(market)
        return long(result) if isinstance(result, pd.DataFrame) else result

    return compute


def makes_data(case: Case) -> Case:
    """Marks a case that builds `data_fn` from the market: work is done before compute is called."""
    case.makes_data = True  # type: ignore[attr-defined]
    return case


def auditor(case: Case, market: Any) -> ComputeAuditor:
    """The auditor of a case, as the border to a user's engine builds it."""
    if getattr(case, "makes_data", None) is None:
        return ComputeAuditor(as_compute(case, market), market.returns, horizons=market.horizons)
    data_fn = case(market)
    compute, returns = data_fn()[:2]
    return ComputeAuditor(compute, returns, data_fn=data_fn, horizons=market.horizons)


def makes_compute(case: Case) -> Case:
    """Marks a case that builds its own compute function from the market."""
    case.makes_compute = True  # type: ignore[attr-defined]
    return case


def engine(market: Any) -> FeatureEngine:
    return FeatureEngine(market.panel, cache_bytes=0)
