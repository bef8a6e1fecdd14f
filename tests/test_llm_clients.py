"""The model clients against a provider that fails in every way a provider can, over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llmock.scenarios import Match, Reply

from midas_engine.clock import ManualClock
from midas_engine.errors import ModelError, ModelKeyError, ModelOutageError, ModelTruncatedError, SettingsError
from midas_engine.llm import ModelRequest, make_client
from midas_engine.llm.guard import FAILURES_TO_OPEN, REST_SECONDS
from midas_engine.settings import ModelSettings
from tests.helpers_llm import ASK, NOW, client

if TYPE_CHECKING:
    from llmock.pytest_plugin import LLMock

PROVIDERS = ("openai", "anthropic")
TEXT = "Funding is paid by the crowd, every eight hours."


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _fails(model: Any, kind: type[ModelError]) -> ModelError:
    try:
        with pytest.raises(kind) as caught:
            await model.complete(ASK, lambda _: None)
    finally:
        await model.close()
    return caught.value


async def test_a_reply_is_whole_streamed_and_counted(llmock: LLMock, provider: str) -> None:
    llmock.reply(TEXT)
    heard: list[str] = []
    model = client(provider)
    reply = await model.complete(ASK, heard.append)
    await model.close()
    assert reply.text == TEXT == "".join(heard)
    assert len(heard) > 1  # it came in pieces
    assert reply.provider == provider
    assert reply.tokens_in > 0
    assert reply.tokens_out > 0
    assert reply.cost_usd > 0
    body = llmock.last_request.body
    assert body["stream"] is True
    assert "What moves prices?" in str(body["messages"])
    assert "You are terse." in str(body)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
async def test_a_passing_failure_is_waited_out(llmock: LLMock, provider: str, status: int) -> None:
    llmock.fail(status, times=2, retry_after=0.02).reply(TEXT)
    model = client(provider)
    reply = await model.complete(ASK)
    await model.close()
    assert reply.text == TEXT
    assert len(llmock.requests) == 3
    llmock.assert_resilient()


@pytest.mark.parametrize("status", [429, 503])
async def test_an_outage_is_named_after_three_attempts(llmock: LLMock, provider: str, status: int) -> None:
    llmock.fail(status, times=None, retry_after=0.02)
    error = await _fails(client(provider), ModelOutageError)
    assert str(status) in error.message
    assert len(llmock.requests) == 3  # bounded: no retry storm
    llmock.assert_resilient()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (400, ModelError, "refused the request"),
        (401, ModelKeyError, "refused the API key"),
        (403, ModelKeyError, "refused the API key"),
        (404, ModelError, "does not know this model"),
        (422, ModelError, "refused the request"),
    ],
)
async def test_what_no_retry_can_mend_is_asked_once(
    llmock: LLMock, provider: str, status: int, kind: type[ModelError], said: str
) -> None:
    llmock.fail(status, times=None)
    error = await _fails(client(provider), kind)
    assert not isinstance(error, ModelOutageError)
    assert said in error.message
    assert error.hint
    assert len(llmock.requests) == 1


async def test_a_prompt_that_is_too_long_says_so(llmock: LLMock, provider: str) -> None:
    llmock.context_overflow()
    error = await _fails(client(provider), ModelError)
    assert "context" in f"{error.message} {error.hint}"


@pytest.mark.parametrize("fault", ["disconnect", "truncate"])
async def test_a_broken_stream_is_never_taken_for_an_answer(llmock: LLMock, provider: str, fault: str) -> None:
    llmock.reply(TEXT)
    getattr(llmock, fault)(after_chunks=2, times=None)
    await _fails(client(provider), ModelOutageError)


async def test_a_chunk_that_is_no_json_is_not_taken_for_an_answer(llmock: LLMock) -> None:
    # Anthropic's SDK passes over events without a name, so there the rest of the reply still comes whole.
    llmock.reply(TEXT).corrupt(after_chunks=2)
    error = await _fails(client("openai"), ModelOutageError)
    assert "broke in mid-reply (JSONDecodeError)" in error.message


async def test_a_reply_that_was_cut_by_its_length_is_never_used(llmock: LLMock, provider: str) -> None:
    llmock.add(Reply(text=TEXT, finish_reason="length", times=1, match=Match()))
    error = await _fails(client(provider), ModelTruncatedError)
    assert "max_tokens" in error.message


async def test_a_refusal_of_the_model_is_named(llmock: LLMock) -> None:
    llmock.add(Reply(text="I cannot", finish_reason="content_filter", times=1, match=Match()))
    error = await _fails(client("openai"), ModelTruncatedError)
    assert "content_filter" in error.message


async def test_the_whole_call_has_one_deadline(llmock: LLMock, provider: str) -> None:
    llmock.reply(TEXT).stall(after_chunks=1, seconds=1.5)
    error = await _fails(client(provider, deadline=0.3), ModelError)
    assert "did not finish within 0.3 s" in error.message
    assert not isinstance(error, ModelOutageError)  # the deadline is over: nobody starts anew behind it


async def test_a_silent_provider_meets_the_same_deadline(llmock: LLMock, provider: str) -> None:
    llmock.delay(1.5, times=None)
    error = await _fails(client(provider, deadline=0.3), ModelError)
    assert "did not finish within 0.3 s" in error.message


async def test_nobody_listens(unused_tcp_port: int) -> None:
    settings = ModelSettings(
        provider="compatible", base_url=f"http://127.0.0.1:{unused_tcp_port}/v1", deadline_seconds=20.0
    )
    error = await _fails(make_client(settings), ModelOutageError)
    assert "could not be reached" in error.message


async def test_repeated_failures_open_the_circuit(llmock: LLMock, provider: str) -> None:
    llmock.fail(400, times=FAILURES_TO_OPEN)
    clock = ManualClock(NOW)
    model = client(provider, clock=clock)
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(ModelError):
            await model.complete(ASK)
    with pytest.raises(ModelError, match="no further call for 60 s"):
        await model.complete(ASK)
    assert len(llmock.requests) == FAILURES_TO_OPEN  # the last one never left
    clock.advance(REST_SECONDS)
    llmock.reply(TEXT)
    assert (await model.complete(ASK)).text == TEXT
    await model.close()


async def test_an_openai_compatible_endpoint_needs_no_key(llmock: LLMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    llmock.reply(TEXT)
    model = make_client(ModelSettings(provider="compatible", model="local-model", base_url=llmock.base_url("openai")))
    assert (await model.complete(ASK)).text == TEXT
    assert llmock.last_request.model == "local-model"
    await model.close()


async def test_the_model_and_its_length_are_the_callers(llmock: LLMock, provider: str) -> None:
    llmock.reply("ok")
    model = client(provider, model="some-model")
    await model.complete(ModelRequest("short", "", 77))
    await model.close()
    assert llmock.last_request.model == "some-model"
    assert 77 in llmock.last_request.body.values()


def test_a_missing_key_is_said_at_once() -> None:
    for name, variable in (("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")):
        with pytest.raises(ModelKeyError, match=f"no API key for {name}") as caught:
            make_client(ModelSettings(provider=name))
        assert variable in caught.value.hint
    with pytest.raises(SettingsError, match="needs model.base_url"):
        make_client(ModelSettings(provider="compatible"))
    with pytest.raises(SettingsError, match="needs no model client"):
        make_client(ModelSettings(provider="local"))


async def test_a_key_appears_nowhere_but_on_the_wire(
    llmock: LLMock, provider: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sentinel = "sk-sentinel-0123456789abcdef"
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", sentinel)
    llmock.fail(400, message=f"Incorrect API key provided: {sentinel}", times=1)
    model = client(provider)
    with caplog.at_level("DEBUG", logger="midas"), pytest.raises(ModelError) as caught:
        await model.complete(ASK)
    await model.close()
    shown = f"{caught.value} {caught.value!r} {model!r} {vars(model)!r} {caplog.text}"
    assert "refused the request (400)" in shown
    assert sentinel not in shown
