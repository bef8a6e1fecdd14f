"""Intervals of counts, against statsmodels and against their own promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson

from midas_engine.stats.intervals import rate_interval, share_interval


@pytest.mark.parametrize(("hits", "tries"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 1000)])
def test_shares_equal_clopper_and_pearson(hits: int, tries: int) -> None:
    assert share_interval(hits, tries) == pytest.approx(proportion_confint(hits, tries, 0.10, "beta"), abs=1e-12)


@pytest.mark.parametrize("events", [0, 1, 7, 120])
def test_rates_equal_garwood(events: int) -> None:
    expected = confint_poisson(events, 2.5, method="exact-c", alpha=0.10)
    assert rate_interval(events, 2.5) == pytest.approx(tuple(float(x) for x in expected), abs=1e-9)


def test_nothing_seen_says_nothing() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)
    assert rate_interval(0, 0.0) == (0.0, math.inf)


def test_the_intervals_cover_at_least_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    shares = [share_interval(int(k), 40) for k in rng.binomial(40, 0.12, 600)]
    rates = [rate_interval(int(k), 3.0) for k in rng.poisson(6.0, 600)]
    assert np.mean([low <= 0.12 <= high for low, high in shares]) >= 0.88
    assert np.mean([low <= 2.0 <= high for low, high in rates]) >= 0.88
