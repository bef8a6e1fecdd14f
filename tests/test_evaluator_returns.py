"""Forward returns that are not what they claim are refused by name; real ones never are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from midas_engine.errors import EvaluationError
from midas_engine.evaluator import AlphaEvaluator
from midas_engine.evaluator.pandas_input.plausible_returns import refuse_implausible
from midas_engine.market import load_panel

HOURS = pd.date_range("2025-10-01", periods=1500, freq="h", tz="UTC")


@pytest.fixture(scope="module")
def close() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    steps = 0.006 * (0.7 * rng.standard_normal((1500, 1)) + 0.7 * rng.standard_normal((1500, 4)))
    return pd.DataFrame(100 * np.exp(steps.cumsum(axis=0)), HOURS, list("ABCD"))


@pytest.mark.parametrize("factor", [100.0, 30.0])
def test_percent_is_named(close: pd.DataFrame, factor: float) -> None:
    returns = close.pct_change().shift(-1).stack() * factor
    with pytest.raises(EvaluationError, match="percent or prices, not fractions"):
        AlphaEvaluator().context(returns)
    with pytest.raises(EvaluationError, match="percent or prices"):
        AlphaEvaluator().context(close.stack())


@pytest.mark.parametrize("bars", [2, 4, 24, 48])
def test_an_undeclared_overlap_is_named(close: pd.DataFrame, bars: int) -> None:
    returns = (close.shift(-bars) / close - 1).stack()
    with pytest.raises(EvaluationError, match="declared as 1 bar ahead and overlaps like a return over about"):
        AlphaEvaluator().context(returns)
    AlphaEvaluator().context(returns.to_frame(f"ret_{bars}h"))  # declared, it is what it says


@pytest.mark.parametrize("hours", [1, 4, 24])
def test_no_symbol_of_the_sample_is_refused(hours: int) -> None:
    panel = load_panel("sample")
    prices = panel.values("close")[::hours]
    for h in (1, 4, 24):
        forward = prices[h:] / prices[:-h] - 1.0
        for symbol in range(panel.S):
            refuse_implausible(forward[:, symbol : symbol + 1], h, 3600.0 * hours, panel.symbols[symbol])
