"""What a bank's test accepts goes the way of a session: the later parts of the history, then a candidate's document.

A session is run over the accepted expressions with a researcher that proposes them and nothing else, so that the
confirmation, the sealed look, its charge, the document and the learning are those of every discovery. Their trials
are paid for already.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from midas_engine.dsl.expression import parse
from midas_engine.loops.assessors import PanelAssessor
from midas_engine.proposer.protocol import DiagnosisDraft, LearningDraft, Plan, Proposal
from midas_engine.text import p_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.banks.result import BankResult
    from midas_engine.market import Panel
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import DiagnosisBrief, OnText, ResearchContext, TrialResult
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace

_AT_ONCE = 50


class BankResearcher:
    """Proposes a bank's expressions in their order, and nothing when they are through.

    Args:
        proposals: What to propose.
        source: Where they come from, for the learning.
    """

    def __init__(self, proposals: Sequence[Proposal], source: str) -> None:
        self.name = f"bank {source}"
        self._waiting = list(proposals)
        self._source = source

    async def plan(self, context: ResearchContext, on_text: OnText) -> Plan:
        """One plan for all."""
        return Plan(f"an expression of the bank {self._source} that survived its family's test")

    async def write(self, context: ResearchContext, plan: Plan, count: int, on_text: OnText) -> list[Proposal]:
        """The next `count`."""
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    async def refine(
        self, context: ResearchContext, proposal: Proposal, result: TrialResult, on_text: OnText
    ) -> Proposal | None:
        """Nothing: a changed formula is another trial than the published one."""
        return None

    async def learn(self, context: ResearchContext, outcome: str, on_text: OnText) -> LearningDraft:
        """The program's own figures are the learning."""
        return LearningDraft(f"{self.name}: {outcome}"[:90])

    async def diagnose(self, brief: DiagnosisBrief, on_text: OnText) -> DiagnosisDraft:
        """A list of formulas explains nothing."""
        return DiagnosisDraft("a bank proposes expressions and explains none")

    async def close(self) -> None:
        """Nothing is held."""


def keep_accepted(result: BankResult, panel: Panel, workspace: Workspace) -> tuple[str, ...]:
    """Take what the bank's test accepted through the later parts; the names of the candidates saved.

    What costs alone stand against goes too: it opens nothing sealed, and is kept for the book where it would add to it.
    Each is judged at the line of its own step of the family's test.

    Args:
        result: Of `judge_bank` on the same data.
        panel: That data.
        workspace: The base that candidates go to.
    """
    rationale = f"bank {result.bank.name}, survived a family of {result.trials} with adjusted p"
    rows = (*result.accepted, *result.unpaid)
    proposals = [Proposal(row.name, row.expression, f"{rationale} {p_text(row.adjusted_p)}") for row in rows]
    if not proposals:
        return ()
    worth = {row.canonical: max(1, math.ceil(row.worth)) for row in rows}
    return asyncio.run(_session(proposals, worth, result.bank.name, panel, workspace))


class FamilyAssessor(PanelAssessor):
    """Judges research at the line of each member's own step: for as many trials as that step is worth.

    Args:
        panel: The data.
        settings: See `PanelAssessor`.
        worth: Independent trials by canonical expression.
    """

    def __init__(self, panel: Panel, settings: Settings, worth: Mapping[str, int]) -> None:
        super().__init__(panel, settings)
        self._worth = worth
        self._limits = settings.dsl.at(self.bar_seconds)

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `Assessor.judge`; a look at the sealed part has the lifetime's line, not the family's."""
        if part == "research":
            trials = self._worth.get(parse(proposal.expression, limits=self._limits).canonical, trials)
        return await super().judge(proposal, part, trials, thresholds, accepted)


async def _session(
    proposals: list[Proposal], worth: Mapping[str, int], source: str, panel: Panel, workspace: Workspace
) -> tuple[str, ...]:
    from midas_engine.events import SessionEnded
    from midas_engine.loops import OfflineLoopConfig

    each = min(len(proposals), _AT_ONCE)
    config = OfflineLoopConfig(
        max_iterations=-(-len(proposals) // each),
        candidates_per_iter=each,
        refinements=0,
        use_learnings=False,
    )
    loop = workspace.loop(config, researcher=lambda: BankResearcher(proposals, source))
    saved: tuple[str, ...] = ()
    async for event in loop.stream(f"the bank {source}", FamilyAssessor(panel, workspace.settings, worth)):
        if isinstance(event, SessionEnded):
            saved = tuple(event.accepted)
    return saved
