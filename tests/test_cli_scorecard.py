"""The verdict as text holds every figure that the verdict holds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from midas_engine.cli.scorecard import scorecard
from midas_engine.models import AgentVerdict, Estimate, EvaluationResult, FoldScore, GateCheck, MultiAgentResult

AGENTS = (
    "predictive_power",
    "decay_analysis",
    "trading_cost",
    "diversification",
    "overfit_detection",
    "regime_robustness",
)


def _result(**changes: Any) -> EvaluationResult:
    fields: dict[str, Any] = {
        "feature_name": "carry",
        "horizon_bars": 1,
        "bars_scored": 4321,
        "symbols": 23,
        "coverage": 0.987,
        "rank_ic": Estimate(0.0312, 0.0041, 0.0245, 0.0379),
        "ic": Estimate(0.0222, 0.0042, 0.0153, 0.0291),
        "score": Estimate(0.0351, 0.0038, 0.0288, 0.0414),
        "score_t": 7.61,
        "score_p": 0.0001,
        "ir": Estimate(3.21, 0.4, 2.5, 3.9),
        "ic_by_horizon": {"ret_1h": Estimate(0.0312, 0.0041), "ret_4h": Estimate(0.0211, 0.0051)},
        "half_life_hours": Estimate(17.5, 2.0, 14.0, 21.0),
        "half_life_known": True,
        "turnover": 0.411,
        "gross_bps": 1.234,
        "net_bps": -0.777,
        "net_bps_per_trade": -3.21,
        "cost_bps": 6.0,
        "effective_ic": -0.0123,
        "break_even_ic": 0.0456,
        "max_correlation": 0.33,
        "most_correlated": "momentum",
        "marginal_ic": Estimate(0.0190, 0.004),
        "marginal_t": 4.75,
        "is_ic": Estimate(0.031, 0.005),
        "oos_ic": Estimate(0.029, 0.006),
        "overfit_ratio": 1.07,
        "overfit_z": 0.26,
        "folds": (FoldScore("2025-09-01T00:00", "2025-10-01T00:00", 0.0345, 0.009, 3.83, 720),),
        "ic_by_regime": {"HIGH_VOL": Estimate(0.041, 0.009), "LOW_VOL": Estimate(0.021, 0.008)},
        "regime_bars": {"HIGH_VOL": 1200, "LOW_VOL": 1500},
        "regime_q_p": 0.097,
        "effective_breadth": 8.4,
        "composite_score": 0.612,
        "smallest_detectable_ic": 0.0071,
        "bars_per_year": 8760.0,
        "warnings": ("3 symbols listed late",),
    }
    return EvaluationResult(**{**fields, **changes})


def _judged(result: EvaluationResult, *, statistical: bool, overall: bool) -> MultiAgentResult:
    verdicts = tuple(
        AgentVerdict(
            name,
            name != "trading_cost",
            0.5,
            (GateCheck("effective_ic", result.effective_ic, ">", 0.0, name != "trading_cost"),),
            f"summary of {name}",
            (f"advice of {name}",),
        )
        for name in AGENTS
    )
    return MultiAgentResult(result, verdicts, overall, statistical, result.composite_score, 3, 2.13)


def test_every_figure_is_there() -> None:
    text = scorecard(_judged(_result(), statistical=True, overall=False))
    figures = ["+0.0312", "0.0041", "[+0.0245, +0.0379]", "+0.0222", "+0.0351", "7.61", "+3.21", "+17.5", "0.411"]
    figures += ["+1.234", "-0.777", "-3.21", "6.00"]
    figures += ["-0.0123", "0.0456", "0.33", "momentum", "+0.0190", "4.75", "1.07", "0.26", "3.83", "720", "0.097"]
    figures += ["8.4", "0.612", "0.0071", "4321", "98.7%", "23 symbols", "HIGH_VOL", "1500", "ret_4h", "+0.0211"]
    figures += ["3 symbols listed late", "2.13", "3 candidates"]
    assert [f for f in figures if f not in text] == []
    for agent in AGENTS:
        assert f"summary of {agent}" in text
        assert f"advice of {agent}" in text
    assert text.count("PASS") == 5
    assert text.count("FAIL") == 1


@pytest.mark.parametrize(
    ("statistical", "overall", "word"),
    [(True, True, "ACCEPTED"), (True, False, "REFUSED on economic grounds"), (False, False, "REFUSED ")],
)
def test_the_conclusion(statistical: bool, overall: bool, word: str) -> None:
    assert word in scorecard(_judged(_result(), statistical=statistical, overall=overall))


def test_what_is_unknown_is_not_shown_as_zero() -> None:
    unknown = Estimate(math.nan)
    result = _result(rank_ic=unknown, half_life_hours=unknown, half_life_known=False, score_t=math.nan, folds=())
    text = scorecard(_judged(result, statistical=False, overall=False))
    assert "half-life, hours" in text
    assert "unknown" in text
    assert "nan" not in text.lower().replace("dominan", "")


def test_text_from_a_model_cannot_act_on_the_terminal() -> None:
    text = scorecard(_judged(_result(most_correlated="\x1b]0;x\x07"), statistical=True, overall=False))
    assert "\x1b" not in text
