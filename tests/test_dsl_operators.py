"""Every operator against an oracle that recomputes each window, or against pandas where it is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from helpers_dsl import make_panel, recompute, same
from midas_engine.dsl import OPERATORS, FeatureEngine, parse
from midas_engine.dsl.registry import Kind, Operator, Registry, series

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.market.panel import Panel

Array = npt.NDArray[np.float64]
PANEL = make_panel(3, 260, 6)
SERIES = make_panel(4, 900, 1)


def values(text: str, panel: Panel = PANEL) -> Array:
    return FeatureEngine(panel, cache_bytes=0).values(text)


def need(n: int, least: int = 1) -> int:
    return max(least, -(-n // 2))


def spread(w: Array) -> float:
    return 0.0 if np.ptp(w) == 0 else float(np.std(w, ddof=1))


def skew(w: Array) -> float:
    return float("nan") if np.ptp(w) == 0 else float(stats.skew(w, bias=False))


WINDOWED: dict[str, tuple[Callable[[Array], float], int]] = {
    "ts_mean": (np.mean, 1),
    "ts_sum": (np.sum, 1),
    "ts_std": (spread, 2),
    "ts_max": (np.max, 1),
    "ts_min": (np.min, 1),
    "ts_median": (np.median, 1),
    "ts_skew": (skew, 3),
}


@pytest.mark.parametrize("n", [1, 2, 3, 5, 24, 100])
@pytest.mark.parametrize("op", WINDOWED)
def test_windowed(op: str, n: int) -> None:
    function, least = WINDOWED[op]
    if n < least:
        pytest.skip("below the operator's shortest window")
    for panel in (PANEL, SERIES):
        expected = recompute(panel.values("close"), n, need(n, least), function)
        same(values(f"{op}(close, {n})", panel), expected, rel=1e-9, floor=1e-6)


@pytest.mark.parametrize("n", [2, 5, 24, 100])
def test_zscore(n: int) -> None:
    for panel in (PANEL, SERIES):
        x = panel.values("close")
        mean, std = recompute(x, n, need(n, 2), np.mean), recompute(x, n, need(n, 2), spread)
        with np.errstate(all="ignore"):
            expected = (x - mean) / std
        expected[~np.isfinite(expected)] = np.nan
        same(values(f"ts_zscore(close, {n})", panel), expected, rel=1e-8, floor=1e-3)


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_quantile(q: float) -> None:
    expected = recompute(PANEL.values("volume"), 24, 12, lambda w: float(np.quantile(w, q)))
    same(values(f"ts_quantile(volume, 24, {q})"), expected)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 24, 100])
def test_rank(n: int) -> None:
    for panel in (PANEL, SERIES):
        frame = pd.DataFrame(panel.values("trades").copy())
        expected = frame.rolling(n, min_periods=need(n)).rank(pct=True).to_numpy()
        same(values(f"ts_rank(trades, {n})", panel), expected)


@pytest.mark.parametrize("n", [1, 3, 24])
@pytest.mark.parametrize(("op", "sign"), [("ts_argmax", 1), ("ts_argmin", -1)])
def test_age_of_extreme(op: str, sign: int, n: int) -> None:
    for panel in (PANEL, SERIES):
        x = panel.values("trades") * sign
        expected = np.full(x.shape, np.nan)
        for t in range(panel.T):
            for s in range(panel.S):
                window = x[max(0, t - n + 1) : t + 1, s][::-1]
                if np.isfinite(window).sum() >= need(n):
                    expected[t, s] = int(np.nanargmax(window))
        same(values(f"{op}(trades, {n})", panel), expected)


def pairwise(x: Array, y: Array, n: int, function: Callable[[Array, Array], float]) -> Array:
    out = np.full(x.shape, np.nan)
    for t in range(len(x)):
        for s in range(x.shape[1]):
            a, b = x[max(0, t - n + 1) : t + 1, s], y[max(0, t - n + 1) : t + 1, s]
            ok = np.isfinite(a) & np.isfinite(b)
            if ok.sum() >= need(n, 2):
                out[t, s] = function(a[ok], b[ok])
    return out


@pytest.mark.parametrize("n", [2, 6, 24, 100])
def test_covariance_and_correlation(n: int) -> None:
    for panel in (PANEL, SERIES):
        x, y = panel.values("close"), panel.values("open_interest")

        def corr(a: Array, b: Array) -> float:
            return float("nan") if np.ptp(a) == 0 or np.ptp(b) == 0 else float(np.corrcoef(a, b)[0, 1])

        same(values(f"ts_corr(close, open_interest, {n})", panel), pairwise(x, y, n, corr), rel=1e-9, floor=1e-2)
        expected = pairwise(x, y, n, lambda a, b: float(np.cov(a, b)[0, 1]))
        same(values(f"ts_cov(close, open_interest, {n})", panel), expected, rel=1e-9, floor=1.0)


@pytest.mark.parametrize("n", [1, 2, 5, 24])
def test_linear_decay(n: int) -> None:
    for panel in (PANEL, SERIES):
        x = panel.values("close")
        expected = np.full(x.shape, np.nan)
        for t in range(panel.T):
            for s in range(panel.S):
                window = x[max(0, t - n + 1) : t + 1, s]
                weights = np.arange(n - len(window) + 1, n + 1)
                ok = np.isfinite(window)
                if ok.sum() >= need(n):
                    expected[t, s] = np.average(window[ok], weights=weights[ok])
        same(values(f"ts_decay_linear(close, {n})", panel), expected, rel=1e-10)


def slow_ema(x: Array, n: int) -> Array:
    """The definition, spelled out: normalised weights, carried over short gaps, restarted after n."""
    out = np.full(x.shape, np.nan)
    keep = 1 - 2 / (n + 1)
    for s in range(x.shape[1]):
        start, gap = 0, n
        for t in range(len(x)):
            gap = 0 if np.isfinite(x[t, s]) else gap + 1
            if gap >= n:
                start = t + 1
                continue
            window = x[start : t + 1, s]
            ok = np.isfinite(window)
            if ok.sum() >= need(n) and gap <= n - need(n):
                weights = keep ** np.arange(len(window))[::-1]
                out[t, s] = np.average(window[ok], weights=weights[ok]) if n > 1 else window[-1]
    return out


@pytest.mark.parametrize("n", [1, 2, 5, 24])
def test_exponential_mean(n: int) -> None:
    for panel in (PANEL, SERIES):
        same(values(f"ema(close, {n})", panel), slow_ema(panel.values("close"), n), rel=1e-10)


def test_exponential_mean_agrees_with_pandas_without_gaps() -> None:
    panel = make_panel(9, 300, 1, holes=0.0)
    expected = pd.DataFrame(panel.values("close").copy()).ewm(span=12, min_periods=6).mean().to_numpy()
    same(values("ema(close, 12)", panel), expected, rel=1e-11)


def test_shifts() -> None:
    frame = pd.DataFrame(PANEL.values("close").copy())
    same(values("delay(close, 5)"), frame.shift(5).to_numpy())
    same(values("delta(close, 5)"), frame.diff(5).to_numpy())
    same(values("returns(close, 5)"), (frame / frame.shift(5) - 1).to_numpy(), floor=1e-3)
    same(values("returns"), (frame / frame.shift(1) - 1).to_numpy(), floor=1e-3)
    short = make_panel(1, 10, 2)
    assert np.isnan(values("delay(close, 10)", short)).all()
    assert np.isnan(values("delta(close, 100)", short)).all()


def test_cross_section() -> None:
    frame = pd.DataFrame(PANEL.values("trades").copy())
    valid = frame.notna().sum(axis=1) >= 2
    same(values("cs_rank(trades)"), frame.rank(axis=1, pct=True).where(valid, axis=0).to_numpy())
    centred = frame.sub(frame.mean(axis=1), axis=0).where(valid, axis=0)
    same(values("cs_demean(trades)"), centred.to_numpy(), floor=1.0)
    same(values("cs_zscore(trades)"), centred.div(frame.std(axis=1), axis=0).to_numpy(), floor=1e-2)


def test_cross_section_of_equal_values() -> None:
    assert np.nanmax(np.abs(values("cs_demean(close / close * 0.1)"))) == 0
    assert np.isnan(values("cs_zscore(close / close * 0.1)")).all()
    ranks = values("cs_rank(close / close)")
    assert np.allclose(ranks[np.isfinite(ranks)], 0.6, atol=0.2)


def test_neutralize_against_regression() -> None:
    x, g = PANEL.values("close"), PANEL.values("volume")
    got = values("cs_neutralize(close, volume)")
    for t in range(PANEL.T):
        ok = np.isfinite(x[t]) & np.isfinite(g[t])
        if ok.sum() < 3:
            assert np.isnan(got[t]).all()
            continue
        fit = stats.linregress(g[t, ok], x[t, ok])
        assert np.allclose(got[t, ok], x[t, ok] - fit.intercept - fit.slope * g[t, ok], atol=1e-8)
    flat = values("cs_neutralize(close, close / close)")
    same(flat[np.isfinite(flat)], values("cs_demean(close)")[np.isfinite(flat)], floor=1.0)


def test_technical_indicators() -> None:
    frame = {name: pd.DataFrame(PANEL.values(name).copy()) for name in ("high", "low", "close", "volume")}
    change = frame["close"].diff()
    up = change.clip(lower=0).rolling(14, min_periods=7).mean()
    down = (-change).clip(lower=0).rolling(14, min_periods=7).mean()
    same(values("rsi(close)"), (100 * up / (up + down)).to_numpy(), rel=1e-6, floor=1.0)
    previous = frame["close"].shift(1)
    ranges = np.maximum(
        frame["high"] - frame["low"], np.maximum(abs(frame["high"] - previous), abs(frame["low"] - previous))
    )
    atr = pd.DataFrame(ranges).rolling(14, min_periods=7).mean()
    same(values("atr(high, low, close, 14)"), atr.to_numpy(), rel=1e-6, floor=1e-3)
    flow = (np.sign(change) * frame["volume"]).rolling(24, min_periods=12).sum()
    same(values("obv(close, volume)"), flow.to_numpy(), rel=1e-6, floor=1.0)
    line = values("ema(close, 12) - ema(close, 26)")
    same(values("macd(close)"), line - slow_ema(line, 9), rel=1e-8, floor=1e-3)
    same(values("bbands_pct(close, 20, 2)"), 0.5 + values("ts_zscore(close, 20)") / 4)


def test_arithmetic() -> None:
    x, y = PANEL.values("close"), PANEL.values("volume")
    with np.errstate(all="ignore"):
        for text, expected in {
            "close + volume": x + y,
            "close - 2": x - 2,
            "2 - close": 2 - x,
            "close * volume": x * y,
            "close / volume": np.where(y == 0, np.nan, x / y),
            "volume ** 0.5": np.sqrt(y),
            "(-close) ** 0.5": np.full(x.shape, np.nan),
            "volume ** -1": np.where(y == 0, np.nan, 1 / y),
            "log(volume)": np.where(y == 0, np.nan, np.log(y)),
            "log(-close)": np.full(x.shape, np.nan),
            "abs(-close)": x,
            "sign(volume - 10)": np.sign(y - 10),
            "max(close, volume)": np.maximum(x, y),
            "min(close, 100)": np.minimum(x, 100),
            "clip(close, 95, 105)": np.clip(x, 95, 105),
            "close * 1e308 * 10": np.full(x.shape, np.nan),
            "power(10, close * 10)": np.full(x.shape, np.nan),
            "close - close": x - x,
        }.items():
            same(values(text), expected, rel=1e-13)


def test_logic() -> None:
    x, y = PANEL.values("close"), PANEL.values("open")
    gone = np.isnan(x) | np.isnan(y)
    for text, truth in {
        "close > open": x > y,
        "close >= open": x >= y,
        "close < open": x < y,
        "close <= open": x <= y,
        "close == open": x == y,
        "close != open": x != y,
        "close > open and close > 100": (x > y) & (x > 100),
        "close > open or close > 100": (x > y) | (x > 100),
        "not close > open": ~(x > y),
        "and(close, open - close)": y > x,
        "if_else(close > open, 1, 0)": x > y,
    }.items():
        same(values(text), np.where(gone, np.nan, truth.astype(float)))
    chosen = values("if_else(close > open, close, delay(open, 1))")
    assert np.array_equal(chosen[x > y], x[x > y])
    assert np.isnan(chosen[0][~(x[0] > y[0])]).all()


# -- the registry itself ------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(OPERATORS))
def test_every_entry_is_complete(name: str) -> None:
    operator = OPERATORS[name]
    assert operator.doc.endswith(".")
    assert name in operator.example or operator.infix in operator.example
    result = values(operator.example)
    assert np.isfinite(result).mean() > 0.4
    assert not np.isinf(result).any()
    assert operator.units in {
        "same",
        "first",
        "second",
        "pure",
        "repeated",
        "product",
        "quotient",
        "power",
        "compare",
        "branch",
        "bars",
    }


@pytest.mark.parametrize("name", [n for n in OPERATORS if n != "ema" and n != "macd"])
def test_memory_is_enough_and_needed(name: str) -> None:
    """With `lookback` bars of past the last value is the same as with all of it; recursive ones to 1e-6."""
    text = OPERATORS[name].example
    panel = make_panel(8, 250, 4, holes=0.0)
    back = parse(text).lookback
    whole = values(text, panel)[-1]
    part = values(text, panel.slice(panel.T - 1 - back, None))[-1]
    same(part[None], whole[None], rel=1e-6 if parse(text).recursive else 1e-9, floor=1e-9)


@pytest.mark.parametrize("text", ["ema(close, 12)", "macd(close, 5, 10, 4)"])
def test_recursive_memory_fades(text: str) -> None:
    panel = make_panel(8, 700, 3, holes=0.0)
    whole = values(text, panel)[-1]
    part = values(text, panel.slice(panel.T - 1 - parse(text).lookback, None))[-1]
    same(part[None], whole[None], rel=1e-7, floor=1.0)


def test_a_registry_refuses_bad_entries() -> None:
    registry = Registry()
    entry = Operator("twice", "arithmetic", (series(),), "Doubles.", "twice(close)", "first", expand="2 * x")
    registry.register(entry)
    with pytest.raises(ValueError, match="twice is registered twice"):
        registry.register(entry)
    with pytest.raises(ValueError, match="either run or expand"):
        registry.register(Operator("none", "arithmetic", (series(),), "Nothing.", "none(close)", "first"))
    assert all(p.kind is not Kind.SERIES for p in OPERATORS["ts_quantile"].literals)


def test_constant_windows() -> None:
    panel = make_panel(0, 120, 3, holes=0.0)
    flat = "close / close * 100.1"
    assert np.nanmax(np.abs(values(f"ts_std({flat}, 24)", panel))) == 0
    for text in (f"ts_zscore({flat}, 24)", f"ts_corr({flat}, volume, 24)", f"ts_skew({flat}, 24)", f"rsi({flat}, 14)"):
        assert np.isnan(values(text, panel)).all(), text


@pytest.mark.parametrize("holes", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("n", [1, 2, 5, 24])
def test_ema_of_one_series_is_that_of_a_panel(n: int, holes: float) -> None:
    panel = make_panel(3, 400, 2, holes)
    single = panel.select(symbols=panel.symbols[:1])
    both, alone = (FeatureEngine(p, cache_bytes=0).values(f"ema(close, {n})") for p in (panel, single))
    assert np.array_equal(both[:, :1], alone, equal_nan=True)
