"""What runs inside a worker process: one copy of the panel, the context of a part, a verdict a call."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from midas_engine.errors import EvaluationError, MidasError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from midas_engine.evaluator import EvaluationContext
    from midas_engine.market.panel import Panel
    from midas_engine.market.shared_panel import SharedPanel
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.search.measure import Figures, Finalist, Screen
    from midas_engine.settings import Settings


class PanelJudge:
    """Computes an expression on a panel and judges it on one part.

    Several workers share the machine's memory, so little stays from call to call: the context of one part, that of the
    screening slice, what of values and ranks fits into `executor.cache_mb`, and no page of the mapped panel.
    """

    def __init__(
        self, panel: Panel, settings: Settings, existing: Mapping[str, str], waiting: Collection[str] = ()
    ) -> None:
        from midas_engine.dsl import ExpressionAuditor, FeatureEngine
        from midas_engine.dsl.cache import ValueCache
        from midas_engine.dsl.leaks.expressions import excerpt
        from midas_engine.evaluator.context.byte_cache import ByteCache
        from midas_engine.evaluator.context.history_split import split_panel
        from midas_engine.market.regimes import regime_labels

        self.panel, self.settings = panel, settings
        budget = settings.executor.cache_bytes
        self.kept, self.ranks = ValueCache(budget // 2), ByteCache(budget // 2)
        self.engine = FeatureEngine(panel, limits=settings.dsl, features=dict(existing), cache=self.kept)
        self._auditor = ExpressionAuditor(excerpt(panel), limits=settings.dsl, features=dict(existing))
        self.parts = split_panel(panel, settings, settings.evaluation.target)
        self._given, self._found = dict(existing), dict[str, str]()
        self._texts = dict(existing)
        self._waiting = frozenset(waiting)
        self._regimes = regime_labels(panel)
        self._contexts: dict[str, EvaluationContext] = {}
        self._screen: Screen | None = None

    @property
    def screen(self) -> Screen:
        """Scores raw trees on the research part; built at the first use."""
        from midas_engine.search.measure import Screen

        if self._screen is None:
            self._screen = Screen(self.panel, self.settings, self.parts.research, kept=self.kept, ranks=self.ranks)
        return self._screen

    def screened(self, texts: Sequence[str]) -> list[Figures]:
        """See `midas_engine.loops.screening.Screens.screen`."""
        return self.screen.figures(texts)

    def family(self, texts: Sequence[str], level: float) -> list[Finalist]:
        """See `midas_engine.loops.screening.Screens.check_family`."""
        self._contexts.clear()  # the test of a family needs as much, and comes once a session
        self.ranks.clear()
        return self.screen.check(texts, level)

    def context(self, part: str) -> EvaluationContext:
        """The evaluation context of a part; that of another part makes room for it."""
        if part not in self._contexts:
            self._contexts.clear()
            self.ranks.clear()
            self._contexts[part] = self._made(part)
        return self._contexts[part]

    def _made(self, part: str) -> EvaluationContext:
        from midas_engine.evaluator import EvaluationContext, ScoringOptions

        rows = self.parts.named(part)
        if rows.stop - rows.start < 2:
            raise EvaluationError(f"the data is too short for a {part} part", hint="import more history")
        made = EvaluationContext.from_panel(
            self.panel,
            horizons=self.settings.evaluation.horizons,
            existing=self._existing(),
            regimes=self._regimes,
            rows=rows,
            options=replace(
                ScoringOptions.from_settings(self.settings, part, self.ranks), waiting=self._waiting | set(self._found)
            ),
        )
        self.panel.let_go()
        return made

    def _existing(self) -> dict[str, Any]:
        """Values of what candidates are judged beside; they are computed again rather than kept."""
        found = {}
        for name, text in self._texts.items():
            with contextlib.suppress(MidasError):  # one that cannot be computed here has nothing to compare with
                found[name] = self.engine.values(text)
        return found

    def judge(
        self,
        proposal: Proposal,
        part: str,
        trials: int,
        thresholds: Mapping[str, Any],
        accepted: Mapping[str, str] | None = None,
    ) -> MultiAgentResult:
        """The six verdicts on one part.

        Args:
            proposal: What is judged.
            part: "research" or "sealed".
            trials: How many were tried so far, this one included.
            thresholds: The gates.
            accepted: Features that this session found already, by name.

        Raises:
            LookAheadError: Values moved when only later bars did; nothing is scored.
        """
        from midas_engine.dsl.nominal import nominal_size
        from midas_engine.evaluator import evaluate_values, judge

        self._beside(accepted or {})
        for text in filter(None, (proposal.expression, proposal.gate)):
            self._auditor.refuse(text)
        values = self.engine.values(proposal.expression)
        if part == "sealed":
            values = self._embargoed(values, proposal)
        gates = self.engine.values(proposal.gate) if proposal.gate else None
        nominal = nominal_size(self.engine.parse(proposal.expression))
        context = self.context(part).aimed(proposal.horizon)
        result = evaluate_values(values, context, proposal.name, gate=gates, hold=proposal.hold, nominal=nominal)
        self.panel.let_go()
        return judge(result, thresholds, trials)

    def _embargoed(self, values: Any, proposal: Proposal) -> Any:
        """The values without the first bars of the sealed part, on which the feature still remembers research."""
        from midas_engine.evaluator.context.history_split import embargo_of, embargoed

        texts = filter(None, (proposal.expression, proposal.gate))
        memory = max(self.engine.parse(text).lookback for text in texts)
        setting, sealed = self.settings.evaluation.embargo, self.parts.sealed
        return embargoed(values, sealed, embargo_of(setting, memory, self.panel.bar_seconds, sealed))

    def _beside(self, accepted: Mapping[str, str]) -> None:
        """Judge beside these finds and no others: a worker may have judged for another session before."""
        fresh = {n: t for n, t in accepted.items() if self._given.get(n) != t}
        if fresh != self._found:
            # A find must differ from the session's other finds as it must from the live book.
            self._found = fresh
            self.engine.features = self._given | fresh
            self._auditor.know(fresh)
            self._texts = self._given | fresh
            self._contexts.clear()

    def power(self, trials: int, level: float, thresholds: Mapping[str, Any]) -> tuple[str, ...]:
        """What could be promoted on this data, in words (`midas_engine.evaluator.promotable`)."""
        from midas_engine.evaluator.promotable import words_of

        return words_of(self.context("research"), self._made("sealed"), trials, level, thresholds)

    def promise(self, expression: str) -> tuple[float | None, float, float]:
        """Expected score, variance of the score and bars, measured on the sealed part."""
        from midas_engine.evaluator.metrics.reference_score import measure_reference

        mode = self.settings.evaluation.mode
        reference, _ = measure_reference(self.panel, self.engine.values(expression), self.parts.sealed, mode)
        return (
            (None, float("nan"), 0.0)
            if reference is None
            else (reference.score, reference.variance, reference.variance_bars)
        )


def load() -> None:
    """Load what a first verdict needs, in a worker that does not know its panel yet: one is given on a tiny market."""
    from midas_engine.evaluator import DEFAULT_THRESHOLDS
    from midas_engine.market import SyntheticMarket
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.settings import Settings

    judge = PanelJudge(SyntheticMarket(1, bars=1200, symbols=12).panel(), Settings(), {})
    judge.power(10, 0.05, DEFAULT_THRESHOLDS)
    judge.judge(Proposal("load", "-cs_zscore(funding_rate)"), "research", 10, DEFAULT_THRESHOLDS)


def open_judge(
    shared: SharedPanel, settings: Settings, existing: Mapping[str, str], waiting: Collection[str] = ()
) -> PanelJudge:
    """What a worker makes before its first task."""
    judge = PanelJudge(shared.open(), settings, existing, waiting)
    judge.context("research")
    return judge
