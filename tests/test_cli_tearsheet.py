"""`midas tearsheet`: one file, and the same figures for machines; event features everywhere a feature is judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.cli.open_base import open_pipeline
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.settings import load_settings
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path

DATA = "synthetic:3"


def test_an_expression_becomes_one_self_contained_page(tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "funding.html"
    ran = call_midas(
        capsys, "tearsheet", "cs_rank(ts_mean(-funding_rate, 24))", "--data", DATA, "--out", str(page),
        "--kb", str(tmp_path / "kb"), "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 8, "all but the correlation with a book that is empty"
    assert "http" not in text
    assert "<script" not in text
    figures = json.loads(page.with_suffix(".json").read_text())
    document = ran.document
    assert document.pop("page") == str(page)
    assert document.pop("figures_file") == str(page.with_suffix(".json"))
    assert document == figures
    for key in (
        "cumulative_score", "decay", "quantile_returns", "turnover", "equity", "correlations", "coverage",
        "capacity_usd",
    ):  # fmt: skip
        assert figures[key] not in (None, {}), key
    assert figures["verdict"]["evaluation"]["folds"]
    assert figures["verdict"]["evaluation"]["ic_by_regime"]


def test_a_feature_of_the_base_is_drawn_with_its_gate(tmp_path: Path, capsys: Any) -> None:
    kb = str(tmp_path / "kb")
    with open_pipeline(load_settings(environ={}, flags={"kb": kb}), create=True) as promoter:
        promoter.save_candidate(
            FeatureRecord("shock", "-returns", FeatureState.CANDIDATE, gate="ts_zscore(volume, 72) > 2", hold_bars=4)
        )
    page = tmp_path / "shock.html"
    ran = call_midas(capsys, "tearsheet", "shock", "--data", DATA, "--kb", kb, "--out", str(page))
    assert ran.code == 0, ran.err
    assert "held 4 bars" in page.read_text()
    assert json.loads(page.with_suffix(".json").read_text())["verdict"]["evaluation"]["extra"]["event"]["events"] > 30


@pytest.mark.parametrize("verb", ["evaluate", "explain"])
def test_an_event_feature_is_judged_on_its_triggers(verb: str, tmp_path: Path, capsys: Any) -> None:
    gate = ("--gate", "ts_zscore(volume, 72) > 2", "--hold", "4")
    ran = call_midas(capsys, verb, "-returns", *gate, "--data", DATA, "--kb", str(tmp_path / "kb"), "--json")
    assert ran.code == 0, ran.err
    evaluation = ran.document["evaluation"]
    assert evaluation["horizon_bars"] == 4
    event = evaluation["extra"]["event"]
    assert 0 < event["frequency"] < 0.2
    assert {"mean_bps", "mean_se_bps", "median_bps", "hit_rate", "events", "triggers"} <= set(event)


def test_a_hold_without_a_gate_is_how_long_the_book_holds_and_a_bad_gate_is_named(tmp_path: Path, capsys: Any) -> None:
    kb = ("--kb", str(tmp_path / "kb"), "--data", DATA)
    short, long = (
        call_midas(capsys, "evaluate", "-returns", *more, *kb, "--json").document["evaluation"]
        for more in ((), ("--hold", "8"))
    )
    assert long["score_t"] == short["score_t"]
    assert long["extra"]["held_turnover"] < 0.3 * short["extra"]["held_turnover"]
    ran = call_midas(capsys, "explain", "-returns", "--gate", "volume >", *kb)
    assert ran.code != 0
    assert "volume >" in ran.err
