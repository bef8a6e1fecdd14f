"""The sequential tests: martingale, alarms, restarts, references, outlook."""

from __future__ import annotations

import math

import numpy as np
import pytest

from midas_engine.errors import MonitorError
from midas_engine.monitor import decay_detector
from midas_engine.stats.sequential import Reference, SequentialBank, head_start
from midas_engine.stats.sequential_delay import STRENGTH, outlook
from midas_engine.stats.sequential_reference import (
    GAIN,
    MeasuredScore,
    expected_reference,
    measure_score,
)
from tests.helpers_monitor import ar1, linked


def _bank(slope: float, arl0: float = 8760.0, features: int = 1) -> SequentialBank:
    return SequentialBank([Reference(slope, 1.0, 1e9)] * features, arl0=arl0)


def _run(bank: SequentialBank, rng: np.random.Generator, mean: float, bars: int) -> tuple[np.ndarray, np.ndarray]:
    """Alarm counts of each feature: critical and kill."""
    features = len(bank.base)
    critical, kill = np.zeros(features, int), np.zeros(features, int)
    one = np.ones(features)
    for _ in range(bars):
        bank.update(mean + rng.normal(size=features), one)
        critical += bank.decay_fired
        kill += bank.kill_fired
    return critical, kill


def test_the_statistic_is_the_shiryaev_roberts_sum() -> None:
    bank = _bank(0.2, arl0=1e9)
    rng = np.random.default_rng(0)
    u = rng.normal(size=50) + 0.1
    variance = np.empty(50)  # it is learned as the stream goes on; each step used what was known before it
    for t, x in enumerate(u):
        variance[t] = bank.variance[0]
        bank.update(np.array([x]), np.array([1.0]))
    drops, weights, start = (0.5, 0.0, -0.5, -1.0), (0.05, 0.45, 0.05, 0.45), head_start(0.2, 1.0, 1e9)
    total = 0.0
    for drop, weight in zip(drops, weights, strict=True):
        theta = 0.2 * drop - 0.2
        steps = theta / variance * (u - 0.5 * (0.2 * drop + 0.2))
        tails = np.cumsum(steps[::-1])[::-1]
        total += weight * (np.exp(tails).sum() + start * np.exp(steps.sum()))
    assert bank.decay_log_s[0] == pytest.approx(math.log(total / (1 + start / 1e9)), abs=1e-9)


def test_a_healthy_fleet_alarms_about_once_in_the_promised_run() -> None:
    bank = _bank(0.2, arl0=300.0, features=400)
    critical, kill = _run(bank, np.random.default_rng(1), 0.2, 3000)
    bars = 400 * 3000
    assert 280 < bars / critical.sum() < 420
    assert kill.sum() < critical.sum() / 3


def test_the_kill_test_keeps_its_promise_down_to_half_the_score() -> None:
    bank = _bank(0.2, arl0=300.0, features=400)
    _, kill = _run(bank, np.random.default_rng(2), 0.1, 3000)
    assert 400 * 3000 / kill.sum() > 300


def test_stronger_decay_is_called_sooner() -> None:
    delays = []
    for mean in (0.1, 0.0, -0.2):
        bank = _bank(0.2, features=300)
        rng = np.random.default_rng(3)
        seen = np.full(300, np.nan)
        for t in range(4000):
            bank.update(mean + rng.normal(size=300), np.ones(300))
            seen = np.where(bank.decay_fired & np.isnan(seen), t + 1, seen)
        delays.append(np.nanmean(seen))
    assert delays[0] > delays[1] > delays[2]
    found = outlook(0.2, 1.0)
    # the table speaks of a change in mid-life, this fleet was dead on arrival and is called sooner
    assert delays[1] < 1.2 * found.drop_bars
    assert delays[2] < 1.2 * found.flip_bars


def test_a_slow_feature_that_stays_small_is_no_decay() -> None:
    bank = _bank(0.2)
    for _ in range(5000):
        bank.update(np.array([0.0]), np.array([1e-4]))  # the value hardly left zero: nothing can be said
        assert not bank.decay_fired[0]


def test_no_score_is_no_step() -> None:
    bank = _bank(0.2)
    before = bank.decay_log_s[0]
    for _ in range(100):
        bank.update(np.array([np.nan]), np.array([np.nan]))
    assert bank.decay_log_s[0] == before


@pytest.mark.parametrize("reference", [None, Reference(0.0), Reference(-0.1), Reference(math.nan), Reference(0.1, 0.0)])
def test_without_a_usable_promise_nothing_fires(reference: Reference | None) -> None:
    bank = SequentialBank([reference], arl0=10.0)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        bank.update(rng.normal(size=1) - 3.0, np.ones(1))
        assert not bank.decay_fired[0]
        assert not bank.kill_fired[0]
    assert math.isnan(bank.decay_log_s[0])


def test_the_variance_is_learned_from_the_stream() -> None:
    bank = SequentialBank([Reference(0.1, 1.0, 0.0)])
    rng = np.random.default_rng(4)
    for _ in range(20_000):
        bank.update(0.1 + 0.3 * rng.normal(size=1), np.ones(1))
    assert bank.variance[0] == pytest.approx(0.09, rel=0.05)


def test_a_restart_changes_no_alarm() -> None:
    rng = np.random.default_rng(5)
    u = 0.1 + rng.normal(size=(3000, 3))
    straight, moved = _bank(0.2, 100.0, 3), _bank(0.2, 100.0, 3)
    for t in range(3000):
        if t % 37 == 0:
            fresh = _bank(0.2, 100.0, 3)
            fresh.load({k: v.copy() for k, v in moved.arrays().items()})
            moved = fresh
        straight.update(u[t], np.ones(3))
        moved.update(u[t], np.ones(3))
        np.testing.assert_array_equal(straight.decay_fired, moved.decay_fired)
        np.testing.assert_array_equal(straight.kill_fired, moved.kill_fired)
    with pytest.raises(MonitorError, match="shape"):
        _bank(0.2, 100.0, 2).load(straight.arrays())


def test_select_keeps_rows_and_adds_fresh_ones() -> None:
    bank = SequentialBank([Reference(0.1), Reference(0.3)])
    bank.update(np.array([0.0, 0.0]), np.ones(2))
    kept = bank.decay_log_s[1]
    bank.select([1, -1], [None, Reference(0.5)])
    assert bank.decay_log_s[0] == kept
    assert bank.base[1] == 0.5


def test_the_floor_is_half_the_promise_or_break_even() -> None:
    assert Reference(0.10).floor == 0.05
    assert Reference(0.10, break_even=0.08).floor == 0.08


@pytest.mark.parametrize("arl0", [0.0, 1.0, math.nan])
def test_a_run_length_that_is_none(arl0: float) -> None:
    with pytest.raises(MonitorError, match="average run length"):
        SequentialBank([None], arl0=arl0)


def test_measured_score_equals_its_definition() -> None:
    rng = np.random.default_rng(6)
    w = rng.chisquare(1, size=5000)
    u = 0.1 * w + np.sqrt(w) * rng.normal(size=5000) * 0.5
    u[::10] = np.nan
    found = measure_score(u, w)
    assert found is not None
    known = np.isfinite(u)
    assert found.bars == known.sum()
    assert found.slope == pytest.approx(u[known].sum() / w[known].sum())
    assert found.variance == pytest.approx(0.25, rel=0.1)
    assert abs(found.slope - 0.1) < 4 * found.se
    assert measure_score(u[:50], w[:50]) is None


def test_a_history_pulls_the_claim_and_a_contradiction_wins() -> None:
    claim = expected_reference(0.05).score
    assert claim == pytest.approx(GAIN * 0.05)
    near = expected_reference(0.05, MeasuredScore(0.06, 0.01, 1.0, 8760)).score
    assert claim < near < 0.06
    low = expected_reference(0.05, MeasuredScore(0.0, 0.01, 1.0, 8760)).score
    assert low < 0.4 * claim
    assert low > 0
    assert expected_reference(0.05, MeasuredScore(0.06, 0.01, 1.0, 8760), cautious=True).score < near


@pytest.mark.parametrize("ic", [0.0, -0.1, 1.0, math.nan, "0.05", None])
def test_an_expected_ic_that_is_none(ic: object) -> None:
    with pytest.raises(MonitorError, match="not between 0 and 1"):
        decay_detector(ic)  # type: ignore[arg-type]


def test_the_public_detector_calls_a_flip_and_survives_restarts() -> None:
    rng = np.random.default_rng(7)
    past = ar1(rng, 4000, 0.9)
    history = linked(rng, past, 0.1)
    value = ar1(rng, 1500, 0.9)
    returns = linked(rng, value, np.where(np.arange(1500) < 700, 0.1, -0.1))
    alarms: dict[str, list[int]] = {}
    for kind in ("critical", "kill"):
        straight, moved = (decay_detector(0.1, past, history, kind=kind) for _ in range(2))
        first, again = [], []
        for t in range(1500):
            if t % 211 == 0:
                blob = moved.state()
                moved = decay_detector(0.1, kind=kind)
                moved.restore(blob)
            if straight.update(value[t], returns[t]):
                first.append(t)
            if moved.update(value[t], returns[t]):
                again.append(t)
        assert first == again
        alarms[kind] = first
        assert first
        assert first[0] > 700
        assert straight.alarms == len(first)
        assert moved.reference.score == straight.reference.score
        assert moved.reference.floor == straight.reference.floor
    assert alarms["critical"][0] <= alarms["kill"][0]


def test_the_public_detector_takes_panels() -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(size=(3000, 20))
    returns = linked(rng, values, np.where(np.arange(3000) < 2000, 0.1, -0.1)[:, None])
    detector = decay_detector(0.1, values[:1500], returns[:1500])
    assert detector.reference.variance < 0.1
    alarms = [t for t in range(1500, 3000) if detector.update(values[t], returns[t])]
    assert 2000 <= alarms[0] < 2040
    with pytest.raises(MonitorError, match="detector of 20"):
        detector.update(1.0, 0.0)


def test_the_public_detector_ignores_rubbish() -> None:
    rng = np.random.default_rng(9)
    value = rng.normal(size=800)
    returns = linked(rng, value, 0.1)
    clean, dirty = decay_detector(0.1), decay_detector(0.1)
    for t in range(800):
        clean.update(value[t], returns[t])
        dirty.update(value[t], returns[t])
        for bad in (np.nan, np.inf, 1e308):
            dirty.update(bad, np.nan)
    assert dirty.log_s == pytest.approx(clean.log_s)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"kind": "both"}, "unknown kind"),
        ({"history_values": np.zeros(5)}, "values and returns"),
        ({"history_values": np.zeros(5), "history_returns": np.zeros(4)}, "one shape"),
        ({"history_values": np.zeros((2, 2, 2)), "history_returns": np.zeros((2, 2, 2))}, "cannot be read"),
        ({"arl0": 0}, "average run length"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(MonitorError, match=told):
        decay_detector(0.05, **arguments)  # type: ignore[arg-type]


def test_a_state_of_another_detector_is_refused() -> None:
    detector = decay_detector(0.05)
    with pytest.raises(MonitorError, match="another detector"):
        decay_detector(0.05, kind="kill").restore(detector.state())
    with pytest.raises(MonitorError, match="cannot be read"):
        detector.restore(b"PK nonsense")
    blob = bytearray(detector.state())
    del blob[len(blob) // 2 :]
    with pytest.raises(MonitorError, match="cannot be read"):
        detector.restore(bytes(blob))


def test_outlook_is_ordered_and_scales() -> None:
    weak, strong = outlook(0.03, 1.0), outlook(0.15, 1.0)
    assert weak.drop_bars > strong.drop_bars > strong.flip_bars
    assert weak.flip_bars < weak.drop_bars
    assert outlook(0.05, 1.0).false_alarms_per_year == 1.0
    assert outlook(0.1, 4.0).drop_bars == pytest.approx(outlook(0.05, 1.0).drop_bars)
    assert math.isnan(outlook(0.0, 1.0).drop_bars)
    for strength in (STRENGTH[0] / 10, STRENGTH[-1] * 10):
        assert outlook(math.sqrt(strength / 8760), 1.0).drop_bars > 0


@pytest.mark.parametrize(("after", "what"), [(0.0, "drop_bars"), (-1.0, "flip_bars")])
def test_the_gauge_of_a_strong_feature_on_days_is_within_a_sixth(after: float, what: str) -> None:
    """Few bars to an alarm: what scaling leaves out is no longer nothing."""
    rng = np.random.default_rng(0)
    rows, healthy, bars, slope, memory = 600, 60, 420, 0.22, 0.9
    bank = SequentialBank([Reference(slope)] * rows, arl0=365.0)
    value, waiting, delay = rng.normal(size=rows), np.ones(rows, bool), np.full(rows, np.nan)
    for t in range(bars):
        value = memory * value + np.sqrt(1.0 - memory**2) * rng.normal(size=rows)
        held = np.clip(value, -3.0, 3.0)
        true = slope / 0.7 * (1.0 if t < healthy else after)
        bank.update(true * held**2 + held * rng.normal(size=rows), held**2)
        hit = bank.decay_fired & waiting
        delay[hit & (t >= healthy)] = t - healthy + 1
        waiting &= ~hit
    found = getattr(outlook(slope, 1.0, arl0=365.0), what)
    assert found == pytest.approx(np.nanmean(delay), rel=0.15)
