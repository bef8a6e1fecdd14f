"""`midas explain`: why, how far, and how much data it would take."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.cli.open_base import open_pipeline
from midas_engine.cli.verbs.explain import how_far
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.settings import load_settings
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path


def test_an_expression_is_explained(tmp_path: Path, capsys: Any) -> None:
    ran = call_midas(capsys, "explain", "cs_rank(-returns)", "--kb", str(tmp_path / "none"))
    assert ran.code == 0, ran.err
    for text in ("REFUSED", "How far it was", "turnover", "needs <=", "Worst bars", "smallest IC"):
        assert text in ran.out


def test_a_feature_is_explained_with_what_was_saved(tmp_path: Path, capsys: Any) -> None:
    kb = str(tmp_path / "kb")
    with open_pipeline(load_settings(environ={}, flags={"kb": kb}), create=True) as promoter:
        promoter.save_candidate(
            FeatureRecord(
                "reversal",
                "cs_rank(-returns)",
                FeatureState.CANDIDATE,
                hypothesis="overreaction \x1b[2J",
                metrics={"rank_ic": 0.0123},
            )
        )
    ran = call_midas(capsys, "explain", "reversal", "--kb", kb)
    assert ran.code == 0, ran.err
    for text in ("reversal, version 1", "candidate", "overreaction", "rank_ic", "0.0123", "How far it was"):
        assert text in ran.out
    assert "\x1b" not in ran.out
    document = call_midas(capsys, "explain", "reversal", "--kb", kb, "--json").document
    assert document["feature"]["name"] == "reversal"
    assert document["saved"] == {"rank_ic": 0.0123}
    assert {m["gate"] for m in document["distance"]["missing"]} >= {"turnover"}


def test_a_name_that_is_nothing(tmp_path: Path, capsys: Any) -> None:
    ran = call_midas(capsys, "explain", "no_such_feature", "--kb", str(tmp_path / "none"))
    assert ran.code == 4
    assert "no_such_feature" in ran.err


@pytest.mark.parametrize(("t", "line"), [(1.0, 2.0), (0.5, 3.1)])
def test_the_data_it_would_take_follows_the_root_law(t: float, line: float) -> None:
    from tests.test_cli_scorecard import _judged, _result

    verdict = dataclasses.replace(_judged(_result(score_t=t), statistical=False, overall=False), line_t=line)
    far = how_far(verdict)
    assert far["bars_needed"] == pytest.approx(4321 * ((line + 0.8416) / t) ** 2)
    assert far["years_needed"] == pytest.approx(far["bars_needed"] / 8760)


def test_a_negative_score_needs_no_more_data() -> None:
    from tests.test_cli_scorecard import _judged, _result

    assert math.isnan(how_far(_judged(_result(score_t=-1.0), statistical=False, overall=False))["bars_needed"])
