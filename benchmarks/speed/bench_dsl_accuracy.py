"""Rolling moments against recomputation of every window: after a bad tick, and on a year of wandering minute prices.

Run: `python benchmarks/speed/bench_dsl_accuracy.py`.
Error relative to the largest value of the window's own recomputation.
"""

from __future__ import annotations

import bottleneck as bn
import numbagg
import numpy as np
import pandas as pd
from dsl_workload import Row

from midas_engine.dsl import FeatureEngine, warm_kernels
from midas_engine.market.panel import Panel

W = 48
OPERATORS = ("ts_mean", "ts_std", "ts_zscore", "ts_corr")
LIMIT = 1e-9
_CHUNK = 50_000


def recomputed(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The four operators of every window, computed from that window alone in extended precision."""
    out = {name: np.full(x.size, np.nan) for name in OPERATORS}
    for start in range(W - 1, x.size, _CHUNK):
        stop = min(start + _CHUNK, x.size)
        a, b = (
            np.lib.stride_tricks.sliding_window_view(v[start - W + 1 : stop], W).astype(np.longdouble) for v in (x, y)
        )
        da, db = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        std = np.sqrt((da * da).sum(axis=1) / (W - 1))
        rows = slice(start, stop)
        out["ts_mean"][rows], out["ts_std"][rows] = a.mean(axis=1), std
        out["ts_zscore"][rows] = da[:, -1] / std
        out["ts_corr"][rows] = (da * db).sum(axis=1) / np.sqrt((da * da).sum(axis=1) * (db * db).sum(axis=1))
    return out


def by_midas(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    times = np.datetime64("2025-01-01", "ns") + np.arange(x.size) * np.timedelta64(60, "s")
    engine = FeatureEngine(Panel(times, ["a"], {"close": x[:, None], "volume": y[:, None]}, 60), cache_bytes=0)
    return {n: engine.values(f"{n}(close, {'volume, ' if n == 'ts_corr' else ''}{W})")[:, 0] for n in OPERATORS}


def by_pandas(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    roll = pd.Series(x).rolling(W)
    mean, std = roll.mean(), roll.std()
    corr = roll.corr(pd.Series(y))
    return {k: np.asarray(v) for k, v in zip(OPERATORS, (mean, std, (x - mean) / std, corr), strict=True)}


def by_bottleneck(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    mean, std = bn.move_mean(x, W), bn.move_std(x, W, ddof=1)
    cov = bn.move_mean(x * y, W) - mean * bn.move_mean(y, W)
    corr = cov / np.sqrt(bn.move_var(x, W) * bn.move_var(y, W))
    return dict(zip(OPERATORS, (mean, std, (x - mean) / std, corr), strict=True))


def by_numbagg(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    mean, std = numbagg.move_mean(x, window=W), numbagg.move_std(x, window=W)
    corr = numbagg.move_corr(x, y, window=W)
    return dict(zip(OPERATORS, (mean, std, (x - mean) / std, corr), strict=True))


ENGINES = {"midas": by_midas, "pandas": by_pandas, "bottleneck": by_bottleneck, "numbagg": by_numbagg}


def worst(values: dict[str, np.ndarray], truth: dict[str, np.ndarray], first: int) -> float:
    """The largest error of the four from a bar on; a missing value counts as wrong altogether."""
    found = 0.0
    for name in OPERATORS:
        expected, given = truth[name][first:], values[name][first:]
        scale = np.abs(expected) if name in ("ts_mean", "ts_std") else np.maximum(np.abs(expected), 1e-2)
        error = np.abs(given - expected) / scale
        found = max(found, float(np.where(np.isfinite(error), error, 1.0).max()))
    return found


def rows() -> list[Row]:
    warm_kernels()
    rng = np.random.default_rng(0)
    clean, volume = rng.normal(100, 1, 20_000), rng.lognormal(3, 1, 20_000)
    tick = clean.copy()
    tick[5_000] = 1e10
    size = 525_600
    # Quiet days and wild ones: a window's spread is anywhere between a hundredth and ten times the usual.
    spread = np.repeat(0.0008 * rng.lognormal(-0.5, 1.2, size // 1440), 1440)
    wander = 100 * np.exp(np.cumsum(rng.normal(0, 1, size) * spread) + np.linspace(-3, 6, size))
    flow = rng.lognormal(3, 1, size)
    found = []
    for title, x, y, first in (
        ("a bad tick of 1e10 has left the window", tick, volume, 5_000 + W + 100),
        ("a year of wandering minute prices", wander, flow, W),
    ):
        truth = recomputed(x, y)
        with np.errstate(all="ignore"):
            errors = {name: worst(engine(x, y), truth, first) for name, engine in ENGINES.items()}
        peers = ", ".join(f"{name} {error:.0e}" for name, error in errors.items() if name != "midas")
        figure = f"{errors['midas']:.0e} ({peers})"
        found.append(
            Row(f"mean, std, z-score, correlation against recomputation: {title}", figure, "at most 1e-9",
                errors["midas"] <= LIMIT)
        )  # fmt: skip
    return found


if __name__ == "__main__":
    for row in rows():
        print(row)
