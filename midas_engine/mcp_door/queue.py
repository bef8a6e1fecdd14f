"""Proposals that wait for the operator: an agent may ask for a look at the sealed part, it never gets one."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import KnowledgeBaseError, MidasError
from midas_engine.hypothesis import read_hypothesis
from midas_engine.kb.names import slugify
from midas_engine.proposer.protocol import LearningDraft, Plan, Proposal

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.kb import KnowledgeBase
    from midas_engine.proposer.protocol import (
        DiagnosisBrief,
        DiagnosisDraft,
        OnText,
        ResearchContext,
        TrialResult,
    )

FOLDER = "reports/proposals"
MAX_WAITING = 200


@dataclass(frozen=True, slots=True)
class Queued:
    """A proposal that waits.

    Attributes:
        client: Who proposed it.
        at: When, ISO UTC.
        path: Its document.
    """

    name: str
    expression: str
    rationale: str
    gate: str
    hold: int
    hypothesis: dict[str, Any]
    client: str
    at: str
    path: str = ""

    @property
    def proposal(self) -> Proposal:
        """What a session tries."""
        claim = read_hypothesis(self.hypothesis) if self.hypothesis else None
        return Proposal(self.name, self.expression, self.rationale, self.gate, self.hold, claim)


def put(
    kb: KnowledgeBase, proposal: Proposal, client: str, identity: Callable[[Proposal], object]
) -> tuple[Queued, bool]:
    """Queue a proposal, unless the same one waits.

    Args:
        kb: The base.
        proposal: What is proposed.
        client: By whom.
        identity: Equal for two that are the same one, whatever they are called; MidasError for one it cannot read.

    Returns:
        What waits, and whether it waited before.

    Raises:
        KnowledgeBaseError: Too many wait already, or another one of this name does.
    """
    with kb.lock():
        there = waiting(kb)
        for each in there:
            with contextlib.suppress(MidasError):  # one of other data, or of another version
                if identity(each.proposal) == identity(proposal):
                    return each, True
        if len(there) >= MAX_WAITING:
            raise KnowledgeBaseError(f"{MAX_WAITING} proposals wait already", hint="`midas proposals` shows them")
        return _put(kb, proposal, client), False


def _put(kb: KnowledgeBase, proposal: Proposal, client: str) -> Queued:
    claim = {} if proposal.hypothesis is None else asdict(proposal.hypothesis)
    made = Queued(
        proposal.name, proposal.expression, proposal.rationale, proposal.gate, proposal.hold, claim, client,
        kb.clock.now().isoformat(),
    )  # fmt: skip
    path = f"{FOLDER}/{slugify(proposal.name, fallback='idea')}.json"
    kb.save_text(path, json.dumps(asdict(made), indent=2) + "\n", replace=False)
    return made


def waiting(kb: KnowledgeBase) -> list[Queued]:
    """What waits, oldest first; a document that cannot be read is left out (`midas kb check` names it)."""
    found = []
    for info in kb.documents():
        if info.path.startswith(f"{FOLDER}/") and info.path.endswith(".json") and not info.damaged:
            try:
                fields = json.loads(kb.read_text(info.path))
                found.append(Queued(**(fields | {"path": info.path})))
            except (ValueError, TypeError, KnowledgeBaseError):
                continue
    return sorted(found, key=lambda q: (q.at, q.name))


def take_out(kb: KnowledgeBase, queued: list[Queued]) -> None:
    """Remove proposals from the queue."""
    with kb.lock():
        for each in queued:
            (kb.path / each.path).unlink(missing_ok=True)


class QueuedResearcher:
    """A researcher that proposes what waits, once, and nothing of its own."""

    name = "queue"

    def __init__(self, queued: list[Queued]) -> None:
        self._queued = queued

    async def plan(self, context: ResearchContext, on_text: OnText) -> Plan:
        """See `Researcher.plan`."""
        return Plan("what agents proposed, judged as anything else is")

    async def write(self, context: ResearchContext, plan: Plan, count: int, on_text: OnText) -> list[Proposal]:
        """See `Researcher.write`."""
        return [queued.proposal for queued in self._queued][:count]

    async def refine(
        self, context: ResearchContext, proposal: Proposal, result: TrialResult, on_text: OnText
    ) -> Proposal | None:
        """See `Researcher.refine`: nothing is changed."""
        return None

    async def learn(self, context: ResearchContext, outcome: str, on_text: OnText) -> LearningDraft:
        """See `Researcher.learn`."""
        clients = ", ".join(sorted({q.client for q in self._queued}))
        return LearningDraft(f"proposals of {clients}"[:90], "; ".join(r.line for r in context.results[:8]))

    async def diagnose(self, brief: DiagnosisBrief, on_text: OnText) -> DiagnosisDraft:
        """See `Researcher.diagnose`: it has nothing to say."""
        from midas_engine.proposer.local_diagnosis import explain_cause

        return explain_cause(brief)

    async def close(self) -> None:
        """Nothing is held."""
