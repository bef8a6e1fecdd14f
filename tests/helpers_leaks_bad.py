"""Features that see the future, in the spellings people really write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage, signal

from helpers_leaks import filled, like, long, per_column, r

H = pd.Timedelta(hours=1)

SHIFTS = {
    "next return": lambda m: m.close.shift(-1) / m.close - 1,
    "shifted pct_change": lambda m: r(m).shift(-1),
    "diff(-1)": lambda m: m.close.diff(-1),
    "pct_change(-1)": lambda m: m.close.pct_change(periods=-1, fill_method=None),
    "np.roll": lambda m: like(m.close, np.roll(m.close.to_numpy(), -1, axis=0)),
    "slice one ahead": lambda m: like(
        m.close, np.vstack([m.close.to_numpy()[1:], np.full((1, m.close.shape[1]), np.nan)])
    ),
    "reindex one hour ahead": lambda m: like(m.close, m.close.reindex(m.index + H).to_numpy()),
    "shift(freq)": lambda m: m.close.shift(freq="-1h").reindex(m.index),
    "shift of the reversed": lambda m: m.close[::-1].shift(1)[::-1],
    "shift of the transposed": lambda m: m.close.T.shift(-1, axis=1).T,
    "next day": lambda m: m.close.shift(-24) / m.close - 1,
    "next open": lambda m: m.open.shift(-1) / m.close - 1,
    "next high": lambda m: m.high.shift(-1) / m.close,
    "volume two ahead": lambda m: m.volume.shift(-2),
    "np.gradient": lambda m: like(m.close, np.gradient(m.close.to_numpy(), axis=0)),
    "np.diff with append": lambda m: like(m.close, np.diff(m.close.to_numpy(), axis=0, append=np.nan)),
    "take with clipped index": lambda m: like(
        m.close, m.close.to_numpy()[np.minimum(np.arange(len(m.close)) + 1, len(m.close) - 1)]
    ),
    "array held outside": lambda m: like(m.close, np.vstack([m.array[3:], np.full((3, m.array.shape[1]), np.nan)])),
    "max of this and the next": lambda m: np.maximum(m.high, m.high.shift(-1)),
    "negative lag in a dict": lambda m: sum(m.close.pct_change(k, fill_method=None).shift(-k) for k in (1, 2)),
    "sliding window view ahead": lambda m: like(
        m.close,
        np.vstack(
            [
                np.lib.stride_tricks.sliding_window_view(m.close.to_numpy(), 5, axis=0).mean(axis=2),
                np.full((4, m.close.shape[1]), np.nan),
            ]
        ),
    ),
    "lagged the wrong way by merge": lambda m: like(m.close, m.close.set_axis(m.index - H).reindex(m.index).to_numpy()),
}

WINDOWS = {
    "centred mean": lambda m: m.close.rolling(25, center=True).mean(),
    "centred median": lambda m: m.volume.rolling(11, center=True).median(),
    "centred std": lambda m: r(m).rolling(24, center=True).std(),
    "centred by min_periods": lambda m: m.close / m.close.rolling(49, center=True, min_periods=1).mean(),
    "forward window": lambda m: m.close.rolling(pd.api.indexers.FixedForwardWindowIndexer(window_size=12)).mean(),
    "mean shifted back": lambda m: m.close.rolling(24).mean().shift(-12),
    "mean of the reversed": lambda m: m.close[::-1].rolling(24).mean()[::-1],
    "ewm of the reversed": lambda m: m.close[::-1].ewm(span=24).mean()[::-1],
    "ewm both ways": lambda m: (m.close.ewm(span=12).mean() + m.close[::-1].ewm(span=12).mean()[::-1]) / 2,
    "uniform filter": lambda m: like(m.close, ndimage.uniform_filter1d(filled(m.close).to_numpy(), 9, axis=0)),
    "gaussian filter": lambda m: like(m.close, ndimage.gaussian_filter1d(filled(m.close).to_numpy(), 3, axis=0)),
    "median filter": lambda m: like(m.close, ndimage.median_filter(filled(m.close).to_numpy(), size=(5, 1))),
    "Savitzky-Golay": lambda m: like(m.close, signal.savgol_filter(filled(m.close).to_numpy(), 21, 2, axis=0)),
    "filtfilt": lambda m: like(m.close, signal.filtfilt(*signal.butter(2, 0.1), filled(m.close).to_numpy(), axis=0)),
    "convolve same": lambda m: per_column(filled(m.close), lambda x: np.convolve(x, np.ones(9) / 9, "same")),
    "Hilbert phase": lambda m: like(m.close, np.abs(signal.hilbert(filled(m.close).to_numpy(), axis=0))),
    "FFT low-pass": lambda m: like(
        m.close, np.fft.irfft(np.fft.rfft(filled(m.close).to_numpy(), axis=0)[:40], n=len(m.close), axis=0)
    ),
    "detrended": lambda m: like(m.close, signal.detrend(filled(m.close).to_numpy(), axis=0)),
    "polynomial trend": lambda m: per_column(
        filled(m.close), lambda x: x - np.polyval(np.polyfit(np.arange(len(x)), x, 2), np.arange(len(x)))
    ),
    "future maximum": lambda m: m.high[::-1].cummax()[::-1] / m.close,
    "future drawdown": lambda m: m.low[::-1].rolling(48, min_periods=1).min()[::-1] / m.close - 1,
    "time to the end": lambda m: m.volume.mul(np.linspace(0, 1, len(m.volume)), axis=0),
    "share of the total": lambda m: m.volume.cumsum() / m.volume.sum(),
    "local peaks": lambda m: ((m.close > m.close.shift(1)) & (m.close > m.close.shift(-1))).astype(float),
    "peaks by scipy": lambda m: per_column(
        filled(m.close), lambda x: np.isin(np.arange(len(x)), signal.find_peaks(x)[0])
    ),
    "order 3 extrema": lambda m: per_column(
        filled(m.close), lambda x: np.isin(np.arange(len(x)), signal.argrelextrema(x, np.greater, order=3)[0])
    ),
}


def _train_on_all(m: Any) -> Any:
    x = np.stack([filled(r(m, 4)).to_numpy(), filled(m.volume).to_numpy()], axis=-1)
    flat = np.column_stack([x.reshape(-1, 2), np.ones(x.shape[0] * x.shape[1])])
    y = np.nan_to_num(m.fwd.to_numpy().reshape(-1))
    weights = np.linalg.lstsq(flat, y, rcond=None)[0]
    return like(m.close, (flat @ weights).reshape(m.close.shape))


def _first_component(m: Any) -> Any:
    returns = r(m).fillna(0.0).to_numpy()
    _, _, axes = np.linalg.svd(returns - returns.mean(axis=0), full_matrices=False)
    return like(m.close, np.outer(returns @ axes[0], np.abs(axes[0])))


def _target_encoding(m: Any) -> Any:
    bucket = np.floor(m.volume.rank(axis=1, pct=True) * 5).to_numpy().reshape(-1)
    means = pd.Series(m.fwd.to_numpy().reshape(-1)).groupby(bucket).mean()
    return like(m.volume, pd.Series(bucket).map(means).to_numpy().reshape(m.volume.shape))


SAMPLE = {
    "z-score over the sample": lambda m: (m.close - m.close.mean()) / m.close.std(),
    "over the maximum": lambda m: m.close / m.close.max(),
    "min-max": lambda m: (m.volume - m.volume.min()) / (m.volume.max() - m.volume.min()),
    "rank over time": lambda m: m.volume.rank(pct=True),
    "minus the median": lambda m: m.funding_rate - m.funding_rate.median(),
    "robust scale": lambda m: (m.volume - m.volume.median()) / (m.volume - m.volume.median()).abs().median(),
    "winsorised by sample quantiles": lambda m: m.volume.clip(m.volume.quantile(0.05), m.volume.quantile(0.95), axis=1),
    "sample deciles": lambda m: m.volume.apply(lambda c: pd.qcut(c, 10, labels=False)),
    "rank of everything": lambda m: long(m.volume).rank(pct=True),
    "one global z-score": lambda m: (m.close - np.nanmean(m.close)) / np.nanstd(m.close),
    "hour of day effect": lambda m: m.volume / m.volume.groupby(m.index.hour).transform("mean"),
    "weekday effect": lambda m: m.volume - m.volume.groupby(m.index.dayofweek).transform("median"),
    "beta over the sample": lambda m: r(m).mul(r(m).corrwith(r(m).mean(axis=1))),
    "first component of the sample": _first_component,
    "trained on all": _train_on_all,
    "target encoding": _target_encoding,
    "threshold by the mean": lambda m: (m.volume > m.volume.mean()).astype(float) * m.close,
    "scaled by sample volatility": lambda m: r(m, 24) / r(m).std(),
    "last expanding mean": lambda m: m.close / m.close.expanding().mean().iloc[-1],
    "over the last price": lambda m: m.close / m.close.ffill().iloc[-1],
    "universe by coverage": lambda m: m.close.loc[:, m.close.notna().mean() > 0.9],
    "universe by volume": lambda m: m.close.loc[:, m.volume.mean().rank() > m.volume.shape[1] / 2],
    "rank of symbols by final price": lambda m: m.volume.mul(m.close.ffill().iloc[-1].rank(), axis=1),
    "log scaled by sample range": lambda m: np.log(m.close) / (np.log(m.close).max() - np.log(m.close).min()),
    "histogram equalised": lambda m: per_column(filled(m.volume), lambda x: np.searchsorted(np.sort(x), x) / len(x)),
    "cosine to the sample mean": lambda m: m.close.sub(m.close.mean(axis=0), axis=1).mul(m.close.std(axis=0), axis=1),
    "quantile flag": lambda m: (m.funding_rate > m.funding_rate.quantile(0.9)).astype(float),
    "mean of all symbols and bars": lambda m: m.funding_rate / m.funding_rate.stack().abs().mean(),
}

FILLS = {
    "bfill": lambda m: m.close.bfill().pct_change(fill_method=None),
    "interpolate": lambda m: m.close.interpolate().pct_change(fill_method=None),
    "interpolate by time": lambda m: m.volume.interpolate(method="time"),
    "ffill then bfill": lambda m: m.close.ffill().bfill(),
    "filled with the mean": lambda m: m.volume.fillna(m.volume.mean()),
    "filled with the median": lambda m: m.funding_rate.fillna(m.funding_rate.median()),
    "bfill(limit=1)": lambda m: m.close.bfill(limit=1),
    "interpolated both ways": lambda m: m.close.interpolate(limit_direction="both"),
    "warm-up filled backwards": lambda m: m.close.rolling(24).mean().bfill(),
    "where missing the next": lambda m: m.close.where(m.close.notna(), m.close.shift(-1)),
    "np.interp": lambda m: per_column(
        m.close, lambda x: np.interp(np.arange(len(x)), np.flatnonzero(~np.isnan(x)), x[~np.isnan(x)])
    ),
    "hole filled by its neighbours": lambda m: m.close.fillna((m.close.shift(1) + m.close.shift(-1)) / 2),
    "first value carried back": lambda m: m.close.apply(
        lambda c: c.fillna(c.loc[c.first_valid_index()]) if c.first_valid_index() is not None else c
    ),
    "nearest value": lambda m: m.close.interpolate(method="nearest").ffill(),
}
