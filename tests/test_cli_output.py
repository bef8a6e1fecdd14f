"""What leaves the command line: nothing that can act on a terminal, nothing that is not JSON, no secrets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.cli.output import clean, clean_block, redact, table, to_json
from midas_engine.jsonable import plain
from midas_engine.text import number
from tests.helpers_cli import ROOT

HOSTILE = {
    "clipboard write": "\x1b]52;c;ZXZpbA==\x07",
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J",
    "C1 control sequence": "\x9b2J",
    "string terminator": "\x9c",
    "bidi override": "\u202eevil\u202c",
    "isolate": "\u2066x\u2069",
    "zero width": "a\u200bb\ufeffc",
    "line separator": "a\u2028b",
    "backspaces": "abc\b\b\b",
    "lone surrogate": "\udcff",
    "tag characters": "\U000e0041",
    "delete": "\x7f",
}


def _acts_on_a_terminal(text: str) -> bool:
    return any(
        ord(c) < 0x20
        and c not in "\n\t"
        or 0x7F <= ord(c) <= 0x9F
        or 0x202A <= ord(c) <= 0x202E
        or 0x2066 <= ord(c) <= 0x2069
        or 0xD800 <= ord(c) <= 0xDFFF
        for c in text
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_control_sequence_survives(text: str) -> None:
    for cleaned in (clean(text), clean_block(text), to_json({text: text}), table([[text, "x"]])):
        assert not _acts_on_a_terminal(cleaned)
        cleaned.encode("utf-8")


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=200), st.integers(0, 200))
def test_cleaning_chunks_is_as_safe_as_cleaning_the_whole(text: str, cut: int) -> None:
    joined = clean_block(text[:cut]) + clean_block(text[cut:])
    assert not _acts_on_a_terminal(joined)
    assert "\n" not in clean(text)
    assert clean(clean(text)) == clean(text)


def test_ordinary_text_is_untouched() -> None:
    text = "cs_rank(ts_mean(close, 24)) è µ 漢字 €"
    assert clean(text) == text
    assert clean_block(f"{text}\n\t{text}") == f"{text}\n\t{text}"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    at: datetime
    value: float
    path: Path


def test_json_knows_the_engines_types_and_has_no_nan() -> None:
    document = {
        "thing": Thing(datetime(2026, 1, 2, tzinfo=UTC), float("nan"), Path("a/b")),
        "enum": Colour.RED,
        "inf": float("inf"),
        "array": np.array([[1.0, np.nan]]),
        "scalar": np.float64(0.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "pair": (1, None),
    }
    assert json.loads(to_json(document)) == {
        "thing": {"at": "2026-01-02T00:00:00+00:00", "value": None, "path": "a/b"},
        "enum": "red",
        "inf": None,
        "array": [[1.0, None]],
        "scalar": 0.5,
        "count": 3,
        "flag": True,
        "pair": [1, None],
    }


@given(st.recursive(st.floats() | st.text() | st.none(), lambda inner: st.dictionaries(st.text(), inner, max_size=4)))
def test_json_is_always_strict_ascii(value: object) -> None:
    text = to_json(value)
    text.encode("ascii")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert plain(json.loads(text)) == json.loads(text)


def test_secrets_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-private-value")
    assert redact("POST failed: very-private-value") == "POST failed: [redacted]"
    assert redact("key sk-abcdefgh12345678 refused") == "key [redacted] refused"
    assert redact("given on argv: hunter2hunter2", ["hunter2hunter2"]) == "given on argv: [redacted]"


def test_a_table_lines_up() -> None:
    text = table([["a", "1.5"], ["long name", "-10.25"]], head=("name", "value"), right="lr")
    assert text.splitlines() == ["  name        value", "  a             1.5", "  long name  -10.25"]


def test_unknown_numbers_are_a_dash() -> None:
    assert (number(float("nan")), number(None), number(0.12345), number(0.5, 1, sign=True)) == (
        "-",
        "-",
        "0.1235",
        "+0.5",
    )


@pytest.mark.parametrize("path", sorted((ROOT / "midas_engine" / "cli").rglob("*.py")), ids=lambda p: p.name)
def test_nothing_is_written_past_the_writer_that_takes_colours_off(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bprint\(|sys\.std(out|err)\.write", text), "use click.echo: it knows what is a terminal"
