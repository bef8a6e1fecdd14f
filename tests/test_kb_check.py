"""`kb check` names each fault once, with advice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from helpers_kb import learning, record
from midas_engine.kb.store import KnowledgeBase
from midas_engine.models import FeatureState
from midas_engine.promoter.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kb(tmp_path: Path) -> KnowledgeBase:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record())
    promoter.promote("carry")
    kb.save_learning(learning())
    promoter.close()
    return kb


def _found(kb: KnowledgeBase) -> dict[str, tuple[str, str]]:
    problems = kb.check()
    assert all(p.message and p.advice for p in problems)
    return {p.path: (p.severity, p.message) for p in problems}


def test_a_sound_base_has_no_problems(kb: KnowledgeBase) -> None:
    assert kb.check() == []


def test_checking_changes_nothing(kb: KnowledgeBase) -> None:
    (kb.path / "skills/bad.md").write_bytes(b"\xff")
    before = sorted((p, p.stat().st_mtime_ns) for p in kb.path.rglob("*"))
    kb.check()
    assert sorted((p, p.stat().st_mtime_ns) for p in kb.path.rglob("*")) == before


def test_errors_come_first(kb: KnowledgeBase) -> None:
    (kb.path / "skills/factor-patterns.md").unlink()
    (kb.path / "skills/bad.md").write_bytes(b"\xff")
    assert [p.severity for p in kb.check()] == ["error", "warning"]


@pytest.mark.parametrize(
    ("path", "data", "severity", "words"),
    [
        ("skills/bad.md", b"caf\xe9", "error", "not UTF-8"),
        ("skills/bom.md", b"\xef\xbb\xbf# Skill\n", "note", "byte-order mark"),
        ("proposer/prompts/plan.md", b"  \n", "warning", "nearly empty"),
        ("knowledge/thresholds.json", b"{", "error", "line 1"),
        ("knowledge/features/deployed/carry.md", b"---\nname: x\n", "error", "not closed"),
        ("knowledge/features/candidates/Bad Name.md", b"---\n---\n", "error", "refused"),
        ("reports/daily/odd name.md", b"# Day\n", "warning", "refused"),
    ],
)
def test_a_bad_document_is_named(kb: KnowledgeBase, path: str, data: bytes, severity: str, words: str) -> None:
    (kb.path / path).write_bytes(data)
    found = _found(kb)
    assert found[path][0] == severity
    assert words in found[path][1]


def test_edits_by_hand_are_noted_or_refused(kb: KnowledgeBase) -> None:
    feature = kb.path / "knowledge/features/deployed/carry.md"
    feature.write_text(feature.read_text() + "A note of mine.\n")
    note = next((kb.path / "knowledge/learnings/offline").iterdir())
    note.write_text(note.read_text() + "Another.\n")
    found = _found(kb)
    assert found["knowledge/features/deployed/carry.md"] == ("note", "its notes were edited since Midas wrote it")
    assert found[note.relative_to(kb.path).as_posix()][0] == "note"
    feature.write_text(feature.read_text().replace("funding_rate, 72", "funding_rate, 71"))
    severity, message = _found(kb)["knowledge/features/deployed/carry.md"]
    assert severity == "error"
    assert "not what Midas wrote" in message


def test_the_state_of_the_pipeline_is_looked_at(kb: KnowledgeBase) -> None:
    deployed = kb.path / "knowledge/features/deployed"
    kb.write_feature(record("bare", state=FeatureState.DEPLOYED, expected_score=None))
    kb.write_feature(record("carry@2", state=FeatureState.DEPLOYED, version=2))
    (deployed / "hand.md").write_text(
        "---\nname: hand\nstate: candidate\nexpression: close\nexpected_score: 0.1\n---\n"
    )
    messages = {(p.path.rpartition("/")[2], p.message) for p in kb.check()}
    assert ("carry@2.md", "carry is deployed too") in messages
    assert ("bare.md", "it has no expected score, so it can be watched but never called dead") in messages
    assert ("hand.md", "the file says 'candidate'; its folder says deployed") in messages
    assert ("hand.md", "it carries no seal") in messages


def test_an_unfinished_change_is_reported(kb: KnowledgeBase) -> None:
    with kb.lock():
        kb.transactions.commit({"reports/x.md": "text"}, {"action": "note", "at": "2026-01-01T00:00:00+00:00"})
    assert "journal" in _found(kb)[".midas"][1]
    spooled = next((kb.path / ".midas/unjournalled").iterdir())
    spooled.rename(kb.path / ".midas/pending.json")
    text = json.loads((kb.path / ".midas/pending.json").read_text())
    (kb.path / ".midas/pending.json").write_text(json.dumps(text | {"checksum": "0"}))
    again = KnowledgeBase(kb.path)
    assert any("could not be read and was not made" in message for _, message in _found(again).values())
    assert [r.name for r in again.features()] == ["carry"]


def test_missing_folders_and_seeds_come_back_when_it_is_opened(kb: KnowledgeBase) -> None:
    (kb.path / "proposer/prompts/plan.md").unlink()
    (kb.path / "reports/daily").rmdir()
    assert {"proposer/prompts/plan.md", "reports/daily"} <= set(_found(kb))
    assert KnowledgeBase(kb.path).check() == []
