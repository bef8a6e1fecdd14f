"""Windows in two levels: a minute's bar costs what an hour's does, and the figures are those of all its bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from midas_engine.errors import MonitorError
from midas_engine.monitor.diagnosis.segments import compare_segments
from midas_engine.monitor.figures.block_ranks import BlockRanks, rank_ring
from midas_engine.monitor.figures.block_ring import SLOTS, BlockRing, mean_ring
from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine
from midas_engine.monitor.figures.ring import MeanRing, RankRing
from midas_engine.monitor.figures.score_history import EvidenceRing, Lookback


def test_short_windows_stay_exact() -> None:
    assert isinstance(mean_ring(1, SLOTS), MeanRing)
    assert isinstance(rank_ring(1, 1, SLOTS), RankRing)
    with pytest.raises(MonitorError, match="needs no blocks"):
        BlockRanks(1, 1, SLOTS)


def test_blocks_of_bars_have_the_sums_of_their_bars() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9000, 2)) + 3.0
    x[rng.random(x.shape) < 0.2] = np.nan
    ring = BlockRing(2, 7200)
    assert ring.step == 20
    for t, row in enumerate(x):
        ring.update(row)
        if t in (5, 719, 7199, 7205, 8999):
            covered = x[max(0, t + 1 - (7200 - 20 + 1 + t % 20)) : t + 1]
            total, squares, count = ring.sums.T
            np.testing.assert_allclose(total, np.nansum(covered, axis=0))
            np.testing.assert_allclose(squares, np.nansum(covered**2, axis=0))
            np.testing.assert_array_equal(count, np.isfinite(covered).sum(axis=0))
    np.testing.assert_allclose(ring.total(1440), np.nansum(x[-1440:], axis=0))
    mean, error, count = ring.mean(1440)
    np.testing.assert_allclose(mean, np.nanmean(x[-1440:], axis=0))
    np.testing.assert_allclose(error, np.nanstd(x[-1440:], axis=0, ddof=1) / np.sqrt(count))
    np.testing.assert_array_equal(ring.newest, x[-1])
    other = BlockRing(2, 7200)
    other.load({k: v.copy() for k, v in ring.arrays().items()})
    ring.select([1, -1])
    other.select([1, -1])
    for t in range(30):
        ring.update(x[t])
        other.update(x[t])
    np.testing.assert_array_equal(ring.sums, other.sums)
    with pytest.raises(MonitorError, match="shape"):
        BlockRing(3, 7200).load(ring.arrays())


def _pairs(bars: int, rho: float, seed: int, wander: float = 0.02) -> tuple[Any, Any]:
    """Heavy tails, a level that wanders, holes: [bars, 4] values of two features on two symbols, [bars, 2] returns."""
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(3, (bars, 2)) * 0.001
    drift = np.cumsum(rng.normal(0, 1.0, (bars, 4)) * wander, axis=0)
    values = drift + rng.standard_t(4, (bars, 4)) + rho * np.tile(np.sign(returns) * np.sqrt(np.abs(returns) * 1e3), 2)
    values[rng.random(values.shape) < 0.05] = np.nan
    returns[rng.random(returns.shape) < 0.02] = np.nan
    return values, returns


@pytest.mark.parametrize(("rho", "wander", "error"), [(0.0, 0.0, 0.005), (0.4, 0.0, 0.01), (0.4, 0.02, 0.04)])
def test_two_levels_rank_as_all_pairs_do(rho: float, wander: float, error: float) -> None:
    values, returns = _pairs(9000, rho, 3, wander)
    ring = BlockRanks(2, 2, 4320)
    for t in range(9000):
        ring.update(values[t], returns[t])
        if t + 1 not in (5, 300, 719, 720, 1200, 4000, 9000):
            continue
        back = t + 1 if t + 1 <= 4320 else 4320 - ring.block_bars + ring.inside
        for lane in range(4):
            x, y = values[t + 1 - back : t + 1, lane], returns[t + 1 - back : t + 1, lane % 2]
            both = np.isfinite(x) & np.isfinite(y)
            assert ring.count[lane] == both.sum()
            if both.sum() < 8:
                assert np.isnan(ring.rank_ic[lane])
                continue
            assert ring.pearson[lane] == pytest.approx(pearsonr(x[both], y[both]).statistic, abs=1e-9)
            exact = spearmanr(x[both], y[both]).statistic
            assert ring.rank_ic[lane] == pytest.approx(exact, abs=1e-9 if t + 1 < SLOTS else error)


def test_a_restart_and_a_new_feature_change_nothing_of_the_others() -> None:
    values, returns = _pairs(3000, 0.3, 4)
    ring, twin = BlockRanks(2, 2, 1440), BlockRanks(2, 2, 1440)
    for t in range(2000):
        ring.update(values[t], returns[t])
        twin.update(values[t], returns[t])
        if t == 1500:
            stored = {k: v.copy() for k, v in ring.arrays().items()}
            twin = BlockRanks(2, 2, 1440)
            twin.load(stored)
    np.testing.assert_array_equal(ring.rank_ic, twin.rank_ic)
    twin.select([-1, 0])
    fresh = RankRing(1, 2, SLOTS)
    for t in range(2000, 2700):
        ring.update(values[t], returns[t])
        twin.update(np.tile(values[t, :2], 2), returns[t])
        fresh.update(values[t, :2], returns[t])
    np.testing.assert_allclose(twin.rank_ic[:2], fresh.rank_ic)
    np.testing.assert_allclose(twin.rank_ic[2:], ring.rank_ic[:2], atol=0.06)
    np.testing.assert_array_equal(twin.count[2:], ring.count[:2])


def test_evidence_of_sums_says_what_its_bars_say() -> None:
    rng = np.random.default_rng(5)
    bars, base, variance = 6000, 0.05, 1.0
    u = rng.normal(base, 1.0, bars)
    u[4200:] -= base  # it fails from there on
    fine, coarse = EvidenceRing(1, bars, bars), EvidenceRing(1, bars, 600)
    for value in u:
        fine.update(np.array([value]), np.ones(1), "MID_VOL")
        coarse.update(np.array([value]), np.ones(1), "MID_VOL")
    one, ten = fine.of(0), coarse.of(0)
    assert (one.step, ten.step, len(ten.u)) == (1, 10, 600)
    assert ten.u.sum() == pytest.approx(u.sum(), rel=1e-5)
    exact, summed = compare_segments(one, base, variance), compare_segments(ten, base, variance)
    assert exact is not None
    assert summed is not None
    assert summed.log_decay == pytest.approx(exact.log_decay, abs=0.3)
    assert abs(summed.break_at * 10 - exact.break_at) <= 10
    assert summed.after[:2] == pytest.approx(exact.after[:2], abs=0.004)
    again = EvidenceRing(1, bars, 600)
    again.load({k: v.copy() for k, v in coarse.arrays().items()})
    coarse.update(np.ones(1), np.ones(1), "")
    again.update(np.ones(1), np.ones(1), "")
    np.testing.assert_array_equal(again.of(0).u, coarse.of(0).u)
    old = {"x": np.zeros((1, 2, 5), np.float32), "codes": np.zeros(5, np.int16), "labels": np.array([""]),
           "place": np.array([2, 2])}  # fmt: skip
    hourly = EvidenceRing(1, 5, 5)
    hourly.load(old)
    hourly.update(np.ones(1), np.ones(1), "")
    assert hourly.of(0).u.tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(MonitorError, match="bar by bar"):
        EvidenceRing(1, 50, 5).load(old)
    assert isinstance(one, Lookback)


@pytest.mark.parametrize("symbols", [1, 12])
def test_the_state_is_as_large_for_minutes_as_for_hours(symbols: int) -> None:
    def size(bar_seconds: int) -> int:
        engine = MonitorEngine(["a", "b"], symbols=symbols, config=EngineConfig(bar_seconds=bar_seconds))
        rng = np.random.default_rng(0)
        for k in range(30):
            at = np.datetime64("2026-01-01", "s") + k * np.timedelta64(bar_seconds, "s")
            engine.update(at, rng.normal(size=(2, symbols)), rng.normal(size=symbols), regime="MID_VOL")
        engine.columns()
        restored = MonitorEngine(["a", "b"], symbols=symbols, config=EngineConfig(bar_seconds=bar_seconds))
        restored.restore(engine.state())
        assert restored.bars == 30
        return sum(array.nbytes for array in engine.parts()[1].values())

    assert size(60) <= 3.5 * size(3600)
