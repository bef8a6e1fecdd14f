"""Features that are clean, also those that careless checks refuse: warm-ups, expanding windows, ragged lists."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal

from helpers_leaks import engine, filled, like, long, makes_compute, makes_data, per_column, r

H = pd.Timedelta(hours=1)


LAGS = {
    "past return": lambda m: m.close / m.close.shift(1) - 1,
    "day return": lambda m: r(m, 24),
    "diff": lambda m: m.close.diff(4),
    "reversal": lambda m: -r(m, 4),
    "np.roll backwards, first row blank": lambda m: like(
        m.close, np.vstack([np.full((1, m.close.shape[1]), np.nan), m.close.to_numpy()[:-1]])
    ),
    "reindex one hour back": lambda m: like(m.close, m.close.reindex(m.index - H).to_numpy()),
    "shift(freq)": lambda m: m.close.shift(freq="1h").reindex(m.index),
    "np.diff with prepend": lambda m: like(m.close, np.diff(m.close.to_numpy(), axis=0, prepend=np.nan)),
    "range of the bar": lambda m: (m.high - m.low) / m.close,
    "place in the bar": lambda m: (m.close - m.low) / (m.high - m.low),
    "transposed": lambda m: m.close.T.shift(1, axis=1).T,
    "array held outside": lambda m: like(m.close, np.vstack([np.full((3, m.array.shape[1]), np.nan), m.array[:-3]])),
    "volume change": lambda m: np.log(m.volume / m.volume.shift(24)),
    "constant": lambda m: m.close * 0 + 1,
    "raw funding": lambda m: m.funding_rate,
    "past target": lambda m: m.fwd.shift(1),
    "past day target": lambda m: m.fwd24.shift(24),
    "mean of past targets": lambda m: m.fwd.shift(1).rolling(48, min_periods=24).mean(),
}

WINDOWS = {
    "mean": lambda m: m.close.rolling(24).mean() / m.close - 1,
    "mean with few bars": lambda m: m.close.rolling(168, min_periods=1).mean() / m.close,
    "std": lambda m: r(m).rolling(48, min_periods=12).std(),
    "z-score": lambda m: (m.close - m.close.rolling(72).mean()) / m.close.rolling(72).std(),
    "median": lambda m: m.volume / m.volume.rolling(24, min_periods=12).median(),
    "rolling rank": lambda m: m.volume.rolling(24).rank(pct=True),
    "rolling quantile": lambda m: m.volume / m.volume.rolling(48, min_periods=24).quantile(0.9),
    "skewness": lambda m: r(m).rolling(72, min_periods=36).skew(),
    "correlation": lambda m: m.close.rolling(48).corr(m.volume),
    "weighted": lambda m: per_column(
        filled(m.close), lambda x: np.convolve(x, np.arange(1, 13)[::-1] / 78.0)[: len(x)]
    ),
    "ewm": lambda m: m.close.ewm(span=12).mean() / m.close.ewm(span=26).mean() - 1,
    "ewm not adjusted": lambda m: m.close.ewm(span=168, adjust=False).mean() / m.close - 1,
    "ewm volatility": lambda m: r(m).ewm(halflife=24).std(),
    "ewm ignoring holes": lambda m: m.close.ewm(alpha=0.1, ignore_na=True).mean(),
    "time window": lambda m: m.volume.rolling("24h").mean(),
    "closed left": lambda m: m.close.rolling(12, closed="left").mean() / m.close,
    "lfilter": lambda m: like(m.close, signal.lfilter([0.1], [1, -0.9], filled(r(m)).to_numpy(), axis=0)),
    "sosfilt": lambda m: like(
        m.close, signal.sosfilt(signal.butter(2, 0.1, output="sos"), filled(r(m)).to_numpy(), axis=0)
    ),
    "sliding window view": lambda m: like(
        m.close,
        np.vstack(
            [
                np.full((4, m.close.shape[1]), np.nan),
                np.lib.stride_tricks.sliding_window_view(m.close.to_numpy(), 5, axis=0).mean(axis=2),
            ]
        ),
    ),
    "month window": lambda m: r(m).rolling(720, min_periods=360).std(),
    "high of the last day": lambda m: m.close / m.high.rolling(24).max() - 1,
    "low of the last week": lambda m: m.close / m.low.rolling(168, min_periods=24).min() - 1,
    "rsi": lambda m: r(m).clip(lower=0).ewm(alpha=1 / 14).mean() / r(m).abs().ewm(alpha=1 / 14).mean(),
    "two means": lambda m: np.sign(m.close.rolling(12).mean() - m.close.rolling(48).mean()),
    "kurtosis": lambda m: r(m).rolling(96, min_periods=48).kurt(),
}

EXPANDING = {
    "expanding mean": lambda m: m.close / m.close.expanding().mean() - 1,
    "expanding z-score": lambda m: (m.volume - m.volume.expanding(24).mean()) / m.volume.expanding(24).std(),
    "expanding rank": lambda m: m.volume.expanding().rank(pct=True),
    "expanding max": lambda m: m.close / m.close.cummax() - 1,
    "expanding quantile": lambda m: m.volume.expanding(48).quantile(0.9),
    "cumulative sum": lambda m: r(m).cumsum(),
    "cumulative product": lambda m: (1 + r(m).fillna(0)).cumprod(),
    "bars since the listing": lambda m: m.close.notna().cumsum().astype(float),
    "age of the maximum": lambda m: (
        m.close.expanding().apply(lambda x: len(x) - 1 - np.nanargmax(x) if np.isfinite(x).any() else np.nan, raw=True)
        if m.bars <= 400
        else m.close.cummin()
    ),
    "hour effect so far": lambda m: (
        m.volume / m.volume.groupby(m.index.hour).transform(lambda g: g.expanding(5).mean().shift(1))
    ),
    "weekday effect so far": lambda m: (
        m.volume - m.volume.groupby(m.index.dayofweek).transform(lambda g: g.expanding(5).mean().shift(1))
    ),
    "day's mean so far": lambda m: (
        m.close / m.close.groupby(m.index.floor("D")).transform(lambda g: g.expanding().mean())
    ),
    "day's high so far": lambda m: m.close / m.high.groupby(m.index.floor("D")).cummax(),
    "day's volume so far": lambda m: m.volume.groupby(m.index.floor("D")).cumsum(),
    "month's return so far": lambda m: m.close / m.open.groupby([m.index.year, m.index.month]).transform("first"),
    "over the first price": lambda m: (
        m.close / m.close.apply(lambda c: c.ffill().where(c.notna().cumsum() <= 1).ffill())
    ),
}

CROSS = {
    "rank across": lambda m: r(m, 24).rank(axis=1, pct=True),
    "demeaned": lambda m: r(m).sub(r(m).mean(axis=1), axis=0),
    "z-score across": lambda m: m.funding_rate.sub(m.funding_rate.mean(axis=1), axis=0).div(
        m.funding_rate.std(axis=1), axis=0
    ),
    "over the median coin": lambda m: m.volume.div(m.volume.median(axis=1), axis=0),
    "residual of the market": lambda m: r(m).sub(r(m).mean(axis=1), axis=0).rolling(24, min_periods=12).sum(),
    "rolling beta": lambda m: (
        r(m)
        .rolling(72, min_periods=36)
        .cov(r(m).mean(axis=1))
        .div(r(m).mean(axis=1).rolling(72, min_periods=36).var(), axis=0)
    ),
    "leader's lag": lambda m: m.close.mul(0).add(r(m).iloc[:, 0].shift(1), axis=0),
    "share of the volume": lambda m: m.volume.div(m.volume.sum(axis=1), axis=0),
    "deciles across": lambda m: np.ceil(m.volume.rank(axis=1, pct=True) * 10),
    "long groupby rank": lambda m: m.long.groupby(level="timestamp")["volume"].rank(pct=True),
    "long groupby demean": lambda m: m.long["close"] - m.long.groupby(level="timestamp")["close"].transform("mean"),
    "long groupby shift": lambda m: m.long.groupby(level="symbol")["close"].shift(1),
    "long groupby pct_change": lambda m: m.long.groupby(level="symbol")["close"].pct_change(fill_method=None),
    "long groupby rolling": lambda m: (
        m.long["volume"].groupby(level="symbol").rolling(12).mean().droplevel(0).reindex(m.long.index)
    ),
    "long cumulated": lambda m: m.long.groupby(level="symbol")["volume"].cumsum(),
    "symbol major": lambda m: m.long.swaplevel().sort_index().groupby(level=0)["close"].diff().swaplevel().sort_index(),
    "dispersion": lambda m: m.close.mul(0).add(r(m).std(axis=1).rolling(24).mean(), axis=0),
}

HOLES = {
    "ffill": lambda m: m.close.ffill().pct_change(fill_method=None),
    "ffill(limit=3)": lambda m: m.close.ffill(limit=3),
    "filled with zero": lambda m: r(m).fillna(0.0),
    "filled with the past mean": lambda m: m.volume.fillna(m.volume.expanding().mean().shift(1)),
    "dropped holes": lambda m: long(r(m)).dropna(),
    "listed symbols only": lambda m: m.close.where(m.close.notna().rolling(48).sum() >= 40).pct_change(
        fill_method=None
    ),
    "holes counted": lambda m: m.close.isna().rolling(24).sum(),
    "interpolated from the past": lambda m: m.close.ffill().rolling(3).mean(),
    "clipped by fixed bounds": lambda m: r(m).clip(-0.05, 0.05),
    "winsorised so far": lambda m: m.volume.clip(upper=m.volume.expanding(48).quantile(0.95)),
    "infinite to missing": lambda m: (1 / (m.funding_rate.round(5))).replace([np.inf, -np.inf], np.nan),
    "young listings hidden": lambda m: m.volume.where(m.volume.notna().cumsum() > 100),
}


def _asof_close(m: Any) -> Any:
    bars = pd.DataFrame({"time": m.index + H})
    events = m.settled.iloc[:, [0]].reset_index().set_axis(["time", "rate"], axis=1)
    joined = pd.merge_asof(bars, events, on="time", direction="backward")
    return m.close.mul(0).add(joined["rate"].to_numpy(), axis=0)


def _last_event(m: Any) -> Any:
    at = np.searchsorted(m.settled.index.to_numpy(), m.index.to_numpy(), side="right") - 1
    return like(m.close, np.where(at[:, None] >= 0, m.settled.to_numpy()[np.maximum(at, 0)], np.nan))


def _pivoted(m: Any) -> Any:
    wide = m.settlements.pivot(index="time", columns="symbol", values="rate").reindex(columns=m.close.columns)
    return wide.rolling(3, min_periods=1).mean().reindex(m.index, method="ffill")


JOINS = {
    "as-of backward": _asof_close,
    "right side of searchsorted": _last_event,
    "settlements carried on": lambda m: m.settled.reindex(m.index, method="ffill"),
    "settlement at the close of its bar": lambda m: m.settled.set_axis(m.settled.index - H).reindex(
        m.index, method="ffill"
    ),
    "mean of three settlements": _pivoted,
    "snapshots carried on": lambda m: m.snapshots.reindex(m.index, method="ffill"),
    "snapshot change": lambda m: m.snapshots.pct_change().reindex(m.index).ffill(limit=4),
    "yesterday's close": lambda m: m.close / m.daily_close.shift(1).reindex(m.index, method="ffill"),
    "yesterday's range": lambda m: m.close.mul(
        (m.daily["high"] / m.daily["low"]).shift(1).reindex(m.index, method="ffill"), axis=0
    ),
    "last whole 4 h bar": lambda m: m.close.resample("4h").last().shift(1).reindex(m.index, method="ffill"),
    "4 h bars at their end": lambda m: (
        m.close.resample("4h", label="right", closed="left")
        .last()
        .shift(freq="-1h")
        .reindex(m.index)
        .where(m.index.to_series().dt.hour.mod(4).eq(3), axis=0)
        .ffill(limit=3)
    ),
    "yesterday's mean": lambda m: m.volume / m.volume.resample("1D").mean().shift(1).reindex(m.index, method="ffill"),
    "last week's volume": lambda m: m.volume.resample("7D").sum().shift(1).reindex(m.index, method="ffill"),
    "hour of the day": lambda m: m.close.mul(0).add(np.sin(2 * np.pi * m.index.hour / 24), axis=0),
    "hours since the settlement": lambda m: m.close.mul(0).add(m.index.hour % 8, axis=0),
}


def _walk_forward(m: Any) -> Any:
    x = filled(r(m, 4)).to_numpy()
    y = np.nan_to_num(m.fwd.shift(1).to_numpy())
    past = np.vstack([np.zeros((1, x.shape[1])), x[:-1]])
    # Sums of everything known so far: each bar predicts with weights from before it.
    weights = np.cumsum(past * y, axis=0) / (np.cumsum(past * past, axis=0) + 1e-9)
    return like(m.close, weights * x)


def _blocks_trained_before(m: Any) -> Any:
    x = filled(r(m, 4)).to_numpy()
    y = np.nan_to_num(m.fwd.shift(1).to_numpy())
    past = np.vstack([np.zeros((1, x.shape[1])), x[:-1]])
    out = np.full(x.shape, np.nan)
    for start in range(200, len(x), 200):
        seen = slice(0, start)
        weight = (past[seen] * y[seen]).sum() / ((past[seen] ** 2).sum() + 1e-9)
        out[start : start + 200] = weight * x[start : start + 200]
    return like(m.close, out)


def _kalman(m: Any) -> Any:
    x = filled(m.close).to_numpy()
    level, out = x[0].copy(), np.empty_like(x)
    for t in range(len(x)):
        level = level + 0.1 * (x[t] - level)
        out[t] = level
    return like(m.close, x / out - 1)


MODELS = {
    "walk-forward weights": _walk_forward,
    "retrained every 200 bars": _blocks_trained_before,
    "Kalman level": _kalman,
    "seeded noise": lambda m: like(m.close, np.random.default_rng(0).normal(size=m.close.shape)),
    "past peaks confirmed later": lambda m: (
        (m.close.shift(1) > m.close.shift(2)) & (m.close.shift(1) > m.close)
    ).astype(float),
    "barrier hit in the past": lambda m: ((m.high.rolling(12).max() / m.close.shift(12) - 1) > 0.01).astype(float),
}


class _Model:
    def __init__(self, market: Any) -> None:
        self.close, self.index = market.close, market.close.index
        self.seen: dict[str, Any] = {}

    def compute(self, expression: str) -> Any:
        if expression not in self.seen:
            self.seen[expression] = long((self.close / self.close.rolling(24).mean() - 1).reindex(self.index))
        return self.seen[expression]

    __call__ = compute


@makes_compute
def bound_method(m: Any) -> Any:
    return _Model(m).compute


@makes_compute
def callable_object(m: Any) -> Any:
    model = _Model(m)
    model("rank(close)")
    return model


@makes_compute
def cached_function(m: Any) -> Any:
    @functools.lru_cache(maxsize=8)
    def compute(expression: str) -> Any:
        return long(r(m))

    return compute


@makes_compute
def partial_function(m: Any) -> Any:
    def compute(frame: Any, expression: str) -> Any:
        return long(frame.rolling(9).mean())

    return functools.partial(compute, m.close)


@makes_compute
def arrays_and_an_index(m: Any) -> Any:
    close, index = m.array, m.long.index

    def compute(expression: str) -> Any:
        out = np.full(close.shape, np.nan)
        out[1:] = close[1:] - close[:-1]
        return pd.Series(out.reshape(-1), index=index)

    return compute


@makes_compute
def one_market(m: Any) -> Any:
    close = m.close.iloc[:, 0]

    def compute(expression: str) -> Any:
        return long((close.rolling(24, min_periods=2).mean() / close).to_frame(m.symbols[0]))

    return compute


@makes_data
def prepared_beforehand(m: Any) -> Any:
    def data_fn() -> Any:
        daily = m.close.resample("1D").last().shift(1)
        scaled = m.close / daily.reindex(m.index, method="ffill")
        returns = pd.DataFrame({"ret_1h": long(m.close.shift(-1) / m.close - 1)})
        return lambda expression: long(scaled.rolling(12).mean()), returns, None

    return data_fn


def _on_engine(text: str) -> Any:
    @makes_compute
    def case(m: Any) -> Any:
        features = engine(m)
        return lambda expression: features.compute(text)

    return case


EXPRESSIONS = (
    "ema(close, 12) / ema(close, 26) - 1", "ts_zscore(close, 24)", "cs_rank(returns(close, 24))", "rsi(close, 14)",
    "atr(high, low, close, 14) / close", "ts_corr(close, volume, 48)", "ts_rank(volume, 48)",
    "ts_decay_linear(returns(close, 1), 12)", "if_else(returns(close, 1) > 0, volume, -volume) / ts_mean(volume, 24)",
    "cs_neutralize(returns(close, 24), ts_std(returns(close, 1), 168))", "ts_quantile(volume, 48, 0.9)",
    "ts_argmax(high, 24)", "ts_skew(returns(close, 1), 48)", "bbands_pct(close, 20, 2)", "cs_zscore(funding_rate)",
)  # fmt: skip

PLUMBING = {
    f.__name__.replace("_", " "): f
    for f in (
        bound_method,
        callable_object,
        cached_function,
        partial_function,
        arrays_and_an_index,
        one_market,
        prepared_beforehand,
    )
}

CLEAN: dict[str, Any] = {
    **LAGS,
    **{f"window: {k}": v for k, v in WINDOWS.items()},
    **EXPANDING,
    **CROSS,
    **HOLES,
    **JOINS,
    **MODELS,
    **PLUMBING,
    **{f"engine: {text}": _on_engine(text) for text in EXPRESSIONS},
}
