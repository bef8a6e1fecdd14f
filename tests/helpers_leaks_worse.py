"""More features that see the future: joins, targets, sorting, and the places where user code keeps its data."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from helpers_leaks import engine, filled, like, long, makes_compute, makes_data, per_column, r
from helpers_leaks_bad import FILLS, SAMPLE, SHIFTS, WINDOWS
from midas_engine.dsl import DSLValidator

H = pd.Timedelta(hours=1)


def _asof(m: Any, direction: str) -> Any:
    bars = pd.DataFrame({"time": m.index})
    events = m.settled.iloc[:, [0]].reset_index().set_axis(["time", "rate"], axis=1)
    joined = pd.merge_asof(bars, events, on="time", direction=direction)
    return m.close.mul(1.0).mul(joined["rate"].to_numpy(), axis=0)


def _next_event(m: Any) -> Any:
    at = np.searchsorted(m.settled.index.to_numpy(), m.index.to_numpy(), side="left")
    rates = np.vstack([m.settled.to_numpy(), np.full((1, m.settled.shape[1]), np.nan)])
    return like(m.close, rates[np.minimum(at, len(rates) - 1)])


def _next_settlement(m: Any) -> Any:
    rows = m.settlements.assign(rate=m.settlements.groupby("symbol")["rate"].shift(-1))
    wide = rows.pivot(index="time", columns="symbol", values="rate").reindex(columns=m.close.columns)
    return wide.reindex(m.index, method="ffill")


JOINS = {
    "4 h bars by their label": lambda m: m.close.resample("4h").last().reindex(m.index, method="ffill"),
    "daily mean by its label": lambda m: m.volume.resample("1D").mean().reindex(m.index, method="ffill"),
    "mean of the day": lambda m: m.close / m.close.groupby(m.index.floor("D")).transform("mean"),
    "range of the day": lambda m: m.close / m.high.groupby(m.index.floor("D")).transform("max"),
    "weekly sum": lambda m: (
        m.volume
        / m.volume.groupby(m.index.to_series().dt.tz_localize(None).dt.to_period("W").to_numpy()).transform("sum")
    ),
    "monthly mean": lambda m: m.close / m.close.groupby([m.index.year, m.index.month]).transform("mean"),
    "8 h sum by its label": lambda m: m.volume.resample("8h").sum().reindex(m.index, method="ffill"),
    "blocks of 24": lambda m: per_column(
        filled(m.close), lambda x: np.repeat([x[i : i + 24].mean() for i in range(0, len(x), 24)], 24)[: len(x)]
    ),
    "4 h high of the running bar": lambda m: m.close / m.high.groupby(m.index.floor("4h")).transform("max"),
    "as-of forward": lambda m: _asof(m, "forward"),
    "as-of nearest": lambda m: _asof(m, "nearest"),
    "settlement carried back": lambda m: m.settled.reindex(m.index, method="bfill"),
    "nearest settlement": lambda m: m.settled.reindex(m.index, method="nearest"),
    "funding before settlement": lambda m: m.settled.reindex(m.index).bfill(limit=7),
    "funding two hours early": lambda m: m.settled.set_axis(m.settled.index - 2 * H).reindex(m.index, method="ffill"),
    "funding a settlement early": _next_settlement,
    "funding eight hours early": lambda m: m.settled.set_axis(m.settled.index - 8 * H).reindex(m.index, method="ffill"),
    "wrong side of searchsorted": _next_event,
    "snapshot carried back": lambda m: m.snapshots.reindex(m.index, method="bfill"),
    "snapshot interpolated": lambda m: m.snapshots.reindex(m.index).interpolate(),
    "today's daily close": lambda m: m.close.mul(1 / m.daily["close"].reindex(m.index, method="ffill"), axis=0),
    "today's daily range": lambda m: m.close.mul(
        (m.daily["high"] / m.daily["low"]).reindex(m.index, method="ffill"), axis=0
    ),
    "tomorrow's daily close": lambda m: m.daily_close.shift(-1).reindex(m.index, method="ffill"),
    "settlements merged by hour ahead": lambda m: m.settled.shift(freq="-3h").reindex(m.index).ffill(limit=3),
}

TARGETS = {
    "the target itself": lambda m: m.fwd,
    "sign of the target": lambda m: np.sign(m.fwd) * m.volume,
    "target smoothed": lambda m: m.fwd.rolling(24).mean(),
    "target one bar late only": lambda m: m.fwd24.shift(23),
    "target with noise": lambda m: m.fwd + np.random.default_rng(0).normal(0, 0.01, m.fwd.shape),
    "column of the returns": lambda m: m.returns["ret_1h"] * 2,
    "barrier label": lambda m: ((m.high[::-1].rolling(12).max()[::-1].shift(-1) / m.close - 1) > 0.01).astype(float),
    "quantile of the target": lambda m: m.fwd.rank(axis=1, pct=True),
}


def _symbol_major(m: Any) -> Any:
    return m.long.swaplevel().sort_index()


def _back(series: Any) -> Any:
    return series.swaplevel().sort_index()


SORTING = {
    "shift over the symbols' border": lambda m: _back(_symbol_major(m)["close"].shift(1)),
    "rolling over the symbols' border": lambda m: _back(_symbol_major(m)["volume"].rolling(6, min_periods=1).mean()),
    "groupby shift(-1)": lambda m: m.long.groupby(level="symbol")["close"].shift(-1),
    "groupby mean": lambda m: m.long["close"] / m.long.groupby(level="symbol")["close"].transform("mean"),
    "groupby rank": lambda m: m.long.groupby(level="symbol")["volume"].rank(pct=True),
    "long shift by the symbols": lambda m: m.long["close"].shift(-m.long.index.levels[1].size),
    "newest first": lambda m: m.close.sort_index(ascending=False).rolling(12).mean().sort_index(),
    "newest first, then shift": lambda m: m.close.sort_index(ascending=False).shift(1).sort_index(),
    "cumulated in order of size": lambda m: m.volume.apply(lambda c: c.sort_values().cumsum().sort_index()),
    "expanding from the end": lambda m: m.volume.iloc[::-1].expanding().mean().iloc[::-1],
    "ffill of the newest first": lambda m: m.close.sort_index(ascending=False).ffill().sort_index(),
    "groupby bfill": lambda m: m.long.groupby(level="symbol")["close"].bfill(),
    "sorted by volume": lambda m: like(m.volume, np.sort(filled(m.volume).to_numpy(), axis=0)),
    "groupby last": lambda m: m.long["close"] / m.long.groupby(level="symbol")["close"].transform("last"),
}


class _Model:
    """A user's class: data in attributes, a method that computes."""

    def __init__(self, market: Any) -> None:
        self.close = market.close
        self.mean = None

    def compute(self, expression: str) -> Any:
        return long(self.close.shift(-1))

    def __call__(self, expression: str) -> Any:
        return long((self.close - self.close.mean()) / self.close.std())


@makes_compute
def bound_method(m: Any) -> Any:
    return _Model(m).compute


@makes_compute
def callable_object(m: Any) -> Any:
    return _Model(m)


@makes_compute
def cached_function(m: Any) -> Any:
    @functools.lru_cache(maxsize=8)
    def compute(expression: str) -> Any:
        return long(m.close.shift(-1))

    return compute


@makes_compute
def remembered(m: Any) -> Any:
    memo: dict[str, Any] = {}

    def compute(expression: str) -> Any:
        if expression not in memo:
            memo[expression] = long(m.close.shift(-1))
        return memo[expression]

    compute("rank(close)")
    return compute


@makes_compute
def partial_function(m: Any) -> Any:
    def compute(frame: Any, expression: str) -> Any:
        return long(frame.rolling(9, center=True).mean())

    return functools.partial(compute, m.close)


@makes_compute
def default_argument(m: Any) -> Any:
    def compute(expression: str, close: Any = m.close) -> Any:
        return long(close.diff(-2))

    return compute


@makes_compute
def helpers_inside(m: Any) -> Any:
    def lead(x: Any) -> Any:
        return x.shift(-1)

    table = {"close": m.close, "lead": lead}

    def compute(expression: str) -> Any:
        return long(table["lead"](table["close"]))

    return compute


@makes_compute
def on_the_engine(m: Any) -> Any:
    features = engine(m)

    def compute(expression: str) -> Any:
        return features.compute("returns(close, 4)").groupby(level=1).shift(-1)

    return compute


@makes_compute
def on_panel_arrays(m: Any) -> Any:
    panel = m.panel

    def compute(expression: str) -> Any:
        values = np.array(panel.values("volume"))
        values[:-1] = values[1:]
        return panel.to_series(values)

    return compute


@makes_compute
def arrays_and_an_index(m: Any) -> Any:
    close, index = m.array, m.long.index

    def compute(expression: str) -> Any:
        out = np.full(close.shape, np.nan)
        for t in range(len(close) - 1):
            out[t] = close[t + 1] - close[t]
        return pd.Series(out.reshape(-1), index=index)

    return compute


@makes_compute
def one_symbol_only(m: Any) -> Any:
    def compute(expression: str) -> Any:
        frame = r(m)
        frame.iloc[:, 1] = frame.iloc[:, 1].shift(-1)
        return long(frame)

    return compute


@makes_data
def scaled_beforehand(m: Any) -> Any:
    def data_fn() -> Any:
        scaled = (m.volume - m.volume.mean()) / m.volume.std()
        return lambda expression: long(scaled), m.returns, None

    return data_fn


@makes_data
def daily_table_made_beforehand(m: Any) -> Any:
    close = m.close

    def data_fn() -> Any:
        daily = close.resample("1D").last()
        returns = pd.DataFrame({"ret_1h": long(close.shift(-1) / close - 1)})

        def compute(expression: str) -> Any:
            return long(close / daily.reindex(close.index, method="ffill"))

        return compute, returns, None

    return data_fn


@makes_data
def cleaned_beforehand(m: Any) -> Any:
    def data_fn() -> Any:
        table = {name: getattr(m, name).interpolate().bfill() for name in ("close", "volume")}
        returns = pd.DataFrame({"ret_1h": long(m.close.shift(-1) / m.close - 1)})
        return lambda expression: long(table["close"].pct_change(fill_method=None)), returns, None

    return data_fn


@makes_data
def looked_up(m: Any) -> Any:
    def data_fn() -> Any:
        features = {"lead": m.close.shift(-1), "close": m.close}
        returns = pd.DataFrame({"ret_1h": long(m.close.shift(-1) / m.close - 1)})
        return lambda expression: long(features["lead"]), returns, None

    return data_fn


PLUMBING = {
    f.__name__.replace("_", " "): f
    for f in (
        bound_method,
        callable_object,
        cached_function,
        remembered,
        partial_function,
        default_argument,
        helpers_inside,
        on_the_engine,
        on_panel_arrays,
        arrays_and_an_index,
        one_symbol_only,
        scaled_beforehand,
        daily_table_made_beforehand,
        cleaned_beforehand,
        looked_up,
    )
}

LEAKS: dict[str, Any] = {
    **SHIFTS,
    **WINDOWS,
    **SAMPLE,
    **FILLS,
    **JOINS,
    **TARGETS,
    **SORTING,
    **PLUMBING,
}

# Refused before anything runs.
LEAKING_EXPRESSIONS = (
    "delay(close, -1)", "delay(close, - 1)", "delay(close, -(1))", "delta(close, -4)", "returns(close, -24)",
    "ts_mean(close, -24)", "delay(close, 0 - 1)", "delay(close, 1 - 2)", "delay(close, -1 * 3)", "delay(close, 4 - 8)",
    "delay(close, volume)", "ts_mean(close, close)", "delay(close, -0)", "delay(close, 1e0)", "delay(close, 0)",
    "ret_fwd_1h", "fwd_ret_24h", "future_close / close", "next_open / close - 1", "target", "label * 2", "lead_volume",
    "delay(delay(close, 2), -3)", "ts_zscore(delay(close, -1), 24)", "cs_rank(delta(close, -1))", "lead(close, 1)",
    "shift(close, -1)", "close[1]", "close.shift(-1)", "delay(close, n=-1)", "ts_std(close, -0x10)", "delay(close, ~0)",
)  # fmt: skip


def refused(text: str) -> bool:
    """Whether the language refuses a text."""
    columns = ("open", "high", "low", "close", "volume", "funding_rate", "open_interest")
    return not DSLValidator(columns).validate(text).ok
