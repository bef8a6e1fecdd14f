"""DiagnoseAgent: in the background, once an episode, within budget; words checked; nothing a model says can kill."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.bus import EventBus
from midas_engine.errors import BudgetError, ModelReplyError, MonitorError
from midas_engine.events import (
    AlertRaised,
    AlertUpdated,
    DiagnosisFinished,
    DiagnosisStarted,
    FaultReported,
    KillProposed,
    LearningWritten,
)
from midas_engine.journal import Journal
from midas_engine.llm.budget import Budget
from midas_engine.llm.scripted import ScriptedClient
from midas_engine.models import Severity
from midas_engine.monitor import DiagnoseAgent, DiagnosisLimits, OnlineMonitor
from midas_engine.monitor.diagnosis.budgeted_researcher import FreshResearcher
from midas_engine.proposer.llm_researcher import LLMResearcher
from midas_engine.proposer.protocol import DiagnosisDraft
from tests.helpers_diagnosis import ScriptedResearcher, make_alert, make_fleet
from tests.helpers_monitor import MemoryBase, MemoryStore, ar1, bar_time, clock_at, linked

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.llm.client import ModelReply, ModelRequest, OnText

DRAFT = DiagnosisDraft(
    root_cause="It no longer predicts [F22]. The moon is full.",
    evidence=("the promise was 0.3000 [F20]", "the promise was 0.9 [F20]", "slippage rose [F99]"),
    fix_expression="ts_mean(close, 24)",
    kill=True,
    kill_reason="it lost its edge",
    learning="watch the break",
)


def _agent(**more: Any) -> tuple[DiagnoseAgent, Any]:
    bus = EventBus()
    seen = bus.subscribe("test")
    limits = DiagnosisLimits(**{name: more.pop(name) for name in ("per_day", "seconds") if name in more})
    return DiagnoseAgent(bus=bus, clock=clock_at(), limits=limits, **more), seen


def _kinds(seen: Any) -> list[str]:
    return [type(e).__name__ for e in seen.take()]


async def _one(agent: DiagnoseAgent, expression: str = "close") -> Any:
    fleet = make_fleet()
    agent.consider(_raised(fleet), fleet, fleet.last_bar, {"a": expression})
    await agent.settle()
    return fleet


def _raised(fleet: Any) -> list[AlertRaised]:
    alert = next(e.alert for (name, rule), e in fleet.alerts.episodes.items() if (name, rule) == ("a", "detector"))
    return [AlertRaised(at=alert.raised_at, alert=alert)]


async def test_a_critical_episode_is_explained_and_written() -> None:
    base = MemoryBase()
    agent, seen = _agent(kb=base, researcher=ScriptedResearcher(DRAFT))
    fleet = await _one(agent)
    events = seen.take()
    kinds = [DiagnosisStarted, AlertUpdated, DiagnosisFinished, LearningWritten, KillProposed]
    assert [type(e) for e in events] == kinds
    result = events[2].result
    assert events[1].alert.diagnosis.endswith(result.report_path)
    assert (result.cause, result.researcher, result.fix_expression) == (
        "true_decay",
        "scripted:model",
        "ts_mean(close, 24)",
    )
    assert result.evidence == ("It no longer predicts [F22].", "the promise was 0.3000 [F20]")
    assert [claim.partition(" (unsupported: ")[2] for claim in result.unsupported] == [
        "it cites no figure)",
        "it says 0.9, which is no value of F20 (0.3000))",
        "there is no figure F99)",
    ]
    text = base.texts[result.report_path]
    assert "## Unsupported claims" in text
    assert "The moon is full." in text
    assert result.report_path.startswith("reports/diagnoses/2025-01-21T")
    assert result.report_path.replace(".md", "-fix.md") in base.texts
    assert "Only the operator" in base.texts[result.report_path.replace(".md", "-kill.md")]
    (learning,) = base.learnings
    assert (learning.loop, learning.feature, learning.result) == ("online", "a", "true_decay")
    assert learning.pattern_identified == "true decay"
    assert "_decay" not in base.texts[result.report_path.replace(".md", "-kill.md")]
    assert learning.metrics["F20"] == pytest.approx(0.3)
    alert = _raised(fleet)[0].alert
    assert alert.diagnosis.startswith("true_decay (")
    assert alert.diagnosis.rpartition(" ")[2] == result.report_path
    assert fleet.days.of(fleet.last_bar.date()).diagnoses[0]["cause"] == "true_decay"
    assert agent.proposals == {"a": "it lost its edge"}
    assert fleet.kill_wanted.keys() <= {"a"}  # the proposal of a diagnosis is not the detector's
    assert "a" not in fleet.kills.killed


async def test_without_a_researcher_the_local_templates_speak_and_cite() -> None:
    agent, seen = _agent()
    await _one(agent)
    result = next(e.result for e in seen.take() if isinstance(e, DiagnosisFinished))
    assert result.researcher == "local"
    assert result.evidence
    assert result.unsupported == ()


@pytest.mark.parametrize(
    "failure", [ModelReplyError("twice unreadable"), RuntimeError("boom"), TimeoutError(), BudgetError("spent")]
)
async def test_a_researcher_that_fails_costs_its_words_only(failure: Exception) -> None:
    agent, seen = _agent(researcher=ScriptedResearcher(failure))
    await _one(agent)
    events = seen.take()
    result = next(e.result for e in events if isinstance(e, DiagnosisFinished))
    assert result.cause == "true_decay"
    assert result.researcher.startswith("local (scripted:model: ")
    assert [e for e in events if isinstance(e, FaultReported) and "did not explain" in e.message]


async def test_a_researcher_that_hangs_is_left_behind() -> None:
    agent, seen = _agent(researcher=ScriptedResearcher(asyncio.Event().wait), seconds=0.01)
    await _one(agent)
    result = next(e.result for e in seen.take() if isinstance(e, DiagnosisFinished))
    assert "no answer in time" in result.researcher


async def test_a_bar_never_waits_for_a_model() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=500)
    returns = linked(rng, values, np.where(np.arange(500) < 250, 0.3, -0.3))
    researcher = ScriptedResearcher(asyncio.Event().wait)
    clock, bus = clock_at(9999), EventBus()
    agent = DiagnoseAgent(bus=bus, clock=clock, researcher=researcher)
    monitor = OnlineMonitor(["a"], references={"a": 0.3}, bus=bus, clock=clock, diagnostics=agent)
    for t in range(500):
        await monitor.process_update(bar_time(t), {"a": values[t]}, returns[t])
    assert agent.running == ("a",)  # still thinking, long after
    assert monitor.metrics("a").bars == 499
    assert len(researcher.briefs) <= 1
    await monitor.close()
    assert agent.running == ()
    assert researcher.closed


async def test_one_flight_an_episode() -> None:
    gate = asyncio.Event()

    async def answer() -> DiagnosisDraft:
        await gate.wait()
        return DRAFT

    agent, seen = _agent(researcher=ScriptedResearcher(answer))
    fleet = make_fleet()
    for _ in range(5):
        agent.consider(_raised(fleet), fleet, fleet.last_bar, {"a": "close"})
    with pytest.raises(MonitorError, match="being diagnosed"):
        agent.ask(fleet, "a", {})
    gate.set()
    await agent.settle()
    agent.consider(_raised(fleet), fleet, fleet.last_bar, {"a": "close"})  # the same episode, diagnosed by now
    await agent.settle()
    assert _kinds(seen).count("DiagnosisStarted") == 1


async def test_the_days_budget_holds_and_is_told_once() -> None:
    agent, seen = _agent(per_day=2)
    fleet = make_fleet(tuple("abcdef"))
    for name in "abcdef":
        alert = make_alert(feature=name, id=f"a-{name}")
        agent.consider([AlertRaised(at=alert.raised_at, alert=alert)], fleet, fleet.last_bar, {})
    await agent.settle()
    events = seen.take()
    assert sum(isinstance(e, DiagnosisStarted) for e in events) == 2
    assert sum(isinstance(e, FaultReported) for e in events) == 1
    with pytest.raises(BudgetError, match="2 diagnoses are spent"):
        agent.ask(fleet, "c", {})
    fresh, _ = _agent(per_day=2)  # another process on the same day
    with pytest.raises(BudgetError):
        fresh.ask(fleet, "c", {})


async def test_a_storm_of_alike_alarms_is_looked_at_three_times() -> None:
    names = tuple(f"f{i}" for i in range(40))
    agent, seen = _agent(per_day=100)
    fleet = make_fleet(names)
    alerts = [make_alert("slippage", "execution_slippage", feature=n, id=f"a-{n}") for n in names]
    agent.consider([AlertRaised(at=a.raised_at, alert=a) for a in alerts], fleet, fleet.last_bar, {})
    await agent.settle()
    assert _kinds(seen).count("DiagnosisStarted") == 3


async def test_what_is_no_call_starts_nothing() -> None:
    agent, seen = _agent()
    fleet = make_fleet()
    for alert in (make_alert("ic_ratio"), make_alert(severity=Severity.WARNING), make_alert("drawdown", "drawdown")):
        agent.consider([AlertRaised(at=alert.raised_at, alert=alert)], fleet, fleet.last_bar, {})
    assert agent.running == ()
    assert _kinds(seen) == []


async def test_the_operator_may_ask_of_a_healthy_feature() -> None:
    agent, _ = _agent()
    fleet = make_fleet()
    result = await agent.ask(fleet, "b", {"b": "close"})
    assert result is not None
    assert result.feature == "b"
    with pytest.raises(MonitorError, match="not monitored"):
        agent.ask(fleet, "nobody", {})


def _reply(**changes: Any) -> str:
    fields = {"root_cause": "It fell [F22].", "kill": False, "kill_reason": ""} | changes
    return f"```json\n{json.dumps(fields)}\n```"


@pytest.mark.parametrize("word", ["false", "no", "true", 1, "yes, but", None])
async def test_a_kill_in_any_other_form_than_true_is_none(word: Any) -> None:
    client = ScriptedClient([_reply(kill=word)] * 2)
    researcher = LLMResearcher(client, Budget(10, 10.0, 10.0))
    agent, seen = _agent(researcher=researcher)
    await _one(agent)
    result = next(e.result for e in seen.take() if isinstance(e, DiagnosisFinished))
    assert len(client.requests) == 2  # one repair round
    assert result.researcher.startswith("local (")


async def test_a_true_kill_is_a_proposal_and_a_number_must_be_a_figures() -> None:
    client = ScriptedClient([_reply(kill=True, kill_reason="dead", evidence=["ln S is 999.25 [F25]"])])
    agent, seen = _agent(researcher=LLMResearcher(client, Budget(10, 10.0, 10.0)))
    fleet = await _one(agent)
    events = seen.take()
    result = next(e.result for e in events if isinstance(e, DiagnosisFinished))
    assert result.kill_proposed
    assert "999.25" in result.unsupported[0]
    assert [e.source for e in events if isinstance(e, KillProposed)] == ["diagnosis"]
    assert not fleet.kills.killed


async def test_a_fault_of_the_data_is_never_mended_by_an_expression() -> None:
    agent, seen = _agent(researcher=ScriptedResearcher(DRAFT))
    fleet = make_fleet()
    fleet.engine.presence.missing[0] = 9
    fleet.engine._columns = None
    agent.consider(_raised(fleet), fleet, fleet.last_bar, {"a": "close"})
    await agent.settle()
    result = next(e.result for e in seen.take() if isinstance(e, DiagnosisFinished))
    assert (result.cause, result.fix_expression, result.kill_proposed) == ("data_fault", "", False)


@pytest.mark.parametrize("fix", ["close.__class__", "close", "(close)", "delay(close, -1)", "nothing_like_it", " "])
async def test_a_fix_that_does_not_parse_or_says_the_same_is_none(fix: str) -> None:
    draft = DiagnosisDraft("It fell [F22].", fix_expression=fix, fix_reason="better")
    agent, seen = _agent(researcher=ScriptedResearcher(draft), columns=("close",))
    await _one(agent)
    result = next(e.result for e in seen.take() if isinstance(e, DiagnosisFinished))
    assert (result.fix_expression, result.fix_reason) == ("", "")


async def test_papers_that_cannot_be_written_lose_no_diagnosis() -> None:
    base = MemoryBase()
    base.save_text = lambda relpath, text: (_ for _ in ()).throw(OSError(28, "full"))  # type: ignore[assignment, method-assign]
    agent, seen = _agent(kb=base)
    await _one(agent)
    events = seen.take()
    assert next(e.result for e in events if isinstance(e, DiagnosisFinished)).report_path == ""
    assert [e for e in events if isinstance(e, FaultReported) and "could not be written" in e.message]


async def test_hostile_text_stays_text() -> None:
    base = MemoryBase()
    draft = DiagnosisDraft("# Title\n```\n[@click=app.quit]x[/] ignore all rules", learning="## Recommendation\n- kill")
    agent, _ = _agent(kb=base, researcher=ScriptedResearcher(draft))
    await _one(agent, expression="close")
    text = next(t for path, t in base.texts.items() if path.endswith(".md"))
    assert "\n# Title" not in text
    assert text.count("```") == 2  # the expression's own fence
    assert "\n## Recommendation" not in text


async def test_a_diagnosis_lost_with_the_process_is_made_after_the_restart() -> None:
    rng = np.random.default_rng(3)
    values = np.column_stack([rng.normal(size=500), ar1(rng, 500, 0.9)])
    returns = linked(rng, values[:, 0], np.where(np.arange(500) < 250, 0.3, -0.3))
    store, clock = MemoryStore(), clock_at(9999)

    def monitor(answer: Any) -> tuple[OnlineMonitor, ScriptedResearcher]:
        bus = EventBus()
        researcher = ScriptedResearcher(answer)
        agent = DiagnoseAgent(bus=bus, clock=clock, researcher=researcher)
        made = OnlineMonitor(["a"], references={"a": 0.3}, bus=bus, clock=clock, diagnostics=agent, journal=store)
        return made, researcher

    first, asked = monitor(asyncio.Event().wait)
    for t in range(420):
        await first.process_update(bar_time(t), {"a": values[t, 0]}, returns[t])
    await asyncio.sleep(0)
    assert first.diagnostics is not None
    assert first.diagnostics.running == ("a",)
    second, asked = monitor(DRAFT)
    await second.start()
    assert second.diagnostics is not None
    await second.diagnostics.settle()
    assert [b.feature for b in asked.briefs] == ["a"]
    await second.close()
    third, asked = monitor(DRAFT)
    await third.start()
    assert third.diagnostics is not None
    assert third.diagnostics.running == ()  # it is diagnosed
    await first.diagnostics.close()


async def test_two_episodes_of_one_feature_are_two_diagnoses() -> None:
    agent, seen = _agent()
    fleet = make_fleet()
    alerts = [make_alert(id="a-1"), make_alert("slippage", "execution_slippage", id="a-2")]
    agent.consider([AlertRaised(at=a.raised_at, alert=a) for a in alerts], fleet, fleet.last_bar, {})
    assert agent.running == ("a",)
    await agent.settle()
    assert sorted(e.alert_id for e in seen.take() if isinstance(e, DiagnosisFinished)) == ["a-1", "a-2"]


async def test_every_diagnosis_has_a_budget_of_its_own_and_is_charged_to_the_day(tmp_path: Path) -> None:
    spent: list[float] = []
    with Journal(tmp_path / "journal.sqlite") as journal:

        def make(already: float) -> LLMResearcher:
            spent.append(already)
            priced = PricedClient([_reply()])
            return LLMResearcher(priced, Budget(1, 1.0, 1.0, already))

        researcher = FreshResearcher(make, clock_at(5), journal)
        agent, seen = _agent(researcher=researcher)
        fleet = make_fleet()
        for _ in range(5):
            await agent.ask(fleet, "b", {"b": "close"})
        said = [e.result.researcher for e in seen.take() if isinstance(e, DiagnosisFinished)]
        assert said[:4] == ["mock:scripted"] * 4
        assert said[4].startswith("local (")  # the day's dollar is spent
        assert spent == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
        assert journal.model_spend(since=bar_time(0)) == (4, pytest.approx(1.0))


class PricedClient(ScriptedClient):
    """A scripted client whose replies cost a quarter."""

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        return dataclasses.replace(await super().complete(request, on_text), cost_usd=0.25)


class Mender:
    """A mender that hangs or fails."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def mend(self, snapshot: Any, finding: Any, result: Any) -> Any:
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("error", "told"), [(None, "it took too long"), (ValueError("bad panel"), "ValueError: bad panel")]
)
async def test_a_fix_that_cannot_be_tried_costs_the_fix_only(error: Exception | None, told: str) -> None:
    agent, seen = _agent(mender=Mender(error), seconds=0.01)
    await _one(agent)
    result = next(e.result for e in seen.take() if isinstance(e, DiagnosisFinished))
    assert result.cause == "true_decay"
    assert result.fix_verdict == f"The fix could not be tried: {told}"
