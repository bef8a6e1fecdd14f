"""What a history could decide is said before anything is tried, in one mode, with the width of every part."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine import events as ev
from midas_engine.errors import EvaluationError
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values, judge, sealed_vetoes, split_panel
from midas_engine.evaluator.promotable import MEMORY, _remembering, panel_words, promotable
from midas_engine.loops import PanelAssessor
from midas_engine.market.panel import Panel
from midas_engine.settings import EvaluationSettings, Settings
from midas_engine.stats.graduation import look_line
from midas_engine.stats.online_fdr import LordPlusPlus
from midas_engine.stats.power import history_needed, promotion_chance, smallest_promotable_ic
from tests.helpers_loops import FixedResearcher, events_of, loop_of

if TYPE_CHECKING:
    from pathlib import Path

LEVEL = LordPlusPlus().level()


def _panel(bars: int, symbols: int, seconds: int = 3600, *, feature: float = 0.0, seed: int = 1) -> Panel:
    """A market; a column `volume` that foresees the next return with `feature` standard deviations."""
    rng = np.random.default_rng(seed)
    times = np.datetime64("2020-01-01", "ns") + np.arange(bars) * np.timedelta64(seconds, "s")
    known = rng.normal(size=(bars, symbols))
    for t in range(1, bars):
        known[t] = 0.8 * known[t - 1] + 0.6 * known[t]
    shocks = rng.standard_t(4, (bars, symbols)) / math.sqrt(2.0)
    returns = 0.01 * shocks
    returns[1:] += 0.01 * feature * known[:-1]
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    return Panel(times, [f"S{k:02}USDT" for k in range(symbols)], {"close": close, "volume": np.exp(known)}, seconds)


def _ragged(panel: Panel, ending: int, share: float) -> Panel:
    fields = {name: np.array(values) for name, values in panel.fields.items()}
    for values in fields.values():
        values[int(share * panel.T) :, :ending] = np.nan
    return Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)


def _contexts(panel: Panel, settings: Settings | None = None) -> dict[str, EvaluationContext]:
    chosen = settings or Settings()
    parts = split_panel(panel, chosen, 1)
    return {
        part: EvaluationContext.from_panel(
            panel, horizons=(1,), rows=parts.named(part), options=ScoringOptions.from_settings(chosen, part)
        )
        for part in ("research", "sealed")
    }


def _promoted(panel: Panel, trials: int = 60) -> bool:
    found = _contexts(panel)
    values = np.log(panel.values("volume"))
    if not judge(evaluate_values(values, found["research"]), trials=trials).statistical_pass:
        return False
    sealed = judge(evaluate_values(values, found["sealed"]))
    against = set(sealed_vetoes(sealed)) - {"trading_cost"}
    return sealed.evaluation.score_p <= look_line(LEVEL) and not against


def test_the_smallest_ic_is_promoted_with_an_even_chance() -> None:
    research, sealed = (0.012, 3.1), (0.016, 2.0)
    smallest = smallest_promotable_ic(research, sealed)
    rng = np.random.default_rng(0)
    hits = (smallest + 0.012 * rng.normal(size=100_000) > 0.012 * 3.1) & (
        smallest + 0.016 * rng.normal(size=100_000) > 0.016 * 2.0
    )
    assert hits.mean() == pytest.approx(0.5, abs=0.01)
    assert promotion_chance(smallest, research, sealed) == pytest.approx(0.5, abs=1e-6)
    assert smallest_promotable_ic(research, sealed, least_ic=0.08) > 0.08
    assert math.isnan(smallest_promotable_ic((math.nan, 3.1), sealed))


def test_history_for_another_hundredth() -> None:
    research, sealed = (0.012, 3.1), (0.016, 2.0)
    smallest = smallest_promotable_ic(research, sealed)
    times = history_needed(smallest - 0.01, research, sealed)
    assert times == pytest.approx((smallest / (smallest - 0.01)) ** 2, rel=0.01)
    assert history_needed(0.015, research, sealed, least_ic=0.02) == math.inf


def test_five_years_of_days_can_promote() -> None:
    """No hidden minimum: 1,825 bars of 40 symbols with an effect of a tenth are decided, and said to be."""
    assert sum(_promoted(_panel(1825, 40, 86_400, feature=0.1, seed=k)) for k in range(8)) >= 6
    found = promotable(*_contexts(_panel(1825, 40, 86_400)).values(), 60, LEVEL, 0.02, 300)
    assert found.cross
    assert found.research.scored > 1100
    assert 0.015 < found.smallest_ic < 0.04


def test_what_cannot_be_decided_is_said() -> None:
    few = panel_words(_panel(400, 3, 86_400), Settings(), 60, LEVEL)
    assert "nothing can be promoted on this history: research has 2" in few[-1]
    assert "300 are the least" in few[-1]
    year = panel_words(_panel(8760, 1), Settings(), 60, LEVEL)
    assert year[0].startswith("scored in time, 1 live symbol(s); research 5,6")
    assert "the smallest IC that could be promoted here is about 0.04" in year[1]
    assert "times the history" in year[1]


def test_a_ragged_end_keeps_the_mode_and_the_evidence() -> None:
    """Most symbols end after three quarters: the cut moves to where bars can be scored, and it is still promoted."""
    whole = _panel(3000, 24, feature=0.12)
    ragged = _ragged(whole, 17, 0.75)
    for panel in (whole, ragged):
        found = _contexts(panel)
        assert [c.cross for c in found.values()] == [True, True]
        assert _promoted(panel)
    scored = promotable(*_contexts(ragged).values(), 60, LEVEL).sealed.scored
    assert scored == pytest.approx(0.35 * 0.75 * 3000, abs=3)


def test_a_narrow_sealed_part_is_not_judged_in_another_mode() -> None:
    panel = _ragged(_panel(1000, 12), 6, 0.6)
    rows = slice(650, 1000)
    assert EvaluationContext.from_panel(panel, horizons=(1,), rows=rows).cross
    alone = EvaluationContext.from_panel(panel, horizons=(1,), rows=rows, options=ScoringOptions(mode="time"))
    assert not alone.cross
    with pytest.raises(EvaluationError, match="a cross-section needs 10 symbols, the data has 3"):
        EvaluationContext.from_panel(_panel(100, 3), horizons=(1,), options=ScoringOptions(mode="cross-section"))


def test_the_mode_is_in_every_verdict() -> None:
    panel = _panel(800, 12)
    for mode in ("time", "cross-section"):
        settings = Settings(evaluation=EvaluationSettings(mode=mode))
        assert PanelAssessor(panel, settings).cross == (mode == "cross-section")
        context = _contexts(panel, settings)["research"]
        assert evaluate_values(panel.values("volume"), context).extra["mode"] == mode


async def test_a_session_says_it_before_its_first_trial(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher(["ts_zscore(close, 24)"]))
    loop.settings = dataclasses.replace(
        loop.settings, evaluation=dataclasses.replace(loop.settings.evaluation, workers=0)
    )
    events = await events_of(loop, PanelAssessor(_panel(2000, 2), loop.settings), "trend")
    told: list[Any] = []
    for event in events:
        if isinstance(event, ev.ExpressionProposed):
            break
        if isinstance(event, ev.TokensStreamed):
            told.append(event.text)
    text = "".join(told)
    assert "scored in time, 2 live symbol(s)" in text
    assert "the smallest IC that could be promoted here is about" in text


def test_what_remembers_is_scipys_filter_to_the_bit() -> None:
    from scipy.signal import lfilter

    noise = np.random.default_rng(3).normal(size=(700, 5))
    wanted = lfilter([math.sqrt(1.0 - MEMORY**2)], [1.0, -MEMORY], noise, axis=0)
    np.testing.assert_array_equal(_remembering(noise), wanted)
