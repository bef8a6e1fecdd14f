"""The knowledge base as its users see it, in good order and in bad."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from helpers_kb import START, learning, record

from midas_engine.clock import ManualClock
from midas_engine.errors import (
    DocumentDamagedError,
    KnowledgeBaseError,
    MidasError,
    NameRefusedError,
    ReadOnlyError,
    SettingsError,
    StoreVersionError,
    TransitionError,
)
from midas_engine.evaluator.thresholds import DEFAULT_THRESHOLDS
from midas_engine.kb.store import KnowledgeBase
from midas_engine.models import FeatureState
from midas_engine.promoter.promoter import FeaturePromoter

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
    kb.save_learning(learning("Reversal after volume shocks", research_goal="reversal", pattern_identified="Volume.", tags=()))
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


# -- damage ---------------------------------------------------------------------------------------

RUBBISH: dict[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)) * 10,
    "latin1": b"---\nname: rubbish\nexpression: caf\xe9\n---\n",
    "utf16": "---\nname: rubbish\n---\n".encode("utf-16"),
    "unclosed": b"---\nname: rubbish\nexpression: close\n",
    "bad yaml": b"---\nname: [rubbish\n---\n",
    "alias bomb": b"---\na: &a [x,x]\nb: *a\n---\n",
    "deep": b"---\na: " + b"[" * 3000 + b"]" * 3000 + b"\n---\n",
    "object": b"---\na: !!python/object/apply:os.system ['true']\n---\n",
    "list": b"---\n- a\n---\n",
    "wrong types": b"---\nname: rubbish\nexpression: [1]\nkilled: maybe\n---\n",
    "nul": b"---\nname: rub\0bish\n---\n",
    "escapes": b"---\nname: rubbish\nexpression: 1\n---\n\x1b]52;c;aGk=\x07",
    "large": b"x" * 3_000_000,
    "conflict": b"<<<<<<< HEAD\n---\nname: rubbish\n=======\n",
}


@pytest.mark.parametrize("case", sorted(RUBBISH))
def test_one_bad_file_never_hides_the_others(case: str, kb: KnowledgeBase) -> None:
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record("sound"))
    kb.save_learning(learning())
    for folder in (CANDIDATES, "knowledge/learnings/offline", "skills", "reports/daily"):
        (kb.path / folder / "rubbish.md").write_bytes(RUBBISH[case])
    again = KnowledgeBase(kb.path)
    assert [r.name for r in again.features()] == ["sound"]
    assert [r.name for r in again.damaged_features()] == ["rubbish"]
    assert again.learnings()[-1].title == "Funding carry survives" or again.learnings()[0].title == "Funding carry survives"
    infos = {d.path: d for d in again.documents()}
    assert infos[f"{CANDIDATES}/rubbish.md"].title
    assert again.search("funding")
    again.skills()
    assert [p for p in again.check() if p.path == f"{CANDIDATES}/rubbish.md" and p.severity == "error"]
    with pytest.raises(DocumentDamagedError):
        again.feature("rubbish")
    with pytest.raises(DocumentDamagedError):
        FeaturePromoter(again).promote("rubbish")
    FeaturePromoter(again).promote("sound")


def test_a_damaged_document_is_listed_with_its_reason(kb: KnowledgeBase) -> None:
    (kb.path / "skills" / "bad.md").write_bytes(b"caf\xe9")
    (kb.path / "skills" / "good.md").write_text("# A good skill\n")
    infos = {d.path: d for d in kb.documents()}
    assert "not UTF-8" in infos["skills/bad.md"].damaged
    assert (infos["skills/good.md"].title, infos["skills/good.md"].damaged) == ("A good skill", "")
    assert {d.kind for d in kb.documents()} >= {"skill", "prompt", "thresholds", "regime"}
    assert "bad" not in kb.skills()


def test_links_and_pipes_are_neither_followed_nor_read(kb: KnowledgeBase, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("---\nname: linked\nexpression: close\n---\nsecret\n")
    (kb.path / CANDIDATES / "linked.md").symlink_to(secret)
    os.mkfifo(kb.path / CANDIDATES / "pipe.md")
    (kb.path / "skills" / "linked.md").symlink_to(secret)
    os.mkfifo(kb.path / "skills" / "pipe.md")
    (kb.path / "knowledge/learnings/offline/dir.md").mkdir()
    (kb.path / "reports" / "out").symlink_to(tmp_path)
    (kb.path / "knowledge/learnings/online/loop").symlink_to(kb.path)
    assert kb.features() == []
    assert [r.damaged for r in kb.damaged_features()] == [
        "it is a link, not a regular file",
        "it is a special, not a regular file",
    ]
    assert set(kb.skills()) == {"factor-patterns", "midas-dsl"}
    assert not any("secret" in hit.excerpt for hit in kb.search("secret"))
    for path in ("skills/linked.md", "skills/pipe.md", "reports/out/secret.md"):
        with pytest.raises(KnowledgeBaseError):
            kb.read_text(path)
    with pytest.raises(KnowledgeBaseError, match="symbolic link"):
        kb.save_text("reports/out/new.md", "text")
    kb.save_text("skills/linked.md", "mine")  # replaces the link; what it pointed at is untouched
    assert secret.read_text().endswith("secret\n")
    assert kb.read_text("skills/linked.md") == "mine"
    assert len([p for p in kb.check() if "not followed" in p.message]) >= 3


def test_stray_temporary_files_are_swept_and_foreign_files_stay(kb: KnowledgeBase) -> None:
    dead = 2**22 + 1  # beyond the kernel's largest process number
    ours = [kb.path / f".midas-{dead}-0123456789ab.tmp", kb.path / CANDIDATES / f".midas-{dead}-0123456789ac.tmp"]
    foreign = [kb.path / CANDIDATES / ".carry.md.swp", kb.path / "notes.txt", kb.path / CANDIDATES / ".midas-x.tmp"]
    live = kb.path / "skills" / f".midas-{os.getppid()}-0123456789ab.tmp"
    for path in (*ours, *foreign, live):
        path.write_text("half")
    again = KnowledgeBase(kb.path)
    assert again.swept == 2
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in (*foreign, live))
    assert again.features() == []


# -- versions, permissions, folders that go away ---------------------------------------------------


def test_a_base_of_a_newer_midas_is_read_and_never_written(kb: KnowledgeBase) -> None:
    kb.write_feature(record())
    (kb.path / "schema.json").write_text('{"schema": 99}')
    before = sorted((p, p.stat().st_mtime_ns) for p in kb.path.rglob("*") if p.is_file())
    newer = KnowledgeBase(kb.path)
    assert newer.read_only
    assert "newer Midas" in newer.read_only_reason
    assert [r.name for r in newer.features()] == ["carry"]
    for write in (
        lambda: newer.save_learning(learning()),
        lambda: newer.write_feature(record("x")),
        lambda: newer.save_text("reports/daily/x.md", "x"),
        lambda: newer.claim("monitor"),
        lambda: FeaturePromoter(newer).promote("carry"),
    ):
        with pytest.raises(StoreVersionError, match="newer Midas"):
            write()
    assert sorted((p, p.stat().st_mtime_ns) for p in kb.path.rglob("*") if p.is_file()) == before
    assert any("newer Midas" in p.message for p in newer.check())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "1"}', '{"schema": true}', '{"schema": NaN}', "\xff"])
def test_an_unreadable_schema_version_is_taken_for_a_newer_one(kb: KnowledgeBase, text: str) -> None:
    (kb.path / "schema.json").write_text(text, encoding="latin-1")
    again = KnowledgeBase(kb.path)
    assert again.read_only
    with pytest.raises(StoreVersionError):
        again.save_learning(learning())


def test_read_only_refuses_every_write(kb: KnowledgeBase) -> None:
    kb.write_feature(record())
    kb.save_learning(learning())
    reader = KnowledgeBase(kb.path, read_only=True)
    assert [r.name for r in reader.features()] == ["carry"]
    assert len(reader.learnings()) == 1
    with pytest.raises(ReadOnlyError):
        reader.save_learning(learning())
    promoter = FeaturePromoter(reader)
    with pytest.raises(ReadOnlyError):
        promoter.promote("carry")
    assert "read-only" in promoter.preview("promote", "carry").refusal


def test_a_disk_that_is_read_only_degrades_to_reading(kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    kb.write_feature(record())
    opened = os.open

    def refuse(path: object, flags: int, *args: object, **kwargs: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    degraded = KnowledgeBase(kb.path)
    assert degraded.read_only
    assert "Read-only file system" in degraded.read_only_reason
    assert [r.name for r in degraded.features()] == ["carry"]
    with pytest.raises(ReadOnlyError):
        degraded.save_learning(learning())


def test_a_base_that_is_deleted_while_open_reads_as_empty_and_refuses_writes(kb: KnowledgeBase) -> None:
    kb.write_feature(record())
    shutil.rmtree(kb.path)
    assert kb.features() == []
    assert kb.documents() == []
    assert kb.learnings() == []
    assert kb.skills() == {}
    assert kb.thresholds() == DEFAULT_THRESHOLDS
    assert kb.check()[0].message.startswith("there is no knowledge base")
    with pytest.raises(KnowledgeBaseError):
        kb.save_learning(learning())
    assert not kb.path.exists()


def test_a_base_that_is_swapped_while_open_is_not_written_to(kb: KnowledgeBase, tmp_path: Path) -> None:
    KnowledgeBase(tmp_path / "other")
    kb.path.rename(tmp_path / "away")
    (tmp_path / "other").rename(kb.path)
    with pytest.raises(KnowledgeBaseError, match="replaced by another folder"):
        kb.save_learning(learning())
    assert list((kb.path / "knowledge/learnings/offline").iterdir()) == []


def test_a_file_where_the_base_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / "kb").write_text("x")
    with pytest.raises(KnowledgeBaseError, match="a file is in the way"):
        KnowledgeBase(tmp_path / "kb")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "skills").write_text("x")
    with pytest.raises(KnowledgeBaseError, match="skills is in the way"):
        KnowledgeBase(tmp_path / "base")


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
