from __future__ import annotations

import itertools
import sys
import types
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers_leaks import as_compute, auditor, build_market, long
from helpers_leaks_good import CLEAN
from helpers_leaks_worse import LEAKING_EXPRESSIONS, LEAKS, refused
from midas_engine.dsl.leaks import ComputeAuditor, audit_compute

MARKET = build_market(bars=900, symbols=7)
TIMES = pd.date_range("2025-01-01", periods=600, freq="h", tz="UTC")
CLOSE = pd.Series(100 + np.random.default_rng(0).normal(size=600).cumsum(), index=TIMES)
NEXT = (CLOSE.shift(-1) / CLOSE - 1).to_frame("ret_1h")


def test_the_corpus_is_large_enough() -> None:
    assert len(LEAKS) + len(LEAKING_EXPRESSIONS) >= 150
    assert len(CLEAN) >= 100


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_caught(name: str) -> None:
    report = auditor(LEAKS[name], MARKET).check("rank(close)")
    assert report.verdict == "leak", str(report)
    assert not report.ok
    assert any(check.changed and check.example for check in report.checks)


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_feature_is_not_refused(name: str) -> None:
    report = auditor(CLEAN[name], MARKET).check("rank(close)")
    assert report.ok, str(report)
    # Seeded noise reads no data; everything else must have been proved.
    assert report.verdict == "clean" or name == "seeded noise", str(report)


@pytest.mark.parametrize("text", LEAKING_EXPRESSIONS)
def test_a_leaking_expression_is_refused(text: str) -> None:
    assert refused(text)


def test_one_series() -> None:
    assert audit_compute(lambda e: CLOSE.rolling(24).mean(), "x", NEXT).verdict == "clean"
    for leak in (
        lambda e: CLOSE.shift(-1),
        lambda e: CLOSE.rolling(24).mean().bfill(),
        lambda e: CLOSE.interpolate(),
        lambda e: CLOSE.ffill().bfill(),
        lambda e: (CLOSE - CLOSE.mean()) / CLOSE.std(),
        lambda e: NEXT["ret_1h"] * 3,
    ):
        assert audit_compute(leak, "x", NEXT).verdict == "leak"


def test_bar_numbers_instead_of_times() -> None:
    close = pd.Series(CLOSE.to_numpy())
    returns = (close.shift(-1) / close - 1).to_frame("ret_1h")
    assert audit_compute(lambda e: close.diff(), "x", returns).verdict == "clean"
    assert audit_compute(lambda e: close.diff(-1), "x", returns).verdict == "leak"


def test_the_reach_is_told() -> None:
    report = audit_compute(lambda e: CLOSE.shift(-5), "x", NEXT)
    assert "at least 5 bars ahead" in report.reason
    assert "became" in str(report)


def test_the_users_data_is_never_written_to() -> None:
    close, returns = CLOSE.copy(), NEXT.copy()

    def compute(expression: str) -> Any:
        return close.shift(-1)

    audit_compute(compute, "x", returns)
    pd.testing.assert_series_equal(close, CLOSE)
    pd.testing.assert_frame_equal(returns, NEXT)


def test_a_table_read_from_a_file_inside_the_function(tmp_path: Any) -> None:
    path = tmp_path / "close.csv"
    CLOSE.rename("close").to_csv(path, index_label="timestamp")

    def read() -> Any:
        return pd.read_csv(path, index_col="timestamp", parse_dates=True)["close"]

    def imported(expression: str) -> Any:
        import pandas

        return pandas.read_csv(path, index_col="timestamp", parse_dates=True)["close"].shift(-1)

    assert audit_compute(lambda e: read().shift(-1), "x", NEXT).verdict == "leak"
    assert audit_compute(imported, "x", NEXT).verdict == "leak"
    assert audit_compute(lambda e: read().shift(1), "x", NEXT).verdict == "clean"


def test_a_users_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("my_tables")
    module.__file__ = "my_tables.py"
    module.close = CLOSE  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_tables", module)

    def compute(expression: str) -> Any:
        import my_tables  # type: ignore[import-not-found]

        return my_tables.close.shift(-1)

    assert audit_compute(compute, "x", NEXT).verdict == "leak"


def test_data_that_cannot_be_reached_proves_nothing() -> None:
    class Remote:
        """Data behind something that refuses to be copied, as a connection does."""

        __slots__ = ("_get",)

        def __init__(self) -> None:
            self._get = iter([CLOSE.shift(-1)] * 100)

        def __copy__(self) -> Any:
            raise TypeError("cannot be copied")

        def __next__(self) -> Any:
            return next(self._get)

    remote = Remote()
    report = audit_compute(lambda e: next(remote), "x", NEXT)
    assert report.verdict == "unproven"
    assert report.ok
    assert "altered" in report.reason


def test_values_that_change_by_themselves_prove_nothing() -> None:
    draws = itertools.count()

    def compute(expression: str) -> Any:
        return CLOSE * np.random.default_rng(next(draws)).normal(size=len(CLOSE))

    report = audit_compute(compute, "x", NEXT)
    assert report.verdict == "unproven"
    assert "each time" in report.reason


def test_an_error_of_the_users_is_the_users() -> None:
    def compute(expression: str) -> Any:
        raise KeyError(expression)

    with pytest.raises(KeyError):
        audit_compute(compute, "x", NEXT)


def test_too_little_data_proves_nothing() -> None:
    report = audit_compute(lambda e: CLOSE[:30], "x", NEXT[:30])
    assert report.verdict == "unproven"
    assert "30 bars are too few" in report.reason


def test_a_function_that_wants_its_whole_history_is_audited_on_it() -> None:
    def compute(expression: str) -> Any:
        return (CLOSE / CLOSE.shift(500)).shift(-1)

    assert audit_compute(compute, "x", NEXT).verdict == "leak"


def test_copies_are_made_once() -> None:
    made = ComputeAuditor(as_compute(CLEAN["past return"], MARKET), MARKET.returns)
    made.check("a")
    views = dict(made._shadows)
    made.check("b")
    assert made._shadows == views


def test_horizons_of_the_returns_are_known() -> None:
    returns = pd.DataFrame({"ret_1h": long(MARKET.fwd), "ret_24h": long(MARKET.fwd24)})
    made = ComputeAuditor(lambda e: returns["ret_24h"].groupby(level=1).shift(24), returns, horizons={"ret_24h": 24})
    assert made.check("x").verdict == "clean"
    made = ComputeAuditor(lambda e: returns["ret_24h"].groupby(level=1).shift(23), returns, horizons={"ret_24h": 24})
    assert made.check("x").verdict == "leak"
