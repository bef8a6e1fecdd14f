"""What first run leaves on disk, and that the repository's kb/ is exactly that."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from midas_engine.dsl import parse, skill_document
from midas_engine.evaluator.gates.thresholds import DEFAULT_THRESHOLDS
from midas_engine.kb.seeding import FOLDERS, PROMPTS, generated_seeds, seed_paths, written_seeds
from midas_engine.kb.store import KnowledgeBase

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "trades",
    "bid_volume",
    "ask_volume",
    "taker_buy_volume",
    "quote_volume",
    "open_interest",
    "funding_rate",
    "mark_close",
    "returns",
]


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock") and "journal.sqlite" not in path.name
    }


def test_the_repositorys_base_is_what_first_run_leaves(tmp_path: Path, root: Path) -> None:
    fresh = _files(KnowledgeBase(tmp_path / "kb").path)
    kept = _files(root / "kb")
    assert sorted(kept) == sorted(fresh)
    for path, data in fresh.items():
        assert kept[path] == data, f"{path} differs: run `python -m midas_engine.kb.seeding kb`"


def test_first_run_makes_the_originals_folders_privately(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "a" / "kb")
    for folder in FOLDERS:
        assert (kb.path / folder).is_dir()
        assert (kb.path / folder).stat().st_mode & 0o077 == 0
    for path in seed_paths():
        assert (kb.path / path).stat().st_mode & 0o777 == 0o600


def test_the_language_is_described_by_its_own_registry(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    assert kb.skills()["midas-dsl"] == skill_document()
    assert kb.thresholds() == DEFAULT_THRESHOLDS
    assert json.loads((kb.path / "knowledge/thresholds.json").read_text()) == DEFAULT_THRESHOLDS


def test_opening_again_changes_nothing_and_keeps_edits(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    plan = kb.path / "proposer/prompts/plan.md"
    plan.write_text("My own plan for {{goal}}, which is longer than forty characters.\n")
    before = _files(kb.path)
    again = KnowledgeBase(kb.path)
    assert _files(kb.path) == before
    assert again.prompt("plan") == plan.read_text()
    plan.unlink()
    assert "{{goal}}" in again.prompt("plan")
    (kb.path / "skills/midas-dsl.md").unlink()
    KnowledgeBase(kb.path)
    assert (kb.path / "skills/midas-dsl.md").read_bytes() == generated_seeds()["skills/midas-dsl.md"]


def test_read_only_writes_nothing_at_all(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb", read_only=True)
    assert list(tmp_path.iterdir()) == []
    assert kb.documents() == []
    assert kb.learnings() == []
    assert kb.features() == []
    assert kb.thresholds() == DEFAULT_THRESHOLDS
    assert "{{goal}}" in kb.prompt("plan")


def _expressions() -> list[str]:
    text = written_seeds()["skills/factor-patterns.md"].decode()
    return [block.strip() for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)]


def test_the_patterns_are_many() -> None:
    assert len(_expressions()) > 30


@pytest.mark.parametrize("expression", _expressions())
def test_every_pattern_parses_within_the_limits(expression: str) -> None:
    parse(expression, columns=COLUMNS)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_prompt_says_what_it_is_given_and_asks_for_one_json_block(name: str) -> None:
    text = written_seeds()[f"proposer/prompts/{name}.md"].decode()
    assert re.findall(r"\{\{[a-z_]+\}\}", text)
    assert not re.findall(r"\{\{(?![a-z_]+\}\})", text)
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 1
    assert isinstance(json.loads(blocks[0]), dict)
    assert "Reply with one fenced JSON block" in text
