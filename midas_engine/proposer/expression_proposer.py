"""`ExpressionProposer`: the original system's name and verbs over a researcher, blocking."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from midas_engine.dsl.borrowed import understood
from midas_engine.dsl.expression import parse
from midas_engine.errors import ExpressionError
from midas_engine.proposer.blocking import run_blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.proposer.protocol import Plan, Proposal, ResearchContext, Researcher, TrialResult


def _quiet(_: str) -> None:
    return None


class ExpressionProposer:
    """Plan, generate and refine with any researcher; every expression that comes back is valid.

    Args:
        researcher: Who proposes.
        on_text: Receives the researcher's words.
    """

    def __init__(self, researcher: Researcher, *, on_text: Callable[[str], None] = _quiet) -> None:
        self.researcher = researcher
        self._on_text = on_text

    def plan(self, context: ResearchContext) -> Plan:
        """The plan of one iteration."""
        return run_blocking(lambda: self.researcher.plan(context, self._on_text))

    def generate(self, context: ResearchContext, plan: Plan, count: int = 3) -> list[Proposal]:
        """Valid proposals; those that are not are left out."""
        proposals = run_blocking(lambda: self.researcher.write(context, plan, count, self._on_text))
        return [read for p in proposals if (read := _read(p, context)) is not None]

    def refine(self, context: ResearchContext, proposal: Proposal, result: TrialResult) -> Proposal | None:
        """A changed proposal, or None."""
        found = run_blocking(lambda: self.researcher.refine(context, proposal, result, self._on_text))
        return None if found is None else _read(found, context)


def _read(proposal: Proposal, context: ResearchContext) -> Proposal | None:
    """The proposal in the language, whatever library it was written for; None when it is not valid."""
    read = functools.partial(parse, columns=context.columns, limits=context.limits)
    try:
        return dataclasses.replace(proposal, expression=understood(proposal.expression, read)[0].text)
    except ExpressionError:
        return None
