from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from helpers_dsl import COLUMNS, make_panel, same
from midas_engine.dsl import FeatureEngine, random_expression
from midas_engine.dsl.cache import Pool, ValueCache
from midas_engine.dsl.lanes import pieces, run_cut
from midas_engine.dsl.plan import build_plan, peak_bytes
from midas_engine.dsl.registry import OPERATORS
from midas_engine.errors import ExpressionTypeError, LimitError, UnknownNameError
from midas_engine.market.panel import Panel
from midas_engine.settings import DslLimits

WIDE = DslLimits(depth=12, total_lookback_bars=10**6)


def test_compute_is_a_series_over_bars_and_symbols() -> None:
    panel = make_panel(0, 50, 3)
    series = FeatureEngine(panel).compute("close / delay(close, 1) - 1")
    assert list(series.index.names) == ["timestamp", "symbol"]
    assert len(series) == 150
    assert str(series.index.get_level_values(0).tz) == "UTC"
    assert np.array_equal(
        series.to_numpy().reshape(50, 3), FeatureEngine(panel).values("returns(close, 1)"), equal_nan=True
    )
    single = FeatureEngine(make_panel(0, 50, 1)).compute("ts_mean(close, 5)")
    assert isinstance(single.index, pd.DatetimeIndex)


def test_one_symbol_has_no_cross_section() -> None:
    engine = FeatureEngine(make_panel(0, 50, 1))
    with pytest.raises(ExpressionTypeError, match="cs_rank compares symbols") as caught:
        engine.values("1 + cs_rank(close)")
    assert caught.value.position == 4


def test_unknown_column_lists_what_is_there() -> None:
    with pytest.raises(UnknownNameError, match="there are: .*funding_rate.*vwap"):
        FeatureEngine(make_panel(0, 20, 2)).values("mark_close + 1")


def test_derived_columns() -> None:
    panel = make_panel(0, 60, 3)
    same(FeatureEngine(panel).values("vwap"), FeatureEngine(panel).values("quote_volume / volume"))


def test_nothing_is_ever_infinite() -> None:
    rng = np.random.default_rng(0)
    fields = {
        "close": rng.choice([0.0, -0.0, 1e308, -1e308, np.inf, -np.inf, np.nan, 1e-320, 1.0], (80, 4)),
        "volume": rng.choice([0.0, 1e300, np.inf, np.nan, -1.0], (80, 4)),
    }
    times = np.datetime64("2026-01-01", "ns") + np.arange(80) * np.timedelta64(3600, "s")
    panel = Panel(times, list("abcd"), fields, 3600)
    engine = FeatureEngine(panel, cache_bytes=0, limits=WIDE)
    for i in range(300):
        text = random_expression(np.random.default_rng(i), ("close", "volume"), 3, max_window=12)
        assert not np.isinf(engine.values(text)).any(), text
    assert not np.isinf(engine.values("close")).any()


def test_all_missing_gives_all_missing() -> None:
    times = np.datetime64("2026-01-01", "ns") + np.arange(30) * np.timedelta64(3600, "s")
    panel = Panel(times, ["a", "b"], {c: np.full((30, 2), np.nan) for c in ("close", "high", "low", "volume")}, 3600)
    for name, operator in OPERATORS.items():
        text = f"{name}({', '.join(['close'] * operator.arity + ['3'] * (operator.required - operator.arity))})"
        if name != "clip":
            assert np.isnan(FeatureEngine(panel, cache_bytes=0).values(text)).all(), name


def test_results_are_read_only_and_private() -> None:
    panel = make_panel(0, 60, 3)
    engine = FeatureEngine(panel, cache_bytes=0)
    first = engine.values("ts_mean(close, 5)")
    kept = first.copy()
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1.0
    for text in ("ts_mean(open, 5)", "close + open", "ts_std(volume, 7)", "cs_rank(close)"):
        engine.values(text)
    assert np.array_equal(first, kept, equal_nan=True)


@pytest.mark.parametrize("budget", [0, 40_000, 2**28])
def test_sharing_changes_no_bit(budget: int) -> None:
    panel = make_panel(5, 120, 6)
    texts = [random_expression(np.random.default_rng(i), COLUMNS, 4) for i in range(60)]
    alone = FeatureEngine(panel, cache_bytes=0, limits=WIDE)
    shared = FeatureEngine(panel, limits=WIDE, cache=ValueCache(budget))
    expected = [alone.values(t) for t in texts]
    for _ in range(2):
        for text, value in zip(texts, expected, strict=True):
            assert np.array_equal(shared.values(text), value, equal_nan=True), text
    for value, twin in zip(expected, shared.many(list(texts)), strict=True):
        assert np.array_equal(value, twin, equal_nan=True)
    assert shared.cache.used <= budget


def test_cache_is_keyed_by_the_data() -> None:
    cache = ValueCache(2**26)
    a, b = make_panel(1, 40, 3), make_panel(2, 40, 3)
    x = FeatureEngine(a, cache=cache).values("ts_mean(close, 5)")
    y = FeatureEngine(b, cache=cache).values("ts_mean(close, 5)")
    assert not np.array_equal(x, y, equal_nan=True)
    assert len(cache) == 0  # kept when it is needed a second time
    second, third = (FeatureEngine(make_panel(1, 40, 3), cache=cache).values("ts_mean(close, 5)") for _ in range(2))
    assert cache.hits == 1
    assert third is second
    assert np.array_equal(x, second, equal_nan=True)


def test_cache_stays_within_its_budget_and_forgets_the_oldest() -> None:
    cache = ValueCache(4 * 800)
    for i in range(10):
        assert cache.put(i, np.zeros(100))
        cache.get(0)
    assert cache.used <= 3200
    assert cache.get(0) is not None
    assert cache.get(1) is None
    assert not cache.put("large", np.zeros(1000))


def test_pool_never_takes_back_what_is_not_its_own() -> None:
    pool = Pool((2, 2), keep=1)
    mine = pool.take()
    foreign = np.empty((2, 2))
    pool.give(foreign)
    pool.give(mine)
    assert pool.take() is mine
    assert pool.take() is not foreign


def test_common_parts_are_one_step() -> None:
    engine = FeatureEngine(make_panel(0, 20, 2))
    plan = build_plan(
        [engine.parse("ts_mean(close, 5) + ts_mean(close, 5) * (open + close) - (close + open)").ast], 0.5
    )
    keys = [s.key for s in plan.steps]
    assert len(keys) == len(set(keys))
    assert sum(k.startswith("ts_mean") for k in keys) == 1
    assert sum(k.startswith("add") and "ts_mean" not in k for k in keys) == 1


def test_min_share_setting_and_override() -> None:
    panel = make_panel(0, 60, 2, holes=0.0)
    strict = FeatureEngine(panel, limits=DslLimits(min_share=1.0), cache_bytes=0)
    assert np.isnan(strict.values("ts_mean(close, 10)")[:9, 0]).all()
    loose = FeatureEngine(panel, min_shares={"ts_mean": 0.1}, cache_bytes=0)
    assert np.isfinite(loose.values("ts_mean(close, 10)")[0, 0])
    assert np.isnan(loose.values("ts_sum(close, 10)")[3, 0])


@pytest.mark.parametrize("symbols", [1, 2, 5, 8])
@pytest.mark.parametrize("bars", [150, 1000, 1013])
def test_cut_history_is_bit_equal(bars: int, symbols: int) -> None:
    panel = make_panel(6, bars, symbols)
    x, y = panel.values("close"), panel.values("volume")
    cut = 0
    for operator in OPERATORS.values():
        if not operator.blocked:
            continue
        for n in (3, 24, 100):
            args = [x, y][: operator.arity]
            whole, parts = np.empty(x.shape), np.empty(x.shape)
            need = operator.need((n,), 0.5)
            assert operator.run is not None
            operator.run(args, (n,), need, operator.new_state((n,), symbols), whole)
            if run_cut(operator, args, (n,), need, parts):
                cut += 1
                assert np.array_equal(whole, parts, equal_nan=True), (operator.name, n)
    assert cut > 0


def test_pieces_are_whole_blocks() -> None:
    length, count = pieces(8760, 1, 24)
    assert length % 24 == 0
    assert length * count >= 8760 > length * (count - 1)
    assert pieces(8760, 200, 24) == (8760, 1)


def test_future_never_changes_the_past() -> None:
    rng = np.random.default_rng(11)
    panel = make_panel(7, 160, 5)
    cut = 100
    fields = {n: np.array(v) for n, v in panel.fields.items()}
    for values in fields.values():
        values[cut:] = rng.lognormal(0, 3, values[cut:].shape)
    other = Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)
    short = panel.slice(0, cut)
    for i in range(150):
        text = random_expression(np.random.default_rng(1000 + i), (*COLUMNS, "returns", "vwap"), 4)
        whole = FeatureEngine(panel, cache_bytes=0, limits=WIDE).values(text)[:cut]
        assert np.array_equal(
            FeatureEngine(other, cache_bytes=0, limits=WIDE).values(text)[:cut], whole, equal_nan=True
        )
        assert np.array_equal(FeatureEngine(short, cache_bytes=0, limits=WIDE).values(text), whole, equal_nan=True)


@pytest.mark.parametrize("spike", [1e6, 1e10, 1e14])
@pytest.mark.parametrize("shape", [(400, 3), (400, 20), (2000, 1)])
def test_a_bad_tick_is_forgotten(shape: tuple[int, int], spike: float) -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(100, 1, shape)
    dirty = clean.copy()
    dirty[120] = spike
    times = np.datetime64("2026-01-01", "ns") + np.arange(shape[0]) * np.timedelta64(3600, "s")
    other = rng.normal(0, 1, shape)
    names = [str(i) for i in range(shape[1])]
    good = FeatureEngine(Panel(times, names, {"close": clean, "volume": other}, 3600), cache_bytes=0)
    bad = FeatureEngine(Panel(times, names, {"close": dirty, "volume": other}, 3600), cache_bytes=0)
    ops = ("ts_mean(close, 24)", "ts_std(close, 24)", "ts_zscore(close, 24)", "ts_skew(close, 24)", "ts_sum(close, 24)")
    for text in (*ops, "ts_corr(close, volume, 24)", "ts_cov(volume, close, 24)", "ts_decay_linear(close, 24)"):
        assert np.array_equal(good.values(text)[144:], bad.values(text)[144:]), text


def test_wandering_prices_stay_exact() -> None:
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, (40_000, 1)), axis=0) + np.linspace(-3, 4, 40_000)[:, None])
    times = np.datetime64("2026-01-01", "ns") + np.arange(40_000) * np.timedelta64(60, "s")
    engine = FeatureEngine(Panel(times, ["a"], {"close": close}, 60), cache_bytes=0)
    windows = np.lib.stride_tricks.sliding_window_view(close[:, 0], 48)
    mean, std = windows.mean(axis=1), windows.std(axis=1, ddof=1)
    assert np.max(np.abs(engine.values("ts_mean(close, 48)")[47:, 0] / mean - 1)) < 1e-12
    assert np.max(np.abs(engine.values("ts_std(close, 48)")[47:, 0] / std - 1)) < 1e-9
    assert np.max(np.abs(engine.values("ts_zscore(close, 48)")[47:, 0] - (close[47:, 0] - mean) / std)) < 1e-9


def test_memory_of_one_expression_is_bounded() -> None:
    panel = make_panel(0, 4000, 40)
    text = "ts_mean(close, 5) * (ts_mean(open, 6) + ts_mean(high, 7) * (ts_mean(low, 8) + ts_std(volume, 9)))"
    plan = build_plan([FeatureEngine(panel).parse(text).ast], 0.5)
    assert 5 * 8 * panel.T * panel.S <= peak_bytes(plan, *panel.shape) <= 6 * 8 * panel.T * panel.S
    tight = FeatureEngine(panel, limits=DslLimits(memory_mb=4), cache_bytes=0)
    for compute in (tight.values, lambda t: tight.many([t])):
        with pytest.raises(LimitError, match=r"holds \d+ MB at once, more than the limit dsl.memory_mb = 4"):
            compute(text)
    assert tight.values("close * 2").shape == panel.shape


def test_threads_share_an_engine() -> None:
    panel = make_panel(3, 300, 1)
    engine = FeatureEngine(panel, limits=WIDE, cache=ValueCache(200_000))
    texts = [random_expression(np.random.default_rng(i), COLUMNS, 3, exclude=("cross_section",)) for i in range(40)]
    expected = [FeatureEngine(panel, limits=WIDE, cache_bytes=0).values(t) for t in texts]
    failures: list[str] = []

    def work() -> None:
        for text, value in zip(texts * 3, expected * 3, strict=True):
            if not np.array_equal(engine.values(text), value, equal_nan=True):
                failures.append(text)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_features_by_name() -> None:
    panel = make_panel(3, 60, 4)
    engine = FeatureEngine(panel, features={"gain": "returns(close, 4)"}, cache_bytes=0)
    plain = FeatureEngine(panel, cache_bytes=0)
    assert np.array_equal(engine.values("cs_rank(gain)"), plain.values("cs_rank(returns(close, 4))"), equal_nan=True)


def test_importing_the_language_is_light() -> None:
    code = (
        "import sys, midas_engine.dsl as d; assert 'numpy' not in sys.modules; "
        "d.DSLValidator(['close']).validate('ts_mean(close, 24)'); "
        "assert not {'numba', 'pandas', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=110)
