from __future__ import annotations

import numpy as np
import pytest

from helpers_dsl import COLUMNS, make_panel
from midas_engine.dsl import FeatureEngine, canonical, complexity, expression_hash, parse, random_expression, similarity
from midas_engine.settings import DslLimits

SAME = [
    ("close + open", "open + close"),
    ("close + open + high", "high + (open + close)"),
    ("close * open * high", "high * (open * close)"),
    ("close - open", "-(open - close)"),
    ("close - open", "close + -1 * open"),
    ("2 * close", "close + close"),
    ("close / 2", "0.5 * close"),
    ("close * 0.1 * 10", "close"),
    ("(2 * close) / (4 * open)", "0.5 * (close / open)"),
    ("close / open / high", "close / (open * high)"),
    ("close / (open / high)", "close * high / open"),
    ("(close + open) * (high + low)", "(low + high) * (open + close)"),
    ("(2 * close + 2 * open) * high", "2 * high * (open + close)"),
    ("close < open", "open > close"),
    ("close <= open", "ge(open, close)"),
    ("close > open", "gt(close, open)"),
    ("close == open", "open == close"),
    ("max(close, open)", "max(open, close)"),
    ("max(-close, -open)", "-min(close, open)"),
    ("max(2 * close, 2 * open)", "2 * max(close, open)"),
    ("ts_max(-close, 24)", "-ts_min(close, 24)"),
    ("ts_argmax(-close, 24)", "ts_argmin(close, 24)"),
    ("ts_mean(3 * close, 24)", "3 * ts_mean(close, 24)"),
    ("ts_mean(-close, 24)", "-ts_mean(close, 24)"),
    ("ts_std(-2 * close + 1, 24)", "2 * ts_std(close, 24)"),
    ("ts_zscore(5 * close - 7, 24)", "ts_zscore(close, 24)"),
    ("ts_zscore(-close, 24)", "-ts_zscore(close, 24)"),
    ("cs_rank(2 * close + 1)", "cs_rank(close)"),
    ("cs_rank(cs_rank(close))", "cs_rank(close)"),
    ("cs_demean(cs_demean(close))", "cs_demean(close)"),
    ("ts_corr(2 * close, volume + 1, 24)", "ts_corr(volume, close, 24)"),
    ("ts_corr(-close, volume, 24)", "-ts_corr(close, volume, 24)"),
    ("ts_cov(2 * close, 3 * volume, 24)", "6 * ts_cov(volume, close, 24)"),
    ("delta(close, 4)", "close - delay(close, 4)"),
    ("returns(close, 4)", "close / delay(close, 4) - 1"),
    ("returns(close)", "returns(close, 1)"),
    ("abs(-close)", "abs(close)"),
    ("abs(abs(close - open))", "abs(open - close)"),
    ("sign(3 * delta(close, 1))", "sign(delta(close, 1))"),
    ("rsi(close)", "rsi(2 * close, 14)"),
    ("close ** 1", "close"),
    ("2 ** 3 * close", "8 * close"),
    ("(close)", "close"),
    ("--close", "close"),
    ("delay(2 * close + 1, 3)", "2 * delay(close, 3) + 1"),
    ("ema(0.5 * close, 12)", "ema(close, 12) / 2"),
]
DIFFERENT = [
    ("close - open", "open - close"),
    ("close / open", "open / close"),
    ("ts_mean(close, 24)", "ts_mean(close, 25)"),
    ("cs_rank(close)", "cs_rank(-close)"),
    ("ts_rank(close, 24)", "ts_rank(-close, 24)"),
    ("close > open", "close >= open"),
    ("2 * close", "3 * close"),
    ("close + 1", "close + 2"),
    ("close - close", "open - open"),
    ("ts_std(close, 24)", "ts_std(close ** 2, 24)"),
    ("log(2 * close)", "log(close)"),
    ("sign(close)", "sign(close - 1)"),
    ("if_else(close, open, high)", "if_else(close, high, open)"),
    ("ts_quantile(close, 24, 0.1)", "ts_quantile(close, 24, 0.9)"),
    ("max(close, open)", "min(close, open)"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_equal_features_have_equal_hashes(a: str, b: str) -> None:
    assert canonical(a) == canonical(b)
    assert expression_hash(a) == expression_hash(b)
    assert similarity(a, b) == 1.0


@pytest.mark.parametrize(("a", "b"), SAME)
def test_equal_hashes_mean_equal_values(a: str, b: str) -> None:
    engine = FeatureEngine(make_panel(1, 90, 5), cache_bytes=0)
    x, y = engine.values(a), engine.values(b)
    both = np.isfinite(x) & np.isfinite(y)
    assert both.any()
    scale = np.maximum(np.abs(x[both]), np.nanmedian(np.abs(x)) + 1e-300)
    assert np.max(np.abs(x[both] - y[both]) / scale) < 1e-6


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different_features_have_different_hashes(a: str, b: str) -> None:
    assert canonical(a) != canonical(b)
    assert similarity(a, b) < 1.0


def test_family_forgets_scale_sign_and_offset() -> None:
    families = {parse(t).family for t in ("close - open", "open - close", "3 * (close - open) + 1", "(close-open)/-7")}
    assert len(families) == 1
    assert parse("cs_rank(close)").family != parse("cs_rank(-close)").family


def test_random_equal_hashes_mean_equal_values() -> None:
    """Expressions that share a hash are one feature; commuting the arguments keeps the hash."""
    rng = np.random.default_rng(4)
    engine = FeatureEngine(make_panel(2, 60, 4), cache_bytes=0, limits=DslLimits(depth=12, total_lookback_bars=10**5))
    by_hash: dict[str, str] = {}
    for _ in range(400):
        text = random_expression(rng, COLUMNS[:5], 2, max_window=4)
        twin = by_hash.setdefault(parse(text).hash, text)
        if twin != text:
            x, y = engine.values(text), engine.values(twin)
            both = np.isfinite(x) & np.isfinite(y)
            scale = np.maximum(np.abs(x[both]), 1e-3 * np.nanmax(np.abs(x), initial=0))
            assert np.all(np.abs(x[both] - y[both]) <= 1e-6 * scale + 1e-12), (text, twin)
    assert len(by_hash) > 200


def test_complexity() -> None:
    weight = complexity("ts_mean(returns(close, 1), 24) + 0.5 * volume")
    assert (weight.nodes, weight.operators, weight.free_parameters) == (9, 4, 3)
    assert (weight.columns, weight.lookback) == (2, 24)


def test_similarity_orders_as_expected() -> None:
    base = "ts_zscore(close / vwap, 24)"
    near = similarity(base, "ts_zscore(close / vwap, 48)")
    far = similarity(base, "cs_rank(funding_rate)")
    assert 1 > near > 0.4 > far >= 0
    assert similarity(base, base + " + volume") == similarity(base + " + volume", base)
