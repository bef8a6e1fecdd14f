"""How a model is asked and what it costs: two SDKs, chat and responses, dialects, by model and by setting."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.errors import ModelError, SettingsError
from midas_engine.factory import create_midas
from midas_engine.llm import make_client
from midas_engine.llm.asking import THINKING_ALLOWANCE
from midas_engine.llm.client import ModelRequest
from midas_engine.llm.replies import parse_reply
from midas_engine.model_options import options_of, price_of
from midas_engine.proposer.schemas import SCHEMAS
from midas_engine.providers import inferred
from midas_engine.settings import ModelSettings, load_settings
from tests.helpers_llm import ASK, client
from tests.helpers_raw_server import JSON, answering, http
from tests.helpers_servers import Dialect, serving

if TYPE_CHECKING:
    from pathlib import Path

    from llmock.testing import LLMock

REPLY = '{"hypothesis": "carry", "approach": "", "avoid": []}'
FORMED = dataclasses.replace(ASK, schema=SCHEMAS["plan"])
OLD = Dialect(REPLY, refused=("max_completion_tokens", "response_format", "stream_options"), wanted="max_tokens")
ODD = Dialect(
    REPLY, refused=("max_tokens", "max_completion_tokens", "stream_options"), wanted="num_predict", newline="\r\n",
    thoughts=("let me ", "think"),
    usage={"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920,
           "prompt_tokens_details": {"cached_tokens": 800}},
)  # fmt: skip


def _settings(url: str, **more: Any) -> ModelSettings:
    return ModelSettings(provider="compatible", model="tiny-7b", base_url=url, **more)


async def _ask(settings: ModelSettings, request: ModelRequest = FORMED) -> tuple[Any, str]:
    model = make_client(settings)
    heard: list[str] = []
    try:
        return await model.complete(request, heard.append), "".join(heard)
    finally:
        await model.close()


async def test_an_old_dialect_is_asked_by_its_parameter_names_and_costs_nothing() -> None:
    async with serving(dataclasses.replace(OLD, bodies=[])) as server:
        reply, heard = await _ask(_settings(server.url, options={"*.usage": "no", "*.structured": "yes"}))
    assert reply.text == REPLY == heard
    assert reply.cost_usd == 0.0
    assert reply.tokens_in > 0
    first, second = server.bodies  # the schema was refused, and left out from then on
    assert "response_format" in first
    assert "response_format" not in second
    assert second["max_tokens"] == ASK.max_tokens


@pytest.mark.parametrize(
    ("refused", "kept"),
    [
        (("stream_options",), {"max_tokens"}),
        (("max_tokens",), {"max_completion_tokens", "stream_options"}),
        (("max_tokens", "stream_options", "response_format"), {"max_completion_tokens"}),
        (("max_completion_tokens", "stream_options"), {"max_tokens"}),
    ],
)
async def test_a_parameter_that_is_refused_by_name_is_left_out_or_renamed_for_good(
    refused: tuple[str, ...], kept: set[str]
) -> None:
    known = {"max_tokens", "max_completion_tokens", "stream_options", "response_format"}
    async with serving(Dialect(REPLY, refused=refused)) as server:
        model = make_client(_settings(server.url, options={"*.structured": "yes" if len(refused) > 2 else "no"}))
        for _ in range(2):
            assert (await model.complete(FORMED)).text == REPLY
        await model.close()
    assert [known & set(body) for body in server.bodies[-2:]] == [kept, kept]  # the second call asked at once
    assert len(server.bodies) == 2 + len([name for name in refused if name != "max_completion_tokens"])


async def test_a_limit_that_is_too_large_is_not_renamed() -> None:
    async with answering(http('{"error": {"message": "max_tokens is too large"}}', JSON, "400 Bad Request")) as server:
        model = make_client(_settings(f"{server.url}/v1"))
        with pytest.raises(ModelError, match="too large"):
            await model.complete(ASK)
        await model.close()
    assert ["max_tokens" in body for body in server.bodies] == [True]


@pytest.mark.parametrize("options", [{}, {"*.max_tokens": "3000"}, {"*.max_tokens": "20000"}])
@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-sonnet-5-5"])
async def test_thoughts_leave_room_for_the_reply(llmock: LLMock, model: str, options: dict[str, str]) -> None:
    for thinking in ("1024", "4000", "16000"):
        llmock.reply("well")
        asked = client("anthropic", model=model, options=options | {"*.thinking": thinking})
        await asked.complete(ASK)
        await asked.close()
        body = llmock.last_request.body
        assert body["max_tokens"] >= body["thinking"]["budget_tokens"] + ASK.max_tokens


async def test_an_odd_dialect_by_options_of_the_model() -> None:
    options = {"tiny.tokens_parameter": "num_predict", "tiny.usage": "no", "tiny-7b.max_tokens": "900"}
    async with serving(dataclasses.replace(ODD, bodies=[])) as server:
        reply, _ = await _ask(_settings(server.url, options=options, prices={"tiny": "1.0,2.0,0.1"}))
    assert reply.text == REPLY
    assert server.bodies[0]["num_predict"] == 900
    assert (reply.tokens_in, reply.tokens_cached, reply.tokens_out) == (900, 800, 20)
    assert reply.cost_usd == pytest.approx((100 * 1.0 + 800 * 0.1 + 20 * 2.0) / 1e6)


async def test_what_a_dialect_does_not_know_is_named() -> None:
    async with serving(dataclasses.replace(ODD, bodies=[])) as server:
        with pytest.raises(ModelError, match="unknown parameter"):
            await _ask(_settings(server.url))


_CHUNK: dict[str, Any] = {"id": "1", "object": "chat.completion.chunk", "model": "m"}


@pytest.mark.parametrize(
    "how",
    [
        {"whole": True},
        {"whole": True, "usage": {"prompt_tokens": 900, "completion_tokens": 20}},
        {"parts": True},
        {"reason": "eos_token"},
        {"reason": "STOP"},
        {"odd": (_CHUNK | {"choices": None}, _CHUNK | {"choices": []}, _CHUNK)},
        {"odd": (_CHUNK | {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},)},
        {"odd": (_CHUNK | {"choices": [{"index": 0, "delta": {"content": 7}}]},)},
        {"usage": {"prompt_tokens": "many", "completion_tokens": None, "prompt_tokens_details": 3}},
        {"usage": {"prompt_tokens": -5, "completion_tokens": True}},
    ],
)
async def test_the_words_and_shapes_of_other_servers_are_understood(how: dict[str, Any]) -> None:
    async with serving(Dialect(REPLY, **how)) as server:
        reply, heard = await _ask(_settings(server.url))
    assert reply.text == REPLY == heard
    expected = (900, 20) if how.get("whole") and how.get("usage") else (len(ASK.prompt) // 4, len(REPLY) // 4)
    assert (reply.tokens_in, reply.tokens_out) == expected


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"odd": ({"error": {"message": "overloaded", "type": "server_error"}},)}, "with an error: overloaded"),
        ({"odd": ({"error": "overloaded"},)}, "with an error: overloaded"),
        ({"whole": True, "odd": ({"error": {"message": "overloaded"}},)}, "answered with an error: overloaded"),
        ({"whole": True, "odd": ({"error": "overloaded"},)}, "answered with an error: overloaded"),
        ({"whole": True, "odd": (["what"],)}, "stopped before its end"),
        ({"odd": (_CHUNK | {"choices": 7},)}, "in a form that is not its API's"),
        ({"reason": "tool_calls"}, "it gave the reason 'tool_calls'"),
        ({"reason": "MAX_TOKENS"}, "longer than max_tokens"),
        ({"reason": "SAFETY"}, "would not answer"),
    ],
)
async def test_a_reply_in_no_form_is_named_and_never_a_programs_own_error(how: dict[str, Any], said: str) -> None:
    async with serving(Dialect(REPLY, **how)) as server:
        with pytest.raises(ModelError, match=said):
            await _ask(_settings(server.url))


async def test_an_unknown_price_is_said_once(llmock: LLMock) -> None:
    llmock.reply("one").reply("two")
    model = client("openai", model="model-of-tomorrow")
    heard: list[str] = []
    await model.complete(ASK, heard.append)
    await model.complete(ASK, heard.append)
    await model.close()
    assert "".join(heard).count("price of model-of-tomorrow is unknown") == 1


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_reply_has_the_schema_it_was_asked_for(llmock: LLMock, provider: str) -> None:
    llmock.reply(REPLY)
    model = client(provider)
    reply = await model.complete(FORMED)
    await model.close()
    assert parse_reply(reply.text, {"hypothesis": str})
    asked = str(llmock.last_request.body.get("response_format") or llmock.last_request.body.get("output_config"))
    assert "json_schema" in asked
    assert "additionalProperties" in asked


async def test_the_responses_of_openai(llmock: LLMock) -> None:
    llmock.reply(REPLY)
    model = client("openai", model="gpt-5.4-mini", options={"*.api": "responses", "*.effort": "low"})
    reply = await model.complete(FORMED)
    await model.close()
    body = llmock.last_request.body
    assert reply.text == REPLY
    assert reply.tokens_in > 0
    assert reply.cost_usd > 0
    assert body["reasoning"] == {"effort": "low"}
    assert body["text"]["format"]["type"] == "json_schema"
    assert body["max_output_tokens"] == ASK.max_tokens + THINKING_ALLOWANCE
    assert body["instructions"] == "You are terse."


async def test_anthropic_is_told_what_to_keep_and_how_to_think(llmock: LLMock) -> None:
    llmock.reply("ok")
    model = client("anthropic", options={"claude.effort": "medium", "claude-sonnet-5-5.thinking": "adaptive"})
    await model.complete(ModelRequest("language|session|new", "system", 100, constant=(9, 17)))
    await model.close()
    body = llmock.last_request.body
    blocks = body["messages"][0]["content"]
    assert [b["text"] for b in blocks] == ["language|", "session|", "new"]
    assert ["cache_control" in b for b in blocks] == [True, True, False]
    assert body["output_config"] == {"effort": "medium"}
    assert body["thinking"] == {"type": "adaptive"}
    assert body["max_tokens"] == 100 + THINKING_ALLOWANCE


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_the_environment_names_a_model(llmock: LLMock, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{provider.upper()}_MODEL", "model-of-the-environment")
    llmock.reply("ok")
    model = client(provider)
    await model.complete(ASK)
    await model.close()
    assert llmock.last_request.model == "model-of-the-environment"


def test_midas_model_is_another_name_of_the_setting() -> None:
    assert load_settings(environ={"MIDAS_MODEL": "a"}).model.model == "a"
    assert load_settings(environ={"MIDAS_MODEL": "a", "MIDAS_MODEL_MODEL": "b"}).model.model == "b"


def test_an_exact_name_comes_before_one_that_it_begins_with(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text('[model.prices]\n"m" = [9, 9]\n"m-1" = [1.0, 2.0, 0.5]\n[model.options."m"]\neffort = "high"\n')
    model = load_settings(file=file, environ={}).model
    exact, prefix = price_of(model.prices, "m-1"), price_of(model.prices, "m-2")
    assert exact is not None
    assert prefix is not None
    assert (exact.asked, exact.kept, prefix.asked) == (1.0, 0.5, 9.0)
    assert price_of(model.prices, "n") is None
    assert options_of(model.options, "m-1").effort == "high"


@pytest.mark.parametrize(
    "text",
    ['[model.prices]\n"m" = "cheap"', '[model.prices]\n"m" = [1]', '[model.prices]\n"m" = [-1, 2]',
     '[model.prices]\n"m" = ["nan", 2]', '[model.options."m"]\neffort = "great"', '[model.options."m"]\nspeed = "fast"',
     '[model.options."m"]\nmax_tokens = "0"', '[model.options."m"]\nthinking = "much"',
     '[model.options."m"]\nthinking = "1000"',
     '[model.options]\neffort = "low"'],
)  # fmt: skip
def test_what_no_model_could_have_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"model\.(prices|options)"):
        load_settings(file=file, environ={})


@pytest.mark.parametrize(
    ("key", "model", "url", "provider"),
    [("sk-ant-api03-x", "", "", "anthropic"), ("sk-proj-x", "", "", "openai"),
     ("x", "claude-haiku-5-5", "", "anthropic"),
     ("x", "gpt-5.4-mini", "", "openai"), ("sk-x", "", "http://127.0.0.1:1/v1", "compatible"), ("x", "", "", "")],
)  # fmt: skip
def test_a_key_tells_its_provider(key: str, model: str, url: str, provider: str) -> None:
    assert inferred(key, model, url) == provider


def test_only_a_key_given_by_hand_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-0123456789")
    with create_midas(tmp_path / "kb") as midas:
        assert midas.settings.model.provider == "local"
    with create_midas(tmp_path / "kb", api_key="sk-ant-api03-0123456789") as midas:
        assert midas.settings.model.provider == "anthropic"
    with pytest.raises(SettingsError, match="whose"):
        create_midas(tmp_path / "kb", api_key="abcdef0123456789")
    with pytest.warns(UserWarning, match="api_key is not used"):
        create_midas(tmp_path / "kb", "mock", "abcdef0123456789").close()
