"""The portfolio detector: a break that all share is seen before any one of them shows it, and nothing else is."""

from __future__ import annotations

import numpy as np

from midas_engine.monitor.figures.portfolio import PortfolioDetector
from midas_engine.stats.sequential import Reference, SequentialBank

FEATURES = 8
PROMISED = np.linspace(0.08, 0.14, FEATURES)
LIVE = np.ones(FEATURES)


def _scores(rng: np.random.Generator, share: float, common: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Scores and weights of a bar: a promise kept to `share`, noise of which a part is common to all."""
    w = rng.chisquare(1, size=FEATURES)
    noise = np.sqrt(common) * rng.normal() + np.sqrt(1 - common) * rng.normal(size=FEATURES)
    return share * PROMISED * w + np.sqrt(w) * noise, w


def test_a_healthy_book_is_called_about_once_in_the_promised_run() -> None:
    rng = np.random.default_rng(1)
    detector, calls = PortfolioDetector(300.0, 720), 0
    for _ in range(8000):
        detector.update(*_scores(rng, 1.0), PROMISED, LIVE)
        calls += detector.fired
    assert 220 < 8000 / calls < 1100
    assert detector.recovered


def test_a_common_break_is_seen_before_a_single_feature_shows_it() -> None:
    first = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        book = PortfolioDetector(8760.0, 720)
        alone = SequentialBank([Reference(float(slope)) for slope in PROMISED])
        for _ in range(600):
            u, w = _scores(rng, 1.0, 0.0)
            book.update(u, w, PROMISED, LIVE)
            alone.update(u, w)
        seen, single = None, np.full(FEATURES, np.nan)
        for t in range(3000):
            u, w = _scores(rng, 0.0, 0.0)
            book.update(u, w, PROMISED, LIVE)
            alone.update(u, w)
            seen = t if seen is None and book.fired else seen
            single = np.where(np.isnan(single) & alone.decay_fired, t, single)
            if np.isfinite(single).sum() > FEATURES // 2:
                break
        assert seen is not None
        first.append((seen, np.nanmax(single)))
    common, half_of_them = np.mean(first, axis=0)
    assert common < half_of_them / 2.5


def test_it_speaks_of_two_features_or_more_and_of_the_live_ones_only() -> None:
    rng = np.random.default_rng(2)
    lonely = PortfolioDetector(50.0, 720)
    promised = np.full(FEATURES, np.nan)
    promised[0] = 0.1
    for _ in range(300):
        lonely.update(*_scores(rng, -1.0), promised, LIVE)
        assert not lonely.fired
    assert np.isnan(lonely.log_s)
    live = LIVE.copy()
    live[4:] = 0.0
    half = PortfolioDetector(50.0, 720)
    half.update(*_scores(rng, 1.0), PROMISED, live)
    assert half.slope == PROMISED[:4].mean()
    missing = (np.full(FEATURES, np.nan), np.full(FEATURES, np.nan))
    before = half.log_s
    half.update(*missing, PROMISED, live)
    assert half.log_s == before


def test_a_change_of_the_book_starts_it_anew_and_a_restart_does_not() -> None:
    rng = np.random.default_rng(3)
    bars = [_scores(rng, -0.5) for _ in range(300)]
    straight, moved = PortfolioDetector(100.0, 50), PortfolioDetector(100.0, 50)
    for t, (u, w) in enumerate(bars):
        if t % 41 == 0:
            fresh = PortfolioDetector(100.0, 50)
            fresh.load({name: value.copy() for name, value in moved.arrays().items()})
            moved = fresh
        straight.update(u, w, PROMISED, LIVE)
        moved.update(u, w, PROMISED, LIVE)
        assert straight.fired == moved.fired
        assert straight.log_s == moved.log_s
    assert not straight.recovered
    learned = straight.variance
    smaller = LIVE.copy()
    smaller[0] = 0.0
    quiet = (PROMISED * 1.0, np.ones(FEATURES))
    straight.update(*quiet, PROMISED, smaller)
    assert straight.slope == PROMISED[1:].mean()
    assert abs(straight.variance - learned) < 0.1 * learned  # what was learned of the noise stays
