"""`ExpressionProposer`: the original's blocking verbs over any researcher."""

from __future__ import annotations

import asyncio
from typing import Any

from midas.proposer import DSLValidator, ExpressionProposer
from midas_engine.proposer import LocalResearcher, Proposal, ResearchContext, TrialResult
from tests.helpers_llm import block, candidates, plan, scripted

COLUMNS = ("open", "high", "low", "close", "volume", "funding_rate")


def _context() -> ResearchContext:
    return ResearchContext(goal="funding carry", columns=COLUMNS)


def test_plan_generate_refine_with_the_local_researcher() -> None:
    heard: list[str] = []
    proposer = ExpressionProposer(LocalResearcher(3), on_text=heard.append)
    made = proposer.plan(_context())
    assert "funding" in made.hypothesis
    proposals = proposer.generate(_context(), made, 4)
    assert len(proposals) == 4
    validator = DSLValidator(COLUMNS)
    assert all(validator.validate(p.expression).ok for p in proposals)
    result = TrialResult(
        1, proposals[0].name, proposals[0].expression, score_t=-5.0, failed_agents=("predictive_power",)
    )
    changed = proposer.refine(_context(), proposals[0], result)
    assert changed is not None
    assert validator.validate(changed.expression).ok
    assert "funding" in "".join(heard)


def test_what_a_model_writes_wrong_is_left_out() -> None:
    researcher = scripted(
        plan(), candidates("cs_rank(close)", "delay(close, -1)", "__import__('os')"),
        block(name="x", expression="cs_rank(open_interest)"),
    )  # fmt: skip
    proposer = ExpressionProposer(researcher)
    made = proposer.plan(_context())
    found = proposer.generate(_context(), made, 3)
    assert [p.expression for p in found] == ["cs_rank(close)"]
    result = TrialResult(1, "idea_0", "cs_rank(close)", score_t=1.0)
    assert proposer.refine(_context(), found[0], result) is None


def test_a_model_may_say_that_it_is_not_worth_another_trial() -> None:
    proposer = ExpressionProposer(scripted(block(name=None, expression=None)))
    result = TrialResult(1, "idea", "cs_rank(close)", score_t=0.1)
    assert proposer.refine(_context(), Proposal("idea", "cs_rank(close)"), result) is None


def test_it_works_where_a_loop_runs_already() -> None:
    async def notebook() -> Any:
        return ExpressionProposer(LocalResearcher(1)).plan(_context())

    assert asyncio.run(notebook()).hypothesis


def test_the_line_of_a_result_says_errors_and_what_is_unknown() -> None:
    known = TrialResult(
        1, "carry", "cs_rank(funding_rate)", score_t=3.456, line_t=2.9, rank_ic=0.02167, rank_ic_se=0.00491,
        turnover=0.031, net_bps=-0.054, net_se=0.031, passed=True,
    )  # fmt: skip
    assert known.line == (
        "cs_rank(funding_rate): t +3.46 (line 2.90), IC +0.0217 +- 0.0049, turnover 0.03, "
        "net -0.05 +- 0.03 bps a bar: passed"
    )
    bare = TrialResult(1, "carry", "cs_rank(funding_rate)", net_bps=1.0, failed_agents=("trading_cost",))
    assert bare.line == (
        "cs_rank(funding_rate): t unknown (line unknown), IC unknown, turnover unknown, "
        "net +1.00 +- unknown bps a bar: failed trading_cost"
    )
