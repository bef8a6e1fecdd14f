"""A feature made of past returns is scored in time without a lean towards reversal: prices, trends, drawdowns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import rankdata

from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values
from midas_engine.market.panel import Panel
from midas_engine.settings import Settings
from midas_engine.stats.expanding_scores import expanding_scores, less_later

TEXTS = ("-close", "-returns(close, 360)", "-close / ts_max(close, 360)", "close")


def _shares(symbols: int, target: int, worlds: int) -> dict[str, float]:
    """Share of random walks on which each text is significant at 5 %."""
    hits = dict.fromkeys(TEXTS, 0)
    bars = 1500
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    for seed in range(worlds):
        rng = np.random.default_rng([seed, symbols, target])
        close = 100.0 * np.exp(np.cumsum(0.007 * rng.standard_t(4, (bars, symbols)), axis=0))
        panel = Panel(times, [f"S{k}USDT" for k in range(symbols)], {"close": close}, 3600)
        engine = FeatureEngine(panel, limits=Settings().dsl)
        context = EvaluationContext.from_panel(panel, horizons=(1,), options=ScoringOptions(target=target))
        for text in TEXTS:
            hits[text] += evaluate_values(engine.values(text), context).score_p < 0.05
    return {text: count / worlds for text, count in hits.items()}


@pytest.mark.parametrize(("symbols", "target"), [(1, 1), (3, 4)])
def test_what_past_returns_made_is_significant_as_seldom_as_noise(symbols: int, target: int) -> None:
    """Ranked over the whole part -close was significant on 65 % of them and the trend against on 25 %."""
    found = _shares(symbols, target, 120)
    assert max(found.values()) <= 0.125  # 5 % and three standard errors, and a unit root's tail
    assert found["close"] > 0.0  # the lean was against trends as much as for reversal


def test_a_score_among_the_past_does_not_know_the_future() -> None:
    rng = np.random.default_rng(2)
    values = np.round(rng.normal(size=200), 1)  # with ties
    values[[3, 50, 51]] = np.nan
    for stop in (20, 121, 200):
        known = values[:stop][~np.isnan(values[:stop])]
        ranks = np.full((1, stop), -1, np.int32)
        ranks[0, ~np.isnan(values[:stop])] = 2 * (rankdata(known) - 1.0)
        found = expanding_scores(ranks)[0]
        rows = [values[: t + 1] for t in range(stop)]
        wanted = [_last_score(row) for row in rows]
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def _last_score(row: np.ndarray) -> float:
    if np.isnan(row[-1]):
        return float("nan")
    known = row[~np.isnan(row)]
    return float(ndtri((rankdata(known)[-1] - 0.5) / known.size))


def test_a_return_is_taken_off_those_that_follow() -> None:
    x = np.array([[1.0, np.nan, 4.0, 2.0, 0.0]])
    wanted = [(1.0 - 2.0) * np.sqrt(3 / 4), np.nan, (4.0 - 1.0) * np.sqrt(2 / 3), 2.0 * np.sqrt(1 / 2), 0.0]
    np.testing.assert_allclose(less_later(x)[0], wanted)
