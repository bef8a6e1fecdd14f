"""Online FDR against references written straight from the papers' formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate
from scipy.special import zeta

from midas_engine.stats.online_fdr import LordPlusPlus, e_value, gamma, replay


def lord_reference(p: list[float], alpha: float, w0: float) -> list[bool]:
    """Ramdas et al. 2017, equation of LORD++, one test at a time from the full history."""
    g = lambda j: j**-1.6 / zeta(1.6) if j >= 1 else 0.0  # noqa: E731
    rejected: list[bool] = []
    for t in range(1, len(p) + 1):
        tau = [j for j in range(1, t) if rejected[j - 1]]
        level = g(t) * w0
        if tau:
            level += (alpha - w0) * g(t - tau[0])
            level += alpha * sum(g(t - x) for x in tau[1:])
        rejected.append(p[t - 1] <= level)
    return rejected


def test_weights_sum_to_one() -> None:
    assert sum(gamma(j) for j in range(1, 200_000)) + 200_000**-0.6 / 0.6 / zeta(1.6) == pytest.approx(1.0, abs=1e-5)
    assert gamma(0) == gamma(-3) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_lord_equals_the_paper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.where(rng.random(120) < 0.3, rng.random(120) * 1e-4, rng.random(120)).tolist()
    stream = LordPlusPlus(0.1)
    found = [stream.test(x) for x in p]
    assert found == lord_reference(p, 0.1, 0.075)
    assert any(found)
    assert replay(p, 0.1) == stream


def test_noise_is_promoted_in_at_most_a_tenth_of_lifetimes() -> None:
    rng = np.random.default_rng(0)
    lifetimes = 2000
    fooled = sum(bool(replay(rng.random(30).tolist()).discoveries) for _ in range(lifetimes))
    assert fooled / lifetimes <= 0.10


def test_every_test_is_charged_and_discoveries_pay_back() -> None:
    stream = LordPlusPlus(0.1)
    first = stream.level()
    stream.test(float("nan"))
    assert stream.tests == 1
    assert stream.discoveries == []
    assert stream.level() < first
    spent = stream.level()
    stream.test(0.0)
    assert stream.level() > spent


def test_e_values_average_to_one_under_the_null() -> None:
    # With p = exp(-s) the integrand falls as 1 / s^2, so the tail beyond 500 is 1 / 500.
    mean, _ = integrate.quad(lambda s: e_value(math.exp(-s)) * math.exp(-s), 0.0, 500.0, limit=500)
    assert mean + 1 / 500 == pytest.approx(1.0, abs=1e-4)
    for p in (1e-6, 0.01, 0.5, 0.99):
        expected, _ = integrate.quad(lambda k, p=p: k * p ** (k - 1), 0.0, 1.0)
        assert e_value(p) == pytest.approx(expected, rel=1e-6)
    assert e_value(1.0) == 0.5
    assert e_value(float("nan")) == e_value(-1.0) == 0.0
