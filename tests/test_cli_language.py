"""`midas dsl`, `midas data` and `midas learnings`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.kb import KnowledgeBase
from midas_engine.models import LearningDocument
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path


def test_every_operator_is_listed_with_a_meaning(capsys: Any) -> None:
    from midas_engine.dsl import OPERATORS

    document = call_midas(capsys, "dsl", "list", "--json").document
    assert {row["name"] for row in document} == set(OPERATORS)
    assert all(row["doc"] and row["example"] and row["signature"] for row in document)
    text = call_midas(capsys, "dsl", "list").out
    assert all(row["signature"] in text for row in document)


def test_an_expression_is_explained(capsys: Any) -> None:
    ran = call_midas(capsys, "dsl", "explain", "cs_rank(-delta(close, 4))")
    assert ran.code == 0
    for word in ("cs_rank", "delta", "close", "4 bars"):
        assert word in ran.out
    document = call_midas(capsys, "dsl", "explain", "-delta(close, 4)", "--json").document
    assert document["columns"] == ["close"]
    assert document["lookback_bars"] == 4


def test_a_column_is_checked_against_the_data_at_hand(capsys: Any) -> None:
    assert call_midas(capsys, "dsl", "explain", "delta(open_interest, 4)").code == 0
    absent = call_midas(capsys, "dsl", "explain", "delta(open_interest, 4)", "--data", "synthetic")
    assert absent.code == 4
    assert "quote_volume" in absent.err  # what is there


def test_data_info(capsys: Any) -> None:
    document = call_midas(capsys, "data", "info", "synthetic:3", "--json").document
    assert len(document["symbols"]) == 20
    assert {c["column"] for c in document["columns"]} >= {"close", "volume", "funding_rate"}
    text = call_midas(capsys, "data", "info", "--data", "sample").out
    assert "BTCUSDT" in text
    assert "bars of 60 min" in text


@pytest.fixture
def base(tmp_path: Path) -> KnowledgeBase:
    base = KnowledgeBase(tmp_path / "kb")
    for day in (1, 2, 3):
        base.save_learning(
            LearningDocument(
                title=f"session {day}",
                loop="offline" if day < 3 else "online",
                result="failed",
                created_at=datetime(2026, 1, day, tzinfo=UTC),
                research_goal="reversal \x1b]52;c;ZXZpbA==\x07",
                pattern_identified=f"pattern {day}",
            )
        )
    return base


def test_learnings_newest_first(base: KnowledgeBase, capsys: Any) -> None:
    ran = call_midas(capsys, "learnings", "--kb", str(base.path), "--n", "2")
    assert ran.code == 0
    assert ran.out.index("pattern 3") < ran.out.index("pattern 2")
    assert "pattern 1" not in ran.out
    assert "\x1b" not in ran.out
    document = call_midas(capsys, "learnings", "--kb", str(base.path), "--loop", "offline", "--json").document
    assert [d["title"] for d in document] == ["session 2", "session 1"]


def test_no_learnings_yet(tmp_path: Path, capsys: Any) -> None:
    KnowledgeBase(tmp_path / "kb")
    assert call_midas(capsys, "learnings", "--kb", str(tmp_path / "kb")).out == "No learnings yet.\n"


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_count_that_is_none(base: KnowledgeBase, count: str, capsys: Any) -> None:
    ran = call_midas(capsys, "learnings", "--kb", str(base.path), "--n", count)
    assert ran.code == 2
    assert "--n" in ran.err
