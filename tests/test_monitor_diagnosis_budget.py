"""What a diagnosis costs is in the day's sum, whatever became of its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from midas_engine.errors import ModelLengthError
from midas_engine.journal import Journal
from midas_engine.llm import Budget, ScriptedClient
from midas_engine.monitor.diagnosis.budgeted_researcher import FreshResearcher
from midas_engine.proposer import LLMResearcher
from midas_engine.proposer.protocol import DiagnosisBrief
from tests.helpers_monitor import bar_time, clock_at

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.llm.client import ModelReply, ModelRequest, OnText

BRIEF = DiagnosisBrief("b", "close", "none", "true_decay", 0.9, ())


class CutClient(ScriptedClient):
    """A client whose replies are cut, for a fifth of a dollar each."""

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        error = ModelLengthError("cut")
        error.tokens_in, error.tokens_out, error.cost_usd = 10, 20, 0.2
        raise error


async def test_what_failed_calls_cost_is_in_the_days_sum(tmp_path: Path) -> None:
    spent: list[float] = []

    def make(already: float) -> LLMResearcher:
        spent.append(already)
        return LLMResearcher(CutClient([]), Budget(5, 10.0, 10.0, already))

    with Journal(tmp_path / "journal.sqlite") as journal:
        researcher = FreshResearcher(make, clock_at(5), journal)
        for _ in range(2):
            with pytest.raises(ModelLengthError):
                await researcher.diagnose(BRIEF, lambda _: None)
        calls, usd = journal.model_spend(since=bar_time(0))
    assert calls == 0
    assert usd == pytest.approx(0.8)  # each was cut, and cut again at a larger limit
    assert spent == pytest.approx([0.0, 0.4])
