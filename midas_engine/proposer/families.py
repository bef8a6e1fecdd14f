"""Families of signals on perpetuals: a core that measures something, and the words of a goal that ask for it.

A template has {a} and {b} for windows; `core` is a series without normalisation, signed so that the
usual story expects high values to earn more. Columns that are absent take the template out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """One core: name, formula with windows, the story, columns it needs."""

    name: str
    core: str
    story: str
    needs: tuple[str, ...]
    windows: tuple[int, ...] = (6, 12, 24, 48, 72, 168)


def _t(
    name: str, core: str, story: str, needs: str = "close", windows: tuple[int, ...] = (6, 12, 24, 48, 72, 168)
) -> Template:
    return Template(name, core, story, tuple(needs.split()), windows)


FAMILIES: dict[str, tuple[Template, ...]] = {
    "reversal": (
        _t(
            "reversal",
            "-returns(close, {a})",
            "moves without news are given back by those who supplied liquidity",
            windows=(1, 2, 4, 8, 24),
        ),
        _t(
            "vol_adjusted_reversal",
            "-returns(close, {a}) / ts_std(returns(close, 1), {b})",
            "a move is large only against its own volatility",
            windows=(1, 2, 4, 8, 24),
        ),
        _t(
            "range_reversal",
            "(high + low - 2 * close) / (high - low)",
            "a close at the edge of its range is pushed there by impatience",
            "high low close",
        ),
        _t(
            "mean_reversion",
            "-ts_zscore(close, {a})",
            "price strays from its own mean and comes back",
            windows=(12, 24, 48, 72, 168),
        ),
        _t("oversold", "50 - rsi(close, {a})", "what fell on every bar finds buyers", windows=(6, 14, 24, 48)),
    ),
    "volume": (
        _t(
            "volume_shock_reversal",
            "-returns(close, {a}) * ts_zscore(log(volume), {b})",
            "a move on a burst of volume is pressure, not information",
            "close volume",
            (1, 2, 4, 8, 24),
        ),
        _t(
            "volume_trend",
            "-ts_zscore(log(volume), {a})",
            "attention fades, and with it the price it carried",
            "volume",
            (24, 48, 72, 168),
        ),
        _t(
            "price_volume",
            "-ts_corr(returns(close, 1), log(volume), {a})",
            "rising on volume is crowded",
            "close volume",
            (24, 48, 72, 168),
        ),
        _t(
            "volume_ratio",
            "ts_mean(volume, {a}) / ts_mean(volume, 168)",
            "interest builds before it shows in price",
            "volume",
            (6, 12, 24),
        ),
        _t(
            "obv_slope",
            "delta(obv(close, volume), {a}) / ts_sum(volume, {a})",
            "signed volume leads",
            "close volume",
            (12, 24, 48, 72),
        ),
    ),
    "momentum": (
        _t("momentum", "returns(close, {a})", "information spreads slowly", windows=(24, 48, 72, 120, 168)),
        _t(
            "risk_adjusted_momentum",
            "ts_mean(returns(close, 1), {a}) / ts_std(returns(close, 1), {a})",
            "steady winners keep winning",
            windows=(24, 48, 72, 168),
        ),
        _t(
            "high_proximity",
            "close / ts_max(high, {a})",
            "holders anchor on the recent high",
            "close high",
            (48, 72, 168),
        ),
        _t("macd_strength", "macd(close, 12, 26) / close", "trend followers act late"),
        _t("time_since_high", "ts_argmax(close, {a})", "fresh highs carry on", windows=(48, 72, 168)),
    ),
    "funding": (
        _t(
            "funding_carry",
            "-ts_mean(funding_rate, {a})",
            "longs who pay are crowded, and holders of the other side are paid",
            "funding_rate",
            (1, 8, 24, 72, 168),
        ),
        _t(
            "funding_change",
            "-delta(funding_rate, {a})",
            "a jump in funding is a rush into one side",
            "funding_rate",
            (8, 24, 48, 72),
        ),
        _t(
            "funding_zscore",
            "-ts_zscore(funding_rate, {a})",
            "funding is high against its own past",
            "funding_rate",
            (48, 72, 168),
        ),
        _t(
            "funding_against_price",
            "-(ts_rank(funding_rate, {a}) - ts_rank(close, {a}))",
            "funding that rose more than price did is unpaid risk",
            "funding_rate close",
            (48, 72, 168),
        ),
    ),
    "volatility": (
        _t("low_volatility", "-ts_std(returns(close, 1), {a})", "lottery tickets are dear", windows=(24, 48, 72, 168)),
        _t(
            "volatility_change",
            "-(ts_std(returns(close, 1), {a}) / ts_std(returns(close, 1), 168))",
            "a burst of volatility is followed by sellers",
            windows=(6, 12, 24, 48),
        ),
        _t(
            "range",
            "-ts_mean((high - low) / close, {a})",
            "wide bars cost those who provide liquidity",
            "high low close",
            (6, 12, 24, 48, 72),
        ),
        _t("skewness", "-ts_skew(returns(close, 1), {a})", "upside tails are overpaid", windows=(48, 72, 168)),
        _t(
            "worst_bar",
            "-ts_min(returns(close, 1), {a})",
            "what fell hardest is feared longest",
            windows=(24, 48, 72, 168),
        ),
        _t(
            "band_position",
            "-bbands_pct(close, {a})",
            "the bands hold more often than they break",
            windows=(20, 48, 72),
        ),
    ),
    "liquidity": (
        _t(
            "illiquidity",
            "log(ts_mean(abs(returns(close, 1)), {a}) / ts_mean(close * volume, {a}))",
            "what is hard to sell pays for it",
            "close volume",
            (24, 48, 72, 168),
        ),
        _t("size", "-log(ts_mean(close * volume, {a}))", "small markets are neglected", "close volume", (48, 72, 168)),
        _t(
            "vwap_gap",
            "-(close - vwap) / ts_std(close, {a})",
            "price above where it traded was pushed",
            "close vwap",
            (24, 48, 72),
        ),
        _t(
            "trade_size",
            "-ts_zscore(volume / trades, {a})",
            "large clips are informed or forced",
            "volume trades",
            (24, 48, 72),
        ),
    ),
    "flow": (
        _t(
            "taker_imbalance",
            "ts_mean(taker_buy_volume / volume, {a})",
            "those who cross the spread know something",
            "taker_buy_volume volume",
            (4, 8, 24, 48),
        ),
        _t(
            "book_imbalance",
            "ts_mean((bid_volume - ask_volume) / (bid_volume + ask_volume), {a})",
            "the thicker side holds",
            "bid_volume ask_volume",
            (1, 4, 8, 24),
        ),
        _t(
            "open_interest_change",
            "-ts_zscore(open_interest, {a}) * returns(close, {a})",
            "new positions that chase a move are stopped out",
            "open_interest close",
            (8, 24, 48),
        ),
        _t("basis", "-(close / mark_close - 1)", "a perpetual above its mark is pulled back", "close mark_close"),
    ),
}
_WORDS: dict[str, str] = {
    "reversal": "revers|mean.?rever|contrarian|overs?hoot|oversold|overbought|fade|bounce|short.term|deviation",
    "volume": "volume|turnover|attention|shock|obv|participation",
    "momentum": "moment|trend|breakout|continu|winner|high",
    "funding": "fund|carry|basis|perp|crowd",
    "volatility": "volat|range|risk|skew|tail|band|calm",
    "liquidity": "liquid|vwap|size|illiq|depth|spread|small",
    "flow": "flow|taker|order|imbalance|open.?interest|book",
}


def families_of(goal: str) -> list[str]:
    """The families a goal asks for, in order of first mention; all of them when it names none."""
    found = []
    for family, pattern in _WORDS.items():
        match = re.search(pattern, goal.lower())
        if match:
            found.append((match.start(), family))
    return [family for _, family in sorted(found)] or list(FAMILIES)
