"""One rule for names, at every entry."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_kb import record
from midas_engine.errors import KnowledgeBaseError, MidasError, NameRefusedError
from midas_engine.kb.names import check_name, check_relative, slugify, split_version, version_name
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "../../../../escaped",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "x\0",
    "x\n",
    "x\ny",
    "a" * 81,
    "a" * 300,
    "CON",
    "con",
    "nul",
    "com1",
    "lpt9",
    "con@2",
    "x.",
    "x.md",
    "x ",
    " x",
    "-x",
    "--help",
    "_x",
    "1x",
    "Carry",
    "caf\u00e9",
    unicodedata.normalize("NFD", "caf\u00e9"),
    "\uff41lpha",
    "carry\u200b",
    "\u202ecarry",
    "carry\x1b[2J",
    "[@click=app.quit]x",
    "x@",
    "x@0",
    "x@01",
    "x@-1",
    "x@1e3",
    "x@10000",
    "x@2@3",
    "@2",
    "x y",
    "=cmd()",
    "\ud800",
    "\u0131",
    "x\u0661",
]
GOOD = ["a", "carry", "vwap_zscore_mean_rev", "x1", "carry@2", "carry@9999", "a" * 80, "consol", "com10x", "a__b_"]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_refused_at_every_entry(name: str, tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "deep" / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record("carry"))
    before = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")}
    entries = [
        lambda: check_name(name),
        lambda: kb.feature(name),
        lambda: kb.find_feature(name),
        lambda: kb.write_feature(record(name)),
        lambda: kb.free_name(name),
        lambda: kb.prompt(name),
        lambda: kb.claim(name),
        lambda: promoter.save_candidate(record(name)),
        lambda: promoter.promote(name),
        lambda: promoter.demote(name, "why"),
        lambda: promoter.reject(name, "why"),
        lambda: promoter.kill(name, "why"),
        lambda: promoter.pause(name),
        lambda: promoter.resume(name),
        lambda: promoter.shadow(name),
        lambda: promoter.redeploy(name, "why"),
        lambda: promoter.rollback(name),
        lambda: promoter.restore(name),
        lambda: promoter.calibrate(name, 0.1),
        lambda: promoter.propose_version(name, "close", "why"),
        lambda: promoter.feature_status(name),
    ]
    for number, entry in enumerate(entries):
        with pytest.raises(NameRefusedError) as caught:
            entry()
        assert "\n" not in caught.value.message, number
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 250
    assert promoter.preview("promote", name).refusal
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")} == before
    assert promoter.list_candidates() == ["carry"]


@pytest.mark.parametrize("name", [3, None, b"carry", ["carry"], 1.5, True])
def test_a_name_must_be_text(name: object) -> None:
    with pytest.raises(NameRefusedError, match="must be text"):
        check_name(name)


@pytest.mark.parametrize("name", GOOD)
def test_good_names_are_kept_as_they_are(name: str) -> None:
    assert check_name(name) == name


def test_the_hint_offers_a_name_that_works() -> None:
    with pytest.raises(NameRefusedError) as caught:
        check_name("VWAP Z-Score (24h)")
    assert "'vwap_z_score_24h'" in caught.value.hint


@given(st.text(max_size=200))
def test_whatever_is_made_into_a_slug_is_a_name(text: str) -> None:
    assert check_name(slugify(text)) == slugify(text)


@given(st.text(max_size=60))
def test_an_accepted_name_is_its_own_file_name_everywhere(text: str) -> None:
    try:
        check_name(text)
    except NameRefusedError:
        return
    assert text.isascii()
    assert text == text.lower() == unicodedata.normalize("NFKD", text)
    assert not set(text) & set('/\\:*?"<>|. \0')


def test_versions_split_and_join() -> None:
    assert [split_version(n) for n in ("carry", "carry@7")] == [("carry", 1), ("carry", 7)]
    assert [version_name("carry", n) for n in (1, 7)] == ["carry", "carry@7"]
    with pytest.raises(NameRefusedError):
        version_name("carry", 10_000)


BAD_PATHS = [
    "",
    "/etc/passwd",
    "../x.md",
    "reports/../../x.md",
    "reports//x.md",
    "reports/./x.md",
    "reports/.hidden.md",
    "reports/x\0.md",
    "reports/x\n.md",
    "reports/x.",
    "reports/con.md",
    "reports/" + "a" * 200 + ".md",
    "reports\\x.md",
    "reports/\u202ex.md",
    "a/" * 300 + "x.md",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_paths_never_leave_the_base(path: str, tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NameRefusedError):
        check_relative(path)
    with pytest.raises(NameRefusedError):
        kb.save_text(path, "text")
    with pytest.raises(MidasError):
        kb.read_text(path)
    with pytest.raises(MidasError):
        kb.revoke_learning(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "path", ["knowledge/features/deployed/carry.md", "knowledge/features/x.md", "schema.json", "journal.sqlite"]
)
def test_the_pipelines_own_files_are_not_written_as_text(path: str, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeBaseError, match="not written this way"):
        KnowledgeBase(tmp_path / "kb").save_text(path, "text")


def test_a_file_with_a_bad_name_on_disk_is_shown_as_damaged(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    FeaturePromoter(kb).save_candidate(record("carry"))
    folder = kb.path / "knowledge/features/candidates"
    text = (folder / "carry.md").read_text()
    for name in ("Carry.md", "-x.md", "a b.md", "con.md", "caf\u00e9.md", "x@0.md"):
        (folder / name).write_text(text)
    assert [r.name for r in kb.features()] == ["carry"]
    assert len(kb.damaged_features()) == 6
