"""Features and learnings as text and back."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_kb import START, learning, record
from midas_engine.errors import DocumentDamagedError, NameRefusedError
from midas_engine.kb.documents import feature_from_bytes, feature_text, seal_state
from midas_engine.kb.frontmatter import decode, parse
from midas_engine.kb.learnings import MAX_PROSE, bounded, learning_from_document, learning_text
from midas_engine.models import FeatureRecord, FeatureState, LearningDocument

FULL = record(
    "carry@2",
    state=FeatureState.ARCHIVED,
    version=2,
    paused=True,
    killed=True,
    reason="flipped",
    gate="gt(volume, 0)",
    hold_bars=4,
    lineage=("carry",),
    history=({"at": START.isoformat(), "action": "kill", "from": "deployed", "to": "archived"},),
    metrics={"rank_ic": 0.031, "gates": [{"name": "ir", "passed": False, "value": None}], "note": "a: b | c"},
)


def _read(text: str, name: str = "carry", state: FeatureState = FeatureState.CANDIDATE) -> FeatureRecord:
    return feature_from_bytes(text.encode(), name, state, "")


@pytest.mark.parametrize("feature", [record(), record(metrics={}, expected_score=None, created_at=None), FULL])
def test_a_feature_comes_back_as_it_was(feature: FeatureRecord) -> None:
    assert _read(feature_text(feature), feature.name, feature.state) == feature


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@given(
    TEXT,
    TEXT,
    TEXT,
    st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    st.dictionaries(TEXT, st.floats() | st.booleans() | TEXT | st.integers(-(10**9), 10**9), max_size=5),
)
def test_a_feature_with_any_contents_comes_back(
    hypothesis: str, reason: str, gate: str, score: float | None, metrics: dict[str, object]
) -> None:
    feature = record(hypothesis=hypothesis, reason=reason, gate=gate, expected_score=score, metrics=metrics)
    found = _read(feature_text(feature))
    assert not found.damaged, found.damaged
    assert seal_state(parse(feature_text(feature))) == (True, True)
    nan = [k for k, v in metrics.items() if isinstance(v, float) and math.isnan(v)]
    assert all(math.isnan(found.metrics[k]) for k in nan)
    sound = {k: v for k, v in metrics.items() if k not in nan}
    assert {k: v for k, v in found.metrics.items() if k not in nan} == sound
    assert dataclasses.replace(found, metrics={}) == dataclasses.replace(feature, metrics={})


def test_notes_below_the_front_matter_survive_and_do_not_break_the_seal() -> None:
    text = feature_text(record()) + "\nI do not trust this one.\n"
    assert not _read(text).damaged
    body = parse(text).body
    assert parse(feature_text(record(), body)).body == body


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("funding_rate, 72", "funding_rate, 73"),
        ("expected_score: 0.021", "expected_score: 0.921"),
        ("state: candidate", "state: deployed"),
        ("rank_ic: 0.031", "rank_ic: 0.131"),
        ("breadth: 9.5\n", ""),
        ("version: 1\n", "version: 1\nkilled: true\n"),
    ],
)
def test_a_changed_front_matter_breaks_the_seal_and_dropping_the_seal_accepts_it(old: str, new: str) -> None:
    text = feature_text(record())
    assert old in text
    changed = text.replace(old, new)
    damaged = _read(changed)
    assert "not what Midas wrote" in damaged.damaged
    assert "delete the line" in damaged.damaged
    unsealed = "\n".join(line for line in changed.split("\n") if not line.startswith("seal:"))
    assert not _read(unsealed).damaged


def test_every_flipped_bit_in_the_front_matter_is_noticed() -> None:
    data = feature_text(record()).encode()
    end = data.index(b"\n---\n") + 1
    sound = _read(data.decode())
    for position in range(end * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << (position % 8)
        found = feature_from_bytes(bytes(flipped), "carry", FeatureState.CANDIDATE, "")
        # A flip in the word "seal" takes the seal away, and one in white space may mean nothing: then all is as it was.
        assert found.damaged or found == sound, f"bit {position}: {found}"


WRONG = {
    "killed text": ("killed: 'false'", "only true or false"),
    "killed word": ("killed: no", "only true or false"),
    "killed number": ("killed: 1", "only true or false"),
    "paused list": ("paused: [true]", "only true or false"),
    "score text": ("expected_score: high", "finite number"),
    "score nan": ("expected_score: .nan", "finite number"),
    "score bool": ("expected_score: true", "finite number"),
    "version zero": ("version: 0", "whole number"),
    "version huge": ("version: 99999999", "whole number"),
    "hold negative": ("hold_bars: -1", "whole number"),
    "date": ("created_at: yesterday", "not a time"),
    "date number": ("created_at: 5", "not a time"),
    "date edge": ("created_at: '0001-01-01T00:00:00+14:00'", "out of range"),
    "metrics": ("metrics: [1]", "metrics"),
    "history": ("history: [a]", "not a list"),
    "lineage path": ("lineage: [../x]", "refused"),
    "reason list": ("reason: [a]", "not text"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_field_of_the_wrong_type_is_damage(case: str) -> None:
    line, words = WRONG[case]
    found = _read(f"---\nname: carry\nexpression: close\n{line}\n---\n")
    assert words in found.damaged


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("---\nname: other\nexpression: close\n---\n", "its name is 'other'"),
        ("---\nname: carry\n---\n", "no usable `expression`"),
        ("---\nname: carry\nexpression: ''\n---\n", "no usable `expression`"),
        ("---\nname: carry\nexpression: 5\n---\n", "no usable `expression`"),
        ("---\nname: carry\nexpression: " + "x" * 5000 + "\n---\n", "no usable `expression`"),
        ("", "no usable `expression`"),
        ("# A heading only\n", "no usable `expression`"),
    ],
)
def test_a_feature_needs_its_name_and_an_expression(text: str, words: str) -> None:
    assert words in _read(text).damaged


def test_naive_and_foreign_times_become_utc() -> None:
    text = (
        "---\nname: carry\nexpression: close\ncreated_at: '2026-01-02'\nchanged_at: '2026-01-02T05:00:00+02:00'\n---\n"
    )
    found = _read(text)
    assert found.created_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert found.changed_at == datetime(2026, 1, 2, 3, tzinfo=UTC)


def test_the_folder_counts_and_not_what_the_file_says() -> None:
    text = feature_text(record())
    assert _read(text, state=FeatureState.DEPLOYED).state is FeatureState.DEPLOYED
    shadow = feature_text(record(state=FeatureState.SHADOW))
    assert _read(shadow).state is FeatureState.SHADOW
    assert _read(shadow, state=FeatureState.ARCHIVED).state is FeatureState.ARCHIVED


def test_a_feature_of_the_original_is_read() -> None:
    fields = ("**Status:** deployed", "**Expression:** `ts_zscore(close / vwap, 24)`", "**Created:** 2025-01-15")
    text = "# Feature: vwap\n\n" + "\n".join(fields) + "\n"
    found = _read(text, "vwap", FeatureState.DEPLOYED)
    assert not found.damaged
    assert found.expression == "ts_zscore(close / vwap, 24)"
    assert found.created_at == datetime(2025, 1, 15, tzinfo=UTC)


def test_a_hostile_name_or_expression_is_not_written() -> None:
    with pytest.raises(NameRefusedError):
        feature_text(record("../x"))
    for expression in ("", "  ", "x" * 5000):
        with pytest.raises(DocumentDamagedError, match="expression"):
            feature_text(record(expression=expression))


# -- learnings ------------------------------------------------------------------------------------


def _again(document: LearningDocument, path: str = "knowledge/learnings/offline/x.md") -> LearningDocument:
    return learning_from_document(parse(decode(learning_text(document).encode())), path, START)


@pytest.mark.parametrize(
    "document",
    [
        learning(),
        learning(what_worked="", what_failed="", pattern_identified="", recommendation="", body=""),
        learning(body="# Mine\n\n## What failed\n\nA section of my own."),
        learning(pattern_identified="", body="Only notes."),
        learning(loop="online", feature="carry", metrics={"a": [1, {"b": None}]}),
    ],
)
def test_a_learning_comes_back_as_it_was_stored(document: LearningDocument) -> None:
    stored = bounded(document)
    assert dataclasses.replace(_again(stored), path="") == stored


PROSE = st.text(st.characters(exclude_categories=["Cs"]), max_size=120) | st.sampled_from(
    [
        "## What failed\nx",
        "# Notes",
        "---\na: 1\n---",
        "**Result:** success",
        "```\n## Notes\n```",
        "\n## Notes\n",
        "a\r\n## b",
    ]
)


@given(PROSE, PROSE, PROSE, PROSE, PROSE, PROSE)
def test_a_learning_with_any_text_comes_back(
    title: str, pattern: str, worked: str, failed: str, advice: str, body: str
) -> None:
    stored = bounded(
        learning(
            title=title,
            pattern_identified=pattern,
            what_worked=worked,
            what_failed=failed,
            recommendation=advice,
            body=body,
        )
    )
    found = _again(stored)
    expected = stored if stored.title else dataclasses.replace(stored, title=found.title)
    assert dataclasses.replace(found, path="") == expected


def test_text_is_cut_at_its_bound_and_says_so() -> None:
    stored = bounded(
        learning(
            title="t" * 5000,
            what_worked="w" * 50_000,
            body="b" * 500_000,
            tags=tuple(str(n) for n in range(1000)),
            metrics={str(n): n for n in range(1000)},
        )
    )
    assert stored.what_worked.endswith("[cut]")
    assert len(stored.what_worked) <= MAX_PROSE
    assert len(stored.title) <= 300
    assert len(stored.tags) == 200
    assert len(stored.metrics) == 200
    assert len(learning_text(stored)) < 120_000


def test_a_learning_belongs_to_a_loop_and_has_a_time() -> None:
    with pytest.raises(DocumentDamagedError, match="offline or online"):
        bounded(learning(loop="../escape"))
    late = datetime(2026, 1, 1, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert bounded(learning(created_at=late)).created_at == datetime(2026, 1, 2, 4, tzinfo=UTC)


def test_a_learning_of_the_original_is_read() -> None:
    text = (
        "# Session on VWAP\n\n**Goal:** mean reversion\n**Result:** failed\n**Date:** 2025-01-15\n"
        "**Pattern Identified:** decays fast\n\n## Notes\n\nSlow is better.\n"
    )
    found = learning_from_document(parse(text), "knowledge/learnings/online/x.md", START)
    assert (found.title, found.loop, found.result) == ("Session on VWAP", "online", "failed")
    assert found.research_goal == "mean reversion"
    assert found.pattern_identified == "decays fast"
    assert found.body == "Slow is better."
    assert found.created_at == datetime(2025, 1, 15, tzinfo=UTC)
