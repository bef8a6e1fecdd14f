"""What is true of a bank's features where the product did not look: later bars and other symbols."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl import FeatureEngine
from midas_engine.errors import MidasError
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values
from midas_engine.evaluator.context.layout import mode_name
from midas_engine.evaluator.context.scored_as import panel_is_cross
from midas_engine.stats.bar_scores import CROSS_MINIMUM

if TYPE_CHECKING:
    from bank_markets import Market

    from midas_engine.market import Panel
    from midas_engine.settings import Settings

SIGNIFICANT = 1.64


@dataclass(frozen=True, slots=True)
class Truth:
    """A feature where nobody searched.

    Attributes:
        t: Of its score.
        net: Net of costs, bps a bar at unit gross.
        se: Its error.
    """

    t: float = math.nan
    net: float = math.nan
    se: float = math.nan

    @property
    def earns(self) -> bool:
        """Net of costs is above zero beyond doubt."""
        return self.net - SIGNIFICANT * self.se > 0.0


def truth_of(market: Market, texts: dict[str, str], settings: Settings) -> tuple[dict[str, Truth], dict[str, Truth]]:
    """What is true of every feature: in the later period and other symbols together, and in other symbols alone.

    The other symbols' bars of the searched period stand beside the searched symbols' later bars, so that no moment
    counts twice. What lived through the later bars is judged by the other symbols over the whole time.
    """
    panel, cut = market.panel, market.cut
    ours, others = market.symbols(others=False), market.symbols(others=True)
    mode = mode_name(panel_is_cross(panel, settings.evaluation.mode))
    later = _judged(panel.select(ours), slice(cut, panel.T), texts, settings, mode)
    apart = _judged(panel.select(others), slice(0, cut), texts, settings, mode) if others else {}
    whole = _judged(panel.select(others), slice(0, panel.T), texts, settings, mode) if others else {}
    return {n: _pooled(later.get(n, Truth()), apart.get(n, Truth())) for n in texts}, whole


def _judged(panel: Panel, rows: slice, texts: dict[str, str], settings: Settings, mode: str) -> dict[str, Truth]:
    if mode != "time" and panel.S < CROSS_MINIMUM:
        return {}
    options = dataclasses.replace(ScoringOptions.from_settings(settings), mode=mode)
    context = EvaluationContext.from_panel(panel, horizons=(settings.evaluation.target,), rows=rows, options=options)
    engine, found = FeatureEngine(panel, limits=settings.dsl), {}
    for name, text in texts.items():
        try:
            e = evaluate_values(engine.values(text), context, name)
        except MidasError:
            continue
        net = e.extra.get("net") or {}
        found[name] = Truth(e.score_t, net.get("value", math.nan), net.get("se", math.nan))
    return found


def _pooled(*parts: Truth) -> Truth:
    """T of independent truths together, and their net by precision with its error."""
    t = [p.t for p in parts if math.isfinite(p.t)]
    nets = [(p.net, p.se) for p in parts if math.isfinite(p.net) and p.se > 0.0]
    weight = sum(se**-2 for _, se in nets)
    net = sum(value * se**-2 for value, se in nets) / weight if weight else math.nan
    return Truth(float(np.sum(t)) / math.sqrt(len(t)) if t else math.nan, net, weight**-0.5 if weight else math.nan)
