"""Which expressions are a nominal size, told from the text alone."""

from __future__ import annotations

import pytest

from midas_engine.dsl.nominal import nominal_size

SIZES = (
    "close",
    "cs_rank(close)",
    "-close",
    "close * 3",
    "log(close)",
    "volume",
    "ts_mean(close, 24)",
    "trades",
    "1 / close",
    "close * volume",
    "cs_rank(log(close)) * 2 - 1",
    "sign(close - 100)",
    "close > 100",
    "ema(quote_volume, 24)",
    "ts_std(close, 24)",
    "ts_std(delta(close,1),24)",
    "abs(delta(close,1))",
    "power(close, 2)",
    "power(close, 0.5)",
    "cs_zscore(close)",
    "cs_demean(close)",
    "open_interest",
    "cs_rank(close)+cs_rank(volume)",
    "atr(high, low, close, 24)",
    "cs_rank(close)*cs_rank(close)",
    "quote_volume / volume",
    "close + returns(close, 24)",
    "if_else(close > 100, 1, 0)",
    "cs_neutralize(close, volume)",
    "cs_rank(cs_rank(close))",
    "clip(close, 0, 100)",
    # a size beside something else, or times something that keeps its sign
    "cs_rank(close) + 0.001 * cs_rank(returns)",
    "-cs_rank(volume) + 0.01 * ts_zscore(volume, 24)",
    "cs_zscore(log(close)) + cs_rank(ts_mean(funding_rate, 24))",
    "0.01 * sign(returns) - cs_rank(ts_mean(close, 100))",
    "cs_rank(cs_rank(high) + 0.1 * cs_rank(returns))",
    "max(cs_rank(volume), 0.001 * cs_rank(returns))",
    "cs_rank(volume) * (1 + 0.01 * cs_rank(returns))",
    "(1.5 - 0.5 * ts_rank(close, 24)) * cs_rank(vwap)",
    "cs_rank(close) / (4 + sign(returns))",
    "cs_rank(close) - 0.5 * cs_rank(close)",
    "cs_rank(close) - 0.999 * cs_rank(ts_mean(close, 2))",
    "close * 0 + ts_mean(close, 100)",
    "cs_scale(close)",
    "cs_group_rank(close, volume)",
    "ts_product(close, 2)",
    "high - low",
    "cs_rank(ts_max(high, 24) - ts_min(low, 24))",
    "ts_mean(ts_mean(cs_rank(close), 24), 100)",
)

COMPARABLE = (
    "cs_rank(ts_mean(funding_rate, 24))",
    "-returns(close, 24)",
    "close/ts_max(high, 168)",
    "ts_corr(cs_rank(close), cs_rank(volume), 24)",
    "volume/ts_mean(volume, 24)",
    "log(close) - log(delay(close, 24))",
    "log(close/delay(close,1))",
    "(close-open)/(high-low)",
    "close > delay(close, 1)",
    "delta(cs_rank(close), 5)",
    "ts_rank(close, 24)",
    "ts_zscore(volume, 24)",
    "ts_std(returns(close,1),24)",
    "ts_std(log(close),24)",
    "open_interest/volume",
    "taker_buy_volume/volume - 0.5",
    "cs_rank(close - vwap)",
    "macd(close, 12, 26)",
    "cs_rank(close)-cs_rank(open)",
    "rsi(close, 14)",
    "-1 * ts_corr(open, volume, 10)",
    "bbands_pct(close, 20)",
    "delta(close, 24) / ts_std(close, 24)",
    "cs_neutralize(returns(close, 24), ts_std(returns(close,1), 24))",
    "if_else(close > delay(close,1), 1, -1)",
    "funding_rate",
    "(close - ts_mean(close,24))/ts_std(close,24)",
    "ts_argmax(close,24)",
    "atr(high, low, close, 24)/close",
    "cs_rank(close) * (cs_rank(returns) - 0.5)",
    "cs_rank(close) * ts_corr(close, volume, 24)",
    "cs_rank(close - open) + cs_rank(returns)",
    "cs_rank(high) - cs_rank(low)",
    "ts_sum(close, 7) / 7 - close",
    "cs_rank((ts_mean(close, 100) - open) * (close - open))",
    "(ts_max(high, 24) - ts_min(low, 24)) / close",
    "ts_zscore(cs_rank(close) + cs_rank(returns), 24)",
)


@pytest.mark.parametrize("expression", SIZES)
def test_a_size_is_named(expression: str) -> None:
    assert "it says which symbol this is" in nominal_size(expression)


@pytest.mark.parametrize("expression", COMPARABLE)
def test_what_compares_a_symbol_with_its_own_past_is_not(expression: str) -> None:
    assert nominal_size(expression) == ""


def test_the_unit_is_said() -> None:
    assert nominal_size("cs_rank(ts_mean(volume, 24))").startswith(
        "cs_rank(ts_mean(volume, 24)) is a volume, ranked across symbols"
    )
    assert "is a count" in nominal_size("trades * 2")
    assert "is a traded notional" in nominal_size("quote_volume")
