"""A feature's values hang on the bars of its stated memory: not on where the history began, ranks included.

A stream warmed from another bar than research must hold the same ranks, so exact ties stay ties whatever the
sums behind them were relative to.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from helpers_dsl import make_panel
from midas_engine.dsl import FeatureEngine, parse
from midas_engine.market.panel import Panel

Array = npt.NDArray[np.float64]

UP = "ts_mean(close > delay(close, 1), 24)"
EXACT = (
    f"cs_rank({UP})",
    f"ts_rank({UP}, 12)",
    "cs_rank(ts_sum(sign(delta(close, 1)), 24))",
    "cs_rank(ts_mean(sign(delta(close, 2)), 10) + ts_mean(sign(delta(volume, 1)), 20))",
    "cs_rank(cs_rank(close) + cs_rank(volume) + ts_rank(close, 12))",
    "cs_rank(ts_mean(tick, 7))",
    "cs_rank(ts_sum(tick, 20) - ts_sum(tick, 10))",
    "cs_rank(ts_zscore(close > delay(close, 1), 24))",
    "ts_rank(ts_zscore(close > delay(close, 1), 24), 24)",
    "cs_rank(ts_std(sign(delta(close, 1)), 24))",
    "cs_rank(ts_corr(sign(delta(close, 1)), sign(delta(volume, 1)), 24))",
    "cs_rank(ts_decay_linear(close > delay(close, 1), 10))",
    "cs_rank(ts_skew(sign(delta(close, 1)), 24))",
    "ts_rank(ts_mean(tick, 12), 12)",
    "close > ts_mean(close, 24)",
    "ts_mean(returns(close, 1), 24)",
    "ts_sum(funding_rate * volume, 24)",
    "ts_zscore(close > delay(close, 1), 24)",
)
ROUNDED = (
    "ts_zscore(close, 24)",
    "ts_std(returns(close, 1), 24)",
    "ts_cov(close, volume, 24)",
    "ts_skew(volume, 24)",
    "ts_decay_linear(returns(close, 1), 12)",
)


def ticking(seed: int = 11, bars: int = 420, symbols: int = 24) -> Panel:
    """Prices and a column of few ticks: many exact ties, in decimals that binary cannot hold."""
    panel = make_panel(seed, bars, symbols, holes=0.02)
    rng = np.random.default_rng(seed)
    tick = np.round(100 + 0.01 * rng.integers(0, 4, (bars, symbols)), 2)
    fields = {**panel.fields, "close": np.round(panel.values("close"), 2), "tick": tick}
    return Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)


PANEL = ticking()


def later(panel: Panel, start: int) -> Panel:
    """The same history, begun `start` bars later."""
    fields = {name: values[start:].copy() for name, values in panel.fields.items()}
    return Panel(panel.timestamps[start:], panel.symbols, fields, panel.bar_seconds)


def both(text: str, start: int, panel: Panel = PANEL) -> tuple[Array, Array]:
    """Values of the whole history and of the later one, where the later one has its memory."""
    memory = parse(text).lookback
    whole = FeatureEngine(panel, cache_bytes=0).values(text)[start + memory :]
    return whole, FeatureEngine(later(panel, start), cache_bytes=0).values(text)[memory:]


@pytest.mark.parametrize("start", [7, 13, 101])
@pytest.mark.parametrize("text", EXACT)
def test_ranks_means_and_signs_do_not_know_where_the_history_began(text: str, start: int) -> None:
    whole, part = both(text, start)
    assert np.isfinite(whole).mean() > 0.5
    assert np.array_equal(whole, part, equal_nan=True), np.nanmax(np.abs(whole - part))


@pytest.mark.parametrize("start", [7, 13, 101])
@pytest.mark.parametrize("text", ROUNDED)
def test_other_windows_know_it_by_rounding_only(text: str, start: int) -> None:
    whole, part = both(text, start)
    assert np.array_equal(np.isnan(whole), np.isnan(part))
    assert np.nanmax(np.abs(whole - part)) <= 1e-11 * np.nanmax(np.abs(whole))
    ranked, ranked_part = both(f"cs_rank({text})", start)
    assert np.array_equal(ranked, ranked_part, equal_nan=True)


def test_equal_counts_tie_as_they_do_in_whole_numbers() -> None:
    ups = np.diff(PANEL.values("close"), axis=0, prepend=np.nan)
    ups = np.where(np.isnan(ups), np.nan, (ups > 0).astype(float))
    counts = pd.DataFrame(ups).rolling(24, min_periods=12).agg(["sum", "count"])
    ones = np.rint(counts.xs("sum", axis=1, level=1).to_numpy())
    size = counts.xs("count", axis=1, level=1).to_numpy()
    exact = np.full(ones.shape, np.nan)
    for t in range(24, len(ones)):
        ok = np.isfinite(ones[t])
        # Fractions compared by cross multiplication: no division, so no rounding.
        less = ones[t, ok][:, None] * size[t, ok] > ones[t, ok] * size[t, ok][:, None]
        same = ones[t, ok][:, None] * size[t, ok] == ones[t, ok] * size[t, ok][:, None]
        exact[t, ok] = (less.sum(axis=1) + 0.5 * (same.sum(axis=1) + 1)) / ok.sum()
    got = FeatureEngine(PANEL, cache_bytes=0).values(f"cs_rank({UP})")
    assert np.array_equal(got[24:], exact[24:], equal_nan=True)


def test_a_mean_of_whole_numbers_is_the_quotient_and_of_equal_values_that_value() -> None:
    x = PANEL.values("tick")
    got = FeatureEngine(PANEL, cache_bytes=0).values("ts_mean(tick - 100 > 0.015, 7)")
    expected = pd.DataFrame((x - 100 > 0.015).astype(float)).rolling(7, min_periods=4).sum().to_numpy() / 7
    assert np.array_equal(got[7:], expected[7:])
    flat = Panel(PANEL.timestamps, PANEL.symbols, {"close": np.broadcast_to(x[0], x.shape).copy()}, PANEL.bar_seconds)
    engine = FeatureEngine(flat, cache_bytes=0)
    for n in (3, 7, 49, 99):
        assert (engine.values(f"ts_mean(close, {n})")[n:] == x[0]).all()
        assert (engine.values(f"ts_std(close, {n})")[n:] == 0).all()


def test_ranks_tie_below_the_rounding_of_their_scale_and_not_above() -> None:
    base = np.array([[1.0, 1.0 + 2.0**-45, 1.0 + 2.0**-30, -1.0, np.nan]])
    close = np.repeat(base, 12, axis=0)
    panel = Panel(PANEL.timestamps[:12], PANEL.symbols[:5], {"close": close}, 3600)
    ranks = FeatureEngine(panel, cache_bytes=0).values("cs_rank(close)")[0]
    assert np.array_equal(ranks, [0.625, 0.625, 1.0, 0.25, np.nan], equal_nan=True)
    over = np.repeat(base[:, :4].T, 3, axis=1)
    panel = Panel(PANEL.timestamps[:4], PANEL.symbols[:3], {"close": over}, 3600)
    ranks = FeatureEngine(panel, cache_bytes=0).values("ts_rank(close, 4)")[:, 0]
    assert np.array_equal(ranks[1:], [0.75, 1.0, 0.25])
