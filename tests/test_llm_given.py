"""`llm_client=`: whatever the user asks with, answers well, badly, or never."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace as Of
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import WallClock
from midas_engine.errors import (
    ModelError,
    ModelLengthError,
    ModelRefusedError,
    ModelStallError,
    ModelUnfinishedError,
    SettingsError,
)
from midas_engine.factory import create_midas
from midas_engine.journal import Journal
from midas_engine.journal.transcript import Transcripts
from midas_engine.llm import Budget
from midas_engine.llm.given import given_client
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
from midas_engine.loops.replay import read_record, replay
from midas_engine.proposer import LLMResearcher
from midas_engine.settings import EvaluationSettings, ModelSettings, Settings
from tests.helpers_llm import ASK, candidates, learning, plan
from tests.helpers_loops import FakeAssessor, events_of, loop_of

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.llm import ModelReply

COUNTS = Of(input_tokens=700, output_tokens=80, prompt_tokens=700, completion_tokens=80)


def _chat(content: Any, reason: str = "stop", **message: Any) -> Of:
    """A client in the form of OpenAI's SDK."""
    choice = Of(message=Of(content=content, **message), finish_reason=reason)
    return Of(chat=Of(completions=Of(create=_kept(Of(choices=[choice], usage=COUNTS)))))


def _messages(content: Any, reason: str = "end_turn") -> Of:
    """A client in the form of Anthropic's SDK."""
    return Of(messages=Of(create=_kept(Of(content=content, stop_reason=reason, usage=COUNTS))))


def _kept(answer: Any) -> Any:
    def create(**asked: Any) -> Any:
        create.asked = asked  # type: ignore[attr-defined]
        return answer

    return create


async def _ask(client: Any, **settings: Any) -> ModelReply:
    return await given_client(client, ModelSettings(**settings)).complete(ASK, lambda text: None)


async def _slow(prompt: str) -> str:
    await asyncio.Event().wait()
    return prompt


async def _given_up(prompt: str) -> str:
    raise asyncio.CancelledError


def _left(prompt: str) -> str:
    raise SystemExit(3)


async def _awaited(prompt: str) -> str:
    return "awaited"


@pytest.mark.parametrize(
    ("client", "text"),
    [
        (lambda prompt: "plain", "plain"),
        (_awaited, "awaited"),
        (_chat("chat"), "chat"),
        (_chat([{"type": "text", "text": "parts"}]), "parts"),
        (_messages([Of(type="thinking", thinking="hm", text=None), Of(type="text", text="said")]), "said"),
        (Of(messages=Of(create=lambda **asked: {"content": [{"type": "text", "text": "a dict"}]})), "a dict"),
    ],
)
async def test_every_form_of_a_client_is_asked(client: Any, text: str) -> None:
    assert (await _ask(client)).text == text


async def test_an_sdks_client_is_asked_for_a_real_model_and_charged_by_its_counts() -> None:
    for client, usual in ((_chat("x"), "gpt-5.4-mini"), (_messages([Of(text="x")]), "claude-sonnet-5-5")):
        create = client.chat.completions.create if hasattr(client, "chat") else client.messages.create
        reply = await _ask(client)
        assert (create.asked["model"], reply.tokens_in, reply.tokens_out) == (usual, 700, 80)
        assert reply.cost_usd > 0
        reply = await _ask(client, model="mine", prices={"mine": "1000,0"})
        assert (create.asked["model"], reply.cost_usd) == ("mine", pytest.approx(0.7))


@pytest.mark.parametrize(
    ("client", "kind", "said"),
    [
        (lambda prompt, further: "x", ModelError, "TypeError"),
        (lambda prompt: None, ModelError, "gave NoneType, not text"),
        (lambda prompt: next(iter(())), ModelError, "StopIteration"),
        (_left, ModelError, "SystemExit"),
        (_given_up, ModelError, "gave its own call up"),
        (_chat(None), ModelError, "gave NoneType, not text"),
        (_chat(None, refusal="no"), ModelRefusedError, "would not answer"),
        (_chat('{"hypothesis": "cut he', "length"), ModelLengthError, "longer than max_tokens"),
        (_messages([Of(text='{"hypothesis": "cut he')], "max_tokens"), ModelLengthError, "longer than max_tokens"),
        (_messages([], "tool_use"), ModelUnfinishedError, "the reason 'tool_use'"),
        (Of(chat=Of(completions=Of(create=lambda **asked: Of(choices=[])))), ModelError, "IndexError"),
    ],
)
async def test_what_a_client_does_wrong_is_a_models_failure(client: Any, kind: type[ModelError], said: str) -> None:
    with pytest.raises(kind, match=said):
        await asyncio.wait_for(_ask(client), 30)


async def test_a_client_that_hangs_is_left_after_its_time() -> None:
    for_ever = threading.Event()
    for client in (_slow, lambda prompt: for_ever.wait()):
        with pytest.raises(ModelStallError, match="did not finish within 0.2 s"):
            await _ask(client, deadline_seconds=0.2)
    hanging = [t for t in threading.enumerate() if t.name == "midas-llm-client"]
    assert all(t.daemon for t in hanging)  # the process ends without them
    for_ever.set()


def test_what_cannot_be_asked_is_refused() -> None:
    for client in ("sk-1", [], 7, Of()):
        with pytest.raises(SettingsError, match="which cannot be asked"):
            given_client(client)


async def test_a_script_that_runs_out_ends_the_session_with_its_learning(tmp_path: Path) -> None:
    replies = iter([plan(), candidates("cs_rank(close)")])
    researcher = LLMResearcher(given_client(lambda prompt: next(replies)), Budget(60, 2.0, 10.0))
    loop = loop_of(tmp_path, researcher, max_iterations=9, candidates_per_iter=1, refinements=0)
    ended = (await asyncio.wait_for(events_of(loop, FakeAssessor()), 60))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.tried) == ("error", 1)
    assert "StopIteration" in ended.reason
    assert loop.kb.learnings()[0].expressions == ("cs_rank(close)",)


class _Own:
    """A `ModelClient` of somebody's own with faults in it: no error of it is a `ModelError`."""

    provider, model = "own", "m"

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    async def complete(self, request: Any, on_text: Any = None) -> Any:
        from midas_engine.llm import ModelReply

        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return ModelReply(answer, "own", "m") if isinstance(answer, str) else answer

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.parametrize("fault", [ValueError("of its own"), None, 7])
@pytest.mark.parametrize("given", [True, False])
async def test_a_fault_of_a_client_of_ones_own_is_in_the_transcript_and_repeated(
    tmp_path: Path, fault: Any, given: bool
) -> None:
    own = _Own(plan(), fault, plan(), candidates("cs_rank(close)"), learning())
    settings = Settings(evaluation=EvaluationSettings(workers=0))
    researcher = LLMResearcher(given_client(own) if given else own, Budget(60, 2.0, 10.0))
    loop = loop_of(tmp_path, researcher)
    with Journal(loop.kb.journal_path) as journal:
        config = OfflineLoopConfig(max_iterations=2, candidates_per_iter=1, refinements=0)
        kept = OfflineCompoundLoop(loop.kb, lambda: researcher, config=config, settings=settings, journal=journal)
        events = await events_of(kept, FakeAssessor())
        assert isinstance(events[-1], ev.SessionEnded)
        assert (events[-1].result, events[-1].tried) == ("failed", 1)
        rows = Transcripts(journal).rows(events[-1].session_id, "call", "failed")
        assert [row.kind.partition(":")[2] for row in rows] == ["call", "failed", "call", "call", "call"]
        record, was = read_record(journal, events[-1].session_id)
        found = await replay(record, was, was.restored(settings), FakeAssessor(), WallClock())
    assert found.difference == ""


def test_the_face_takes_a_client_with_its_settings(tmp_path: Path) -> None:
    client = _chat("x")
    settings = Settings(kb=str(tmp_path / "kb"), model=ModelSettings(model="mine", deadline_seconds=7.0))
    with create_midas(settings=settings, llm_client=client) as midas:
        assert midas.make_researcher().name == "given:mine"
