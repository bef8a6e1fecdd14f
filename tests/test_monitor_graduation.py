"""Forward evidence in a running monitor: begun from the look, counted once, kept over restarts, told, recorded."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_kb import record
from midas_engine.clock import ManualClock
from midas_engine.evaluator.trials.sealed_evidence import sealed_figures, sealed_look
from midas_engine.events import ShadowProposal
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.monitor import OnlineMonitor
from midas_engine.promoter import FeaturePromoter
from midas_engine.promoter.graduated import graduation
from tests.helpers_monitor import START, ar1, bar_time, linked

if TYPE_CHECKING:
    from pathlib import Path

SEALED_BARS = 60  # the look knew so many of the bars that are fed
BARS = 230


def story(strength: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    values = ar1(rng, BARS, 0.5)
    return values, linked(rng, values, np.full(BARS, strength))


class Base:
    """A base with one feature in shadow that fell short at its look, and monitors that come and go."""

    def __init__(self, folder: Path, *, p: float = 0.04) -> None:
        self.clock = ManualClock(START + timedelta(hours=BARS + 10))
        self.kb = KnowledgeBase(folder / "kb", clock=self.clock)
        self.journal = Journal(self.kb.journal_path, clock=self.clock)
        self.promoter = FeaturePromoter(self.kb, self.journal)
        figures = sealed_figures(p, 0.02, 3000, bar_time(SEALED_BARS - 1))
        kept = dataclasses.replace(record("carry"), metrics=record("carry").metrics | figures)
        self.promoter.save_candidate(kept)
        self.promoter.shadow("carry")

    def monitor(self) -> OnlineMonitor:
        return OnlineMonitor(["carry"], kb=self.kb, journal=self.journal, promoter=self.promoter, clock=self.clock)

    async def feed(self, first: int, last: int, strength: float = 0.6) -> tuple[OnlineMonitor, list[ShadowProposal]]:
        """One life of a monitor, stopped as a crash stops it: without a last snapshot."""
        values, returns = story(strength)
        monitor = self.monitor()
        told = monitor.bus.subscribe("test", ShadowProposal)
        await monitor.start()
        for t in range(first, last):
            await monitor.process_update(bar_time(t), {"carry": float(values[t])}, float(returns[t]))
        monitor._role.release()
        await monitor.obedience.end()
        return monitor, told.take()  # type: ignore[return-value]


async def test_only_bars_after_the_look_are_evidence(tmp_path: Path) -> None:
    base = Base(tmp_path)
    monitor, _ = await base.feed(0, SEALED_BARS + 1)
    assert monitor.fleet.forward.knows(0)
    assert monitor.fleet.forward.bank.bars[0] == 0
    assert monitor.fleet.engine.bars == SEALED_BARS
    monitor, _ = await base.feed(SEALED_BARS + 1, SEALED_BARS + 11)
    assert monitor.fleet.forward.bank.bars[0] == 10


async def test_it_graduates_is_told_once_and_is_in_the_journal(tmp_path: Path) -> None:
    base = Base(tmp_path)
    monitor, told = await base.feed(0, BARS)
    assert [(e.feature, e.action) for e in told] == [("carry", "promote")]
    assert "crossed the lifetime's line" in told[0].reason
    actions = [a for a in base.journal.actions(feature="carry") if a.action == "graduated"]
    assert len(actions) == 1
    assert actions[0].actor == "monitor"
    found = graduation(base.kb.feature("carry"), base.journal)
    assert found is not None
    assert found.graduated
    report = monitor.generate_daily_report(base.clock.now().date())
    assert "| carry | graduated | monitor | sealed and forward evidence together crossed" in report.markdown
    # the feature is still where it was: only an operator moves it
    assert base.promoter.list_shadow() == ["carry"]
    assert monitor.fleet.forward.told == {"carry": "promote"}


async def test_a_restart_changes_no_bit_and_counts_no_bar_twice(tmp_path: Path) -> None:
    straight, once = await Base(tmp_path / "a").feed(0, 150)
    base, again = Base(tmp_path / "b"), []
    for first, last in ((0, 75), (75, 76), (76, 130), (110, 150)):  # the last one brings old bars again
        monitor, told = await base.feed(first, last)
        again += told
    one, other = straight.fleet.forward, monitor.fleet.forward
    assert one.bank.bars[0] == other.bank.bars[0] > 80
    assert np.array_equal(one.bank.log_wealth, other.bank.log_wealth)
    assert np.array_equal(one.bank.log_dead, other.bank.log_dead)
    assert [(e.at, e.action) for e in once] == [(e.at, e.action) for e in dict.fromkeys(again)]


async def test_without_its_saved_state_the_record_in_the_journal_gives_the_same_evidence(tmp_path: Path) -> None:
    base = Base(tmp_path)
    first, _ = await base.feed(0, 110)
    for key in base.journal.state_keys("monitor/"):
        base.journal.put_state(key, b"nonsense")
    second, _ = await base.feed(110, 112)
    # the pair of bar 109 waited for its label in the state that is gone
    bars = first.fleet.forward.bank.bars[0]
    assert second.fleet.forward.bank.bars[0] == bars
    assert np.array_equal(first.fleet.forward.bank.log_wealth, second.fleet.forward.bank.log_wealth)


async def test_what_leaves_the_watch_and_comes_back_goes_on_with_its_record(tmp_path: Path) -> None:
    monitor = Base(tmp_path).monitor()
    await monitor.start()
    values, returns = story(0.6)
    before = None
    for t in range(112):
        if t == 110:  # it leaves and comes back, as a rollback and an undo would have it
            before = monitor.fleet.forward.bank.log_wealth.copy()
            await monitor.watch([], {}, shadow=set())
            await monitor.process_update(bar_time(t), {}, float(returns[t]))
            await monitor.watch(["carry"], {}, shadow={"carry"})
        else:
            await monitor.process_update(bar_time(t), {"carry": float(values[t])}, float(returns[t]))
    await monitor.close()
    assert np.array_equal(monitor.fleet.forward.bank.log_wealth, before)


async def test_what_turned_is_proposed_to_be_dropped(tmp_path: Path) -> None:
    base = Base(tmp_path)
    _, told = await base.feed(0, BARS, strength=-0.6)
    assert [e.action for e in told] == ["reject"]
    assert [a.action for a in base.journal.actions(feature="carry") if a.actor == "monitor"] == ["denied"]


@pytest.mark.parametrize("p", [0.001, 0.6])
async def test_what_was_promoted_or_is_unsound_gathers_nothing(tmp_path: Path, p: float) -> None:
    monitor, told = await Base(tmp_path, p=p).feed(0, 110)
    assert not monitor.fleet.forward.knows(0)
    assert not told


def test_a_look_is_read_from_the_document_or_not_at_all() -> None:
    whole = sealed_figures(0.04, 0.02, 3000, bar_time(5))
    kept = dataclasses.replace(record("x"), metrics=whole)
    look = sealed_look(kept)
    assert look is not None
    assert (look.evidence.p, look.evidence.level, look.until) == (0.04, 0.02, bar_time(5))
    for key, wrong in (("sealed_p", "no"), ("sealed_level", 2.0), ("sealed_until", "yesterday"), ("sealed_bars", True)):
        assert sealed_look(dataclasses.replace(kept, metrics=whole | {key: wrong})) is None
