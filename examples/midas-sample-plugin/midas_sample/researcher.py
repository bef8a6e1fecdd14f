"""A researcher that proposes what a list says, one expression a proposal."""

from midas_engine.proposer import (
    DiagnosisBrief,
    DiagnosisDraft,
    LearningDraft,
    Plan,
    Proposal,
    ResearchContext,
    TrialResult,
)
from midas_engine.proposer.protocol import OnText
from midas_engine.settings import Settings

LIST = ("softsign(ts_zscore(close, 24))", "-returns(close, 24)", "ts_range(close, 24) / close")


class ListedResearcher:
    """Goes down `LIST`; refines nothing."""

    name = "listed"

    def __init__(self, settings: Settings) -> None:
        self._left = list(LIST)

    async def plan(self, context: ResearchContext, on_text: OnText) -> Plan:
        """There is nothing to plan."""
        return Plan(f"the list has {len(self._left)} left")

    async def write(self, context: ResearchContext, plan: Plan, count: int, on_text: OnText) -> list[Proposal]:
        """The next `count` of the list."""
        taken, self._left = self._left[:count], self._left[count:]
        return [Proposal(f"listed_{len(self._left) + i}", text) for i, text in enumerate(taken)]

    async def refine(
        self, context: ResearchContext, proposal: Proposal, result: TrialResult, on_text: OnText
    ) -> Proposal | None:
        """A list is not refined."""
        return None

    async def learn(self, context: ResearchContext, outcome: str, on_text: OnText) -> LearningDraft:
        """What came of the list."""
        return LearningDraft("The list", what_failed="; ".join(r.line for r in context.results if not r.passed))

    async def diagnose(self, brief: DiagnosisBrief, on_text: OnText) -> DiagnosisDraft:
        """Adds nothing to the deterministic class."""
        return DiagnosisDraft(root_cause=brief.cause)

    async def close(self) -> None:
        """Nothing is held."""
