"""What a model writes is data: one block, bounded, typed, or a named refusal."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.errors import BudgetError, ModelReplyError
from midas_engine.llm import Budget, Secret, parse_reply
from midas_engine.llm.budget import DEAREST, price_usd
from midas_engine.llm.replies import MAX_ITEMS, MAX_REPLY, MAX_STRING
from midas_engine.settings import ModelSettings

KILL = {"root_cause": str, "kill": bool, "score": float, "n": int, "tags": list}
GOOD = {"root_cause": "x", "kill": False, "score": 1.5, "n": 3, "tags": ["a"]}


def fenced(text: str) -> str:
    return f"Some words first.\n```json\n{text}\n```\n"


def test_a_block_among_prose_is_read() -> None:
    assert parse_reply(fenced(json.dumps(GOOD)), KILL) == GOOD
    assert parse_reply(json.dumps(GOOD), KILL) == GOOD
    assert parse_reply(f"```\n{json.dumps(GOOD)}\n```", KILL) == GOOD


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I would rather not.", "no fenced JSON block"),
        ("", "no fenced JSON block"),
        (fenced("{}") + fenced("{}"), "2 fenced blocks"),
        ('```json\n{"kill": true', "no fenced JSON block"),
        (fenced('{"kill": true,}'), "cannot be read"),
        (fenced("kill: true\n\tscore: 1"), "cannot be read"),
        (fenced("[1, 2]"), "must be an object"),
        (fenced('{"kill": NaN}'), "NaN is not a JSON number"),
        (fenced('{"score": Infinity}'), "Infinity is not a JSON number"),
        (fenced('{"kill": true, "kill": false}'), "stands twice"),
        (fenced("[" * 3000 + "]" * 3000), "cannot be read"),
        ("x" * (MAX_REPLY + 1), "at most"),
        (fenced('{"a": &x [*x, *x]}'), "cannot be read"),
    ],
)
def test_what_is_no_answer_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ModelReplyError, match=said):
        parse_reply(text, KILL)


@pytest.mark.parametrize(
    "quoted", ["```", "a ``` b", "\n```json\n{}\n```\n", 'say "```"', "``` " * 15, "\\```", '\\"```']
)
@pytest.mark.parametrize("close", ["\n```", "```", "\n```\nwords\n```python\nclose\n```"])
def test_ticks_inside_of_a_text_close_no_block(quoted: str, close: str) -> None:
    told = GOOD | {"root_cause": quoted}
    for form in (json.dumps(told), json.dumps(told, indent=1)):
        assert parse_reply(f"Words.\n```json\n{form}{close}\nMore.", KILL) == told


def test_a_text_that_does_not_end_hides_no_other_block() -> None:
    good = fenced(json.dumps(GOOD))
    with pytest.raises(ModelReplyError, match="2 fenced blocks"):
        parse_reply('```json\n{"root_cause": "x\n```\n' + good, KILL)
    assert parse_reply('```\nsay "x\n```\n' + good, KILL) == GOOD


@pytest.mark.parametrize("value", ["false", "no", "yes, but", 0, 1, None, [], {}, "true"])
def test_only_a_real_boolean_is_one(value: Any) -> None:
    with pytest.raises(ModelReplyError, match="'kill' must be bool"):
        parse_reply(fenced(json.dumps(GOOD | {"kill": value})), KILL)


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", True), ("n", 1.5), ("n", "3"), ("score", "1"), ("score", True), ("root_cause", 3), ("tags", "a"),
     ("score", 10**400)],
)  # fmt: skip
def test_types_are_not_guessed(field: str, value: Any) -> None:
    with pytest.raises(ModelReplyError, match=f"'{field}' must be|cannot be read"):
        parse_reply(fenced(json.dumps(GOOD | {field: value})), KILL)


def test_a_missing_field_is_named_and_an_optional_one_is_left_out() -> None:
    short = {k: v for k, v in GOOD.items() if k != "tags"}
    with pytest.raises(ModelReplyError, match="'tags' is missing"):
        parse_reply(fenced(json.dumps(short)), KILL)
    assert parse_reply(fenced(json.dumps(short)), KILL, optional=frozenset({"tags"})) == short


def test_sizes_are_bounded_and_text_can_be_written_to_disk() -> None:
    found = parse_reply(fenced(json.dumps(GOOD | {"root_cause": "a\x00b\ud800" + "x" * MAX_STRING})), KILL)
    assert len(found["root_cause"]) == MAX_STRING
    assert "\x00" not in found["root_cause"]
    found["root_cause"].encode("utf-8")
    with pytest.raises(ModelReplyError, match="at most"):
        parse_reply(fenced(json.dumps(GOOD | {"tags": ["t"] * (MAX_ITEMS + 1)})), KILL)


@given(st.text(max_size=400))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        found = parse_reply(text, KILL)
    except ModelReplyError:
        return
    assert set(found) == set(KILL)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(KILL)), inner, max_size=5),
    max_leaves=12,
)


@given(JSON)
def test_any_json_gives_the_right_types_or_a_refusal(value: Any) -> None:
    try:
        found = parse_reply(fenced(json.dumps(value)), KILL)
    except ModelReplyError:
        return
    for name, kind in KILL.items():
        assert type(found[name]) is kind


# -- money -----------------------------------------------------------------------------------------


def test_a_budget_names_the_limit_that_was_met() -> None:
    budget = Budget(session_calls=2, session_usd=1.0, day_usd=5.0, day_spent_usd=0.0)
    budget.reserve()
    budget.reserve()
    with pytest.raises(BudgetError, match="2 model calls"):
        budget.reserve()
    budget = Budget(10, 1.0, 5.0)
    budget.reserve()
    budget.charge(1.0)
    with pytest.raises(BudgetError, match=r"session's budget of \$1"):
        budget.reserve()
    with pytest.raises(BudgetError, match=r"day's budget of \$5"):
        Budget(10, 1.0, 5.0, day_spent_usd=5.0).reserve()
    assert Budget.from_settings(ModelSettings(session_calls=0), 0.0).session_calls == 0
    with pytest.raises(BudgetError):
        Budget.from_settings(ModelSettings(session_calls=0)).reserve()


def test_prices_take_the_longest_name_and_err_on_the_dear_side() -> None:
    assert price_usd("gpt-4.1-mini-2025-04-14", 1_000_000, 0) == pytest.approx(0.4)
    assert price_usd("gpt-4.1", 1_000_000, 0) == pytest.approx(2.0)
    assert price_usd("a-model-of-tomorrow", 1_000_000, 1_000_000) == pytest.approx(sum(DEAREST))


def test_a_secret_does_not_show() -> None:
    secret = Secret("sk-very-secret")
    assert "very" not in f"{secret} {secret!r} {[secret]} {(secret,)}"
    assert secret.reveal() == "sk-very-secret"
    assert not Secret("")
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(secret)
