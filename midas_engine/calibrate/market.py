"""The user's market with its target exchanged: features are the real ones, what they should foresee is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.calibrate.targets import Target, compounded
from midas_engine.dsl.nominal import nominal_size
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values, judge, split_panel
from midas_engine.evaluator.context.history_split import embargo_of, embargoed
from midas_engine.evaluator.context.layout import is_cross, mode_name
from midas_engine.evaluator.context.panel_inputs import panel_inputs
from midas_engine.market.regimes import regime_labels
from midas_engine.stats.bar_scores import CROSS_MINIMUM
from midas_engine.stats.normal_scores import scores_of_ranks
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.market import Panel
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.search.measure import Screen
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

CACHE_BYTES = 96 * 2**20
"""What a worker keeps of computed expressions: several workers share the machine's memory."""


class Market:
    """What is the same for every replay in a process: the engine, one-bar returns, funding, regimes, parts."""

    def __init__(self, panel: Panel, settings: Settings, existing: Mapping[str, str]) -> None:
        from midas_engine.dsl import FeatureEngine

        self.panel, self.settings, self.texts = panel, settings, dict(existing)
        self.engine = FeatureEngine(panel, limits=settings.dsl, features=dict(existing), cache_bytes=CACHE_BYTES)
        inputs = panel_inputs(panel, (1,), None)
        self.returns, self.funding = inputs.returns[1], inputs.funding
        self.cross = is_cross(self.returns, settings.evaluation.mode)
        self.regimes = regime_labels(panel)
        self.parts = split_panel(panel, settings, settings.evaluation.target)
        self.existing = {name: self.engine.values(text) for name, text in existing.items()}

    def normal_scores(self, values: Floats) -> Floats:
        """Normal scores [T, S] of a feature: across symbols, or in time for a few symbols."""
        clean = np.where(np.isfinite(values), values, np.nan)
        rows = clean if self.cross else np.ascontiguousarray(clean.T)
        ranks = own_ranks(rows, sort_rows(rows))
        z = scores_of_ranks(*ranks, CROSS_MINIMUM if self.cross else 30)
        return z if self.cross else np.ascontiguousarray(z.T)


class Replay:
    """One target in place of the market's own, and the gates on it."""

    def __init__(self, market: Market, target: Target) -> None:
        self.market, self.target = market, target
        self._existing = dict(market.existing)
        self._contexts: dict[str, EvaluationContext] = {}

    def context(self, part: str) -> EvaluationContext:
        """The context of a part; returns end with it."""
        if part not in self._contexts:
            self._contexts[part] = self.over(self.market.panel, self.market.parts.named(part), part)
        return self._contexts[part]

    def over(self, panel: Panel, rows: slice, part: str = "research") -> EvaluationContext:
        """A context over some rows; `panel` is the market's, or the first bars of it. Returns end with the rows."""
        market, evaluation = self.market, self.market.settings.evaluation
        inside = np.ascontiguousarray(self.target.returns[rows])
        return EvaluationContext.from_returns(
            {h: compounded(inside, h) for h in sorted({*evaluation.horizons, evaluation.target, 1})},
            timestamps=market.panel.timestamps[rows],
            symbols=market.panel.symbols,
            bar_seconds=float(market.panel.bar_seconds),
            existing={n: v[rows] for n, v in self._existing.items()},
            regimes=market.regimes[self.target.order][rows],
            funding=None if market.funding is None else market.funding[self.target.order][rows],
            options=replace(
                ScoringOptions.from_settings(market.settings, part),
                mode=mode_name(market.cross),
                waiting=frozenset(self._existing) - set(market.existing),
            ),
            scale=np.ascontiguousarray(self.target.scale[rows]),
            rows=rows,
            panel_bars=panel.T,
        )

    @cached_property
    def screen(self) -> Screen:
        """Scores raw trees on this target as a session's screen does on the market's own."""
        from midas_engine.search.measure import Screen

        return Screen(self.market.panel, self.market.settings, self.market.parts.research, self.over)

    def judge(
        self,
        values: Floats,
        part: str,
        trials: int,
        thresholds: Mapping[str, Any] | None,
        name: str = "",
    ) -> MultiAgentResult:
        """The six verdicts on one part; values [T, S] over the whole panel."""
        return judge(evaluate_values(values, self.context(part), name), thresholds, trials)

    def judge_proposal(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any]
    ) -> MultiAgentResult:
        """The same of a proposal, as a session judges it (`midas_engine.loops.worker.PanelJudge.judge`)."""
        market = self.market
        read, gate = market.engine.parse(proposal.expression), None
        values, memory = market.engine.values(read), read.lookback
        if proposal.gate:
            gate = market.engine.values(proposal.gate)
            memory = max(memory, market.engine.parse(proposal.gate).lookback)
        if part == "sealed":
            sealed = market.parts.sealed
            setting, seconds = market.settings.evaluation.embargo, market.panel.bar_seconds
            values = embargoed(values, sealed, embargo_of(setting, memory, seconds, sealed))
        found = evaluate_values(
            values, self.context(part).aimed(proposal.horizon), proposal.name,
            gate=gate, hold=proposal.hold, nominal=nominal_size(read),
        )  # fmt: skip
        return judge(found, thresholds, trials)

    def add_existing(self, name: str, values: Floats) -> None:
        """Have later candidates differ from this one too."""
        self._existing[name] = values
        self._contexts.clear()
