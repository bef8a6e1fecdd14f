"""`midas evaluate` and its neighbours on bundled and synthetic data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers_cli import call_midas, run_midas

if TYPE_CHECKING:
    from pathlib import Path

AGENTS = (
    "predictive_power",
    "decay_analysis",
    "trading_cost",
    "diversification",
    "overfit_detection",
    "regime_robustness",
)
CARRY = "cs_rank(ts_mean(funding_rate, 24))"


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    """A knowledge base that is not there: the thresholds are the program's own."""
    return str(tmp_path / "none")


def test_every_metric_with_its_error_and_six_verdicts(nowhere: str) -> None:
    ran = run_midas("evaluate", CARRY, "--data", "sample", "--kb", nowhere)
    assert ran.code == 0, ran.err
    for text in (
        "rank IC",
        "score t",
        "IR, annual",
        "half-life",
        "turnover",
        "effective IC",
        "ret_24h",
        "HIGH_VOL",
        *AGENTS,
    ):
        assert text in ran.out
    assert ran.out.count(" ± ") > 15
    assert ran.err == ""


def test_the_same_in_json(nowhere: str, capsys: Any) -> None:
    document = call_midas(capsys, "evaluate", CARRY, "--data", "sample", "--kb", nowhere, "--json").document
    assert [v["agent"] for v in document["verdicts"]] == list(AGENTS)
    evaluation = document["evaluation"]
    assert set(evaluation["rank_ic"]) == {"value", "se", "low", "high"}
    assert document["part"] == "research"
    assert document["trials"] == 1
    assert document["evaluation"]["bars_scored"] < 9528 * 0.7  # the rest of the history stays unseen


def test_the_same_twice_is_the_same(nowhere: str, capsys: Any) -> None:
    arguments = ("evaluate", "-ts_zscore(close, 24)", "--data", "synthetic:3", "--kb", nowhere, "--json")
    assert call_midas(capsys, *arguments).out == call_midas(capsys, *arguments).out


def test_more_trials_raise_the_line(nowhere: str, capsys: Any) -> None:
    def line(trials: str) -> float:
        arguments = ("evaluate", CARRY, "--kb", nowhere, "--trials", trials, "--json")
        return float(call_midas(capsys, *arguments).document["line_t"])

    assert line("1") < line("10") < line("1000")


def test_a_rival_is_compared_with(nowhere: str, capsys: Any) -> None:
    arguments = ("evaluate", CARRY, "--existing", "cs_rank(funding_rate)", "--kb", nowhere, "--json")
    evaluation = call_midas(capsys, *arguments).document["evaluation"]
    assert evaluation["most_correlated"] == "cs_rank(funding_rate)"
    assert evaluation["max_correlation"] > 0.5


def test_the_horizon_is_taken(nowhere: str, capsys: Any) -> None:
    document = call_midas(capsys, "evaluate", CARRY, "--horizon", "8", "--kb", nowhere, "--json").document
    assert document["evaluation"]["horizon_bars"] == 8


def test_thresholds_of_the_base_decide(tmp_path: Path, capsys: Any) -> None:
    from midas_engine.kb import KnowledgeBase

    base = KnowledgeBase(tmp_path / "kb")
    arguments = ("evaluate", CARRY, "--kb", str(base.path), "--json")

    def turnover_gate() -> bool:
        verdicts = {v["agent"]: v for v in call_midas(capsys, *arguments).document["verdicts"]}
        return next(bool(g["passed"]) for g in verdicts["trading_cost"]["gates"] if g["name"] == "turnover")

    assert turnover_gate()
    file = base.path / "knowledge" / "thresholds.json"
    thresholds = json.loads(file.read_text())
    thresholds["trading_cost"]["max_turnover"] = 0.001
    file.write_text(json.dumps(thresholds))
    assert not turnover_gate()
    file.write_text('{"trading_cost": {"max_turnover": "low"}}')
    refused = call_midas(capsys, *arguments)
    assert refused.code == 2
    assert "max_turnover" in refused.document["error"]["message"]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("cs_rank(clsoe)", 4),
        ("delay(close, -1)", 4),
        ("cs_rank(close", 4),
        ("__import__('os')", 4),
        ("", 4),
        ("ts_mean(close, 100000)", 4),
    ],
)
def test_a_refused_expression_says_where(expression: str, code: int, nowhere: str, capsys: Any) -> None:
    ran = call_midas(capsys, "evaluate", "--kb", nowhere, "--", expression)
    assert ran.code == code
    assert ran.err.startswith("error: ")
    assert "hint: " in ran.err or "dsl." in ran.err  # a limit is named by its setting
    assert (
        call_midas(capsys, "evaluate", "--json", "--kb", nowhere, "--", expression).document["error"]["exit_code"]
        == code
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "-high", "--json"),
        ("evaluate", "--json", "-high", "--horizon", "1"),
        ("evaluate", "--existing", "-close", "-high", "--json"),
        ("--json", "evaluate", "--", "-high"),
    ],
)
def test_a_leading_minus_is_an_expression_not_an_option(arguments: tuple[str, ...], nowhere: str, capsys: Any) -> None:
    ran = call_midas(capsys, "--kb", nowhere, *arguments)
    assert ran.code == 0, ran.out
    assert ran.document["expression"] == "-high"


def test_data_that_is_not_there(tmp_path: Path, nowhere: str, capsys: Any) -> None:
    ran = call_midas(capsys, "evaluate", "close", "--data", str(tmp_path / "missing.parquet"), "--kb", nowhere)
    assert ran.code == 3
    assert "missing.parquet" in ran.err


@pytest.mark.parametrize(
    "expression",
    [
        "close",
        "cs_rank(close)",
        "-close",
        "close * 3",
        "log(close)",
        "volume",
        "ts_mean(close, 24)",
        "-cs_rank(trades)",
    ],
)
def test_a_nominal_size_is_refused_by_name(expression: str, nowhere: str, capsys: Any) -> None:
    ran = call_midas(capsys, "evaluate", "--data", "sample", "--kb", nowhere, "--", expression)
    assert ran.code == 0
    assert "\nREFUSED " in ran.out
    assert "Units: " in ran.out.split("rank IC")[0]
    assert "x comparable" in ran.out


def test_both_parts_of_a_feature_and_a_disagreement_are_shown(nowhere: str, capsys: Any) -> None:
    ran = call_midas(capsys, "evaluate", "--data", "sample", "--kb", nowhere, "--", "-returns(close, 24)")
    assert "What differs between symbols for good (1%" in ran.out
    assert "IC and money disagree" in ran.out.split("IC (Pearson)")[0]
    assert "x comparable" not in ran.out
