"""The measurement of memory: paired campaigns, their ratios, and what is said of them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import midas_engine.compound.run as running
from midas_engine.compound import Compounding, CompoundPlan, compound, drawing
from midas_engine.compound.campaign import run_campaign
from midas_engine.compound.drawing import with_new_windows
from midas_engine.compound.markets import Truth
from midas_engine.compound.plan import ARMS, Campaign, Market, Pair, SessionFigures
from midas_engine.compound.report import headline, text, write_report
from midas_engine.errors import EvaluationError, MidasError, SettingsError
from midas_engine.memory.families import form_of, skeleton
from midas_engine.memory.remember import Remembered
from midas_engine.models import LearningDocument
from midas_engine.settings import ExecutorSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

PLAN = CompoundPlan(pairs=6, sessions=5)


def _found(cost: dict[str, list[int]], like: float = 0.8, retired: int | None = 2, pairs: int = 6) -> Compounding:
    """Every pair alike but for a little noise; a session finds what was planted in five of six pairs."""
    campaigns = []
    for pair in range(pairs):
        for arm in ARMS:
            sessions = tuple(
                SessionFigures(spent + 3 * pair, like if pair else -1.0, factor=0.4) for spent in cost[arm]
            )
            campaigns.append(Campaign(pair, arm, sessions, retired if arm == "retrieved" else None))
    return Compounding(PLAN, tuple(campaigns), (), 1.0)


SAVES = {"off": [500] * 5, "recent": [500, 400, 300, 300, 300], "retrieved": [500, 300, 100, 100, 100],
         "shuffled": [500, 510, 510, 510, 510]}  # fmt: skip
FLAT = {arm: [500, 503, 504, 505, 506] for arm in ARMS}


def test_what_memory_saves_is_a_ratio_with_its_interval_over_pairs() -> None:
    found = _found(SAVES)
    end = found.at_end("retrieved")
    assert end.value == pytest.approx((600 + 45) / (3000 + 45))
    assert 0.1 < end.low <= end.value <= end.high < 0.4
    assert found.at_end("off").words == "1.00 [1.00, 1.00]"
    assert [round(r.value) for r in found.curve("off")] == [609] * 5
    assert found.pays
    assert [met for _, met in found.verdicts()] == [True] * 4
    assert "retired within 3 sessions: 6 of 6, the slowest after 2" in found.verdicts()[3][0]


def test_when_memory_does_not_pay_it_is_said_with_how_far_it_was_turned_down() -> None:
    found = _found(FLAT, retired=-1)
    assert not found.pays
    assert headline(found).startswith("Memory does not pay here")
    assert "turned it down to 40%" in headline(found)
    assert [met for _, met in found.verdicts()] == [False, False, True, False]
    assert "MISSED: session 5" in text(found)


def test_nothing_found_is_a_dash_and_only_whole_pairs_are_compared() -> None:
    found = _found(SAVES, like=0.3)
    assert [row.split()[1:] for row in text(found).splitlines() if row.strip().startswith("off ")][0] == ["-"] * 5
    assert found.other("off") == 25
    cut = dataclasses.replace(found.campaigns[5], sessions=found.campaigns[5].sessions[:2], error="it broke")
    short = dataclasses.replace(
        found, campaigns=(*found.campaigns[:5], cut, *found.campaigns[6:]), failed=("it broke",)
    )
    assert short.pairs == [0, 2, 3, 4, 5]
    assert "1 campaigns did not come to their end and are left out: it broke" in text(short)


def test_the_report_holds_its_curve_and_every_figure(tmp_path: Path) -> None:
    found = _found(SAVES)
    report = write_report(found, tmp_path / "out")
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert figures["pays"] is True
    assert figures["arms"]["retrieved"]["true"] == [5.0] * 5
    assert headline(found) in report.read_text()
    assert "](curve.png)" in report.read_text()
    said = report.read_text().split("\n")
    tables = [i for i, line in enumerate(said) if line.startswith("| memory")]
    assert tables
    for table in tables:  # each under a heading of its own, with a sentence that says what it counts
        assert said[table - 4].startswith("## ")
        assert said[table - 2].endswith(".")


def test_a_family_keeps_its_form_and_changes_its_windows() -> None:
    rng = np.random.default_rng(3)
    drawn = {with_new_windows("ts_corr(ema(volume, 5), close, 24)", rng) for _ in range(5)}
    assert len(drawn) == 5
    assert len({skeleton(form_of(t)) for t in drawn}) == 1


def test_a_false_lesson_is_false_at_the_windows_that_a_session_asks_it_at(monkeypatch: Any) -> None:
    world = CompoundPlan(bars=1200).world
    truth = Truth(Settings(), world, 3)
    drawn = iter(["returns(close, 2)", "ts_argmin(trades, 31)"])  # the first is 0.1 the planted one, and it at 120
    monkeypatch.setattr(drawing, "draw_formula", lambda *_: next(drawn))
    assert drawing._false(truth, ["returns(close, 120)"], np.random.default_rng(1)) == "ts_argmin(trades, 31)"


@pytest.mark.parametrize("wrong", [{"pairs": 1}, {"sessions": 1}, {"ic": 0.0}, {"surprise": 1.5}, {"themes": 9}])
def test_a_plan_that_cannot_be_run_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        CompoundPlan(**wrong)


def _pair(number: int, sessions: int = 2) -> Pair:
    markets = [Market(k + 1, "majors", f"ts_corr(volume, funding_rate, {12 * k + 12})") for k in range(sessions)]
    return Pair(number, tuple(markets), "ts_argmin(trades, 31)")


def test_shuffled_lessons_are_another_pairs_and_a_campaign_that_breaks_is_said(monkeypatch: Any) -> None:
    lent: dict[int, Any] = {}

    def run(plan: Any, settings: Any, pair: Pair, arm: str, others: Any = ()) -> Any:
        if arm == "recent" and pair.number == 1:
            raise MidasError("the disk is full")
        if arm == "shuffled":
            lent[pair.number] = others
        campaign = Campaign(pair.number, arm, (SessionFigures(10, 0.9), SessionFigures(9, 0.9)))
        return campaign, (Remembered(lines=(f"{arm} of {pair.number}",)),)

    monkeypatch.setattr(running, "draw", lambda plan, settings, number: _pair(number))
    monkeypatch.setattr(running, "run_campaign", run)
    seen: list[tuple[int, int]] = []
    settings = Settings(executor=ExecutorSettings(kind="threads"))
    plan = CompoundPlan(pairs=3, sessions=2, workers=1)
    found = compound(settings, plan, progress=lambda done, of, _: seen.append((done, of)))
    assert {n: o[0].lines[0] for n, o in lent.items()} == {
        0: "retrieved of 1",
        1: "retrieved of 2",
        2: "retrieved of 0",
    }
    assert found.failed == ("the disk is full",)
    assert found.pairs == [0, 2]
    assert seen[-1] == (15, 15)
    monkeypatch.setattr(running, "run_campaign", lambda *args: _broken())
    with pytest.raises(EvaluationError, match="no pair of campaigns came to its end: it broke"):
        compound(settings, plan)


def _broken() -> Any:
    raise MidasError("it broke")


def test_a_campaign_counts_every_evaluation_and_tests_the_false_lesson() -> None:
    plan = CompoundPlan(sessions=3, screened=40, iterations=1, false_at=2, bars=1200)
    given: tuple[Remembered, ...]
    campaign, given = run_campaign(plan, Settings(), _pair(0, 3), "retrieved")
    assert campaign.error == ""
    first, second, third = campaign.sessions
    assert 40 <= first.evaluations <= 50
    assert not first.recalled
    assert second.recalled
    assert third.recalled
    assert [bool(g.recall.forms) for g in given][1:] == [True, True]
    assert "ts_argmin(trades, 31)" in {f.text for f in given[1].recall.forms}
    assert all(isinstance(d, LearningDocument) for d in given[1].learnings)
