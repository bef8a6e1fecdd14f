"""No candidate is scored before it was audited, on either border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from midas_engine.dsl import OPERATORS, Operator
from midas_engine.dsl.registry import series
from midas_engine.errors import AdapterError, LookAheadError
from midas_engine.evaluator import check_data
from midas_engine.loops.worker import PanelJudge
from midas_engine.market import SyntheticMarket
from midas_engine.proposer.protocol import Proposal
from midas_engine.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = pd.date_range("2025-01-01", periods=500, freq="h", tz="UTC")
CLOSE = pd.Series(100 + np.random.default_rng(0).normal(size=500).cumsum(), index=TIMES)


@pytest.fixture
def rogue() -> Iterator[None]:
    def run(args: Any, params: Any, need: int, state: Any, out: Any) -> None:
        out[-1] = np.nan
        out[:-1] = args[0][1:]

    assert len(OPERATORS) > 0
    OPERATORS._entries["peek"] = Operator("peek", "time_series", (series(),), "", "peek(close)", "first", run=run)
    yield
    del OPERATORS._entries["peek"]


@pytest.mark.usefixtures("rogue")
def test_a_panel_candidate_that_leaks_is_not_scored() -> None:
    judge = PanelJudge(SyntheticMarket(3, bars=1500, symbols=11).panel(), Settings(), {})
    rest: tuple[Any, ...] = ("research", 1, {})
    with pytest.raises(LookAheadError, match="at least 1 bar ahead") as caught:
        judge.judge(Proposal("f", "peek(returns)"), *rest)
    assert "midas dsl audit" in caught.value.hint
    with pytest.raises(LookAheadError):
        judge.judge(Proposal("f", "ts_mean(close, 4)", gate="peek(volume) > 0", hold=4), *rest)
    assert judge.judge(Proposal("f", "-delta(close, 4)"), *rest).evaluation.score_t != 0.0


def test_a_users_function_that_leaks_is_refused_by_name() -> None:
    def data_fn() -> Any:
        def compute(expression: str) -> Any:
            return CLOSE.shift(-1) if "lead" in expression else CLOSE.diff()

        return compute, (CLOSE.shift(-1) / CLOSE - 1).to_frame("ret_1h"), None

    data = check_data(data_fn)
    assert data.compute("change").notna().any()
    with pytest.raises(AdapterError, match=r"compute\('lead'\) sees the future") as caught:
        data.compute("lead")
    assert "became" in caught.value.hint


def test_work_done_before_compute_is_audited_too() -> None:
    raw = CLOSE

    def data_fn() -> Any:
        scaled = (raw - raw.mean()) / raw.std()
        return (lambda expression: scaled), (raw.shift(-1) / raw - 1).to_frame("ret_1h"), None

    with pytest.raises(AdapterError, match="sees the future"):
        check_data(data_fn).compute("x")
