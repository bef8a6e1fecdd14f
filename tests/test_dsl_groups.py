"""Groups, scaling, regression on time and products: against pandas and numpy, and what a label may be used for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from helpers_dsl import make_panel, recompute, same
from midas_engine.dsl import DSLValidator, FeatureEngine, StreamEngine, parse, random_expression, units_warnings
from midas_engine.errors import ExpressionTypeError
from midas_engine.market.panel import Panel

Array = npt.NDArray[np.float64]


def grouped(seed: int = 5, bars: int = 160, symbols: int = 12) -> Panel:
    """A panel with a sector: fixed, missing for one symbol for a while, one symbol alone, one that changes."""
    panel = make_panel(seed, bars, symbols)
    sector = np.repeat(np.arange(symbols, dtype=float)[None] % 3, bars, axis=0)
    sector[:, 7] = 9.0
    sector[bars // 2 :, 2] = 1.0
    sector[20:40, 3] = np.nan
    fields = {**panel.fields, "sector": sector, "cap": panel.values("close") * 1e6}
    return Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)


PANEL = grouped()
SERIES = make_panel(4, 400, 1)


def values(text: str, panel: Panel = PANEL) -> Array:
    return FeatureEngine(panel, cache_bytes=0).values(text)


def by_group(column: str, what: str) -> Array:
    x, g = PANEL.values(column), PANEL.values("sector")
    out = np.full(x.shape, np.nan)
    for t in range(PANEL.T):
        row = pd.Series(np.where(np.isnan(g[t]), np.nan, x[t]))
        groups = row.groupby(g[t])
        found = {"mean": groups.transform("mean"), "rank": groups.rank(pct=True)}.get(what)
        found = row - groups.transform("mean") if found is None else found
        out[t] = found.where((groups.transform("count") >= 2) & row.notna())
    return out


@pytest.mark.parametrize("column", ["close", "trades", "funding_rate"])
@pytest.mark.parametrize("what", ["mean", "demean", "rank"])
def test_groups_against_pandas(column: str, what: str) -> None:
    same(values(f"cs_group_{what}({column}, sector)"), by_group(column, what), rel=1e-9, floor=1e-5)


def test_equal_values_of_a_group_centre_to_zero_and_tie() -> None:
    got = values("cs_group_demean(close / close * 0.1, sector)")
    assert np.nanmax(np.abs(got)) == 0
    assert np.isnan(got[:, 7]).all(), "alone in its group"
    assert np.isnan(got[20:40, 3]).all(), "without a label"


def test_a_condition_is_a_label() -> None:
    x, up = PANEL.values("close"), PANEL.values("close") > PANEL.values("open")
    got = values("cs_group_mean(close, close > open)")
    for t in (10, 90):
        for s in range(PANEL.S):
            mates = (up[t] == up[t, s]) & np.isfinite(x[t])
            if np.isfinite(x[t, s]) and mates.sum() >= 2:
                assert got[t, s] == pytest.approx(x[t, mates].mean(), rel=1e-12)


def test_scale_has_unit_gross() -> None:
    x = PANEL.values("funding_rate")
    same(values("cs_scale(funding_rate)"), x / np.nansum(np.abs(x), axis=1, keepdims=True), floor=1e-6)
    assert np.isnan(values("cs_scale(close - close)")).all()


def line(w: Array, places: Array) -> tuple[float, float, float]:
    """Slope, R squared and last residual of numpy's own fit."""
    slope, offset = np.polyfit(places, w, 1)
    rest = w - (slope * places + offset)
    spread = float(((w - w.mean()) ** 2).sum())
    return float(slope), float(1 - (rest**2).sum() / spread) if np.ptp(w) else float("nan"), float(rest[-1])


@pytest.mark.parametrize("n", [3, 5, 24, 60])
@pytest.mark.parametrize(("op", "which", "least"), [("ts_slope", 0, 2), ("ts_rsquare", 1, 3), ("ts_resid", 2, 3)])
@pytest.mark.parametrize("panel", [PANEL, SERIES], ids=["panel", "series"])
def test_regression_on_time(op: str, which: int, least: int, n: int, panel: Panel) -> None:
    x = panel.values("close")
    expected = np.full(x.shape, np.nan)
    need = max(least, -(-n // 2))
    for s in range(x.shape[1]):
        for t in range(len(x)):
            w = x[max(0, t - n + 1) : t + 1, s]
            ok = np.isfinite(w)
            if ok.sum() >= need and (which < 2 or ok[-1]):
                expected[t, s] = line(w[ok], np.arange(len(w))[ok])[which]
    same(values(f"{op}(close, {n})", panel), expected, rel=1e-6, floor=1e-3)


def test_a_flat_window_has_slope_zero_and_no_r_squared() -> None:
    assert np.nanmax(np.abs(values("ts_slope(close / close * 0.1, 9)"))) == 0
    assert np.isnan(values("ts_rsquare(close / close * 0.1, 9)")).all()
    assert np.nanmax(np.abs(values("ts_resid(close / close * 0.1, 9)"))) == 0


@pytest.mark.parametrize("n", [1, 3, 24])
@pytest.mark.parametrize("panel", [PANEL, SERIES], ids=["panel", "series"])
def test_product(n: int, panel: Panel) -> None:
    x = panel.values("close") / 100
    expected = recompute(x, n, -(-n // 2), lambda w: float(np.prod(w)))
    same(values(f"ts_product(close / 100, {n})", panel), expected)
    assert np.isnan(values("ts_product(close * 1e10, 60)", panel)[60:]).all(), "overflow is missing"


NEW = (
    "ts_slope(close, 9)",
    "ts_rsquare(close, 9)",
    "ts_resid(volume, 9)",
    "ts_product(1 + returns(close, 1), 9)",
    "cs_scale(funding_rate)",
    "cs_group_rank(ts_slope(close, 5), sector)",
    "cs_group_mean(volume, sector)",
    "cs_group_demean(returns(close, 3), sector)",
)


@pytest.mark.parametrize("text", NEW)
def test_the_stream_is_the_batch_to_the_bit_across_a_restart_and_another_start(text: str) -> None:
    batch = values(text)
    engines = [StreamEngine({"f": text}, tuple(PANEL.fields), PANEL.symbols) for _ in range(2)]
    rows = [{name: column[t] for name, column in PANEL.fields.items()} for t in range(PANEL.T)]
    streamed = [engines[0].update(row)["f"] for row in rows[:70]]
    engines[1].restore(engines[0].state())
    streamed += [engines[1].update(row)["f"] for row in rows[70:]]
    assert np.array_equal(batch, np.array(streamed), equal_nan=True)
    memory = parse(text).lookback
    late = Panel(PANEL.timestamps[13:], PANEL.symbols, {k: v[13:].copy() for k, v in PANEL.fields.items()}, 3600)
    assert np.array_equal(values(text, late)[memory:], batch[13 + memory :], equal_nan=True)


@pytest.mark.parametrize("text", [t for t in NEW if t.startswith("ts_")])
def test_one_long_series_is_cut_into_pieces_with_the_same_bits(text: str) -> None:
    engine = StreamEngine({"f": text}, tuple(SERIES.fields), SERIES.symbols)
    streamed = [engine.update({name: column[t] for name, column in SERIES.fields.items()})["f"] for t in range(400)]
    assert np.array_equal(values(text, SERIES), np.array(streamed), equal_nan=True)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("cs_neutralize(close, sector)", "cs_group_demean(x, sector)"),
        ("cs_neutralize(sector, close)", "cs_group_demean"),
        ("cs_rank(close, sector)", "cs_group_rank(x, sector)"),
        ("close * sector", "cs_group_rank"),
        ("ts_mean(sector, 5)", "cs_group_rank"),
        ("-sector", "cs_group_rank"),
        ("sector", "cs_group_rank"),
        ("cs_group_mean(my_cluster, sector)", "cs_group_rank(x, my_cluster)"),
        ("delay(token_group, 3) == 1", "cs_group_rank(x, token_group)"),
    ],
)
def test_a_label_is_never_taken_for_a_measure(text: str, hint: str) -> None:
    with pytest.raises(ExpressionTypeError, match="label|ranks all symbols") as caught:
        parse(text)
    assert hint in str(caught.value)


def test_what_a_label_is_for_is_allowed() -> None:
    for text in ("cs_group_rank(close, sector)", "if_else(sector == 3, close, open)", "(sector != 3) * close"):
        parse(text, columns=["close", "open", "sector"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cs_neutralize(close, kind_of_coin)", "kind_of_coin is taken for a measure to regress on"),
        ("cs_group_rank(close, volume)", "volume is a measure, not a label"),
        ("cs_neutralize(close, cap)", ""),
        ("cs_group_rank(close, kind_of_coin)", ""),
    ],
)
def test_a_column_that_may_be_the_other_kind_is_said(text: str, said: str) -> None:
    warnings = DSLValidator().validate(text).warnings
    assert (said in warnings[0]) if said else not warnings


def test_units_of_the_new_operators() -> None:
    assert not units_warnings("cap - quote_volume")
    assert not units_warnings("ts_resid(close, 9) + ts_slope(open, 9) - cs_group_mean(close, sector)")
    assert not units_warnings("ts_product(close / open, 3) - 1 + cs_scale(volume) + ts_rsquare(close, 9)")
    assert units_warnings("ts_slope(close, 9) + volume")
    assert not units_warnings("ts_product(close, 3) + volume"), "unknown, so nothing is said"


def test_random_expressions_use_labels_as_groups_only() -> None:
    columns = ("close", "volume", "sector")
    texts = [random_expression(np.random.default_rng(i), columns, 4) for i in range(200)]
    assert any(", sector)" in text for text in texts)


def test_nine_operators_deep_are_within_the_limits() -> None:
    text = "close"
    for _ in range(9):
        text = f"abs(log({text}))" if _ % 2 else f"log({text})"
    parse("log(abs(" * 4 + "sign(close)" + "))" * 4)
