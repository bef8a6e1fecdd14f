"""The local researcher: finds what is there, invents nothing, repeats nothing, and is the same for a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.dsl import DSLValidator
from midas_engine.dsl.expression import canonical
from midas_engine.errors import SettingsError
from midas_engine.loops import PanelAssessor
from midas_engine.market import SyntheticMarket
from midas_engine.proposer import LocalResearcher, ResearchContext, TrialResult, make_researcher
from midas_engine.proposer.families import FAMILIES, families_of
from midas_engine.proposer.rewrites import negated, scaled, smoothed
from midas_engine.settings import DslLimits, Settings
from tests.helpers_kb import learning
from tests.helpers_loops import FakeAssessor, events_of, loop_of

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.proposer import Proposal

COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume", "funding_rate", "vwap", "returns")


def _quiet(_: str) -> None:
    return None


def _context(**more: Any) -> ResearchContext:
    return ResearchContext(**({"goal": "funding carry", "columns": COLUMNS} | more))


async def _propose(researcher: LocalResearcher, context: ResearchContext, count: int = 3) -> list[Proposal]:
    plan = await researcher.plan(context, _quiet)
    return await researcher.write(context, plan, count, _quiet)


def _result(proposal: Proposal, t: float, failed: tuple[str, ...] = (), iteration: int = 1) -> TrialResult:
    return TrialResult(
        iteration, proposal.name, proposal.expression, passed=not failed, score_t=t, rank_ic=t / 200, line_t=3.0,
        turnover=0.4, net_bps=1.0, failed_agents=failed,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
async def test_it_finds_what_is_planted(tmp_path: Path, seed: int) -> None:
    panel = SyntheticMarket(seed, bars=6000, symbols=20, ics=(0.08, 0.06, 0.05)).panel()
    loop = loop_of(tmp_path, LocalResearcher(seed), max_iterations=3)
    ended = (await events_of(loop, PanelAssessor(panel, loop.settings), "funding carry"))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert ended.accepted
    assert all("funding" in loop.kb.feature(name).expression for name in ended.accepted)


async def test_on_a_market_without_any_signal_it_finds_nothing(tmp_path: Path) -> None:
    panel = SyntheticMarket(5, bars=6000, symbols=20, ics=(0.0, 0.0, 0.0)).panel()
    loop = loop_of(tmp_path, LocalResearcher(5), max_iterations=4)
    ended = (await events_of(loop, PanelAssessor(panel, loop.settings), "anything at all"))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.accepted) == ("failed", ())
    assert ended.tried >= 12


async def test_a_seed_gives_the_same_session(tmp_path: Path) -> None:
    told = []
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        loop = loop_of(tmp_path / folder, LocalResearcher(seed), max_iterations=4)
        events = await events_of(loop, FakeAssessor(), "reversal")
        told.append([e.expression for e in events if isinstance(e, ev.ExpressionProposed)])
    assert told[0] == told[1] != told[2]


async def test_nothing_is_proposed_twice_in_any_spelling(tmp_path: Path) -> None:
    assessor = FakeAssessor(figures={"research": (2.0, 0.01)})
    loop = loop_of(tmp_path, LocalResearcher(1), max_iterations=12)
    events = await events_of(loop, assessor, "momentum and volume")
    forms = [canonical(e.expression) for e in events if isinstance(e, ev.ExpressionProposed)]
    assert len(forms) == len(set(forms)) > 30
    assert not [e for e in events if isinstance(e, ev.CandidateScored) and e.repeated]
    assert not [e for e in events if isinstance(e, ev.ExpressionRefused)]


async def test_what_earlier_sessions_tried_on_this_data_is_not_tried_again_and_on_other_data_it_is() -> None:
    first = await _propose(LocalResearcher(1), _context())
    again = await _propose(LocalResearcher(1), _context(tried=[canonical(p.expression) for p in first]))
    assert not {canonical(p.expression) for p in first} & {canonical(p.expression) for p in again}
    assert len(again) == 3
    known = learning(expressions=tuple(p.expression for p in first), accepted=())
    assert await _propose(LocalResearcher(1), _context(learnings=[known])) == first


async def test_an_open_goal_starts_where_earlier_sessions_saw_most() -> None:
    known = learning(pattern_identified="volume: best t -4.10 in 9 tries; momentum: best t +1.20 in 9 tries")
    heard: list[str] = []
    plan = await LocalResearcher(1).plan(_context(goal="anything", learnings=[known]), heard.append)
    assert plan.hypothesis.startswith("explore volume")
    assert "best of earlier sessions: volume t -4.10, momentum t +1.20" in "".join(heard)
    order = plan.approach.removeprefix("families in order: ").split(", ")
    assert order[-1] == "momentum"
    named = await LocalResearcher(1).plan(_context(goal="momentum", learnings=[known]), _quiet)
    assert named.hypothesis.startswith("explore momentum")  # a goal that names a family is obeyed


async def test_columns_that_no_family_knows_are_searched_at_random() -> None:
    context = _context(goal="anything", columns=("mark_close", "trades"))
    proposals = await _propose(LocalResearcher(1), context, 4)
    assert len(proposals) == 4
    assert all("mark_close" in p.expression or "trades" in p.expression for p in proposals)


async def test_a_first_proposal_is_the_familys_classic() -> None:
    for family, templates in FAMILIES.items():
        usable = [t for t in templates if set(t.needs) <= set(COLUMNS)]
        if not usable or family not in families_of(family):
            continue
        first = (await _propose(LocalResearcher(9), _context(goal=family), 1))[0]
        assert first.name.startswith(usable[0].name)


@pytest.mark.parametrize("columns", [("close",), ("close", "volume"), ("funding_rate",), COLUMNS])
@pytest.mark.parametrize("cross", [True, False])
async def test_only_columns_that_are_there_and_operators_that_make_sense(columns: tuple[str, ...], cross: bool) -> None:
    limits = DslLimits(lookback_bars=48)
    validator = DSLValidator(columns, limits)
    context = _context(goal="any idea", columns=columns, cross=cross, limits=limits)
    for proposal in await _propose(LocalResearcher(2), context, 25):
        assert validator.validate(proposal.expression).ok
        assert cross or "cs_" not in proposal.expression


async def test_noise_is_not_refined_and_a_wrong_sign_is_flipped() -> None:
    researcher = LocalResearcher(1)
    context = _context()
    proposal = (await _propose(researcher, context, 1))[0]
    assert await researcher.refine(context, proposal, _result(proposal, 0.4, ("predictive_power",)), _quiet) is None
    flipped = await researcher.refine(context, proposal, _result(proposal, -4.0, ("predictive_power",)), _quiet)
    assert flipped is not None
    assert canonical(flipped.expression) == canonical(f"-({proposal.expression})")
    assert "sign" in flipped.rationale


@pytest.mark.parametrize(
    ("failed", "mark"),
    [("trading_cost", "ts_mean("), ("regime_robustness", "if_else("), ("diversification", "cs_neutralize(")],
)
async def test_a_refusal_is_answered_by_what_it_complained_of(failed: str, mark: str) -> None:
    researcher = LocalResearcher(1)
    context = _context(existing={"old": "cs_rank(volume)"})
    proposal = (await _propose(researcher, context, 1))[0]
    changed = await researcher.refine(context, proposal, _result(proposal, 4.0, (failed,)), _quiet)
    assert changed is not None
    assert mark in changed.expression


async def test_once_something_shows_the_plan_builds_on_it() -> None:
    researcher = LocalResearcher(1)
    proposal = (await _propose(researcher, _context(), 1))[0]
    context = _context(results=(_result(proposal, 5.0, ("trading_cost",)),), iteration=2)
    plan = await researcher.plan(context, _quiet)
    assert f"build on {proposal.expression}" in plan.hypothesis
    assert "smooth" in plan.hypothesis


async def test_it_builds_on_what_is_nearest_to_passing_and_not_for_ever() -> None:
    researcher = LocalResearcher(1)
    loud, near = await _propose(researcher, _context(), 2)
    results = (
        _result(loud, 9.0, ("trading_cost", "decay_analysis", "predictive_power")),
        _result(near, 4.0, ("trading_cost",)),
    )
    context = _context(results=results, iteration=2)
    plans = [(await researcher.plan(context, _quiet)).hypothesis for _ in range(5)]
    assert [near.expression in p for p in plans] == [True, True, False, False, False]
    assert [loud.expression in p for p in plans] == [False, False, True, True, False]
    assert plans[4].startswith("explore")


async def test_its_learning_holds_only_what_the_figures_say() -> None:
    researcher = LocalResearcher(1)
    a, b = await _propose(researcher, _context(), 2)
    draft = await researcher.learn(_context(results=(_result(a, 4.2), _result(b, 1.1, ("trading_cost",)))), "", _quiet)
    assert "best t +4.20 in 2 tries" in draft.pattern_identified
    assert a.expression in draft.what_worked
    assert "trading_cost (1 of 2)" in draft.what_failed
    assert "funding" in draft.tags


def test_a_goal_names_its_families_in_order() -> None:
    assert families_of("short-term reversal after volume shocks")[:2] == ["reversal", "volume"]
    assert families_of("Funding carry on majors") == ["funding"]
    assert families_of("xyz") == list(FAMILIES)


def test_every_template_is_an_expression() -> None:
    every = tuple({c for templates in FAMILIES.values() for t in templates for c in t.needs})
    validator = DSLValidator((*every, "returns"), DslLimits())
    for templates in FAMILIES.values():
        for template in templates:
            for a in template.windows:
                text = template.core.format(a=a, b=24)
                assert validator.validate(text).ok, text


def test_changes_of_an_expression() -> None:
    assert smoothed("ts_mean(cs_rank(close), 24)", 48) == "ts_mean(cs_rank(close), 48)"
    assert smoothed("ts_mean(close, 4) + ts_mean(open, 24)", 48) == "ts_mean(ts_mean(close, 4) + ts_mean(open, 24), 48)"
    assert scaled("ts_mean(delta(close, 3), 100)", 2.0, 168) == "ts_mean(delta(close, 6), 168)"
    assert scaled("ts_mean(close, 3)", 0.5, 168) == "ts_mean(close, 2)"
    assert negated("-cs_rank(close)") == "cs_rank(close)"
    assert canonical(negated("-cs_rank(close) + open")) == canonical("cs_rank(close) - open")


def test_a_provider_by_name() -> None:
    assert isinstance(make_researcher(Settings(), "mock"), LocalResearcher)
    assert isinstance(make_researcher(Settings()), LocalResearcher)
    with pytest.raises(SettingsError, match="no provider 'gpt'"):
        make_researcher(Settings(), "gpt")
