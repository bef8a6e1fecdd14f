"""Assessors, researchers and small worlds for the tests of the discovery loop."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
from midas_engine.models import Estimate
from midas_engine.proposer import LearningDraft, Plan, Proposal
from midas_engine.settings import EvaluationSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from midas_engine.events import Event
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer import ResearchContext, TrialResult


@functools.cache
def _template() -> MultiAgentResult:
    index = pd.date_range("2026-01-01", periods=1200, freq="h", tz="UTC")
    rng = np.random.default_rng(1)
    feature = pd.Series(rng.normal(size=1200), index)
    returns = pd.DataFrame({"ret_1h": 0.01 * rng.normal(size=1200)}, index)
    return MultiAgentEvaluator(AlphaEvaluator()).evaluate(feature, returns, trials=1)


def verdict(part: str, passed: bool, *, t: float, ic: float, p: float = 1e-6, trials: int = 1) -> MultiAgentResult:
    """A verdict with chosen figures; every agent says the same."""
    base = _template()
    evaluation = dataclasses.replace(
        base.evaluation, score_t=t, score_p=p, rank_ic=Estimate(ic, 0.001), extra={"part": part}
    )
    verdicts = tuple(
        dataclasses.replace(v, passed=passed, summary=f"IC {ic}, t {t}", suggestions=(f"mind the {ic}",))
        for v in base.verdicts
    )
    return dataclasses.replace(
        base, evaluation=evaluation, verdicts=verdicts, overall_pass=passed, statistical_pass=passed,
        suggestions=(f"mind the {ic}",), trials=trials,
    )  # fmt: skip


class FakeAssessor:
    """Judges by a rule. Parts other than research carry figures that must never be seen again.

    Attributes:
        judged: (expression, part) in order.
    """

    columns = ("open", "high", "low", "close", "volume", "funding_rate")
    cross = True
    market = "a test market"
    horizons = "1 bar of 60 minutes"
    snapshot_id = "test-snapshot"
    bar_seconds = 3600.0

    def __init__(
        self,
        passes: Callable[[str, str], bool] = lambda expression, part: False,
        *,
        before: Callable[[str, str], Any] | None = None,
        figures: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._passes, self._before = passes, before
        self._figures = {"research": (3.5, 0.031), **(figures or {})}
        self.judged: list[tuple[str, str]] = []
        self.trials: list[int] = []
        self.closed = 0
        self.existing: dict[str, str] = {}

    async def start(self, existing: Mapping[str, str], waiting: Collection[str] = ()) -> None:
        self.existing = dict(existing)

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        if self._before is not None:
            outcome = self._before(proposal.expression, part)
            if hasattr(outcome, "__await__"):
                await outcome
        self.judged.append((proposal.expression, part))
        self.trials.append(trials)
        t, ic = self._figures.get(part, (4.0, 0.05))
        return verdict(part, self._passes(proposal.expression, part), t=t, ic=ic, trials=trials)

    async def promise(self, proposal: Proposal) -> tuple[float | None, float, float]:
        return 0.02, 0.05, 900.0

    async def close(self) -> None:
        self.closed += 1


class FixedResearcher:
    """Proposes what it is given, an iteration a list."""

    name = "fixed"

    def __init__(self, *batches: Iterable[str], refined: Mapping[str, str] | None = None) -> None:
        self._batches = [list(b) for b in batches]
        self._refined = dict(refined or {})
        self.contexts: list[ResearchContext] = []
        self.closed = 0

    async def plan(self, context: ResearchContext, on_text: Any) -> Plan:
        self.contexts.append(context)
        on_text("thinking\n")
        return Plan(f"plan {context.iteration}", "as given")

    async def write(self, context: ResearchContext, plan: Plan, count: int, on_text: Any) -> list[Proposal]:
        batch = self._batches[context.iteration - 1] if context.iteration <= len(self._batches) else []
        return [Proposal(f"idea_{context.iteration}_{i}", e, "because") for i, e in enumerate(batch)]

    async def refine(
        self, context: ResearchContext, proposal: Proposal, result: TrialResult, on_text: Any
    ) -> Proposal | None:
        changed = self._refined.get(proposal.expression)
        return None if changed is None else Proposal(f"{proposal.name}_refined", changed, "changed")

    async def learn(self, context: ResearchContext, outcome: str, on_text: Any) -> LearningDraft:
        return LearningDraft("fixed learning", "a pattern", tags=("test",))

    async def diagnose(self, brief: Any, on_text: Any) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed += 1


def loop_of(path: Path, researcher: Any, *, settings: Settings | None = None, **config: Any) -> OfflineCompoundLoop:
    """A loop on a fresh base, with one researcher."""
    kb = KnowledgeBase(path / "kb")
    return OfflineCompoundLoop(
        kb, lambda: researcher, config=OfflineLoopConfig(**({"max_iterations": 1} | config)),
        settings=settings or Settings(evaluation=EvaluationSettings(workers=0)),
    )  # fmt: skip


async def events_of(loop: OfflineCompoundLoop, assessor: Any, goal: str = "a goal", **more: Any) -> list[Event]:
    """Every event of one session."""
    return [event async for event in loop.stream(goal, assessor, **more)]


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(e).__name__ for e in events]
