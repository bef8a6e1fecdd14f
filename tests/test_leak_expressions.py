from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from helpers_dsl import COLUMNS, make_panel
from midas_engine.dsl import OPERATORS, Operator, audit, random_expression
from midas_engine.dsl.leaks import ExpressionAuditor
from midas_engine.dsl.leaks.expressions import excerpt
from midas_engine.dsl.leaks.report import AuditReport, Check, leak_report, moved
from midas_engine.dsl.registry import series, window
from midas_engine.errors import LookAheadError

if TYPE_CHECKING:
    from collections.abc import Iterator

PANEL = make_panel(4, 400, 5)


def _ahead(args: Any, params: Any, need: int, state: Any, out: Any) -> None:
    n = int(params[0])
    out[:] = np.nan
    out[:-n] = args[0][n:]


def _sample(args: Any, params: Any, need: int, state: Any, out: Any) -> None:
    out[:] = args[0] - np.nanmean(args[0])


def _forgetful(args: Any, params: Any, need: int, state: Any, out: Any) -> None:
    out[:] = np.nancumsum(args[0], axis=0)


@pytest.fixture
def rogues() -> Iterator[None]:
    """Operators that break their word, as a careless addition to the registry would."""
    one, two = (series(),), (series(), window())
    added = {
        "peek": Operator("peek", "time_series", two, "", "peek(close, 1)", "first", run=_ahead),
        "sample": Operator("sample", "time_series", one, "", "sample(close)", "first", run=_sample),
        "total": Operator("total", "time_series", one, "", "total(close)", "first", run=_forgetful),
    }
    assert len(OPERATORS) > 0
    OPERATORS._entries.update(added)
    yield
    for name in added:
        del OPERATORS._entries[name]


def test_every_operator_is_clean() -> None:
    auditor = ExpressionAuditor(PANEL)
    for operator in OPERATORS.values():
        report = auditor.check(operator.example)
        assert report.verdict == "clean", str(report)
        assert report.checks[0].compared > 0


def test_random_expressions_are_clean() -> None:
    auditor = ExpressionAuditor(PANEL)
    for i in range(100):
        text = random_expression(np.random.default_rng(i), COLUMNS, 4)
        assert auditor.check(text).verdict == "clean", text


@pytest.mark.usefixtures("rogues")
@pytest.mark.parametrize(
    "text", ["peek(close, 1)", "cs_rank(peek(volume, 24))", "ts_mean(sample(close), 5)", "close / sample(volume)"]
)
def test_an_operator_that_breaks_its_word_is_caught(text: str) -> None:
    report = audit(text, PANEL)
    assert report.verdict == "leak", str(report)
    assert not report.ok


@pytest.mark.usefixtures("rogues")
def test_the_reach_is_told() -> None:
    assert "at least 3 bars ahead" in audit("peek(close, 3)", PANEL).reason


@pytest.mark.usefixtures("rogues")
def test_understated_memory_is_a_warning() -> None:
    report = audit("total(volume)", PANEL)
    assert report.verdict == "clean"
    assert "memory is understated" in report.warnings[-1]


def test_units_are_a_warning() -> None:
    report = audit("close + volume", PANEL)
    assert report.ok
    assert "mixes a price and a volume" in report.warnings[0]
    assert "warning" in str(report)


def test_look_ahead_is_refused_before_anything_runs() -> None:
    with pytest.raises(LookAheadError):
        audit("delay(close, -1)", PANEL)


def test_features_by_name_are_audited() -> None:
    report = audit("cs_rank(gain)", PANEL, features={"gain": "returns(close, 4)"})
    assert report.verdict == "clean"


def test_one_series_and_short_histories() -> None:
    assert audit("ts_zscore(close, 24)", make_panel(1, 200, 1)).verdict == "clean"
    short = audit("close", make_panel(1, 12, 2))
    assert short.verdict == "unproven"
    assert short.ok


def test_a_window_longer_than_the_history_is_said() -> None:
    report = audit("ts_mean(close, 120)", make_panel(1, 100, 2))
    assert "start was not varied" in report.warnings[-1]


def test_excerpt_keeps_the_latest_bars() -> None:
    part = excerpt(PANEL, 100, 3)
    assert part.shape == (100, 3)
    assert part.timestamps[-1] == PANEL.timestamps[-1]
    assert excerpt(PANEL) is PANEL


def test_moved_knows_rounding_from_change() -> None:
    a = np.array([1.0, np.nan, 1e6, np.inf, 0.0])
    assert not moved(a, a * (1 + 1e-12)).any()
    assert moved(a, np.array([1.0, 0.0, 1e6, np.inf, 0.0])).tolist() == [False, True, False, False, False]
    assert moved(a, np.array([1.001, np.nan, 1e6, -np.inf, np.nan])).tolist() == [True, False, False, True, True]


def test_the_report_reads_well() -> None:
    report = leak_report("f", [Check("the future removed", 100, 3, 2, "at noon it was 1 and became 2")])
    assert report.reason.endswith("at least 2 bars ahead")
    text = str(report)
    assert "3 of 100 values moved" in text
    assert "at noon" in text
    assert AuditReport("f", "clean").ok
