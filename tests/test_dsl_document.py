from __future__ import annotations

import numpy as np
import pytest

import midas_engine.dsl as dsl
from midas_engine.dsl import (
    OPERATORS,
    DSLValidator,
    explain,
    parse,
    random_expression,
    skill_document,
    units_warnings,
    warm_kernels,
)
from midas_engine.errors import ExpressionError


def test_skill_document_lists_every_operator() -> None:
    document = skill_document()
    for operator in OPERATORS.values():
        assert f"`{operator.signature}`" in document
        assert f"`{operator.example}`" in document
    for line in document.splitlines():
        if line.startswith("| `"):
            assert line.replace("\\|", "").count("|") in (3, 5), line


def test_explain_names_every_part() -> None:
    text = explain("ts_zscore(close / vwap, 24) + volume", columns=["close", "vwap", "volume"])
    for part in ("ts_zscore(n=24)", "vwap", "23 bars", "canonical", "hash", "units      add mixes"):
        assert part in text
    assert "fading" not in text
    assert "recursive" in explain("ema(close, 12)")
    with pytest.raises(ExpressionError):
        explain("ts_zscore(close", columns=["close"])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("close + volume", 1),
        ("close + open", 0),
        ("close / open + volume / delay(volume, 1)", 0),
        ("close > volume", 1),
        ("if_else(close > open, close, volume)", 1),
        ("close + 1", 0),
        ("close * volume - quote_volume", 0),
        ("close ** 2 - close * open", 0),
        ("close ** 2 - close", 1),
        ("vwap - close", 0),
        ("ts_mean(volume, 5) - ts_std(close, 5)", 1),
        ("obv(close, volume) / ts_sum(volume, 24)", 0),
        ("ts_cov(close, volume, 9) - quote_volume", 0),
        ("my_column + close", 0),
        ("max(close, ts_argmax(close, 5))", 1),
    ],
)
def test_units(text: str, count: int) -> None:
    assert len(units_warnings(text)) == count


def test_units_warn_but_do_not_refuse() -> None:
    result = DSLValidator(["close", "volume"]).validate("close + volume")
    assert result.ok
    assert result.warnings == ("add mixes a price and a volume: close, volume",)


def test_random_expressions_are_valid_and_repeatable() -> None:
    columns = ("close", "volume")
    texts = [random_expression(np.random.default_rng(i), columns, 4) for i in range(300)]
    again = [random_expression(np.random.default_rng(i), columns, 4) for i in range(300)]
    assert texts == again
    used = set()
    for text in texts:
        expression = parse(text, columns=columns)
        used |= {name for name in OPERATORS if name in text}
    assert used == set(OPERATORS)
    assert expression.columns


def test_random_expressions_obey_their_bounds() -> None:
    for i in range(100):
        text = random_expression(
            np.random.default_rng(i), ("close",), 3, max_window=10, exclude=("cross_section", "macd", "rsi")
        )
        assert "cs_" not in text
        assert "macd" not in text
        assert "rsi" not in text
        assert parse(text).lookback < 400


def test_warming_reports_progress() -> None:
    seen: list[tuple[int, int, str]] = []
    total = warm_kernels(lambda done, of, name: seen.append((done, of, name)))
    assert [s[0] for s in seen] == list(range(total + 1))
    assert seen[-1] == (total, total, "")


def test_public_names() -> None:
    assert dsl.__all__ == [
        "AuditReport",
        "Complexity",
        "ComputeAuditor",
        "DSLValidator",
        "Expression",
        "ExpressionAuditor",
        "FeatureEngine",
        "OPERATORS",
        "Operator",
        "StreamEngine",
        "ValidationResult",
        "audit",
        "audit_compute",
        "canonical",
        "complexity",
        "explain",
        "expression_hash",
        "parse",
        "random_expression",
        "similarity",
        "skill_document",
        "units_warnings",
        "warm_kernels",
    ]
    assert all(callable(getattr(dsl, name)) or name == "OPERATORS" for name in dsl.__all__)
    with pytest.raises(AttributeError):
        dsl.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ts_corr(close, volume, 2)", True),
        ("cs_rank(ts_zscore(close, 2))", True),
        ("ts_corr(close, volume, 3)", False),
        ("ts_std(close, 2)", False),
    ],
)
def test_a_window_that_gives_only_a_sign_is_said_and_stays_valid(text: str, said: bool) -> None:
    result = DSLValidator(["close", "volume"]).validate(text)
    assert result.ok
    assert any("take 3 bars or more" in w for w in result.warnings) == said
    assert ("window     ts_" in explain(text)) == said
