"""Before a feature goes live: every door measures and refuses alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from helpers_cli import call_midas
from helpers_kb import record
from helpers_tui import write_market
from midas_engine.errors import MidasError, TransitionError
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter import FeaturePromoter
from midas_engine.runtime import Runtime
from midas_engine.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.models import FeatureRecord

CARRY = "-cs_rank(ts_mean(funding_rate, 72))"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("market"), days=120)


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    return tmp_path / "kb"


def save(kb: Path, *records: FeatureRecord) -> None:
    promoter = FeaturePromoter(KnowledgeBase(kb))
    for one in records:
        promoter.save_candidate(one)
    promoter.close()


def terminal(kb: Path, data: Path | str) -> Runtime:
    return Runtime(load_settings(file=None, environ={}, flags={"kb": str(kb), "data": str(data)}))


@pytest.mark.parametrize("action", ["promote", "shadow", "redeploy"])
async def test_both_doors_measure_what_a_feature_promises(kb: Path, market: Path, capsys: Any, action: str) -> None:
    for name in ("by_verb", "by_terminal"):
        save(kb, record(name, expression=CARRY, expected_score=None, breadth=None))
    args = (action, "by_verb", "--kb", str(kb), "--data", str(market), "--reason", "the same")
    ran = call_midas(capsys, *args, *(() if action == "shadow" else ("--force",)))
    assert ran.code == 0, ran.err
    async with terminal(kb, market) as midas:
        await midas.pipeline.act(action, "by_terminal", "the same")
    verb, term = (KnowledgeBase(kb).feature(name) for name in ("by_verb", "by_terminal"))
    assert verb.expected_score is not None
    assert (verb.expected_score, verb.breadth, verb.state) == (term.expected_score, term.breadth, term.state)


# -- what was never measured -------------------------------------------------------------------------

HAND = """---
name: by_hand
state: candidate
expression: -ts_mean(cs_rank(close / ts_min(low, 72)), 24)
---
"""


def by_hand(kb: Path, text: str = HAND) -> None:
    KnowledgeBase(kb)
    (kb / "knowledge/features/candidates/by_hand.md").write_text(text, encoding="utf-8")


def state(kb: Path, name: str = "by_hand") -> str:
    return KnowledgeBase(kb).feature(name).state.value


async def test_no_door_promotes_what_was_never_measured(kb: Path, capsys: Any) -> None:
    # On the sample its research figures meet every gate today: a pre-flight may withdraw, never grant.
    by_hand(kb)
    promoter = FeaturePromoter(KnowledgeBase(kb))
    for call in (promoter.promote, promoter.redeploy):
        with pytest.raises(TransitionError, match="not measured: 6 gates unknown"):
            call("by_hand", "because")
    with pytest.raises(TransitionError, match="needs a reason"):
        promoter.promote("by_hand", force=True)
    promoter.close()
    for args in (("promote", "by_hand"), ("promote", "by_hand", "--reason", "why"), ("redeploy", "by_hand")):
        ran = call_midas(capsys, *args, "--kb", str(kb))
        assert ran.code == 7
        assert "not measured: 6 gates unknown" in ran.err
        assert "rank ic 0.0246 +- 0.00" in ran.err  # value, error and gate of today
    ran = call_midas(capsys, "promote", "by_hand", "--force", "--kb", str(kb))
    assert (ran.code, "needs a reason" in ran.err) == (7, True)
    async with terminal(kb, "sample") as midas:
        shown = await midas.pipeline.preview("promote", "by_hand")
        assert shown.unmet == ("not measured: 6 gates unknown",)
        assert shown.needs_reason
        assert all(f.passed for f in shown.figures)
        with pytest.raises(TransitionError, match="not measured"):
            await midas.pipeline.act("promote", "by_hand")
        assert state(kb) == "candidate"
        await midas.pipeline.act("promote", "by_hand", "known from the literature")
    last = KnowledgeBase(kb).feature("by_hand").history[-1]
    assert (last["forced"], last["reason"]) == ("not measured: 6 gates unknown", "known from the literature")


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("metrics: {rank_ic: 0.05, score_t: 9.0, overall_pass: true}", "5 of 6 gates unknown"),
        ("metrics: {rank_ic: .nan, score_t: .nan, overall_pass: true}", "6 gates unknown"),
        ("metrics: {overall_pass: true, composite: 1.0}", "6 gates unknown"),
        ("metrics: []", "gates unknown"),
    ],
)
def test_half_a_measurement_is_none(kb: Path, capsys: Any, metrics: str, said: str) -> None:
    by_hand(kb, HAND.replace("---\n", f"---\n{metrics}\n", 1))
    ran = call_midas(capsys, "promote", "by_hand", "--kb", str(kb))
    assert ran.code != 0
    assert said in ran.err or "damaged" in ran.err
    with pytest.raises(MidasError):
        FeaturePromoter(KnowledgeBase(kb)).promote("by_hand", "because")


def test_a_rejected_candidate_does_not_come_in_by_the_back_door(kb: Path) -> None:
    by_hand(kb)
    promoter = FeaturePromoter(KnowledgeBase(kb))
    promoter.reject("by_hand", "noise")
    with pytest.raises(TransitionError, match="not measured"):
        promoter.redeploy("by_hand", "after all")
    promoter.close()


# -- today's data may withdraw -----------------------------------------------------------------------


async def test_figures_of_its_youth_do_not_help_against_those_of_today(kb: Path, market: Path, capsys: Any) -> None:
    save(kb, record("noise", expression="cs_rank(ts_std(volume, 3))"))
    ran = call_midas(capsys, "promote", "noise", "--kb", str(kb), "--data", str(market))
    assert ran.code == 7
    assert "today " in ran.err
    assert "--force" in ran.err
    assert state(kb, "noise") == "candidate"
    shown = call_midas(capsys, "promote", "noise", "--dry-run", "--json", "--kb", str(kb), "--data", str(market))
    document = shown.document
    assert {f["agent"] for f in document["figures"]} >= {"predictive_power", "trading_cost", "diversification"}
    assert [f for f in document["figures"] if not f["passed"]]
    async with terminal(kb, market) as midas:
        assert list((await midas.pipeline.preview("promote", "noise")).unmet) == document["unmet"]


@pytest.mark.parametrize("data", ["no/such/file.parquet", "synthetic"])
def test_data_without_the_columns_or_no_data_at_all_is_no_figure(kb: Path, capsys: Any, data: str) -> None:
    save(kb, record("strange", expression="cs_rank(ts_mean(open_interest, 24))"))
    ran = call_midas(capsys, "promote", "strange", "--kb", str(kb), "--data", data)
    assert ran.code == 7
    assert f"no figures on today's data ({data})" in ran.err
    forced = call_midas(
        capsys, "promote", "strange", "--kb", str(kb), "--data", data, "--force", "--reason", "for another market"
    )
    assert forced.code == 0, forced.err
    assert "no figures on today's data" in KnowledgeBase(kb).feature("strange").history[-1]["forced"]


async def test_a_look_before_a_promotion_charges_nothing(kb: Path, market: Path) -> None:
    from midas_engine.evaluator import TrialLedger

    save(kb, record("carry", expression=CARRY))
    async with terminal(kb, market) as midas:
        await midas.pipeline.preview("promote", "carry")
    with TrialLedger(kb / "journal.sqlite") as ledger:
        assert ledger.history() == []


def test_a_found_candidate_is_promoted_without_force_on_the_data_it_was_found_on(kb: Path, capsys: Any) -> None:
    ran = call_midas(capsys, "discover", "carry", "--provider", "local", "--data", "synthetic", "--kb", str(kb))
    names = [r.name for r in KnowledgeBase(kb).features("candidate")]
    assert names, ran.out + ran.err
    promoted = call_midas(capsys, "promote", names[0], "--kb", str(kb), "--data", "synthetic")
    assert promoted.code == 0, promoted.err
    assert "forced" not in KnowledgeBase(kb).feature(names[0]).history[-1]
