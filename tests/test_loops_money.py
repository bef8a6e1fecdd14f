"""The day's budget and a session's record: what was paid once is counted once, and a replay ends where it ended."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import WallClock
from midas_engine.errors import BudgetError, ModelLengthError
from midas_engine.llm import Budget
from midas_engine.loops import OfflineCompoundLoop
from midas_engine.loops.interrupted import end_interrupted
from midas_engine.loops.replay import read_record, read_resumable, replay
from midas_engine.proposer import LLMResearcher
from tests.helpers_llm import NOW
from tests.test_loops_replay import CONFIG, SCRIPT, SETTINGS, Base, _assessor, _Clock, _Dying

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PRICE = 0.25
EVER = NOW.replace(year=2000)


class _Costly(_Dying):
    async def complete(self, request: Any, on_text: Any = None) -> Any:
        return dataclasses.replace(await super().complete(request, on_text), cost_usd=PRICE)


class _Paid(Base):
    """Sessions whose every reply costs a quarter."""

    day_spent_usd = 0.0
    day_usd = 10.0

    def loop(self, answers: Sequence[Any], *, at: int = -1) -> OfflineCompoundLoop:
        self.client = _Costly(answers, at=at)
        self.budget = Budget(60, 5.0, self.day_usd, self.day_spent_usd)
        researcher = LLMResearcher(self.client, self.budget, clock=_Clock(NOW))
        return OfflineCompoundLoop(
            self.kb, lambda: researcher, config=CONFIG, settings=SETTINGS, journal=self.journal
        )  # fmt: skip

    def spent(self) -> float:
        return self.journal.model_spend(since=EVER)[1]


@pytest.fixture
def base(tmp_path: Path) -> Any:
    made = _Paid(tmp_path)
    yield made
    made.journal.close()


@pytest.mark.parametrize("calls", range(1, 8))
async def test_a_session_that_the_days_budget_ended_is_repeated_as_far_as_it_came(base: _Paid, calls: int) -> None:
    base.day_spent_usd = base.day_usd - PRICE * (calls - 0.5)
    events = await base.run()
    ended, told = events[-1], "".join(e.text for e in events if isinstance(e, ev.TokensStreamed))
    assert isinstance(ended, ev.SessionEnded)
    assert ("the day's budget" in ended.reason + told) == (calls < 7)  # the whole session makes seven
    assert base.spent() == pytest.approx(PRICE * calls)
    record, given = read_record(base.journal, ended.session_id)
    found = await replay(record, given, given.restored(SETTINGS), _assessor(), WallClock())
    assert (found.difference, found.result) == ("", ended.result)


@pytest.mark.parametrize("call", range(1, len(SCRIPT)))
async def test_what_was_paid_before_a_kill_is_counted_once(base: _Paid, tmp_path: Path, call: int) -> None:
    whole = _Paid(tmp_path / "whole")
    await whole.run()
    killed = await base.run(at=call)
    await asyncio.to_thread(end_interrupted, base.kb, base.journal, WallClock())
    base.day_spent_usd, base.day_usd = base.spent(), PRICE * 6.5  # just enough for the seven, counted once
    record, _ = read_resumable(base.journal, killed[0].session_id)  # type: ignore[attr-defined]
    ended = (await base.run(SCRIPT[call:], record=record))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert "budget" not in ended.reason
    assert base.trials() == whole.trials()
    assert base.spent() == whole.spent() == pytest.approx(PRICE * 7)
    assert base.budget.spent_usd == pytest.approx(PRICE * 7)
    whole.journal.close()


async def test_a_failed_call_that_was_charged_counts_in_the_day(base: _Paid) -> None:
    cut = ModelLengthError("cut by its length")
    cut.cost_usd = 1.5
    before = base.journal.model_spend(since=EVER)
    await base.run((cut, *SCRIPT))
    calls, spent = base.journal.model_spend(since=EVER)
    assert before == (0, 0.0)
    assert (calls, spent) == (7, pytest.approx(1.5 + 7 * PRICE))
    assert base.budget.spent_usd == pytest.approx(spent)


def test_the_days_budget_is_told_from_the_sessions() -> None:
    for budget, of_day in ((Budget(9, 1.0, 5.0, 5.0), True), (Budget(0, 1.0, 5.0), False)):
        with pytest.raises(BudgetError) as caught:
            budget.reserve()
        assert caught.value.of_day is of_day
