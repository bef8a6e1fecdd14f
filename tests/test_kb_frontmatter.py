"""Front matter as hostile data: what goes in comes back, and nothing else comes in."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.errors import DocumentDamagedError
from midas_engine.kb.frontmatter import clean, decode, heading, parse, parse_yaml, render

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False)
    | st.text(CHARACTERS, max_size=40)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(CHARACTERS, max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(CHARACTERS, max_size=12), VALUES, max_size=6))
def test_fields_come_back_as_they_were(fields: dict[str, Any]) -> None:
    fields = clean(fields)
    document = parse(render(fields, "body\n"))
    assert document.fields == fields
    assert document.body == "body\n"
    kinds = [type(v) for v in document.fields.values()]
    assert kinds == [type(v) for v in fields.values()]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=200))
def test_the_body_comes_back_as_it_was(body: str) -> None:
    assert parse(render({"title": "x"}, body)).body == (body if body.endswith("\n") or not body else body + "\n")


@given(st.text(max_size=300))
def test_any_text_is_a_document_or_is_refused(text: str) -> None:
    try:
        parse(text)
        parse("---\n" + text + "\n---\n")
    except DocumentDamagedError:
        pass


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(DocumentDamagedError):
        assert "\r" not in decode(data)


def test_numbers_that_are_not_finite_come_back() -> None:
    fields = parse(render({"a": math.nan, "b": math.inf, "c": -math.inf}, "")).fields
    assert math.isnan(fields["a"])
    assert (fields["b"], fields["c"]) == (math.inf, -math.inf)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "True", "FALSE", "y", "n", '"false"', "'true'"])
def test_only_true_and_false_are_booleans(word: str) -> None:
    assert parse_yaml(f"killed: {word}")["killed"] == word.strip("\"'")
    assert parse_yaml("killed: true") == {"killed": True}
    assert parse_yaml("killed: false") == {"killed": False}


@pytest.mark.parametrize(
    "text", ["0x1F", "0o17", "1_000", "1:30", "2026-01-01", "1,5", "+.5.", "e5", "08", "--1", "1e"]
)
def test_other_spellings_of_numbers_and_dates_stay_text(text: str) -> None:
    assert parse_yaml(f"value: {text}")["value"] == text


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("-7", -7), ("1e-5", 1e-5), ("1.5", 1.5), (".5", 0.5), ("~", None)]
)
def test_plain_numbers_are_numbers(text: str, value: object) -> None:
    assert parse_yaml(f"value: {text}")["value"] == value


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{c}: &{c} [{','.join(['*' + p] * 9)}]" for p, c in zip("abcdefg", "bcdefgh", strict=True)
)
REFUSED = {
    "alias bomb": (BOMB, "anchors"),
    "anchor": ("a: &x 1\nb: *x", "anchors"),
    "merge key": ("base: &b {x: 1}\nd:\n  <<: *b", "anchors"),
    "python object": ("a: !!python/object/apply:os.system ['true']", "tags"),
    "tag": ("a: !!binary aGk=", "tags"),
    "own tag": ("a: !kill true", "tags"),
    "deep": ("a: " + "[" * 2000 + "]" * 2000, "nested|cannot be read"),
    "deep mapping": ("a: " + "{b: " * 500 + "1" + "}" * 500, "nested|cannot be read"),
    "duplicate": ("killed: true\nkilled: false", "twice"),
    "nested duplicate": ("m:\n  a: 1\n  a: 2", "twice"),
    "list": ("- a\n- b", "key: value"),
    "text": ("just words", "key: value"),
    "tab": ("a:\n\t- b", "cannot be read"),
    "unclosed": ("a: [1, 2", "cannot be read"),
    "complex key": ("? [a, b]\n: 1", "key must be plain"),
    "many values": ("a: [" + "1," * 30_000 + "1]", "more than"),
    "long": ("a: " + "x" * 300_000, "more than"),
    "control": ("a: \x07", "cannot be read"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_hostile_yaml_is_refused_quickly(name: str) -> None:
    text, words = REFUSED[name]
    start = time.thread_time()
    with pytest.raises(DocumentDamagedError, match=words):
        parse_yaml(text)
    assert time.thread_time() - start < 1.0


def test_two_documents_in_one_front_matter_are_refused() -> None:
    with pytest.raises(DocumentDamagedError, match="more than one"):
        parse_yaml("a: 1\n--- \nb: 2\n")


def test_the_line_of_the_fault_is_the_line_of_the_file() -> None:
    with pytest.raises(DocumentDamagedError, match="line 4"):
        parse("---\na: 1\nb: 2\na: 3\n---\n")


def test_front_matter_must_be_closed() -> None:
    with pytest.raises(DocumentDamagedError, match="not closed"):
        parse("---\na: 1\n\nbody")


@pytest.mark.parametrize(("data", "words"), [(b"caf\xe9", "byte 3"), (b"a\0b", "NUL"), ("x".encode("utf-16"), "UTF-8")])
def test_other_encodings_are_named(data: bytes, words: str) -> None:
    with pytest.raises(DocumentDamagedError, match=words):
        decode(data)


def test_byte_order_mark_and_line_ends_are_tolerated() -> None:
    document = parse(decode(b"\xef\xbb\xbf---\r\ntitle: x\r\n---\r\n# Head\r\n"))
    assert document.fields == {"title": "x"}
    assert document.body == "# Head\n"


def test_the_originals_bold_fields_are_read() -> None:
    document = parse(
        "# VWAP\n\n**Status:** deployed\n- **Rank IC**: 0.031\n**Expression:** `neg(close)`\nand **bold** text\n"
    )
    assert document.style == "bold"
    assert document.fields == {"status": "deployed", "rank_ic": "0.031", "expression": "neg(close)"}
    assert document.title == "VWAP"


def test_a_plain_document_has_its_heading_for_a_title() -> None:
    assert parse("text\n\n## Part two ##\n").title == "Part two"
    assert heading("#no heading\n") == ""


@pytest.mark.parametrize("value", [object(), {"a": b"bytes"}, [lambda: None]])
def test_what_cannot_be_written_is_refused(value: object) -> None:
    with pytest.raises(DocumentDamagedError, match="cannot be written"):
        render({"value": value}, "")


def test_numpy_numbers_are_written_as_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    fields = parse(render({"a": numpy.float64(0.5), "b": numpy.int32(3), "c": numpy.bool_(True)}, "")).fields
    assert fields == {"a": 0.5, "b": 3, "c": True}
