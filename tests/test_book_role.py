"""The door to the book: what does not pay alone and pays there; one sealed look, charged like any other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.book.figures import Member
from midas_engine.book.partners import partner_words
from midas_engine.book_look import look_for_book
from midas_engine.cli.open_base import open_base, open_pipeline
from midas_engine.evaluator import TrialLedger
from midas_engine.loops.for_book import only_costs
from midas_engine.market import load_panel
from midas_engine.models import Estimate, FeatureRecord, FeatureState
from midas_engine.settings import Settings, load_settings
from midas_engine.stats.online_fdr import LordPlusPlus
from tests.helpers_cli import call_midas
from tests.helpers_kb import MEASURED
from tests.helpers_loops import FakeAssessor, FixedResearcher, events_of, loop_of, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.kb import KnowledgeBase

DATA = "synthetic:3"
CARRY, TREND = "-cs_zscore(funding_rate)", "cs_rank(ts_mean(returns(close, 1), 168))"
UNPAID = MEASURED | {"overall_pass": False, "failed_agents": "trading_cost", "net_bps": -0.2, "net_se": 0.05}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environ={}, flags={"kb": str(tmp_path / "kb"), "data": DATA})


def save(settings: Settings, name: str, expression: str, *, promoted: bool = False, **metrics: Any) -> None:
    with open_pipeline(settings, create=True) as promoter:
        promoter.save_candidate(FeatureRecord(name, expression, FeatureState.CANDIDATE, metrics=UNPAID | metrics))
        if promoted:
            promoter.promote(name, "for the test", force=True)


def looks(settings: Settings) -> list[dict[str, Any]]:
    with TrialLedger(open_base(settings).journal_path) as ledger:
        return ledger.looks()


def feature(settings: Settings, name: str) -> FeatureRecord:
    base: KnowledgeBase = open_base(settings, read_only=True)
    return base.feature(name)


def promote(capsys: Any, settings: Settings, name: str, *more: str) -> Any:
    return call_midas(capsys, "promote", name, "--role", "book", *more, "--kb", settings.kb, "--data", DATA)


def test_what_pays_in_the_book_alone_is_promoted_there_and_told_when_its_partner_leaves(
    settings: Settings, capsys: Any
) -> None:
    save(settings, "trend", TREND, promoted=True)
    save(settings, "carry", CARRY)
    dry = promote(capsys, settings, "carry", "--dry-run")
    assert "marginal net to the book +" in dry.err
    assert looks(settings) == []
    ran = promote(capsys, settings, "carry")
    assert ran.code == 0, ran.err
    assert "sealed look 1 for the book: held" in ran.err
    found = feature(settings, "carry")
    assert (found.state, found.role) == (FeatureState.DEPLOYED, "book")
    assert found.metrics["book_marginal_low"] > 0.0
    [look] = looks(settings)
    assert (look["role"], look["passed"], look["worth"][0]) == ("book", True, found.metrics["book_marginal_net"])
    listed = call_midas(capsys, "status", "--kb", settings.kb)
    assert "for the book" in listed.out
    left = call_midas(capsys, "demote", "trend", "--reason", "gone", "--kb", settings.kb, "--data", DATA)
    assert "carry, promoted for the book, still adds" in left.err or "carry was promoted for the book" in left.err
    with open_pipeline(settings) as promoter:
        promoter.undo("carry")
    assert (feature(settings, "carry").state, feature(settings, "carry").role) == (FeatureState.CANDIDATE, "")


def test_noise_is_refused_by_its_one_look(settings: Settings, capsys: Any) -> None:
    save(settings, "trend", TREND, promoted=True)
    save(settings, "noise", "cs_rank(ts_mean(volume, 3) / ts_mean(volume, 7))")
    base, panel = open_base(settings), load_panel(DATA)
    first, again = (look_for_book(base, base.feature("noise"), panel, settings) for _ in range(2))
    assert not first.passed
    assert "worth" in first.look.vetoes
    assert again.look.repeated
    assert (again.look.p, again.look.level) == (first.look.p, first.look.level)
    [look] = looks(settings)
    assert look["level"] == LordPlusPlus().level()  # the first test of the lifetime, whichever door it went through


@pytest.mark.parametrize(
    ("partner", "metrics", "words"),
    [
        (False, {}, "nothing is deployed"),
        (True, {"measured_on": "another data set"}, "other data"),
        (True, {"failed_agents": "trading_cost, diversification"}, "diversification"),
    ],
)
def test_what_would_waste_a_look_is_refused_before_it(
    settings: Settings, capsys: Any, partner: bool, metrics: dict[str, Any], words: str
) -> None:
    if partner:
        save(settings, "trend", TREND, promoted=True)
    save(settings, "carry", CARRY, **metrics)
    ran = promote(capsys, settings, "carry")
    assert ran.code != 0
    assert words in ran.err
    assert looks(settings) == []
    assert feature(settings, "carry").state is FeatureState.CANDIDATE


class Worths(FakeAssessor):
    """Knows what an expression would add."""

    worth_bps = 120.0

    async def judge(self, *args: Any) -> Any:
        found = await super().judge(*args)
        agents = tuple(dataclasses.replace(v, passed=v.agent != "trading_cost") for v in found.verdicts)
        return dataclasses.replace(found, verdicts=agents, overall_pass=False, statistical_pass=True)

    async def worth(self, record: FeatureRecord, kb: KnowledgeBase) -> Estimate:
        return Estimate(self.worth_bps, 10.0, self.worth_bps - 16.4, self.worth_bps + 16.4)


@pytest.mark.parametrize(("bps", "kept"), [(120.0, ["idea_1_0"]), (-5.0, [])])
async def test_a_session_keeps_for_the_book_what_costs_alone_stand_against(
    tmp_path: Path, bps: float, kept: list[str]
) -> None:
    assessor = Worths(lambda *_: True)
    assessor.worth_bps = bps
    loop = loop_of(tmp_path, FixedResearcher([CARRY]), refinements=0)
    events = await events_of(loop, assessor)
    assert [r.name for r in loop.kb.features()] == kept
    said = "".join(getattr(e, "text", "") for e in events)
    assert ("midas promote idea_1_0 --role book" in said) == bool(kept)
    with TrialLedger(loop.kb.journal_path) as ledger:
        assert ledger.looks() == []
    if kept:
        found = loop.kb.feature("idea_1_0")
        assert found.metrics["failed_agents"] == "trading_cost"


def test_costs_alone_means_no_other_agent() -> None:
    both = verdict("research", False, t=4.0, ic=0.03)
    assert not only_costs(both)
    assert not only_costs(dataclasses.replace(both, statistical_pass=True))


def test_a_member_of_the_book_whose_partners_are_gone_is_said() -> None:
    lone = Member(
        name="carry", version=1, expression="close", weight=1.0, holding_bars=1, scale=1.0,
        marginal=Estimate(5.0, 10.0, -11.4, 21.4), alone=Estimate(5.0), turnover=0.1, dead_chance=0.0, called=False,
        role="book",
    )  # fmt: skip
    [line] = partner_words([lone])
    assert "alone its marginal net is +5.0 [-11.4, +21.4]" in line
    assert partner_words([dataclasses.replace(lone, role="")]) == ()
    assert partner_words([dataclasses.replace(lone, marginal=Estimate(50.0, 10.0, 33.6, 66.4))]) == ()
