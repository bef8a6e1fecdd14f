"""Every fault of a model, once in mid-session over a real socket: the session goes on, or ends with its learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llmock.scenarios import Delay, Fail, Reply, StreamFault

from midas_engine import events as ev
from midas_engine.clock import ManualClock
from midas_engine.errors import ModelOutageError
from midas_engine.llm import Budget
from midas_engine.proposer import LLMResearcher
from midas_engine.settings import EvaluationSettings, ModelSettings, Settings
from tests.helpers_llm import NOW, block, candidates, client, learning, plan
from tests.helpers_loops import FakeAssessor, FixedResearcher, events_of, loop_of

if TYPE_CHECKING:
    from pathlib import Path

    from llmock.pytest_plugin import LLMock

ITERATIONS = 4
DEADLINE, SHORT = 20.0, 1.5  # a short one only where it is to pass
PROVIDERS = ("openai", "anthropic")
NEXT = {"plan": "generate", "generate": "refine", "refine": "plan"}
CUT = Reply(text=plan(), finish_reason="length")
FILTERED = Reply(text="I cannot", finish_reason="content_filter")
STALL = StreamFault("stall", after_chunks=1, stall_seconds=3.0)
EMPTY, PROSE = Reply(text=""), Reply(text="Let me think about that.")
WRONG = Reply(text=block(hypothesis=3, candidates="close", expression=["close"]))
# name -> (behaviours, whether the step is lost, what the session says)
FAULTS: dict[str, tuple[list[Any], bool, str]] = {
    "cut by its length": ([CUT], False, "asking once more, for at most 8,000 tokens"),
    "cut twice": ([CUT, CUT], True, "longer than max_tokens (8,000)"),
    "filtered": ([FILTERED], True, "the session goes on"),
    "stalls": ([STALL], False, "did not finish within"),
    "stalls twice": ([STALL, STALL], True, "did not finish within"),
    "silent": ([Delay(3.0)], False, "did not finish within"),
    "429 for a while": ([Fail(429, retry_after=0.01, times=4)], False, "rate-limiting (429)"),
    "500 for a while": ([Fail(500, retry_after=0.01, times=4)], False, "failed with 500"),
    "529 for a while": ([Fail(529, retry_after=0.01, times=7)], False, "failed with 529"),
    "400": ([Fail(400, message="flagged")], True, "refused the request (400)"),
    "401 once": ([Fail(401)], True, "refused the API key (401)"),
    "403 of a gateway": ([Fail(403)], True, "refused the API key (403)"),
    "404 once": ([Fail(404)], True, "does not know this model (404)"),
    "the connection breaks": ([StreamFault("disconnect", after_chunks=1)], False, "asking again in 5 s"),
    "the stream ends early": ([StreamFault("truncate", after_chunks=1)], False, "stopped before its end"),
    "empty": ([EMPTY], False, "asking once more"),
    "empty twice": ([EMPTY, EMPTY], True, "gave no usable reply"),
    "prose twice": ([PROSE, PROSE], True, "gave no usable reply"),
    "wrong types": ([WRONG], False, "asking once more"),
    "wrong types twice": ([WRONG, WRONG], True, "gave no usable reply"),
}
# With what happens in every column, a fault of each kind meets each step.
STEPS = ("plan", "generate", "refine")


class _Clock(ManualClock):
    """Sleeps at once."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class Script:
    """Queues the reply that the session's next question needs, and the fault before that of iteration 2."""

    def __init__(self, llmock: LLMock, step: str, faults: list[Any], *, lost: bool) -> None:
        self._llmock, self._step, self._faults, self._lost = llmock, step, faults, lost
        self.iteration = 0
        self.answered: list[str] = []
        self._queue("plan")

    def heard(self, request: Any, reply: Any) -> None:
        purpose = request.purpose.split()[0]
        self.answered.append(request.purpose)
        if purpose in NEXT and purpose == self._awaited and not self._unusable(reply):
            self._queue(NEXT[purpose])

    def _unusable(self, reply: Any) -> bool:
        return reply.text in (EMPTY.text, PROSE.text, WRONG.text)

    def _queue(self, purpose: str) -> None:
        self.iteration += purpose == "plan"
        if self.iteration == 2 and purpose == self._step and self._faults:
            for fault in self._faults:
                self._llmock.add(fault)
                if isinstance(fault, StreamFault | Delay):  # they spoil a reply
                    self._llmock.reply("spoilt, and never read to its end, for it breaks off before that")
            self._faults = []
            if self._lost:  # the session goes on with the next plan
                self.iteration += 1
                purpose = "plan"
        if self.iteration > ITERATIONS:
            purpose = "learn"
        self._awaited = purpose
        self._llmock.reply(
            {
                "plan": plan(),
                "generate": candidates(f"ts_mean(close, {self.iteration + 1})"),
                "refine": block(expression=None),
                "learn": learning(title="the model's own words"),
            }[purpose]
        )


def _settings(**model: Any) -> Settings:
    return Settings(evaluation=EvaluationSettings(workers=0), model=ModelSettings(**model))


def _researcher(provider: str, script: Script | None = None, **more: Any) -> LLMResearcher:
    """A real client on a real socket; its waits cost nothing."""
    clock = _Clock(NOW)
    model = client(provider, deadline=more.pop("deadline", DEADLINE), clock=clock)
    budget = more.pop("budget", Budget(60, 2.0, 10.0))
    return LLMResearcher(model, budget, on_reply=script.heard if script is not None else None, clock=clock)


@pytest.mark.parametrize(("name", "step"), [(n, STEPS[i % 3]) for i, n in enumerate(FAULTS)])
async def test_a_fault_in_mid_session_costs_at_most_its_step(
    tmp_path: Path, llmock: LLMock, name: str, step: str
) -> None:
    provider = PROVIDERS[step == "generate"]
    faults, lost, said = FAULTS[name]
    if provider == "anthropic" and name == "filtered":
        faults = [Reply(text="I cannot", finish_reason="refusal")]
    script = Script(llmock, step, list(faults), lost=lost)
    deadline = SHORT if any(isinstance(f, Delay) or f is STALL for f in faults) else DEADLINE
    researcher = _researcher(provider, script, deadline=deadline)
    loop = loop_of(tmp_path, researcher, max_iterations=ITERATIONS, candidates_per_iter=1)
    assessor = FakeAssessor()
    events = await events_of(loop, assessor)
    ended = events[-1]
    assert isinstance(ended, ev.SessionEnded)
    told = "".join(e.text for e in events if isinstance(e, ev.TokensStreamed))
    assert said in told
    # The whole budget was used: what was tried is missing at most where the failed step stood.
    tried = ITERATIONS - (lost and step != "refine")
    assert (ended.result, ended.tried) == ("failed", tried)
    assert [p for p in script.answered if p == "learn"] == ["learn"]
    (document,) = loop.kb.learnings()
    assert document.title == "the model's own words"
    assert len(document.expressions) == tried
    assert ("1 step failed on the way" in document.body) == lost


@pytest.mark.parametrize(
    ("fault", "calls", "said"),
    [
        (Fail(401, times=None), 3, "refused the API key"),
        (Fail(404, times=None), 3, "does not know this model"),
        (Fail(429, retry_after=0.01, times=None), 27, "rate-limiting"),
        (Fail(500, retry_after=0.01, times=None), 27, "500"),
        (Reply(text="I cannot", finish_reason="content_filter", times=None), 3, "would not answer"),
        (Reply(text="prose", times=None), 6, "steps failed in a row"),
    ],
)
async def test_what_stays_ends_the_session_with_its_learning(
    tmp_path: Path, llmock: LLMock, fault: Any, calls: int, said: str
) -> None:
    llmock.reply(plan()).reply(candidates("cs_rank(close)"))
    seen: list[str] = []

    def heard(request: Any, reply: Any) -> None:
        seen.append(request.purpose)
        if request.purpose == "generate":
            llmock.add(fault)

    researcher = _researcher("openai")
    researcher.listen(heard)
    loop = loop_of(tmp_path, researcher, max_iterations=50, candidates_per_iter=1, refinements=0)
    ended = (await events_of(loop, FakeAssessor()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.tried) == ("error", 1)
    assert said in ended.reason
    assert len(llmock.requests) <= 2 + calls
    (document,) = loop.kb.learnings()
    assert document.expressions == ("cs_rank(close)",)


async def test_a_step_that_succeeds_ends_the_row_of_failures(tmp_path: Path) -> None:
    class Flaky(FixedResearcher):
        async def write(self, context: Any, *more: Any) -> Any:
            if context.iteration % 2:
                raise ValueError("a plug-in's fault")
            return await super().write(context, *more)

    loop = loop_of(tmp_path, Flaky(*[[f"ts_mean(close, {n})"] for n in range(2, 10)]), max_iterations=8)
    ended = (await events_of(loop, FakeAssessor()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.tried) == ("failed", 4)
    assert "4 steps failed on the way" in ended.reason


async def test_the_wall_time_ends_a_session_well_also_in_mid_call(tmp_path: Path, llmock: LLMock) -> None:
    llmock.reply(plan()).reply(candidates("cs_rank(close)"))
    researcher = LLMResearcher(client("openai", deadline=60.0), Budget(60, 2.0, 10.0), clock=_Clock(NOW))
    researcher.listen(lambda request, reply: llmock.delay(2.5) if request.purpose == "generate" else None)
    loop = loop_of(tmp_path, researcher, settings=_settings(session_minutes=0.02), max_iterations=9)
    ended = (await events_of(loop, FakeAssessor(lambda *_: True)))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.accepted) == ("success", ("idea_0",))
    assert "wall time" in ended.reason
    assert len(loop.kb.learnings()) == 1


async def test_the_wall_time_holds_for_a_researcher_without_a_model(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    loop = loop_of(
        tmp_path, FixedResearcher(*[[f"ts_mean(close, {n})"] for n in range(2, 10)]), max_iterations=8,
        settings=_settings(session_minutes=10),
    )  # fmt: skip
    loop.clock = clock
    ended = (await events_of(loop, FakeAssessor(before=lambda *_: clock.advance(250))))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.tried) == ("failed", 3)
    assert "wall time of 10 min is over" in ended.reason


async def test_failed_calls_are_charged_by_what_they_used(tmp_path: Path, llmock: LLMock) -> None:
    llmock.add(CUT).reply(plan()).reply(candidates("cs_rank(close)")).reply(learning())
    budget = Budget(60, 2.0, 10.0)
    researcher = _researcher("openai", budget=budget)
    answered: list[float] = []
    researcher.listen(lambda request, reply: answered.append(reply.cost_usd))
    await events_of(loop_of(tmp_path, researcher, refinements=0), FakeAssessor())
    assert budget.calls == 4
    assert budget.spent_usd > sum(answered) + 2000 * 1.6e-6  # the limit it used up, at least


@pytest.mark.parametrize(
    ("error", "said"),
    [(ModelOutageError("the model is down"), "the model is down"), (ZeroDivisionError("by zero"), "ZeroDivisionError")],
)
async def test_an_error_that_stays_ends_the_session_with_its_learning(
    tmp_path: Path, error: Exception, said: str
) -> None:
    class Broken(FixedResearcher):
        planned = 0

        async def plan(self, context: Any, on_text: Any) -> Any:
            self.planned += 1
            if context.iteration >= 2:
                raise error
            return await super().plan(context, on_text)

    researcher = Broken(["cs_rank(close)"])
    loop = loop_of(tmp_path, researcher, max_iterations=9)
    ended = (await events_of(loop, FakeAssessor()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert ended.result == "error"
    assert said in ended.reason
    assert "3 steps failed in a row" in ended.reason
    assert researcher.planned == 4
    document = loop.kb.learnings()[0]
    assert document.result == "error"
    assert said in document.body
    assert document.expressions == ("cs_rank(close)",)
