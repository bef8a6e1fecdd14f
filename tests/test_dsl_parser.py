from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas_engine.dsl import DSLValidator, parse
from midas_engine.dsl.nodes import Call, Column, Number, to_text
from midas_engine.errors import (
    ExpressionError,
    ExpressionSyntaxError,
    ExpressionTypeError,
    LimitError,
    LookAheadError,
    UnknownNameError,
)
from midas_engine.settings import DslLimits

COLUMNS = ("open", "high", "low", "close", "volume")


def tree(text: str) -> str:
    return to_text(parse(text, columns=COLUMNS).ast)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("close + open * high", "add(close, mul(open, high))"),
        ("close - open - high", "sub(sub(close, open), high)"),
        ("close / open / high", "div(div(close, open), high)"),
        ("-close ** 2", "neg(power(close, 2))"),
        ("close ** open ** high", "power(close, power(open, high))"),
        ("close ** -open", "power(close, neg(open))"),
        ("2 ** -1 * close", "mul(power(2, -1), close)"),
        ("--close", "neg(neg(close))"),
        ("+close", "close"),
        ("close < open and high > low or volume == 0", "or(and(lt(close, open), gt(high, low)), eq(volume, 0))"),
        ("not close > open", "not(gt(close, open))"),
        ("not (close > open) and high", "and(not(gt(close, open)), high)"),
        ("and(close, not(open))", "and(close, not(open))"),
        ("(((close)))", "close"),
        ("ts_mean(\n\tclose ,\r\n24 )", "ts_mean(close, 24)"),
        ("delay(close, (24))", "delay(close, 24)"),
        ("rsi(close)", "rsi(close, 14)"),
        ("macd(close, 5)", "macd(close, 5, 26, 9)"),
        ("ts_quantile(close, 24)", "ts_quantile(close, 24, 0.5)"),
        ("clip(close, -1.5, 1e3)", "clip(close, -1.5, 1000)"),
        ("close * .5 + 1.", "add(mul(close, 0.5), 1)"),
    ],
)
def test_precedence_and_spelling(text: str, expected: str) -> None:
    assert tree(text) == expected
    assert tree(expected) == expected


def test_tree_carries_positions() -> None:
    node = parse("close + delay(open, 3)").ast
    assert node == Call("add", (Column("close"), Call("delay", (Column("open"),), (3,))))
    assert isinstance(node, Call)
    assert (node.args[1].position, node.args[1].end) == (8, 22)
    assert Number(1.0, 3, 4) == Number(1.0)


# Row 19 of the robustness table: the future in forty spellings.
FUTURE = [
    "delay(close, -1)", "delay(close, - 1)", "delay(close, 0-1)", "delay(close, -1.5)", "delay(close, -(1))",
    "delay(close, +-1)", "delay(close, 1-2)", "delay(close, 2*-1)", "delay(close, -24)", "delay(close,-0.5)",
    "delta(close, -1)", "delta(close, -24)", "returns(close, -1)", "returns(close, 1-25)", "ts_mean(close, -24)",
    "ts_rank(close, -5)", "ts_corr(close, volume, -5)", "ema(close, -3)", "ts_max(high, close)", "delay(close, close)",
    "delay(close, ts_argmax(close, 5))", "delay(close, sign(close))", "delay(close, min(1, -1))", "ret_1h", "ret_4h",
    "ret_24", "fwd_return", "forward_returns", "future_close", "next_close", "close_fwd", "target", "label",
    "close_lead", "rsi(close, -14)", "macd(close, 12, -26)", "atr(high, low, close, -14)", "obv(close, volume, -1)",
    "bbands_pct(close, -20)", "ts_decay_linear(close, -12)", "delay(delay(close, 2), -3)",
]  # fmt: skip


@pytest.mark.parametrize("text", FUTURE)
def test_future_is_refused(text: str) -> None:
    with pytest.raises(LookAheadError) as caught:
        parse(text, columns=COLUMNS)
    assert caught.value.text == text
    assert "^" in str(caught.value)


REFUSED: list[tuple[str, type[ExpressionError], int]] = [
    ("", ExpressionSyntaxError, 0),
    ("   ", ExpressionSyntaxError, 0),
    ("close[1]", ExpressionSyntaxError, 5),
    ("delay(close, --1)", ExpressionTypeError, 13),
    ("close.__class__", ExpressionSyntaxError, 5),
    ("__import__('os')", ExpressionSyntaxError, 11),
    ("lambda x: x", ExpressionSyntaxError, 8),
    ("close if open else high", ExpressionSyntaxError, 6),
    ("(close := open)", ExpressionSyntaxError, 7),
    ("f'{close}'", ExpressionSyntaxError, 1),
    ("close; open", ExpressionSyntaxError, 5),
    ("close # note", ExpressionSyntaxError, 6),
    ("close +", ExpressionSyntaxError, 7),
    ("(close", ExpressionSyntaxError, 0),
    ("close)", ExpressionSyntaxError, 5),
    ("ts_mean(close, 24", ExpressionSyntaxError, 7),
    ("ts_mean(close,, 24)", ExpressionSyntaxError, 14),
    ("close open", ExpressionSyntaxError, 6),
    ("open < close < high", ExpressionSyntaxError, 13),
    ("close = open", ExpressionSyntaxError, 6),
    ("close ^ 2", ExpressionSyntaxError, 6),
    ("1.2.3", ExpressionSyntaxError, 0),
    ("0x10 * close", ExpressionSyntaxError, 0),
    ("1_000 * close", ExpressionSyntaxError, 0),
    ("5close", ExpressionSyntaxError, 0),
    ("close\x00", ExpressionSyntaxError, 5),
    ("clos\u0435", ExpressionSyntaxError, 4),
    ("close \uff0d 1", ExpressionSyntaxError, 6),
    ("close \u2212 1", ExpressionSyntaxError, 6),
    ("delay(close, \uff11)", ExpressionSyntaxError, 13),
    ("\u202eclose", ExpressionSyntaxError, 0),
    ("close\u200b", ExpressionSyntaxError, 5),
    ("\ud800", ExpressionSyntaxError, 0),
    ("Close", UnknownNameError, 0),
    ("TS_MEAN(close, 5)", UnknownNameError, 0),
    ("ts_mena(close, 5)", UnknownNameError, 0),
    ("open + clsoe", UnknownNameError, 7),
    ("ts_mean + 1", UnknownNameError, 0),
    ("nan", UnknownNameError, 0),
    ("inf", UnknownNameError, 0),
    ("eval(close)", UnknownNameError, 0),
    ("delay(close)", ExpressionTypeError, 0),
    ("delay(close, 1, 2)", ExpressionTypeError, 0),
    ("max(close)", ExpressionTypeError, 0),
    ("cs_rank()", ExpressionTypeError, 0),
    ("delay(close, 0)", ExpressionTypeError, 13),
    ("delay(close, 1.5)", ExpressionTypeError, 13),
    ("delay(close, 24.0)", ExpressionTypeError, 13),
    ("delay(close, 1e1)", ExpressionTypeError, 13),
    ("ts_std(close, 1)", ExpressionTypeError, 14),
    ("ts_skew(close, 2)", ExpressionTypeError, 15),
    ("ts_quantile(close, 5, 1.5)", ExpressionTypeError, 22),
    ("ts_quantile(close, 5, open)", ExpressionTypeError, 22),
    ("clip(close, 3, -3)", ExpressionTypeError, 12),
    ("3", ExpressionTypeError, 0),
    ("2 + log(3)", ExpressionTypeError, 0),
    ("1e999 * close", LimitError, 0),
    ("9" * 41, LimitError, 0),
    ("x" * 200, LimitError, 0),
    ("delay(close, 1000000000000)", LimitError, 13),
    ("delay(close, 721)", LimitError, 13),
]


@pytest.mark.parametrize(("text", "kind", "position"), REFUSED)
def test_refusals_name_the_place(text: str, kind: type[ExpressionError], position: int) -> None:
    with pytest.raises(kind) as caught:
        parse(text, columns=COLUMNS)
    assert type(caught.value) is kind
    assert caught.value.position == position


def test_caret_stands_under_the_fault() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse("open + clsoe", columns=COLUMNS)
    lines = str(caught.value).splitlines()
    assert lines[0] == "there is no column or feature 'clsoe' (column 8)"
    assert lines[1] == "  open + clsoe"
    assert lines[2] == "         ^^^^^"
    assert lines[3] == "  hint: did you mean close?; there are: close, high, low, open, volume"


def test_errors_never_print_control_characters() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse("close\x1b]52;c;\x07", columns=COLUMNS)
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))


HUGE = [
    "close" + " + 1" * 3000,
    "close" + "+1" * 900,
    "(" * 4000,
    "(" * 1000 + "close" + ")" * 1000,
    "-" * 4000 + "close",
    "not " * 1000 + "close",
    "abs(" * 800 + "close" + ")" * 800,
    "abs(" * 10 + "close" + ")" * 10,
    "close ** " * 400 + "close",
    "1" * 4000,
    "1" * 10_000_000,
    "a" * 4000,
    "max(" + "close," * 600 + "close)",
    "delay(close, " + "9" * 39 + ")",
    "ema(ema(ema(close, 168), 168), 168)",
    "\u0435" * 2049,
    "close" + "<close" * 500,
    "close,"*600,
]  # fmt: skip


@pytest.mark.parametrize("text", HUGE, ids=range(len(HUGE)))
def test_size_is_refused_quickly(text: str) -> None:
    validator = DSLValidator(COLUMNS)
    validator.validate("ts_mean(close, 24)")
    start = time.process_time()
    result = validator.validate(text)
    assert time.process_time() - start < 0.05
    assert not result.ok


@pytest.mark.parametrize(
    ("limits", "text", "name"),
    [
        (DslLimits(depth=2), "abs(abs(abs(close)))", "dsl.depth = 2"),
        (DslLimits(nodes=5), "close + open + high + low", "dsl.nodes = 5"),
        (DslLimits(lookback_bars=10), "delay(close, 11)", r"the limit of 10 \(dsl.lookback\)"),
        (DslLimits(text_bytes=10), "close + open", "dsl.text_bytes = 10"),
        (DslLimits(total_lookback_bars=20), "delay(delay(close, 15), 6)", r"the limit of 20 \(dsl.total_lookback\)"),
    ],
)
def test_limits_are_named(limits: DslLimits, text: str, name: str) -> None:
    parse(text)
    with pytest.raises(LimitError, match=name):
        parse(text, limits=limits)


def test_chains_are_one_level_deep() -> None:
    parse(" + ".join(["close"] * 50), limits=DslLimits(depth=1))
    parse("close * 2 / open * 3 / high", limits=DslLimits(depth=1))
    parse("-(-close)", limits=DslLimits(depth=1))
    with pytest.raises(LimitError):
        parse("close * 2 + open * 3 + high", limits=DslLimits(depth=1))


@pytest.mark.parametrize("value", [None, 3, b"close", ["close"]])
def test_what_is_not_text(value: object) -> None:
    assert not DSLValidator(COLUMNS).validate(value).ok  # type: ignore[arg-type]


# -- composition --------------------------------------------------------------------------------


def test_features_by_name() -> None:
    features = {"gain": "close / delay(close, 4) - 1", "ranked": "ts_rank(gain, 24)"}
    expression = parse("ranked * volume", columns=COLUMNS, features=features)
    assert expression.lineage == ("gain", "ranked")
    assert expression.columns == ("close", "volume")
    assert expression.lookback == 4 + 23
    assert expression.hash == parse("ts_rank(close / delay(close, 4) - 1, 24) * volume").hash


def test_a_column_hides_a_feature() -> None:
    assert parse("close", columns=COLUMNS, features={"close": "open"}).lineage == ()


@pytest.mark.parametrize(
    "features",
    [
        {"a": "a + 1"},
        {"a": "b", "b": "a"},
        {"a": "b + close", "b": "c * 2", "c": "abs(a)"},
    ],
)
def test_circles_are_refused(features: dict[str, str]) -> None:
    with pytest.raises(ExpressionError, match=r"circle: .*a"):
        parse("a + close", columns=COLUMNS, features=features)


def test_a_faulty_feature_is_named() -> None:
    with pytest.raises(UnknownNameError, match="feature 'gain'"):
        parse("gain + 1", columns=COLUMNS, features={"gain": "clsoe"})


def test_doubling_features_meet_the_node_limit() -> None:
    features = {"f0": "close + open"} | {f"f{i}": f"f{i - 1} + f{i - 1}" for i in range(1, 15)}
    start = time.process_time()
    with pytest.raises(LimitError, match="dsl.nodes"):
        parse("f14", columns=COLUMNS, features=features)
    assert time.process_time() - start < 0.5


def test_long_lines_of_features_are_refused() -> None:
    features = {"f0": "close"} | {f"f{i}": f"abs(f{i - 1})" for i in range(1, 40)}
    with pytest.raises(ExpressionError, match="levels deep"):
        parse("f39", columns=COLUMNS, features=features)


# -- properties ---------------------------------------------------------------------------------

_PIECES = ["close", "open", "ts_mean", "delay", "(", ")", ",", "+", "-", "*", "/", "**", "<", "==", "and", "not",
           "1", "24", "-1", "1e9", "\uff0d", "'", ".", " ", "\x00"]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_PIECES), max_size=25).map("".join)))
def test_any_text_parses_or_is_refused(text: str) -> None:
    result = DSLValidator(COLUMNS).validate(text)
    if result.ok:
        assert result.expression is not None
        assert to_text(parse(to_text(result.expression.ast), columns=COLUMNS).ast) == to_text(result.expression.ast)
    else:
        assert result.error is not None
        assert 0 <= result.error.position <= len(text)
        assert result.message


def test_every_pair_of_tokens_is_survived() -> None:
    validator = DSLValidator(COLUMNS)
    for pair in itertools.product(_PIECES, repeat=3):
        validator.validate(" ".join(pair))
