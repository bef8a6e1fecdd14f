"""Graduation from shadow: the calibrator, the e-process, the dead verdict, restart."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.signal import lfilter

from midas_engine.errors import MonitorError
from midas_engine.stats.graduation import (
    DEAD_LEVEL,
    SOUND_P,
    GraduationBank,
    SealedEvidence,
    forward_line,
    look_line,
    sealed_wealth,
)

LEVEL = 0.2  # high enough that a few thousand streams count it


def wealth(p: float, level: float, bars: int) -> float:
    """S g(p) as a share of what graduates: the part of f after the look."""
    return float(np.exp(np.logaddexp.reduce(sealed_wealth(SealedEvidence(p, level, bars)))))


@pytest.mark.parametrize("level", [0.2, 0.0219, 0.0004])
@pytest.mark.parametrize("bars", [60, 3000, 200_000])
def test_what_a_look_leaves_is_a_calibrator(level: float, bars: int) -> None:
    edges = np.geomspace(look_line(level), SOUND_P, 4001)
    middle = np.sqrt(edges[1:] * edges[:-1])
    g = np.array([wealth(p, level, bars) for p in middle])
    # f is 1 / alpha up to the line of the look, then s g; with its integral at most one and never rising.
    assert look_line(level) / level + (level * np.exp(forward_line(level))) ** -1 * float(g @ np.diff(edges)) <= 1.0005
    assert (np.diff(g) <= 1e-9).all()
    assert g[0] <= np.exp(forward_line(level)) * (1 + 1e-9)


def noise_streams(rng: np.random.Generator, kind: str, bars: int, count: int) -> np.ndarray:
    t4 = rng.standard_t(4, size=(bars, count))
    if kind == "autocorrelated":
        return lfilter([1.0], [1.0, -0.3], t4, axis=0)
    size = np.exp(0.8 * lfilter([math.sqrt(1 - 0.98**2)], [1.0, -0.98], rng.normal(size=(bars, count)), axis=0))
    return t4 * size if kind == "clustered" else t4


@pytest.mark.parametrize("kind", ["heavy tails", "clustered", "autocorrelated"])
def test_noise_is_promoted_or_graduates_at_the_level_that_was_charged(kind: str) -> None:
    rng = np.random.default_rng(7)
    count = 2000
    evidence = [SealedEvidence(p, LEVEL, 3000) for p in rng.uniform(size=count)]
    bank = GraduationBank(evidence)
    for u in noise_streams(rng, kind, 700, count):
        bank.update(u)
    ever = sum(e.promoted for e in evidence) + int(bank.graduated.sum())
    assert int(bank.graduated.sum()) > 10  # the level that was kept is used
    assert ever / count <= LEVEL + 2.0 * math.sqrt(LEVEL * (1 - LEVEL) / count)


def test_a_real_effect_graduates_and_is_not_called_dead() -> None:
    rng = np.random.default_rng(8)
    bank = GraduationBank([SealedEvidence(0.04, 0.02, 3000, promise=0.03, variance=1.0)] * 150)
    for _ in range(3000):
        bank.update(rng.standard_t(4, size=150) / math.sqrt(2.0) + 0.06)
    assert bank.graduated.mean() > 0.7
    assert bank.dead.mean() <= DEAD_LEVEL


def test_what_has_turned_is_called_dead_and_what_keeps_its_promise_is_not() -> None:
    rng = np.random.default_rng(9)
    evidence = SealedEvidence(0.1, 0.02, 3000, promise=0.05, variance=1.0)
    for mean, least, most in ((-0.05, 0.9, 1.0), (0.05, 0.0, DEAD_LEVEL + 0.04)):
        bank = GraduationBank([evidence] * 150)
        for _ in range(2000):
            bank.update(rng.normal(mean, 1.0, 150))
        died = bank.peak_dead >= -math.log(DEAD_LEVEL)
        assert least <= died.mean() <= most, mean
        assert not (bank.dead & bank.graduated).any()


def test_the_expected_days_come_true() -> None:
    rng = np.random.default_rng(10)
    d = 0.06
    given = SealedEvidence(0.03, 0.02, 3000, research_t=d * math.sqrt(5600), research_bars=5600)
    bank = GraduationBank([given] * 100)
    ahead = bank.outlook(0)
    assert ahead is not None
    assert 0 < ahead.low < ahead.bars_to_go < ahead.high
    when = np.full(100, np.nan)
    for t in range(4_500):
        bank.update(rng.normal(d, 1.0, 100))
        when[bank.graduated & np.isnan(when)] = t + 1
    came = np.median(np.where(np.isnan(when), np.inf, when))
    assert came / 1.8 < ahead.bars_to_go < came * 1.8
    done = bank.outlook(int(np.flatnonzero(bank.graduated)[0]))
    assert done is not None
    assert done.bars_to_go == 0.0


def test_a_weak_one_may_never_come() -> None:
    ahead = GraduationBank([SealedEvidence(0.24, 0.0005, 3000)]).outlook(0)
    assert ahead is not None
    assert math.isinf(ahead.high)


def test_nothing_to_go_on_from_gathers_nothing() -> None:
    sound = SealedEvidence(0.04, 0.02, 3000)
    none = [
        None,
        dataclasses.replace(sound, p=0.001),  # promoted at the look
        dataclasses.replace(sound, p=0.5),
        dataclasses.replace(sound, p=math.nan),
        dataclasses.replace(sound, bars=0),
    ]
    bank = GraduationBank([*none, sound])
    for _ in range(500):
        bank.update(np.full(6, 0.5))
    assert bank.graduated.tolist() == [False] * 5 + [True]
    assert bank.bars.tolist() == [0.0] * 5 + [500.0]
    assert bank.outlook(0) is None


def test_missing_scores_are_no_evidence_and_the_unit_says_nothing() -> None:
    rng = np.random.default_rng(11)
    bank, scaled = (GraduationBank([SealedEvidence(0.04, 0.02, 3000)]) for _ in range(2))
    for u in rng.normal(0.05, 1.0, 400):
        bank.update(np.array([u]))
        bank.update(np.array([np.nan]))
        scaled.update(np.array([1000.0 * u]))
    assert bank.bars[0] == 400.0
    assert bank.log_e[0] == pytest.approx(float(scaled.log_e[0]), abs=1e-9)


def test_it_goes_on_bit_for_bit_after_a_restart() -> None:
    rng = np.random.default_rng(12)
    evidence = [SealedEvidence(0.04, 0.02, 3000), None, SealedEvidence(0.1, 0.01, 900, 0.02, 0.5)]
    straight, first = GraduationBank(evidence), GraduationBank(evidence)
    scores = rng.standard_t(4, size=(400, 3))
    for u in scores[:200]:
        straight.update(u)
        first.update(u)
    second = GraduationBank([None] * 3)
    second.load({name: array.copy() for name, array in first.arrays().items()})
    second.select([2, -1, 0])
    for u in scores[200:]:
        straight.update(u)
        second.update(u[[2, 1, 0]])
    assert np.array_equal(straight.log_wealth[[2, 0]], second.log_wealth[[0, 2]])
    assert np.array_equal(straight.log_dead[[2, 0]], second.log_dead[[0, 2]])
    with pytest.raises(MonitorError, match="graduation state"):
        second.load({name: array[:2] for name, array in first.arrays().items()})
