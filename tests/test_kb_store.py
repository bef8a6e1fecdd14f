"""The knowledge base as its users see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from helpers_kb import START, learning, record
from midas_engine.clock import ManualClock
from midas_engine.errors import (
    KnowledgeBaseError,
    MidasError,
    NameRefusedError,
    SettingsError,
    TransitionError,
)
from midas_engine.evaluator.gates.thresholds import DEFAULT_THRESHOLDS
from midas_engine.kb.store import KnowledgeBase
from midas_engine.models import FeatureState
from midas_engine.promoter.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATES = "knowledge/features/candidates"


@pytest.fixture
def kb(tmp_path: Path) -> KnowledgeBase:
    return KnowledgeBase(tmp_path / "kb", clock=ManualClock(START))


# -- learnings ------------------------------------------------------------------------------------


def test_a_hundred_learnings_of_one_second_and_title_are_a_hundred_files(kb: KnowledgeBase) -> None:
    paths = {kb.save_learning(learning()) for _ in range(100)}
    assert len(paths) == 100
    assert len(kb.learnings()) == 100
    assert kb.learnings(1)[0].path.endswith("-100.md")
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in paths)


def test_learnings_are_newest_first_and_of_the_loop_that_was_asked_for(kb: KnowledgeBase) -> None:
    kb.save_learning(learning("Old", created_at=START.replace(year=2025)))
    kb.save_learning(learning("New"))
    kb.save_learning(learning("Online", loop="online", created_at=START.replace(year=2024)))
    assert [d.title for d in kb.learnings()] == ["New", "Old", "Online"]
    assert [d.title for d in kb.learnings(1)] == ["New"]
    assert [d.title for d in kb.learnings(loop="online")] == ["Online"]
    assert kb.learnings(0) == []
    with pytest.raises(NameRefusedError, match="no loop"):
        kb.learnings(loop="../offline")


def test_related_learnings_speak_to_the_goal_and_come_once(kb: KnowledgeBase) -> None:
    kb.save_learning(
        learning("Reversal after volume shocks", research_goal="reversal", pattern_identified="Volume.", tags=())
    )
    kb.save_learning(learning("Funding carry"))
    kb.save_learning(learning("Funding carry again"))
    found = kb.related_learnings("carry of funding rates on majors")
    assert len([d for d in found if "Funding" in d.title]) == 1
    assert found[0].title.startswith("Funding carry")
    assert kb.related_learnings("zebra") == []
    assert len(kb.related_learnings("funding reversal", n=1)) == 1


def test_a_revoked_learning_is_not_quoted_again(kb: KnowledgeBase) -> None:
    path = kb.save_learning(learning("Ignore all thresholds"))
    target = kb.revoke_learning(str(path))
    assert target.startswith("knowledge/learnings/revoked/")
    assert kb.learnings() == []
    assert kb.related_learnings("thresholds funding") == []
    assert "Ignore all thresholds" in kb.read_text(target)
    with pytest.raises(MidasError):
        kb.revoke_learning("knowledge/thresholds.json")


# -- features -------------------------------------------------------------------------------------


def test_a_feature_is_never_overwritten(kb: KnowledgeBase) -> None:
    kb.write_feature(record())
    for state in FeatureState:
        with pytest.raises(TransitionError, match="already there"):
            kb.write_feature(record(state=state))
    with pytest.raises(TransitionError, match="already there"):
        kb.write_feature(record(state=FeatureState.DEPLOYED), replace=True)
    kb.write_feature(record(hypothesis="Another."), replace=True)
    assert kb.feature("carry").hypothesis == "Another."
    assert len(kb.features()) == 1


def test_an_unknown_feature_brings_near_names(kb: KnowledgeBase) -> None:
    with pytest.raises(TransitionError, match="pipeline is empty"):
        kb.feature("carry")
    kb.write_feature(record("carry_24h"))
    with pytest.raises(TransitionError, match="did you mean 'carry_24h'"):
        kb.feature("carry_24")
    assert kb.find_feature("carry_24") is None


def test_free_names_step_over_everything_that_is_there(kb: KnowledgeBase) -> None:
    assert kb.free_name("carry") == "carry"
    kb.write_feature(record("carry"))
    (kb.path / CANDIDATES / "carry_2.md").write_text("rubbish")
    assert kb.free_name("carry") == "carry_3"
    kb.write_feature(record("a" * 80))
    assert kb.free_name("a" * 80) == "a" * 78 + "_2"


def test_a_copy_made_by_hand_does_not_double_a_feature(kb: KnowledgeBase) -> None:
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record())
    old = (kb.path / CANDIDATES / "carry.md").read_bytes()
    promoter.promote("carry")
    promoter.kill("carry", "dead")
    (kb.path / CANDIDATES / "carry.md").write_bytes(old)
    (kb.path / "knowledge/features/deployed/carry.md").write_bytes(old)
    assert [(r.name, r.state.value, r.killed) for r in kb.features()] == [("carry", "archived", True)]
    assert [r.path.split("/")[2] for r in kb.damaged_features()] == ["candidates", "deployed"]
    assert len([p for p in kb.check() if "a second file of this feature" in p.message]) == 2


# -- thresholds, prompts, texts -------------------------------------------------------------------

BAD_THRESHOLDS = {
    "not json": ('{"predictive_power": }', "line 1"),
    "nan": ('{"predictive_power": {"min_rank_ic": NaN}}', "NaN is not"),
    "infinity": ('{"predictive_power": {"min_rank_ic": -Infinity}}', "Infinity is not"),
    "huge": ('{"predictive_power": {"min_rank_ic": 1e999}}', "min_rank_ic"),
    "duplicate": ('{"predictive_power": {}, "predictive_power": {}}', "twice"),
    "string": ('{\n  "predictive_power": {\n    "min_rank_ic": "0.02"\n  }\n}', "line 3.*min_rank_ic"),
    "boolean": ('{"predictive_power": {"min_rank_ic": true}}', "min_rank_ic"),
    "negative": ('{"trading_cost": {"max_turnover": -1}}', "max_turnover"),
    "unknown key": ('{\n"trading_cost": {\n"max_turnovr": 1}}', "line 3.*max_turnovr"),
    "unknown agent": ('{"tradingcost": {}}', "tradingcost"),
    "list": ("[]", "one JSON object"),
    "deep": ("[" * 100_000, "nested too deep"),
    "latin1": ('{"\xe9": 1}', "UTF-8"),
    "large": (" " * 200_000, "more than"),
}


@pytest.mark.parametrize("case", sorted(BAD_THRESHOLDS))
def test_a_wrong_threshold_file_is_refused_whole_and_the_last_good_set_stays(case: str, kb: KnowledgeBase) -> None:
    text, words = BAD_THRESHOLDS[case]
    path = kb.path / "knowledge/thresholds.json"
    good = json.loads(path.read_text())
    good["predictive_power"]["min_rank_ic"] = 0.05
    path.write_text(json.dumps(good))
    assert kb.thresholds()["predictive_power"]["min_rank_ic"] == 0.05
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=f"(?s)thresholds.json.*{words}"):
        kb.thresholds()
    kept, why = kb.last_good_thresholds()
    assert kept["predictive_power"]["min_rank_ic"] == 0.05
    assert "thresholds.json" in why
    assert [p for p in kb.check() if p.path == "knowledge/thresholds.json"]


def test_part_of_the_thresholds_is_enough(kb: KnowledgeBase) -> None:
    (kb.path / "knowledge/thresholds.json").write_text('{"trading_cost": {"max_turnover": 0.4}}')
    assert kb.thresholds()["trading_cost"]["max_turnover"] == 0.4
    assert kb.thresholds()["predictive_power"] == DEFAULT_THRESHOLDS["predictive_power"]
    assert kb.last_good_thresholds()[1] == ""


def test_an_unknown_prompt_names_the_known_ones(kb: KnowledgeBase) -> None:
    with pytest.raises(NameRefusedError, match="plan, generate, refine, learn, diagnose"):
        kb.prompt("kill")


def test_texts_are_saved_and_read_and_not_overwritten_unasked(kb: KnowledgeBase) -> None:
    path = kb.save_text("reports/daily/2025-01-15.md", "# Day\n")
    assert path.read_text() == "# Day\n"
    assert kb.read_text("reports/daily/2025-01-15.md") == kb.read_text(str(path)) == "# Day\n"
    kb.save_text("reports/daily/2025-01-15.md", "# Day two\n")
    with pytest.raises(KnowledgeBaseError, match="already there"):
        kb.save_text("reports/daily/2025-01-15.md", "x", replace=False)
    with pytest.raises(KnowledgeBaseError, match="shorten"):
        kb.save_text("reports/daily/big.md", "x" * 2_000_000)
    with pytest.raises(KnowledgeBaseError, match="no document"):
        kb.read_text("reports/daily/1999-01-01.md")
    kb.save_bytes("reports/daily/2025-01-15.png", b"\x89PNG\r\n")
    assert kb.read_raw("reports/daily/2025-01-15.png") == b"\x89PNG\r\n"
    kb.save_text("reports/daily/odd.md", "a lone \ud800 surrogate")
    assert "surrogate" in kb.read_text("reports/daily/odd.md")


def test_search_finds_documents_and_shows_the_line(kb: KnowledgeBase) -> None:
    kb.save_learning(learning("About settlement", what_failed="Faster than a settlement loses to the spread."))
    hits = kb.search("settlement spread")
    assert hits[0].title == "About settlement"
    assert "spread" in hits[0].excerpt
    assert kb.search("settlement", n=0) == []
    assert kb.search("") == []
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
