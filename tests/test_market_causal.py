"""Nothing about a bar depends on what comes after it: regimes, trends, funding, as-of columns. And what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers_market import START, bars, funding
from midas_engine.errors import DataFormatError
from midas_engine.market import (
    Panel,
    align_funding,
    forward_return_frame,
    forward_returns,
    horizon_name,
    load_panel,
    regime_labels,
    trend_labels,
)
from midas_engine.market.asof import as_of, usual_spacing

HOUR = np.timedelta64(3600, "s")


def walk(count: int, symbols: int, seed: int, hours: int = 1) -> Panel:
    """Random walks with changing volatility, a late listing and holes."""
    rng = np.random.default_rng(seed)
    level = np.exp(0.6 * np.sin(np.arange(count) / (400 / hours)))[:, None]
    close = 100 * np.exp(np.cumsum(rng.standard_normal((count, symbols)) * 0.01 * level, axis=0))
    close[: count // 3, -1] = np.nan
    close[rng.random(close.shape) < 0.01] = np.nan
    times = np.datetime64("2025-01-01", "ns") + np.arange(count) * HOUR * hours
    return Panel(times, [f"S{i}" for i in range(symbols)], {"close": close}, 3600 * hours)


def changed_after(panel: Panel, t: int, seed: int) -> Panel:
    """The same bars up to t, and others after it."""
    rng = np.random.default_rng(seed)
    close = panel["close"].copy()
    close[t + 1 :] *= np.exp(rng.standard_normal(close[t + 1 :].shape))
    close[t + 1 :][rng.random(close[t + 1 :].shape) < 0.3] = np.nan
    return Panel(panel.timestamps, panel.symbols, {"close": close}, panel.bar_seconds)


# -- regimes -------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), share=st.floats(0.1, 0.99), hours=st.sampled_from([1, 4]))
def test_labels_know_nothing_of_the_bars_after_them(seed: int, share: float, hours: int) -> None:
    panel = walk(3000 // hours, 4, seed, hours)
    t = int(panel.T * share)
    other = changed_after(panel, t, seed + 1)
    for labels in (regime_labels, trend_labels):
        whole = labels(panel)
        np.testing.assert_array_equal(labels(other)[: t + 1], whole[: t + 1])
        np.testing.assert_array_equal(labels(panel.slice(None, t + 1)), whole[: t + 1])


def test_volatility_labels_are_terciles_of_the_quarter_before() -> None:
    panel = walk(3000, 3, 5)
    labels = regime_labels(panel)
    returns = pd.DataFrame(panel["close"]).pct_change(fill_method=None).mean(axis=1)
    volatility = returns.rolling(24, min_periods=12).std(ddof=0)
    for t in (720, 1000, 2159, 2160, 2161, 2999):
        past = volatility.iloc[max(0, t - 2160) : t].dropna()
        share = float((past < volatility.iloc[t]).mean())
        assert labels[t] == ("LOW_VOL", "MID_VOL", "HIGH_VOL")[min(2, int(share * 3))], t
    assert set(labels[:720]) == {""}
    assert all(np.mean(labels[720:] == name) > 0.1 for name in ("LOW_VOL", "MID_VOL", "HIGH_VOL"))


def test_labels_of_minutes_compare_bars_an_hour_apart() -> None:
    rng = np.random.default_rng(3)
    count = 60 * 24 * 45
    calm = np.where(np.arange(count) // 7200 % 2, 0.0005, 0.002)
    close = np.exp(np.cumsum(rng.standard_normal(count) * calm))[:, None]
    times = np.datetime64("2025-01-01", "ns") + np.arange(count) * np.timedelta64(60, "s")
    panel = Panel(times, ("A",), {"close": close}, 60)
    labels = regime_labels(panel)
    known = labels != ""
    assert known[60 * 24 * 30 :].all()
    assert not known[: 60 * 24 * 30].any()
    settled = known & (np.arange(count) % 7200 > 1440)
    loud = calm > 0.001
    assert np.mean(labels[settled & loud] != "LOW_VOL") > 0.95
    assert np.mean(labels[settled & ~loud] != "HIGH_VOL") > 0.95


def test_one_absurd_print_does_not_blind_the_labels() -> None:
    panel = walk(2500, 3, 7)
    close = panel["close"].copy()
    close[1500, 0] = 1e300
    spiked = regime_labels(Panel(panel.timestamps, panel.symbols, {"close": close}, 3600))
    # A day later it is history; within the quarter it is one high value among 2160.
    assert np.mean(spiked[1526:] == regime_labels(panel)[1526:]) > 0.99


def test_trends_follow_the_drift() -> None:
    drift = np.concatenate([np.full(600, 0.004), np.full(600, -0.004), np.zeros(600)])
    noise = np.random.default_rng(1).standard_normal(1800) * 0.01
    noise[1200:] -= noise[1200:].mean()
    close = np.exp(np.cumsum(drift + noise))[:, None]
    times = np.datetime64("2025-01-01", "ns") + np.arange(1800) * HOUR
    labels = trend_labels(Panel(times, ("A",), {"close": close}, 3600))
    assert set(labels[:168]) == {""}
    assert np.mean(labels[200:600] == "UP_TREND") > 0.95
    assert np.mean(labels[800:1200] == "DOWN_TREND") > 0.95
    assert np.mean(labels[1400:] == "SIDEWAYS") > 0.4


def test_labels_of_the_sample_visit_every_regime() -> None:
    panel = load_panel("sample")
    for labels in (regime_labels(panel), trend_labels(panel)):
        names, counts = np.unique(labels[labels != ""], return_counts=True)
        assert len(names) == 3
        assert counts.min() / counts.sum() > 0.15


def test_a_panel_too_short_for_a_label_has_none() -> None:
    for count in (1, 2, 30):
        panel = walk(count, 2, 1)
        assert set(regime_labels(panel)) | set(trend_labels(panel)) == {""}


# -- forward returns -----------------------------------------------------------------------------------


def test_forward_returns_are_of_the_next_bars() -> None:
    panel = walk(60, 3, 2)
    close = pd.DataFrame(panel["close"])
    for horizon, found in forward_returns(panel, (1, 5, 59, 60, 500)).items():
        expected = (close.shift(-horizon) / close - 1).to_numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert np.isnan(found[-horizon:]).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), t=st.integers(0, 58), horizon=st.integers(1, 20))
def test_a_forward_return_ends_with_its_horizon(seed: int, t: int, horizon: int) -> None:
    panel = walk(60, 2, seed)
    other = changed_after(panel, t, seed)
    kept = t + 1 - horizon  # rows whose horizon lies within the kept bars
    if kept > 0:
        np.testing.assert_array_equal(
            forward_returns(panel, (horizon,))[horizon][:kept], forward_returns(other, (horizon,))[horizon][:kept]
        )


def test_forward_frames_have_the_names_of_the_original() -> None:
    frame = forward_return_frame(Panel.from_frame(bars(40, ("BTCUSDT", "ETHUSDT"))), (1, 4, 24))
    assert list(frame) == ["ret_1h", "ret_4h", "ret_24h"]
    assert frame.index.names == ["timestamp", "symbol"]
    assert [horizon_name(h, s) for h, s in ((1, 300), (1, 5400), (7, 1), (2, 43_200))] == [
        "ret_5m",
        "ret_90m",
        "ret_7s",
        "ret_24h",
    ]
    with pytest.raises(ValueError, match="at least one bar"):
        forward_return_frame(Panel.from_frame(bars(5)), (0,))


# -- funding -------------------------------------------------------------------------------------------


def test_a_rate_is_known_at_the_close_that_meets_its_settlement_and_not_before() -> None:
    panel = Panel.from_frame(bars(30))
    rows = pd.DataFrame(
        {"timestamp": START + pd.to_timedelta([8, 16], unit="h"), "symbol": "BTCUSDT", "funding_rate": [1e-4, -2e-4]}
    )
    fields = align_funding(panel, rows)
    rate, paid = fields["funding_rate"][:, 0], fields["funding_paid"][:, 0]
    # The bar that opens at 07:00 closes at 08:00.
    assert np.isnan(rate[:7]).all()
    assert np.isnan(paid[:7]).all()
    assert (rate[7:15] == 1e-4).all()
    assert (rate[15:] == -2e-4).all()
    assert {int(i): float(paid[i]) for i in np.flatnonzero(np.nan_to_num(paid))} == {7: 1e-4, 15: -2e-4}


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), t=st.integers(0, 99))
def test_funding_knows_nothing_of_settlements_after_the_close(seed: int, t: int) -> None:
    rng = np.random.default_rng(seed)
    panel = Panel.from_frame(bars(100))
    hours = np.cumsum(rng.choice([1, 4, 8, 30], 40)) - 20
    rows = pd.DataFrame(
        {
            "timestamp": START + pd.to_timedelta(hours, unit="h"),
            "symbol": "BTCUSDT",
            "funding_rate": rng.standard_normal(40) * 1e-4,
        }
    )
    close = pd.Timestamp(panel.closes[t], tz="UTC")
    later = rows["timestamp"] > close
    changed = rows.assign(funding_rate=rows["funding_rate"].where(~later, 0.5))
    moved = changed.assign(timestamp=changed["timestamp"].where(~later, changed["timestamp"] + pd.Timedelta("3h")))
    whole = align_funding(panel, rows)
    for other in (changed, moved, rows[~later], rows.sample(frac=1, random_state=seed)):
        fields = align_funding(panel, other)
        for name, values in whole.items():
            np.testing.assert_array_equal(fields[name][: t + 1], values[: t + 1])


def test_what_is_paid_is_what_was_settled() -> None:
    panel = Panel.from_frame(bars(40, seconds=4 * 3600))
    rows = funding(150, hours=1)
    paid = align_funding(panel, rows)["funding_paid"][:, 0]
    inside = (rows["timestamp"] > START) & (rows["timestamp"] <= pd.Timestamp(panel.closes[-1], tz="UTC"))
    assert np.nansum(paid) == pytest.approx(rows.loc[inside, "funding_rate"].sum(), rel=1e-12)


def test_a_rate_grows_stale_after_a_day_of_silence_and_comes_back() -> None:
    panel = Panel.from_frame(bars(100))
    rows = funding(13)
    rate = align_funding(panel, rows[(rows.index < 4) | (rows.index > 10)])["funding_rate"][:, 0]
    last, back = 23, 87  # settlements at 24:00 and 88:00
    assert np.isfinite(rate[: last + 25]).all()
    assert np.isnan(rate[last + 25 : back]).all()
    assert np.isfinite(rate[back:]).all()


def test_settlements_of_other_symbols_and_blank_rates_are_left_out() -> None:
    panel = Panel.from_frame(bars(30, ("BTCUSDT", "ETHUSDT")))
    rows = pd.concat([funding(), funding(symbol="XRPUSDT"), funding().assign(funding_rate=np.nan)])
    fields = align_funding(panel, rows)
    assert np.isnan(fields["funding_rate"][:, 1]).all()
    assert np.isfinite(fields["funding_rate"][:, 0]).all()
    with pytest.raises(DataFormatError, match="lack funding_rate, symbol"):
        align_funding(panel, funding()[["timestamp"]])


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), t=st.integers(0, 59))
def test_derived_columns_know_nothing_of_the_bars_after_them(seed: int, t: int) -> None:
    rng = np.random.default_rng(seed)
    panel = Panel.from_frame(bars(60, ("BTCUSDT", "ETHUSDT"), seed=seed))
    fields = {name: values.copy() for name, values in panel.fields.items()}
    for values in fields.values():
        values[t + 1 :] *= np.exp(rng.standard_normal(values[t + 1 :].shape))
        values[t + 1 :][rng.random(values[t + 1 :].shape) < 0.3] = np.nan
    other = Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)
    for column in ("vwap", "returns"):
        assert column not in panel.fields
        np.testing.assert_array_equal(other[column][: t + 1], panel[column][: t + 1])


# -- as-of ---------------------------------------------------------------------------------------------


@given(data=st.data())
def test_as_of_is_the_newest_known_value_that_is_not_too_old(data: st.DataObject) -> None:
    times = np.array(sorted(data.draw(st.sets(st.integers(0, 60), max_size=12))), dtype="datetime64[s]")
    times = (times + np.datetime64("2026-01-01", "s").astype("timedelta64[s]")).astype("datetime64[ns]")
    values = np.arange(1.0, len(times) + 1)
    ages = np.array(data.draw(st.lists(st.integers(0, 30), min_size=len(times), max_size=len(times))), "timedelta64[s]")
    closes = np.datetime64("2026-01-01", "ns") + np.arange(0, 80, 3) * np.timedelta64(1, "s")
    found = as_of(times, values, closes, ages.astype("timedelta64[ns]"))
    for close, got in zip(closes, found, strict=True):
        known = [i for i, at in enumerate(times) if at <= close]
        expected = values[known[-1]] if known and close - times[known[-1]] <= ages[known[-1]] else np.nan
        np.testing.assert_equal(got, expected)


def test_the_usual_spacing_follows_a_change_and_forgets_a_hole() -> None:
    hours = np.cumsum([0, *[8] * 10, 500, *[8] * 4, *[1] * 9])
    times = np.datetime64("2026-01-01", "ns") + hours * HOUR
    usual = usual_spacing(times, 8 * HOUR) / HOUR
    assert usual[0] == 8
    assert (usual[:15] == 8).all()
    assert usual[-1] == 1
    for n in (1, 5, 12, 20):
        np.testing.assert_array_equal(usual_spacing(times[:n], 8 * HOUR) / HOUR, usual[:n])


def test_no_observations_are_no_values() -> None:
    none: Any = np.array([], dtype="datetime64[ns]")
    assert len(usual_spacing(none, HOUR)) == 0
    found = as_of(none, np.array([]), np.array(["2026-01-01"], dtype="datetime64[ns]"), usual_spacing(none, HOUR))
    assert np.isnan(found).all()


def test_the_ranks_of_labels_are_those_of_scipy() -> None:
    rng = np.random.default_rng(4)
    volatility = rng.lognormal(size=3000)
    from midas_engine.market.regimes import _past_rank

    rank = _past_rank(volatility, 2160, 1)
    for t in (720, 1500, 2999):
        past = volatility[max(0, t - 2160) : t]
        assert rank[t] == pytest.approx(stats.percentileofscore(past, volatility[t], kind="strict") / 100)
