"""`midas kb proposals`: who graduated, who waits, and who may go to the book."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from midas_engine.evaluator.trials.sealed_evidence import sealed_figures
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from midas_engine.promoter.proposed import proposed
from tests.helpers_cli import call_midas
from tests.helpers_kb import MEASURED

if TYPE_CHECKING:
    from pathlib import Path

SHORT = MEASURED | sealed_figures(0.04, 0.02, 3000, "2026-01-01T00:00:00+00:00")
UNPAID = MEASURED | {"overall_pass": False, "failed_agents": "trading_cost"}
REFUSED = MEASURED | {"overall_pass": False, "failed_agents": "trading_cost, predictive_power"}


def test_what_waits_and_what_may_go_to_the_book_is_listed(tmp_path: Path, capsys: Any) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    assert "Nothing is proposed" in call_midas(capsys, "kb", "proposals", "--kb", str(kb.path)).out
    promoter = FeaturePromoter(kb)
    for name, metrics in (("short", SHORT), ("unpaid", UNPAID), ("refused", REFUSED), ("sound", MEASURED)):
        promoter.save_candidate(
            FeatureRecord(name, "close", FeatureState.CANDIDATE, expected_score=0.03, breadth=9.0, metrics=metrics)
        )
    promoter.close()
    ran = call_midas(capsys, "kb", "proposals", "--kb", str(kb.path), "--json")
    rows = json.loads(ran.out)["proposals"]
    assert [(r["feature"], r["action"]) for r in rows] == [("unpaid", "to the book"), ("short", "wait")]
    assert "--role book" in rows[0]["words"]
    assert "forward bars" in rows[1]["words"]
    shown = call_midas(capsys, "kb", "proposals", "--kb", str(kb.path)).out
    assert "to the book" in shown


def test_a_feature_that_cannot_be_read_proposes_nothing() -> None:
    assert proposed([FeatureRecord("x", "", FeatureState.SHADOW, damaged="torn")], None) == []
