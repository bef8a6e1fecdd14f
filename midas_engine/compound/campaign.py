"""One arm of one pair: session after session in one base, each on a new market. Runs inside a worker process."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from midas_engine import events as ev
from midas_engine.alive import Scratch
from midas_engine.clock import ManualClock
from midas_engine.compound.drawing import small
from midas_engine.compound.markets import correlation, ranked
from midas_engine.compound.plan import Campaign, SessionFigures
from midas_engine.dsl import FeatureEngine
from midas_engine.errors import MidasError
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig, PanelAssessor
from midas_engine.memory.reading import read_trials
from midas_engine.memory.recall import payoff
from midas_engine.memory.remember import Remembered, nothing, recent, retrieved
from midas_engine.models import LearningDocument
from midas_engine.promoter import FeaturePromoter
from midas_engine.proposer.factory import make_researcher, screened_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from midas_engine.compound.plan import CompoundPlan, Market, Pair
    from midas_engine.market.panel import Panel
    from midas_engine.memory.remember import Memory
    from midas_engine.settings import Settings

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_MEMORIES: dict[str, Memory] = {"off": nothing, "recent": recent, "retrieved": retrieved}


def run_campaign(
    plan: CompoundPlan, settings: Settings, pair: Pair, arm: str, others: Sequence[Remembered] = ()
) -> tuple[Campaign, tuple[Remembered, ...]]:
    """One arm of one pair.

    Args:
        plan: The budget.
        settings: Costs, gates, proposer.
        pair: Its markets.
        arm: One of `ARMS`.
        others: For "shuffled": what another pair remembered, session by session.

    Returns:
        What it did, and what each of its sessions was given of its memory.
    """
    with Scratch("compound") as folder:
        runner = _Runner(plan, small(settings), pair, arm, folder / "kb", others)
        return asyncio.run(runner.run()), tuple(runner.given)


class _Assessor(PanelAssessor):
    """Judges as in any session; what could be promoted at all is the same in every market here, and not said."""

    async def power(self, trials: int, level: float, thresholds: Mapping[str, Any]) -> tuple[str, ...]:
        return ()


class _Runner:
    def __init__(
        self, plan: CompoundPlan, settings: Settings, pair: Pair, arm: str, path: Path, others: Sequence[Remembered]
    ) -> None:
        self._plan, self._settings, self._pair, self._arm = plan, settings, pair, arm
        self._clock = ManualClock(_BEGIN)
        self._kb = KnowledgeBase(path, clock=self._clock)
        self._others = others
        self.given: list[Remembered] = []
        self._false = ""
        self._retired: int | None = None

    async def run(self) -> Campaign:
        done: list[SessionFigures] = []
        error = ""
        try:
            for number, where in enumerate(self._pair.markets, 1):
                self._clock.advance(3600.0)
                if number == self._plan.false_at and self._arm in ("recent", "retrieved"):
                    self._plant_lesson()
                    self._retired = -1
                done.append(await self._session(number, where))
                if self._retired == -1 and any(self._false in line for line in self.given[-1].retired):
                    self._retired = number - self._plan.false_at
        except MidasError as failure:
            error = failure.message
        return Campaign(self._pair.number, self._arm, tuple(done), self._retired, error)

    async def _session(self, number: int, where: Market) -> SessionFigures:
        plan = self._plan
        panel = plan.world.market(where.seed, where.formula)
        settings = dataclasses.replace(self._settings, seed=where.seed % 100_003)
        config = OfflineLoopConfig(
            max_iterations=plan.iterations, stop_after=1, screened=min(plan.screened, screened_by(settings))
        )
        loop = OfflineCompoundLoop(
            self._kb, lambda: make_researcher(settings), config=config, settings=settings, clock=self._clock,
            memory=self._remember,
        )  # fmt: skip
        accepted: list[str] = []
        usd = 0.0
        async for event in loop.stream(where.goal, _Assessor(panel, settings)):
            if isinstance(event, ev.CandidateAccepted):
                accepted.append(event.expression)
            elif isinstance(event, ev.ModelCalled):
                usd += event.cost_usd or 0.0
            elif isinstance(event, ev.SessionEnded):
                if event.result == "error":
                    raise MidasError(f"session {number} failed: {event.reason}")
                mark = event.session_id
        rows = [t for t in read_trials(self._kb) if t.session == mark]
        evaluations = sum(int(t.summary.get("evaluated", 0)) if t.outcome == "screened" else 1 for t in rows)
        like = max(_likeness(panel, where.formula, accepted), default=-1.0)
        self._leave_market()
        recalled = any(t.summary.get("recalled") for t in rows)
        return SessionFigures(evaluations, like, usd, self.given[-1].recall.factor, recalled)

    def _leave_market(self) -> None:
        """Archive what was found: on the next market nothing waits that a find would have to differ from."""
        promoter = FeaturePromoter(self._kb, clock=self._clock, actor="compound")
        try:
            for name in promoter.list_candidates():
                promoter.reject(name, "its market is over")
        finally:
            promoter.close()

    def _remember(self, kb: KnowledgeBase, goal: str) -> Remembered:
        if self._arm == "shuffled":
            lent = self._others[len(self.given)] if len(self.given) < len(self._others) else Remembered()
            factor, told = payoff(read_trials(kb))  # how much of it to use is its own experience
            found = dataclasses.replace(
                lent, retired=(), recall=dataclasses.replace(lent.recall, factor=factor, told=told)
            )
        else:
            found = _MEMORIES[self._arm](kb, goal)
        self.given.append(found)
        return found

    def _plant_lesson(self) -> None:
        themes = ", ".join(dict.fromkeys(m.theme for m in self._pair.markets))
        false = LearningDocument(
            title=f"this works on {themes}", loop="offline", result="success", created_at=self._clock.now(),
            research_goal=f"what predicts the next bar of {themes}", expressions=(self._pair.false,),
            what_worked=self._pair.false, provenance="planted: it is false",
        )  # fmt: skip
        self._false = self._kb.relative(self._kb.save_learning(false))
        self._clock.advance(60.0)


def _likeness(panel: Panel, formula: str, texts: Sequence[str]) -> list[float]:
    engine = FeatureEngine(panel, cache_bytes=0)
    truth = ranked(engine.values(formula))
    return [abs(correlation(ranked(engine.values(text)), truth)) for text in texts]


def draw(plan: CompoundPlan, settings: Settings, number: int) -> Pair:
    """The markets of a pair, inside a worker."""
    from midas_engine.compound.drawing import draw_pair

    return draw_pair(plan, small(settings), number)
