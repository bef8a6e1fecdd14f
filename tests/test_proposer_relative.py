"""Below ten symbols a session asks what one does beside the others: `cs_demean` scored in time says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.dsl import DSLValidator, FeatureEngine
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values
from midas_engine.loops import OfflineLoopConfig, PanelAssessor
from midas_engine.loops.inputs import SessionInputs
from midas_engine.loops.research_context import fixed_context
from midas_engine.market.panel import Panel
from midas_engine.proposer import LocalResearcher, ResearchContext
from midas_engine.proposer.prompt_places import context_values
from midas_engine.settings import DslLimits, Settings

if TYPE_CHECKING:
    from midas_engine.proposer import Proposal

COLUMNS = ("open", "high", "low", "close", "volume", "returns")


def _panel(symbols: int, bars: int = 3000) -> Panel:
    """Most of what moves a symbol moves all of them; `volume` foresees each one's own part."""
    rng = np.random.default_rng(symbols)
    known = rng.normal(size=(bars, symbols))
    common, own = rng.standard_t(4, (bars, 1)), rng.standard_t(4, (bars, symbols))
    own[1:] += 0.1 * known[:-1]
    close = 100.0 * np.exp(np.cumsum(0.005 * (1.2 * common + own), axis=0))
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    return Panel(times, [f"S{k:02}USDT" for k in range(symbols)], {"close": close, "volume": np.exp(known)}, 3600)


@pytest.mark.parametrize("symbols", [3, 9])
def test_a_relative_feature_scores_free_of_what_the_symbols_share(symbols: int) -> None:
    panel = _panel(symbols)
    engine = FeatureEngine(panel, limits=Settings().dsl)
    context = EvaluationContext.from_panel(panel, horizons=(1,), options=ScoringOptions(target=1))
    assert not context.cross
    alone, beside = (
        evaluate_values(engine.values(text), context).score_t for text in ("log(volume)", "cs_demean(log(volume))")
    )
    assert beside > 1.15 * alone


async def _written(**more: Any) -> list[Proposal]:
    context = ResearchContext("momentum", COLUMNS, cross=False, **more)
    researcher, told = LocalResearcher(3), lambda _: None
    return await researcher.write(context, await researcher.plan(context, told), 12, told)


async def test_a_session_without_a_model_proposes_both_forms() -> None:
    texts = [p.expression for p in await _written(relative=True)]
    relative = [text for text in texts if text.startswith("cs_demean(ts_zscore(")]
    assert 2 <= len(relative) <= len(texts) - 2
    validator = DSLValidator(columns=COLUMNS, limits=DslLimits())
    assert all(validator.validate(text).ok for text in relative)
    assert not [p for p in await _written() if "cs_demean" in p.expression]  # one symbol: there is nothing beside it


@pytest.mark.parametrize(
    ("symbols", "words"),
    [(1, "one symbol, so no cs_ operators"), (3, "use cs_demean, which takes out what the symbols share"), (12, "")],
)
def test_a_prompt_says_what_the_width_allows(symbols: int, words: str) -> None:
    assessor = PanelAssessor(_panel(symbols, 400), Settings())
    given = SessionInputs("momentum", "", {}, {}, {}, "", {}, {}, [], OfflineLoopConfig())
    context = fixed_context(given, assessor, Settings(), DslLimits())
    assert context.relative is (symbols == 3)
    assert words in context_values(context)["limits"]
    assert ("cs_" in context_values(context)["limits"]) is (symbols < 10)
