"""A price, a constant per symbol or a rank of these is no signal, whatever it is added to: no mix of it is accepted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.nominal import nominal_size
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values, judge
from midas_engine.market import load_panel
from midas_engine.market.panel import Panel
from midas_engine.settings import Settings

if TYPE_CHECKING:
    from midas_engine.models import MultiAgentResult

SIZES = (
    "cs_rank(high)",
    "cs_zscore(log(close))",
    "cs_rank(vwap)",
    "close * 0 + ts_mean(close, 168)",
    "cs_rank(ts_mean(close, 168))",
    "cs_scale(ts_mean(log(close), 168))",
    "-cs_rank(ts_mean(volume, 168))",
    "cs_rank(high - low)",
)
BESIDE = (
    "0.001 * cs_rank(returns)",
    "0.1 * ts_zscore(volume, 24)",
    "cs_rank(returns(close, 24))",
    "0.3 * sign(returns)",
)
MIXES = (
    *SIZES,
    *(f"{size} + {other}" for size in SIZES for other in BESIDE),
    *(f"{size} * (1 + 0.1 * cs_rank(returns))" for size in SIZES),
)


def _judged(panel: Panel, texts: tuple[str, ...]) -> dict[str, MultiAgentResult]:
    """Verdicts on the whole panel at the line of a single trial, with both signs."""
    engine = FeatureEngine(panel, limits=Settings().dsl)
    context = EvaluationContext.from_panel(panel, horizons=(1,), options=ScoringOptions(target=1))
    found = {}
    for text in (*texts, *(f"-({text})" for text in texts)):
        parsed = engine.parse(text)
        nominal = nominal_size(parsed)
        found[text] = judge(evaluate_values(engine.values(parsed), context, text, nominal=nominal))
    return found


def _walks(seed: int) -> Panel:
    """Random walks: each symbol drifts at its own rate for good, the dear ones upwards; nothing else is foreseen."""
    rng = np.random.default_rng(seed)
    bars, symbols = 1500, 24
    size = np.sort(rng.normal(0.0, 3.0, symbols))
    returns = 0.0005 * size / 3.0 + 0.01 * rng.standard_t(4, (bars, symbols)) / math.sqrt(2.0)
    close = np.exp(np.cumsum(returns, axis=0) + size)
    volume = np.exp(rng.normal(size=(bars, symbols)) - size)
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    fields = {"open": close, "high": 1.003 * close, "low": 0.997 * close, "close": close, "volume": volume}
    return Panel(times, [f"S{k:02}USDT" for k in range(symbols)], {**fields, "quote_volume": volume * close}, 3600)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_mix_of_a_size_passes_where_symbols_drift_by_their_size(seed: int) -> None:
    found = _judged(_walks(seed), MIXES)
    assert not [text for text, verdict in found.items() if verdict.statistical_pass]
    # The bet is there to be taken: what the text is not asked of scores far beyond the line.
    assert max(verdict.evaluation.score_t for verdict in found.values()) > 3.5


def test_no_mix_of_a_size_passes_on_real_bars() -> None:
    sample = load_panel("sample")
    found = _judged(sample.slice(sample.T - 3000, sample.T), MIXES)
    assert not [text for text, verdict in found.items() if verdict.statistical_pass]


def test_a_mix_is_refused_by_name() -> None:
    verdict = _judged(_walks(1), ("cs_rank(high) + 0.001 * cs_rank(returns)",))[
        "cs_rank(high) + 0.001 * cs_rank(returns)"
    ]
    gates = {gate.name: gate for v in verdict.verdicts for gate in v.gates}
    assert not gates["comparable"].passed
    assert "it says which symbol this is" in str(verdict.evaluation.extra["nominal"])
